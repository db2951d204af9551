package publish

import (
	"context"
	"log/slog"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// subjectOf returns the subject that a delivery goes to, "" if that has none or
// cannot be told; whoever sends it tells why.
func (l *lane) subjectOf(job *event.Job) string {
	p, ok := l.publisher.(Router)
	if !ok {
		return ""
	}
	subject, err := p.Subject(Message{Event: job.Event, Delivery: job.Delivery, Siblings: job.Siblings})
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

// await fills in the verdict by which a delivery waits until its subject is taken again.
// The caller holds mu.
func (l *lane) await(v *event.Verdict, d *event.Delivery, subject string, now time.Time) {
	d.BlockedSubject = subject
	l.hold(v, d, now)
	v.Delivery, v.At, v.UpClock = *d, now, l.clock.known(now)
}

// waitsFor is called once the verdict is stored by which a delivery waits for its subject. It
// adds the subject again if that was forgotten meanwhile, because nothing waited for it yet.
// The caller holds mu.
func (l *lane) waitsFor(v *event.Verdict) {
	s, subject := &l.subjects, v.Delivery.BlockedSubject
	if subject == "" || s.known[subject] != nil || s.more {
		return // it is probed, or found in the outbox when there is room for it
	}
	now := time.Now()
	if b := s.add(subject, now); b != nil {
		b.why, b.next = v.Attempt.Error, now
		s.sooner(now)
	}
}

// blocked notes that the destination takes nothing for the subject of a delivery.
// The caller holds mu.
func (l *lane) blocked(v *event.Verdict, d *event.Delivery, r Result, now time.Time) {
	s := &l.subjects
	l.answeredAgain()
	b := s.known[r.Subject]
	if b == nil {
		b = s.add(r.Subject, now)
	}
	l.log.Warn("the destination takes nothing for a subject: what is for this subject waits, all else goes on", loglimit.Repeats("blocked"),
		slog.String("subject", ShownSubject(r.Subject)), slog.String("reason", r.Error))
	probed := s.probes[d.ID] == r.Subject
	delete(s.probes, d.ID)
	if b != nil {
		b.why, b.tried = r.Error, now
		if b.free || b.probe == d.ID || !b.next.After(now) {
			b.next = now.Add(b.pauses.step(probeFirst))
			b.probe, b.free = "", false
		}
		s.sooner(b.next)
		if probed && s.more {
			s.forget(r.Subject) // it is the others' turn
		}
	}
	l.await(v, d, r.Subject, now)
	l.standing.Version++
	l.announceBlocked(now)
}

// tookSubject notes that a delivery was accepted. The caller holds mu.
func (l *lane) tookSubject(d *event.Delivery, now time.Time) {
	s := &l.subjects
	if len(s.known) == 0 && !s.more {
		s.row = event.Trouble{} // see moreSubjects
	}
	if subject, ok := s.probes[d.ID]; ok {
		delete(s.probes, d.ID)
		s.release(subject, now)
		over := slog.Attr{} // the lines of one kind are about all subjects
		if !s.blocked() {
			over = loglimit.Ends("blocked")
		}
		l.log.Info("the destination takes messages for a subject again", loglimit.Repeats("unblocked"), over, slog.String("subject", ShownSubject(subject)))
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
		b.probe, b.next = "", time.Now().Add(probeFirst)
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
	if s.more && len(s.known) < mostSubjects {
		s.sooner(s.looked.Add(subjectLook))
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
		b.next = time.Now().Add(lostProbeAfter) // all may have been hurried while this one was made due
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
// the last process left is probed at once. If it ended during the only probe, the outbox
// shows no subject: what was blocked lasts on until a delivery is accepted.
func (l *lane) moreSubjects(send context.Context, now time.Time) error {
	l.mu.Lock()
	s := &l.subjects
	room, after := mostSubjects-len(s.known), s.after
	if !s.more || room == 0 || now.Sub(s.looked) < subjectLook {
		l.mu.Unlock()
		return nil
	}
	first, since := s.looked.IsZero(), s.row.Since
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
		if b.next = now; !first {
			b.next = now.Add(longestPause)
		} else if !since.IsZero() {
			b.since = since
		}
		s.sooner(b.next)
	}
	switch {
	case len(list) == room:
		s.after = list[room-1]
	case after == "":
		if s.more = false; !first { // these are all
			s.forget("")
		}
	default:
		s.after = ""
	}
	return nil
}

// mustAwait returns the verdict that lets a delivery wait for its subject, nil if
// it may go. The caller holds mu.
func (l *lane) mustAwait(job *event.Job, now time.Time) *event.Verdict {
	subject := l.blockedNow(job)
	if subject == "" {
		return nil
	}
	if l.tally != nil {
		l.tally.waits[job.Delivery.ID] = true
	}
	d := job.Delivery
	var v event.Verdict
	l.await(&v, &d, subject, now)
	if _, decided := l.passing[d.ID]; decided {
		delete(l.passing, d.ID)
		v.Delivery.Overtook = nil // it passes nobody yet, but those behind it have waited as well
	}
	return &v
}

// sortAgain drops what was read ahead and not started, if a subject was blocked since: it is
// read again, for some of it may have to wait for that subject. Only the loop calls it,
// without mu.
func (l *lane) sortAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.subjects.sorted {
		l.subjects.sorted = true
		l.drop()
	}
}
