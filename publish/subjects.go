package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
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
	row     event.Trouble     // something is blocked
	next    time.Time         // when one is to be probed, or made due
	hurried time.Time         // when all were to be probed at once last

	more   bool      // the outbox has subjects that are not known
	after  string    // the last one that was taken from there
	looked time.Time // when
}

// blockedSubject is one that the destination took nothing for at the last attempt.
type blockedSubject struct {
	why    string // "": it was not tried since the start, or since others had their turn
	since  time.Time
	tried  time.Time // when the last probe, or the first attempt, came to nothing
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
	if !s.row.IsOpen() {
		s.row = event.Trouble{Since: now}
	}
	if len(s.known) >= mostSubjects {
		s.more = true
		return nil
	}
	b := &blockedSubject{since: now}
	if len(s.known) == 0 {
		b.since = s.row.Since // it may be what the last process left
	}
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
		s.row = event.Trouble{}
	}
}

// blocked says whether something is, and not only about to be made due.
func (s *subjects) blocked() bool { return s.more || s.any(func(*blockedSubject) bool { return true }) }

// any says whether a known subject that is blocked is such a one.
func (s *subjects) any(such func(*blockedSubject) bool) bool {
	for _, b := range s.known {
		if !b.free && such(b) {
			return true
		}
	}
	return false
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
	s.sooner(now)
}

// settling says whether it will show at once whether an earlier delivery that is
// blocked goes: its later ones need not overtake it now. Before the probe of another
// subject overtakes it, its own subject is probed: what has just recovered may be
// what both wait for.
func (s *subjects) settling(earlier *event.Delivery, by string, now time.Time) bool {
	b := s.known[earlier.BlockedSubject]
	if b == nil || !earlier.Blocked() {
		return false
	}
	if _, probe := s.probes[by]; probe && now.Sub(b.tried) >= subjectHurry && b.probe == "" {
		b.next = now
		s.sooner(now)
	}
	return b.free || b.probe != "" || !b.next.After(now)
}

// BlockedSubject is a subject that a destination takes nothing for.
type BlockedSubject struct {
	Subject string    `json:"subject"` // without what may be a customer's address
	Why     string    `json:"why"`     // redacted
	Since   time.Time `json:"since"`
	Next    time.Time `json:"next_try"`
}

// notTriedAgain is shown where it is not known why a subject is blocked.
const notTriedAgain = "it has not been tried again so far"

// reasoned says whether it is known why a subject is blocked. The caller holds mu.
func (s *subjects) reasoned() bool { return s.any(func(b *blockedSubject) bool { return b.why != "" }) }

// list returns the subjects that have been blocked for the longest time, before them
// those of which it is known why, and how many there are. The caller holds mu.
func (s *subjects) list() (list []BlockedSubject, count int) {
	for subject, b := range s.known {
		if !b.free {
			list = append(list, BlockedSubject{Subject: ShownSubject(subject), Why: cmp.Or(b.why, notTriedAgain), Since: b.since, Next: b.next})
		}
	}
	unknown := func(b BlockedSubject) int {
		if b.Why == notTriedAgain {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b BlockedSubject) int {
		return cmp.Or(unknown(a)-unknown(b), a.Since.Compare(b.Since), strings.Compare(a.Subject, b.Subject))
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

// ShownSubject leaves out of a subject the tokens that hold an e-mail address or a
// link.
func ShownSubject(subject string) string {
	tokens := strings.Split(subject, ".")
	for i, t := range tokens {
		if strings.Contains(t, token("@")) || strings.Contains(t, token("://")) {
			tokens[i] = "*"
		}
	}
	return strings.Join(tokens, ".")
}
