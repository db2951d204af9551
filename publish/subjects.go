package publish

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// A destination may take nothing for one subject and everything for others. What
// waits for a blocked subject stands in the outbox under that subject, where nobody
// reads it; of each subject one delivery at a time is made due, as a probe.

// Bounds of what is kept and done for blocked subjects.
const (
	mostSubjects   = 1000             // that are probed by their own schedules; of more, those in turns
	shownSubjects  = 10               // in a status
	unblockAtOnce  = 500              // deliveries in one step
	subjectLook    = time.Second      // between two looks at what is blocked besides
	subjectHurry   = 5 * time.Second  // between two times that all are probed at once
	lostProbeAfter = 30 * time.Second // another delivery is the probe if one comes to nothing
)

// subjects is what a lane knows of blocked subjects. Its mu guards it.
type subjects struct {
	known   map[string]*blockedSubject
	probes  map[string]string // subjects by the deliveries that are their probes
	sorted  bool              // what is in the queue was checked against what is known
	since   time.Time         // something is blocked
	next    time.Time         // when one is to be probed, or made due
	hurried time.Time         // when all were to be probed at once last

	more   bool      // the outbox has subjects that are not known
	after  string    // the last one that was taken from there
	looked time.Time // when
}

// blockedSubject is one that the destination took nothing for at the last attempt.
type blockedSubject struct {
	why    string
	since  time.Time
	next   time.Time // probe
	pauses backoff
	probe  string // the delivery that is one, "" if none is on its way
	free   bool   // it takes messages again: all that waits for it is made due
}

// reset forgets what is known: the outbox may have blocked ones of the last process.
func (s *subjects) reset() {
	*s = subjects{known: make(map[string]*blockedSubject), probes: make(map[string]string), sorted: true, more: true}
}

// sooner notes that something is to be done at a time.
func (s *subjects) sooner(at time.Time) {
	if s.next.IsZero() || at.Before(s.next) {
		s.next = at
	}
}

// add notes a subject that is blocked, nil if there is no room.
func (s *subjects) add(subject string, now time.Time) *blockedSubject {
	if s.since.IsZero() {
		s.since = now
	}
	if len(s.known) >= mostSubjects {
		s.more = true
		return nil
	}
	b := &blockedSubject{since: now}
	s.known[subject] = b
	s.sorted = false
	return b
}

// forget drops a subject that nothing waits for, or that others are probed before.
func (s *subjects) forget(subject string) {
	if b := s.known[subject]; b != nil {
		delete(s.probes, b.probe)
		delete(s.known, subject)
	}
	switch {
	case s.more:
		s.sooner(time.Now()) // there is room for others
	case len(s.known) == 0:
		s.since = time.Time{}
	}
}

// blocked says whether something is, and not only about to be made due.
func (s *subjects) blocked() bool {
	for _, b := range s.known {
		if !b.free {
			return true
		}
	}
	return s.more
}

// release lets all that waits for a subject be made due. What else is blocked is
// probed at once: it may have had the same cause, and what is first in a session
// should go first.
func (s *subjects) release(subject string, now time.Time) {
	b := s.known[subject]
	if b == nil {
		return
	}
	delete(s.probes, b.probe)
	b.probe, b.free = "", true
	s.sooner(now)
	if now.Sub(s.hurried) >= subjectHurry {
		s.hurry(now)
	}
}

// hurry lets every subject be probed at once.
func (s *subjects) hurry(now time.Time) {
	s.hurried = now
	for _, b := range s.known {
		if b.probe == "" {
			b.next = now
		}
	}
	if len(s.known) > 0 {
		s.sooner(now)
	}
}

// settling says whether it will show at once whether an earlier delivery that is
// blocked goes: its later ones need not overtake it now.
func (s *subjects) settling(d *event.Delivery, now time.Time) bool {
	b := s.known[d.BlockedSubject]
	return d.Blocked() && b != nil && (b.free || b.probe != "" || !b.next.After(now))
}

// subjectOf returns the subject that a delivery goes to, "" if that has none or
// cannot be told; whoever sends it tells why.
func (l *lane) subjectOf(job *event.Job) string {
	p, ok := l.publisher.(Router)
	if !ok {
		return ""
	}
	subject, err := p.Subject(Message{Event: job.Event, Delivery: job.Delivery})
	if err != nil {
		return ""
	}
	return subject
}

