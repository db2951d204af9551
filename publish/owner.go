package publish

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// news is something that the owner of the program hears of a destination.
type news struct {
	eventType, about string
	at               time.Time
	data             any
}

// notices makes events of news, and asks who hears of them. refused is by how many
// those that were refused and wait become more with the step that stores the notices.
// The caller does not hold mu.
func (l *lane) notices(list []news, refused int) (notices []event.Notice) {
	if l.announce == nil || len(list) == 0 {
		return nil
	}
	stored, _ := l.stored() // what cannot be read is not told
	for _, n := range list {
		switch data := n.data.(type) {
		case *event.DestinationFailingData:
			data.Pending = stored.Pending
		case *event.DestinationPausedData:
			data.Pending = stored.Pending
		case *event.DestinationRecoveredData:
			data.StillRefuses(max(0, stored.Refused+refused))
		}
		e, err := event.NewSystem(n.eventType, l.dest.Name, n.about, n.at, n.data)
		if err != nil {
			l.log.Error("an event about the destination could not be written", "type", n.eventType, "error", err)
			continue
		}
		if notice := l.announce(e); notice.Event.ID != "" {
			notices = append(notices, notice)
		}
	}
	return notices
}

// stored is what the outbox tells of the destination.
func (l *lane) stored() (state event.DestinationState, err error) {
	states, err := l.outbox.Destinations(context.Background())
	if i := slices.IndexFunc(states, func(s event.DestinationState) bool { return s.Name == l.dest.Name }); i >= 0 {
		state = states[i]
	}
	return state, err
}

// tell stores what no attempt brought. What cannot be stored is said with the
// next turn.
func (l *lane) tell(send context.Context, change event.StandingChange, notices []event.Notice) {
	if len(notices) == 0 {
		return
	}
	change.Notices = notices
	if err := l.outbox.SaveStanding(context.WithoutCancel(send), change); err != nil {
		l.log.Error("the state of the destination could not be stored; it is tried again", loglimit.Repeats("standing"), slog.Any("error", err))
		l.untold = append(l.untold, notices...)
		return
	}
	l.call(notices)
}

// tellAgain tells what could not be stored before.
func (l *lane) tellAgain(send context.Context) {
	if len(l.untold) == 0 {
		return
	}
	notices := l.untold
	l.untold = nil
	l.mu.Lock()
	change := l.change(time.Now())
	l.mu.Unlock()
	l.tell(send, change, notices)
}

// toldToFail says whether the owner heard that the destination fails, and not only in part.
func toldToFail(s *event.Standing) bool {
	return !s.Announced.IsZero() && !s.AnnouncedSubjects && !s.AnnouncedRefused
}

// announceFailing tells that the destination fails, once until it is well again.
func (l *lane) announceFailing(now time.Time, to *[]news) {
	s := &l.standing
	if !s.Paused.IsZero() || toldToFail(s) {
		return // of what is paused it is known that it takes nothing
	}
	s.AnnouncedSubjects, s.AnnouncedRefused = false, false
	often, why := fmt.Sprintf("%d times in a row", s.Failures), s.Why
	if s.Failures == 1 {
		often = "once"
	}
	if s.Throttled.After(now) {
		why += ", and it asked for a pause until " + event.FormatTime(s.Throttled)
	}
	summary := fmt.Sprintf("Destination %s has failed %s: %s. What is due for it waits.", l.dest.Name, often, why)
	*to = append(*to, l.failure(l.failsSince(now), now, summary, why, 0))
}

// failure tells of what has failed since a time.
func (l *lane) failure(since, now time.Time, summary, why string, refused int) news {
	s := &l.standing
	s.Version++
	s.Announced = cmp.Or(s.Announced, since)
	return news{event.DestinationFailing, "", now, &event.DestinationFailingData{
		Summary: summary, Destination: l.dest.Name, Since: event.FormatTime(since), Failures: s.Failures, Reason: why, Refused: refused,
	}}
}

// failsSince is when what is told as a failure began: with the first refusal of its
// row, or the outage.
func (l *lane) failsSince(now time.Time) time.Time {
	since := now
	if s := &l.standing; !s.FailedSince.IsZero() {
		since = sooner(since, s.FailedSince)
	}
	if l.down() {
		since = sooner(since, l.standing.Down.Since)
	}
	return since
}

// announceBlocked tells that the destination takes nothing for some subjects for
// longer than a moment, and everything else. That it fails altogether, and does so
// no more, is told each time. After a start that waits for the first probe, which shows
// why.
func (l *lane) announceBlocked(now time.Time, to *[]news) {
	s := &l.standing
	if s.AnnouncedSubjects || !s.Paused.IsZero() || l.broken() || l.down() || s.Failures > 0 || l.subjects.row.Lasted(now) < tellAfter || !l.subjects.reasoned() {
		return
	}
	s.AnnouncedSubjects = true
	why := l.subjects.why()
	summary := fmt.Sprintf("Destination %s %s. What is for it waits, all else goes on.", l.dest.Name, why)
	*to = append(*to, l.failure(l.subjects.row.Since, now, summary, why, 0))
}

