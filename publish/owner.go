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
	asked            bool // who hears of it
	notice           event.Notice
}

// notices makes events of news, and asks who hears of them. refused is that of their
// statement. The caller does not hold mu.
func (l *lane) notices(list []news, refused int) (notices []event.Notice) {
	if l.announce == nil || len(list) == 0 {
		return nil
	}
	stored, _ := l.stored() // what cannot be read is not told
	for i := range list {
		n := &list[i]
		if n.asked {
			notices = append(notices, n.notice)
			continue
		}
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
		n.asked, n.notice = true, l.announce(e)
		notices = append(notices, n.notice)
	}
	return slices.DeleteFunc(notices, func(n event.Notice) bool { return n.Event.ID == "" })
}

// stored is what the outbox tells of the destination.
func (l *lane) stored() (state event.DestinationState, err error) {
	states, err := l.outbox.Destinations(context.Background())
	if i := slices.IndexFunc(states, func(s event.DestinationState) bool { return s.Name == l.dest.Name }); i >= 0 {
		state = states[i]
	}
	return state, err
}

// statement is the health of the destination, with the news of it that was not stored yet.
// Both are read together under mu and stored in one transaction: so news is told in the order
// in which it happened, and no stored health says that something was told which is not stored.
type statement struct {
	change  event.StandingChange
	news    []news
	refused int // how many more deliveries wait after a refusal once the results are stored that are not yet
}

// statement returns what is to be stored, and empties l.news. The caller has begun writing
// and holds mu; if it cannot store all, it puts the news back.
func (l *lane) statement(now time.Time) statement {
	s := statement{change: l.change(now), news: l.news}
	l.news = nil
	for i := range l.results {
		s.refused += l.results[i].refused
	}
	return s
}

// save stores a statement that comes with no results of attempts. own is news of a change
// that the caller undoes if it cannot be stored.
func (l *lane) save(ctx context.Context, s *statement, own ...news) error {
	s.change.Notices = append(l.notices(s.news, s.refused), l.notices(own, s.refused)...)
	if err := l.outbox.SaveStanding(ctx, s.change); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.news = append(s.news, l.news...)
		return err
	}
	l.mu.Lock()
	l.health.marks.wrote(&s.change.Standing)
	l.mu.Unlock()
	l.call(s.change.Notices)
	return nil
}

// tell stores the news that the owner has not heard. First it makes the news that only time
// brings: a destination has been well for long enough, or its breaker open (health.tells).
//
// While results of attempts wait to be stored it stores nothing: take stores the news with them,
// in one transaction. Only if that failed the last time does tell store the news alone, because
// one of the results may be what cannot be stored. What tell cannot store waits for the next
// call, in the next turn at the latest.
func (l *lane) tell(send context.Context) {
	l.mu.Lock()
	switch s, h, now := &l.standing, &l.health, time.Now(); {
	case s.Well.IsOpen() && s.Failures == 0:
		l.recovered(now)
	case l.broken() && !h.tells.IsZero() && !now.Before(h.tells):
		l.announceFailing(now)
	}
	if len(l.news) == 0 || len(l.results) > 0 && l.health.stores.next == 0 {
		l.mu.Unlock()
		return
	}
	s := l.statement(time.Now())
	l.mu.Unlock()
	if err := l.save(context.WithoutCancel(send), &s); err != nil {
		l.log.Error("the state of the destination could not be stored; it is tried again", loglimit.Repeats("standing"), slog.Any("error", err))
	}
}

// announceFailing tells that the destination fails, once until it is well again.
func (l *lane) announceFailing(now time.Time) {
	s := &l.standing
	s.Well, l.health.tells = event.Trouble{}, time.Time{}
	if !s.Paused.IsZero() || s.ToldToFail() {
		return // of what is paused it is known that it takes nothing
	}
	if s.NoteFailing() {
		return // that was told before, in the same alert
	}
	summary, why := s.Fails(l.dest.Name, l.stake, now)
	l.news = append(l.news, l.failure(l.failsSince(now), now, summary, why, 0))
}

// failure tells of what has failed since a time.
func (l *lane) failure(since, now time.Time, summary, why string, refused int) news {
	s := &l.standing
	s.Version++
	s.Announced, s.Well = cmp.Or(s.Announced, since), event.Trouble{}
	return news{eventType: event.DestinationFailing, at: now, data: &event.DestinationFailingData{
		Summary: summary, Destination: l.dest.Name, Since: event.FormatTime(since), Failures: s.Failures, Reason: why, Refused: refused,
	}}
}