// blockedNow returns the subject that a delivery has to wait for, "" if it may go:
// as the probe of its subject, or because somebody asked for this very attempt. The
// caller holds mu.
func (l *lane) blockedNow(job *event.Job) string {
	s, d := &l.subjects, &job.Delivery
	if len(s.known) == 0 {
		return ""
	}
	subject := l.subjectOf(job)
	if probed, ok := s.probes[d.ID]; ok && probed != subject {
		s.release(probed, time.Now()) // by its present template nothing goes there
	}
	b := s.known[subject]
	switch {
	case b == nil || b.free || b.probe == d.ID:
		return ""
	case d.Actor != "":
		s.probes[d.ID] = subject
		return ""
	}
	return subject
}

// await lets a delivery wait for its subject, which nobody is to be told twice. The
// caller holds mu.
func (l *lane) await(v *event.Verdict, d *event.Delivery, subject string, now time.Time) {
	d.BlockedSubject = subject
	l.hold(v, d, now)
	v.Delivery, v.At, v.UpClock = *d, now, l.clock.at(now)
}

// blocked notes that the destination takes nothing for the subject of a delivery.
// The caller holds mu.
func (l *lane) blocked(o *outcome, d *event.Delivery, r Result, now time.Time) {
	s := &l.subjects
	l.answeredAgain()
	b := s.known[r.Subject]
	if b == nil {
		b = s.add(r.Subject, now)
	}
	l.log.Warn("the destination takes nothing for a subject: what is for it waits", loglimit.Repeats("blocked"),
		"subject", shownSubject(r.Subject), "reason", r.Error)
	probed := s.probes[d.ID] == r.Subject
	delete(s.probes, d.ID)
	if b != nil {
		b.why = r.Error
		if b.free || b.probe == d.ID || !b.next.After(now) {
			b.next = now.Add(b.pauses.step(probeFirst, probeLast))
			b.probe, b.free = "", false
		}
		s.sooner(b.next)
		if probed && s.more {
			s.forget(r.Subject) // it is the others' turn
		}
	}
	l.await(&o.verdict, d, r.Subject, now)
	l.announceBlocked(now, &o.news)
}

// tookSubject notes that a delivery was accepted. The caller holds mu.
func (l *lane) tookSubject(d *event.Delivery, now time.Time) {
	s := &l.subjects
	if subject, ok := s.probes[d.ID]; ok {
		delete(s.probes, d.ID)
		s.release(subject, now)
		l.log.Info("the destination takes messages for a subject again", loglimit.Repeats("unblocked"), "subject", shownSubject(subject))
	}
}

// noProbe notes that a delivery is no probe after all. The caller holds mu.
func (l *lane) noProbe(deliveryID string) {
	s := &l.subjects
	subject, ok := s.probes[deliveryID]
	if !ok {
		return
	}
	delete(s.probes, deliveryID)
	if b := s.known[subject]; b != nil && b.probe == deliveryID {
		b.probe, b.next = "", time.Now()
		s.sooner(b.next)
	}
}

// unblock adds to a step what is to be due of what waits for subjects: a probe of
// each whose time has come, and all of those that take messages again. It returns
// when there is something to do again. The caller holds mu.
func (l *lane) unblock(now time.Time, step *event.Step) (next time.Time) {
	s := &l.subjects
	if s.next.IsZero() || now.Before(s.next) {
		return s.next
	}
	s.next = time.Time{}
	room := unblockAtOnce
	for subject, b := range s.known {
		u := event.Unblock{Destination: l.dest.Name, Subject: subject, Limit: 1, Due: b.since}
		switch {
		case b.free:
			u.Limit, u.Due = room, now
		case b.next.After(now):
			s.sooner(b.next)
			continue
		}
		if room -= u.Limit; room < 0 || u.Limit == 0 {
			s.sooner(now)
			break
		}
		if !b.free {
			delete(s.probes, b.probe)
			b.probe, b.next = "", now.Add(lostProbeAfter)
			s.sooner(b.next)
		}
		step.Unblocked = append(step.Unblocked, u)
	}
	return s.next
}