// recovered tells that a destination whose failing was told is well again, or one that
// has lost what it held. Under an open breaker a connection that is back does not make
// it so.
func (l *lane) recovered(now time.Time, to *[]news) {
	s := &l.standing
	what, lost := l.complaint()
	anew := lost.After(l.health.lossTold)
	switch {
	case s.Announced.IsZero() && !anew || l.broken():
		return
	case !s.Paused.IsZero(): // it takes no more than before, and the end of the pause is told
		s.Announced, s.AnnouncedSubjects, s.AnnouncedRefused = time.Time{}, false, false
		s.Version++
		return
	case s.AnnouncedRefused && !s.AnnouncedSubjects: // it takes deliveries all the time
		return
	case l.subjects.blocked():
		l.announceBlocked(now, to)
		return
	}
	text := ""
	if anew {
		l.health.lossTold, text = lost, " But "+what+"."
	}
	*to = append(*to, l.recovery(cmp.Or(s.Announced, lost), now, "Destination %s takes deliveries again, after %s.%s", text))
	s.Announced, s.AnnouncedSubjects, s.AnnouncedRefused, s.Recovered = time.Time{}, false, false, now
	s.Version++
}

// recovery tells that what was told since a time is over. The format is given the
// destination's name, how long it lasted, and more.
func (l *lane) recovery(since, now time.Time, format string, more ...any) news {
	took := event.FormatSpan(now.Sub(since))
	return news{event.DestinationRecovered, "", now, &event.DestinationRecoveredData{
		Summary:     fmt.Sprintf(format, append([]any{l.dest.Name, took}, more...)...),
		Destination: l.dest.Name, Since: event.FormatTime(since), DownFor: took,
	}}
}

// bury makes a delivery a dead letter, and tells so. The death of what tells of
// failures is not told: it would go the same way.
func (l *lane) bury(o *outcome, d *event.Delivery, r Result, why string, now time.Time) {
	o.verdict.Dead = why
	if event.IsSystemType(d.EventType) {
		return
	}
	o.news = append(o.news, news{event.DeliveryDead, fmt.Sprintf("%s/%d", d.ID, d.Attempts), now, &event.DeliveryDeadData{
		Summary:     fmt.Sprintf("The delivery of %s of session %s to %s is dead: %s.", event.Short(d.EventType), d.Session, l.dest.Name, why),
		Destination: l.dest.Name, Delivery: d.ID, Event: d.EventID, EventType: d.EventType, Account: d.Account, Session: d.Session,
		Rules: d.Rules, Reason: why, Attempts: d.Attempts, Class: r.Class, StatusCode: r.StatusCode, Status: event.StatusFiring,
	}})
}

// rescued reports that a former dead letter was accepted after all. Only what
// keeps an incident open until then is sent the event: see Options.Announce.
func (l *lane) rescued(o *outcome, d *event.Delivery, now time.Time) {
	if d.Reason == "" || event.IsSystemType(d.EventType) {
		return
	}
	o.news = append(o.news, news{event.DeliveryDead, fmt.Sprintf("%s/%d", d.ID, d.Attempts), now, &event.DeliveryDeadData{
		Summary:     fmt.Sprintf("The delivery of %s of session %s to %s was accepted at attempt %d.", event.Short(d.EventType), d.Session, l.dest.Name, d.Attempts),
		Destination: l.dest.Name, Delivery: d.ID, Event: d.EventID, EventType: d.EventType, Account: d.Account, Session: d.Session,
		Rules: d.Rules, Reason: d.Reason, Attempts: d.Attempts, Status: event.StatusResolved,
	}})
}

// stop pauses the destination until somebody resumes it, and tells so.
func (l *lane) stop(now time.Time, actor, why string, to *[]news) {
	s := &l.standing
	s.Paused, s.PausedBy, s.PausedWhy = now, actor, why
	s.Version++
	l.clock.note(ContactFailed, now)
	reason := pausedWhy(s)
	l.log.Warn("the destination is paused: what is due for it waits until notifier destinations resume", "reason", reason)
	*to = append(*to, news{event.DestinationPaused, "", now, &event.DestinationPausedData{
		Summary:     fmt.Sprintf("Destination %s is %s. What is due for it waits.", l.dest.Name, reason),
		Destination: l.dest.Name, By: actor, Reason: why,
	}})
}

// pause stops the destination in the name of somebody.
func (l *lane) pause(ctx context.Context, actor string) (changed bool, err error) {
	if err := l.beginWriting(ctx); err != nil {
		return false, err
	}
	defer func() { <-l.writing }()
	now := time.Now()
	l.mu.Lock()
	if !l.standing.Paused.IsZero() {
		l.mu.Unlock()
		return false, nil
	}
	var list []news
	clock := l.clock
	l.stop(now, actor, "", &list)
	change := l.change(now)
	l.mu.Unlock()
	l.poke()
	l.writeResults(ctx)
	notices := l.notices(list, 0)
	change.Notices = notices
	change.Audit = &event.AuditEntry{Time: now, Actor: actor, Action: "destination.pause", Subject: l.dest.Name}
	if err := l.outbox.SaveStanding(ctx, change); err != nil {
		l.unstop(clock)
		return false, err
	}
	l.call(notices)
	return true, nil
}