// failsSince is when what is told as a failure began: with the first refusal of its
// row, or the outage.
func (l *lane) failsSince(now time.Time) time.Time {
	since := now
	if s := &l.standing; !s.FailedSince.IsZero() {
		since = event.Sooner(since, s.FailedSince)
	}
	if l.down() {
		since = event.Sooner(since, l.standing.Down.Since)
	}
	return since
}

// announceBlocked tells that the destination has taken nothing for some subjects for tellAfter,
// while it takes everything else; not again as long as that is what the owner was told last.
// If it fails altogether meanwhile, announceFailing tells that in the same alert. When only
// subjects are blocked after that, recovered calls announceBlocked instead of telling that it is
// well. Why a subject is blocked is not stored: after a start nothing is told before the first
// probe has shown it.
func (l *lane) announceBlocked(now time.Time) {
	s := &l.standing
	if s.AnnouncedSubjects || !s.Paused.IsZero() || l.broken() || l.down() || s.Failures > 0 || l.subjects.row.Lasted(now) < tellAfter || !l.subjects.reasoned() {
		return
	}
	s.AnnouncedSubjects = true
	why := l.subjects.why()
	l.news = append(l.news, l.failure(l.subjects.row.Since, now, event.Blocks(l.dest.Name, l.stake, why), why, 0))
}

// recovered tells the owner that a destination whose failure was told takes deliveries again;
// without such a failure, too, if its stream was created anew and has lost its messages. While
// the breaker is open it tells nothing: that there is a connection again closes no breaker. If
// the destination had failed within relapseWithin after the owner was last told that it is well,
// it has to be well for relapseWithin first; but not in run --once, which ends before that.
func (l *lane) recovered(now time.Time) {
	s := &l.standing
	what, lost := l.complaint()
	anew := lost.After(l.health.lossTold)
	switch {
	case s.Announced.IsZero() && !anew || l.broken():
		return
	case !s.Paused.IsZero(): // it takes no more than before, and the end of the pause is told
		s.ForgetAnnounced()
		s.Version++
		return
	case s.NoteAccepting() && !anew: // tellRefused tells of the end
		return
	case l.subjects.blocked():
		l.announceBlocked(now)
		return
	}
	format, text := "Destination %s takes deliveries again, after %s.%s", ""
	switch {
	case anew:
		l.health.lossTold, text = lost, " But "+what+"."
	case s.ToldToFail() && l.tally == nil && s.Announced.Sub(s.Recovered) < relapseWithin:
		format = "Destination %s has been well for ten minutes; it had failed again soon after it took deliveries again, %s ago.%s"
		s.Well.Since = cmp.Or(s.Well.Since, now)
		if s.Well.Lasted(now) < relapseWithin {
			return
		}
	}
	l.news = append(l.news, l.recovery(cmp.Or(s.Announced, lost), now, format, text))
	s.ForgetAnnounced()
	s.Recovered, s.Well = now, event.Trouble{}
	s.Version++
}