// unblocked notes what an Unblock made due. The caller holds mu.
func (l *lane) unblocked(u *event.Unblock, ids []string) {
	s := &l.subjects
	b := s.known[u.Subject]
	if b == nil {
		return
	}
	l.queue.unseen = l.queue.unseen || len(ids) > 0
	switch {
	case b.free && len(ids) < u.Limit, len(ids) == 0:
		s.forget(u.Subject)
	case b.free:
		s.sooner(time.Now())
	default:
		b.probe = ids[0]
		s.probes[b.probe] = u.Subject
	}
}

// withdrawBlocked gives up what was begun and whose subject was blocked meanwhile.
// The caller holds mu.
func (l *lane) withdrawBlocked() (withdrawn []event.Begin) {
	l.leaving, l.overtaken = l.overtaken, nil
	for i := range l.leaving {
		withdrawn = append(withdrawn, l.begin(&l.leaving[i]))
	}
	return withdrawn
}

// moreSubjects takes subjects up that are blocked besides those that are known. What
// the last process left is probed at once.
func (l *lane) moreSubjects(send context.Context, now time.Time) error {
	l.mu.Lock()
	s := &l.subjects
	room, after := mostSubjects-len(s.known), s.after
	if !s.more || room == 0 || now.Sub(s.looked) < subjectLook {
		l.mu.Unlock()
		return nil
	}
	first := s.looked.IsZero()
	l.mu.Unlock()
	list, err := l.outbox.BlockedSubjects(send, l.dest.Name, after, room)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.looked = now
	for _, subject := range list {
		if s.known[subject] != nil || len(s.known) == mostSubjects {
			continue
		}
		b := s.add(subject, now)
		b.why, b.next = "it took nothing before the last start", now
		if !first {
			b.why, b.next = "it waits for its turn to be tried again", now.Add(probeLast)
		}
		s.sooner(b.next)
	}
	switch {
	case len(list) == room:
		s.after = list[room-1]
	case after == "":
		s.more = false // these are all
		s.forget("")
	default:
		s.after = ""
	}
	return nil
}

// BlockedSubject is a subject that a destination takes nothing for.
type BlockedSubject struct {
	Subject string    `json:"subject"` // without what may be a customer's address
	Why     string    `json:"why"`     // redacted
	Since   time.Time `json:"since"`
	Next    time.Time `json:"next_try"`
}

// list returns the subjects that have been blocked for the longest time, and how
// many there are. The caller holds mu.
func (s *subjects) list() (list []BlockedSubject, count int) {
	for subject, b := range s.known {
		if !b.free {
			list = append(list, BlockedSubject{Subject: shownSubject(subject), Why: b.why, Since: b.since, Next: b.next})
		}
	}
	slices.SortFunc(list, func(a, b BlockedSubject) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Subject, b.Subject))
	})
	return list[:min(len(list), shownSubjects)], len(list)
}

// why says in a line what is blocked. The caller holds mu.
func (s *subjects) why() string {
	list, count := s.list()
	if count == 0 {
		return ""
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Subject
	}
	const few = 3
	text := strings.Join(names[:min(len(names), few)], ", ")
	if count > few {
		text += fmt.Sprintf(" and %d more", count-few)
		if s.more {
			text += " at least"
		}
	}
	return fmt.Sprintf("takes nothing for %s: %s", text, list[0].Why)
}

// shownSubject leaves out of a subject the tokens that hold an e-mail address or a
// link.
func shownSubject(subject string) string {
	tokens := strings.Split(subject, ".")
	for i, t := range tokens {
		if strings.Contains(t, token("@")) || strings.Contains(t, token("://")) {
			tokens[i] = "*"
		}
	}
	return strings.Join(tokens, ".")
}

// mustAwait returns the verdict that lets a delivery wait for its subject, nil if
// it may go. The caller holds mu.
func (l *lane) mustAwait(job *event.Job, now time.Time) *event.Verdict {
	subject := l.blockedNow(job)
	if subject == "" {
		return nil
	}
	if l.tally != nil {
		l.tally.blocked[job.Delivery.ID] = true
	}
	d := job.Delivery
	if _, decided := l.passing[d.ID]; decided {
		delete(l.passing, d.ID)
		d.Overtook = nil // it passes nobody yet
	}
	var v event.Verdict
	l.await(&v, &d, subject, now)
	return &v
}

// sortAgain gives back what was read and not begun, if a subject was blocked
// meanwhile. The caller does not hold mu, and is the loop.
func (l *lane) sortAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.subjects.sorted {
		l.subjects.sorted = true
		l.drop()
	}
}