// beginWriting waits until what was decided before is stored.
func (l *lane) beginWriting(ctx context.Context) error {
	select {
	case l.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeResults writes down what came of attempts before a pause: what the owner hears
// of that comes first. What cannot be written stays for the next turn.
func (l *lane) writeResults(ctx context.Context) {
	for {
		step := event.Step{Resolved: l.takeResults()}
		if step.Empty() || l.take(ctx, &step, nil) != nil {
			return
		}
	}
}

// unpause lets the destination go on, and probes one whose breaker is open, and
// subjects that are blocked. One that was not paused need not wait any more for as
// long as it asked with a 429, and is paced no more.
func (l *lane) unpause(ctx context.Context, actor string) (changed bool, err error) {
	if err := l.beginWriting(ctx); err != nil {
		return false, err
	}
	defer func() { <-l.writing }()
	now := time.Now()
	l.mu.Lock()
	before := l.standing
	list, blocked := l.subjects.list()
	switch {
	case !before.Paused.IsZero() || l.broken() || before.Throttled.After(now) || l.pacer.slow > 0:
		l.goOn(now)
	case blocked == 0:
		l.mu.Unlock()
		return false, nil
	}
	l.subjects.hurry(now)
	change := l.change(now)
	l.mu.Unlock()
	change.Notices = l.notices(l.resumed(&before, actor, now), 0)
	change.Audit = &event.AuditEntry{Time: now, Actor: actor, Action: "destination.resume", Subject: l.dest.Name, Detail: pausedDetail(&before, list, now)}
	if err := l.outbox.SaveStanding(ctx, change); err != nil {
		l.stopAgain(&before, now)
		return false, err
	}
	l.call(change.Notices)
	l.poke()
	return true, nil
}

// resumed is what the owner hears of the end of a pause. Of a destination that was
// told to fail altogether the end of that is told, once it takes something.
func (l *lane) resumed(before *event.Standing, actor string, now time.Time) []news {
	if before.Paused.IsZero() || toldToFail(before) {
		return nil
	}
	return []news{l.recovery(before.Paused, now, "Destination %[1]s goes on: %[3]s resumed it after %[2]s.", actor)}
}

// unstop takes a pause back that could not be kept. Nothing has waited, so that
// nothing is made due, and the clock of holds goes on as it did before.
func (l *lane) unstop(clock upClock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.standing
	s.Paused, s.PausedBy, s.PausedWhy = time.Time{}, "", ""
	s.Version++
	if !l.clock.running {
		l.clock = clock
	}
	l.poke()
}

// stopAgain takes back that a pause has ended, if that could not be kept.
func (l *lane) stopAgain(before *event.Standing, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.standing
	s.Paused, s.PausedBy, s.PausedWhy = before.Paused, before.PausedBy, before.PausedWhy
	s.Recovering = before.Recovering
	if s.Announced.IsZero() {
		s.Announced, s.AnnouncedSubjects, s.AnnouncedRefused = before.Announced, before.AnnouncedSubjects, before.AnnouncedRefused
	}
	if before.Throttled.After(s.Throttled) {
		s.Throttled = before.Throttled
		l.skipThrottled(now)
	}
	s.Version++
	if !s.Paused.IsZero() {
		l.clock.note(ContactFailed, now)
	}
}

func pausedDetail(s *event.Standing, blocked []BlockedSubject, now time.Time) string {
	switch {
	case !s.Paused.IsZero():
		return "it was " + pausedWhy(s)
	case !s.Broken.IsZero():
		return "its breaker was open"
	case s.Throttled.After(now):
		return "it had asked for a pause until " + event.FormatTime(s.Throttled)
	case len(blocked) > 0:
		return "it took nothing for " + blocked[0].Subject
	}
	return "it was sent less, for it had answered 429"
}

// goOn ends a pause. What waits is due at once, or what is first is a probe.
func (l *lane) goOn(now time.Time) {
	s := &l.standing
	l.pacer.restore()
	if s.Paused.IsZero() {
		s.Throttled = time.Time{}
		l.clock.unskip(now)
	} else if !toldToFail(s) { // the end of the pause closes what was told in part: if that lasts it is told anew
		s.Announced, s.AnnouncedSubjects, s.AnnouncedRefused = time.Time{}, false, false
	}
	s.Recovering = !l.broken()
	s.Paused, s.PausedBy, s.PausedWhy = time.Time{}, "", ""
	if l.broken() {
		s.NextProbe, s.Probes = now, 1 // what was never tried: somebody may have mended the rest
	} else {
		l.clock.assume(now)
		l.skipThrottled(now)
	}
	s.Version++
	l.unstall()
}