// recovery tells that what was told since a time is over. The format is given the
// destination's name, how long it lasted, and more.
func (l *lane) recovery(since, now time.Time, format string, more ...any) news {
	took := event.FormatSpan(now.Sub(since))
	return news{eventType: event.DestinationRecovered, at: now, data: &event.DestinationRecoveredData{
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
	data := event.Died(d, l.stake, why, r.Class == ClassRender)
	data.Class, data.StatusCode = r.Class, r.StatusCode
	o.news = append(o.news, news{eventType: event.DeliveryDead, about: fmt.Sprintf("%s/%d", d.ID, d.Attempts), at: now, data: data})
}

// rescued reports that a former dead letter was accepted after all, or what else became of
// it. Only what keeps an incident open until then is sent the event: see Options.Announce.
func rescued(d *event.Delivery, what string, now time.Time) []news {
	if d.Reason == "" || event.IsSystemType(d.EventType) {
		return nil
	}
	return []news{{eventType: event.DeliveryDead, about: fmt.Sprintf("%s/%d", d.ID, d.Attempts), at: now, data: event.Revived(d, what)}}
}

// stop pauses the destination until somebody resumes it, which its owner hears.
func (l *lane) stop(now time.Time, actor, why string) news {
	s := &l.standing
	s.Paused, s.PausedBy, s.PausedWhy = now, actor, why
	if s.Well.IsOpen() { // the end of the pause is told, perhaps with nothing to show that it is well
		s.Announced, s.Well = time.Time{}, event.Trouble{}
	}
	s.Version++
	l.clock.note(ContactFailed, now)
	reason := pausedWhy(s)
	l.log.Warn("the destination is paused: what is due for it waits until notifier destinations resume", "reason", reason)
	return news{eventType: event.DestinationPaused, at: now, data: &event.DestinationPausedData{
		Summary: event.Stops(l.dest.Name, l.stake, reason), Destination: l.dest.Name, By: actor, Reason: why,
	}}
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
	before, clock := l.standing, l.clock
	paused := l.stop(now, actor, "")
	s := l.statement(now)
	l.mu.Unlock()
	l.poke()
	s.change.Audit = &event.AuditEntry{Time: now, Actor: actor, Action: "destination.pause", Subject: l.dest.Name}
	if err := l.save(ctx, &s, paused); err != nil {
		l.unstop(&before, clock)
		return false, err
	}
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
	ends := !before.Paused.IsZero() || l.broken() || before.Throttled.After(now) || l.pacer.slow > 0
	if !ends && blocked == 0 {
		l.mu.Unlock()
		return false, nil
	}
	s := l.statement(now)
	if ends {
		goOn(&s.change.Standing, now)
	}
	l.mu.Unlock()
	s.change.Audit = &event.AuditEntry{Time: now, Actor: actor, Action: "destination.resume", Subject: l.dest.Name, Detail: pausedDetail(&before, list, now)}
	told := l.resumed(&before, actor, now)
	if err := l.save(ctx, &s, told...); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ends && l.standing.Paused.Equal(before.Paused) { // else it stopped meanwhile
		if len(told) == 0 { // it may have taken something meanwhile
			l.news = append(l.news, l.resumed(&l.standing, actor, now)...)
		}
		l.goOn(time.Now())
	}
	l.subjects.hurry(now)
	l.poke()
	return true, nil
}

// resumed is what the owner hears of the end of a pause. Of a destination that was
// told to fail altogether the end of that is told, once it takes something.
func (l *lane) resumed(before *event.Standing, actor string, now time.Time) []news {
	if before.Paused.IsZero() || before.ToldToFail() {
		return nil
	}
	return []news{l.recovery(before.Paused, now, "Destination %[1]s goes on: %[3]s resumed it after %[2]s.", actor)}
}

// unstop takes a pause back that could not be kept. Nothing has waited, so that
// nothing is made due, and the clock of holds goes on as it did before. A recovery
// meanwhile was not told, as the end of the pause would have been.
func (l *lane) unstop(before *event.Standing, clock upClock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.standing
	s.Paused, s.PausedBy, s.PausedWhy = time.Time{}, "", ""
	s.Version++
	if s.Announced.IsZero() {
		s.Announced, s.AnnouncedSubjects, s.AnnouncedRefused, s.AnnouncedBoth = before.Announced, before.AnnouncedSubjects, before.AnnouncedRefused, before.AnnouncedBoth
		l.recovered(time.Now())
	}
	if !l.clock.running {
		l.clock = clock
	}
	l.poke()
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
func goOn(s *event.Standing, now time.Time) {
	if s.Paused.IsZero() {
		s.Throttled = time.Time{}
	} else if !s.ToldToFail() { // the end of the pause closes what was told in part: if that lasts it is told anew
		s.ForgetAnnounced()
	}
	if s.Recovering = s.Broken.IsZero(); !s.Recovering {
		s.NextProbe, s.Probes = now, 1 // what was never tried: somebody may have mended the rest
	}
	s.Paused, s.PausedBy, s.PausedWhy = time.Time{}, "", ""
	s.Version++
}

// goOn lets the lane go on, after that is stored. The caller holds mu.
func (l *lane) goOn(now time.Time) {
	goOn(&l.standing, now)
	l.pacer.restore()
	l.clock.unskip(now)
	if !l.broken() {
		l.clock.assume(now)
		l.skipThrottled(now)
	}
	l.unstall()
}
