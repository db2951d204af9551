package publish

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// A destination that fails so often in a row, over more than one session, is left
// alone but for probes.
const (
	breakAfter     = 10
	breakFirstLook = 5 * time.Second
	breakLastLook  = 5 * time.Minute
)

// The owner hears of a destination that takes nothing for so long, however little
// there is for it.
const (
	tellFailures     = 3
	tellFailingAfter = 10 * time.Minute
)

// hastenAtOnce bounds what is made due in one transaction.
const hastenAtOnce = 500

// broken says whether the breaker is open. The caller holds mu.
func (l *lane) broken() bool { return !l.standing.Broken.IsZero() }

func (l *lane) isBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken()
}

// probePause is how long to wait for the next probe after so many that failed: less by up to
// retry.jitter, as an outage that comes at fixed times would meet all probes at fixed times.
func (l *lane) probePause(failed int) time.Duration {
	pause := breakFirstLook
	for range failed {
		pause = min(2*pause, l.longestPause)
	}
	return pause - time.Duration(l.dest.Retry.Jitter*spread()*float64(pause))
}

// succeeded notes an accepted delivery: an open breaker closes.
func (l *lane) succeeded(job *event.Job, now time.Time) {
	s := &l.standing
	s.Version++
	s.LastSuccess, s.SuccessUp = now, l.clock.at(now)
	began := s.FailedSince
	l.endRow()
	if l.down() && !l.broken() {
		l.isBack()
	}
	l.reached()
	l.pacer.take(now)
	l.widen()
	l.tookType(job, now)
	if l.broken() {
		attrs := []any{loglimit.Ends("refused", "unavailable"), slog.String("after", now.Sub(began).Round(time.Second).String())}
		if len(s.RefusedTypes) > 0 {
			attrs = append(attrs, slog.Any("types_still_refused", slices.Sorted(maps.Keys(s.RefusedTypes))))
		}
		l.log.Info("destination takes deliveries again", attrs...)
		s.Broken, s.NextProbe, s.Probes, s.Judging = time.Time{}, time.Time{}, 0, time.Time{}
		s.Recovering, s.Unsettled = true, now
		l.window = 1 // all that waits at once might overtax what has just come back
		l.unstall()
	}
	l.recovered(now)
}

// failed notes a refusal.
func (l *lane) failed(d *event.Delivery, r Result, probe bool, now time.Time) {
	s := &l.standing
	if !r.Final {
		l.writeOver(d)
	}
	itself := r.Class == ClassRender || r.Class == ClassBody
	if itself && r.Final {
		l.gaveUp(r, now)
		return
	}
	s.Version++
	outage := l.down()
	excused := itself || l.refusesType(d, r) || l.refusedBefore(d, r, now)
	l.countFailure(d, excused, now)
	s.Why = describe(r)
	if r.Throttled && r.RetryAfter > 0 {
		l.throttle(now, now.Add(min(r.RetryAfter, retryAfterLimit)))
	}
	if !excused {
		l.slowDown(r, now)
		l.stayOnTrial(d, now)
	}
	s.Unreached = r.Contact == ContactFailed
	if r.Contact == ContactMade {
		l.answered()
		s.Refusal, s.RefusedAt = s.Why, now
	}
	switch {
	case l.broken() && probe:
		l.noteType(d, r, now)
		l.probeFailed(r, now)
	case l.broken():
		l.tellBroken(r, now)
	case s.Failures-s.Excused >= breakAfter && s.FailedOthers && !l.mayTakeOthers(now):
		l.open(r, now)
	case l.failsLong(now, outage):
		l.announceFailing(now)
	}
	l.stopClock(now)
	if r.Gone && l.dest.Retry.OnGone == OnGonePause && s.Paused.IsZero() {
		l.news = append(l.news, l.stop(now, "", "it answered 410 Gone"))
	}
}

// gaveUp notes that a message with which something is wrong was given up at once,
// which says nothing of the destination and leaves nothing that waits.
func (l *lane) gaveUp(r Result, now time.Time) {
	if r.Contact == ContactMade && l.standing.Unreached {
		l.answered()
		l.standing.Version++
	}
	l.stopClock(now)
}

// countFailure counts a refusal as one of the failures in a row. These are shown and, unless
// they are excused, may open the breaker. The row begins anew after an outage, in which the
// destination could not be reached.
func (l *lane) countFailure(d *event.Delivery, excused bool, now time.Time) {
	s := &l.standing
	if s.FailedSince.IsZero() || l.down() && !l.broken() {
		s.Failures, s.Excused, s.FailedOthers, s.RowSince = 0, 0, false, now
	}
	if s.FailedSince.IsZero() {
		s.FailedSince = now
	}
	s.Failures++
	if excused {
		s.Excused++
		return
	}
	_, group := d.Group()
	if s.Failures-s.Excused == 1 {
		s.FailedFirst = group
	}
	if group != s.FailedFirst {
		s.FailedOthers = true
	}
}

// probeFailed puts the next probe off, and tells of what lasts.
func (l *lane) probeFailed(r Result, now time.Time) {
	s := &l.standing
	s.Probes++
	s.NextProbe = now.Add(l.probePause(s.Probes))
	l.tellBroken(r, now)
}

// probeBlocked notes that a probe, or what was asked for, met a blocked subject under an
// open breaker. The destination is there: the next probe is no later than that of a
// subject, as all that waits may be for blocked subjects. The caller holds mu.
func (l *lane) probeBlocked(r Result, asked bool, now time.Time) {
	s := &l.standing
	s.Version++
	s.Why = describe(r)
	s.Refusal, s.RefusedAt = s.Why, now
	if !asked {
		l.probeFailed(r, now)
	}
	s.NextProbe = event.Sooner(s.NextProbe, event.Later(now, l.subjects.next))
}

// failsLong says whether what is no reason to leave a destination alone is one to
// tell its owner: where an order is rare, one may be refused for days before ten
// attempts have failed, and whoever asked for a day of peace is asked once a day.
// With an outage among them, refusals count as often enough.
func (l *lane) failsLong(now time.Time, outage bool) bool {
	s := &l.standing
	return (s.Failures >= tellFailures || outage) && l.refusedFor(now) >= tellFailingAfter || s.Throttled.Sub(now) >= tellFailingAfter
}

// refusedFor is for how long it refuses in a row, of the time that the program ran.
// The caller holds mu.
func (l *lane) refusedFor(now time.Time) time.Duration {
	return event.Trouble{Since: l.standing.FailedSince, Away: l.standing.FailedAway}.Lasted(now)
}

// slowDown lets fewer attempts go after a refusal, if that may be what it is about.
func (l *lane) slowDown(r Result, now time.Time) {
	if r.Throttled && l.pacer.throttle(now) {
		l.log.Info("destination asks for fewer deliveries: it gets less than it took and then slowly more", "a_second", l.pacer.slow)
	}
	switch {
	case r.Throttled:
		l.window = 1
	case l.window > 0:
		l.window = max(1, l.window/2)
	}
}

// widen lets more attempts go at once after an accepted one.
func (l *lane) widen() {
	if l.window > 0 {
		if l.window++; l.window >= l.dest.Concurrency {
			l.window = 0
		}
	}
}

// throttle leaves the destination alone for as long as it asked.
func (l *lane) throttle(now, until time.Time) {
	if until.After(l.standing.Throttled) {
		l.standing.Throttled = until
	}
	l.skipThrottled(now)
}

// planProbe begins what was asked for, or the next probe.
func (l *lane) planProbe(send context.Context, now time.Time, step *event.Step) (tasks []task, wait time.Duration, err error) {
	l.mu.Lock()
	probing := len(l.begun) > 0 && l.begun[0].probe
	if !probing {
		step.Withdrawn = l.withdraw()
	}
	l.drop()
	busy := probing || l.sending.all > 0 || len(step.Withdrawn)+len(step.Resolved)+len(l.results) > 0
	l.mu.Unlock()
	if busy {
		return nil, idleLook, nil // it is called when they are done
	}
	job, asked, err := l.askedJob(send)
	found := asked
	if err == nil && !asked && l.closed(now) > 0 {
		return nil, time.Millisecond, nil // what was asked for is gone
	}
	if err == nil && !asked {
		job, found, err = l.probeJob(send, now, step)
	}
	if err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !found {
		next := l.unblock(now, step) // all that is left may wait for its subject
		switch {
		case len(l.tried) > 0:
			clear(l.tried) // all had their turn
			return nil, time.Millisecond, nil
		case next.IsZero():
			return nil, idleLook, nil
		}
		return nil, max(time.Millisecond, next.Sub(now)), nil
	}
	l.tried[job.Delivery.ID] = true
	l.claim(&job)
	l.overtake(&job)
	t := l.prepare(&job, now)
	t.probe = true
	step.Begun = append(step.Begun, l.begin(&t))
	return []task{t}, 0, nil
}

// drop forgets what was read and not begun.
func (l *lane) drop() {
	for _, list := range [][]*event.Job{l.queue.newest, l.queue.fresh, l.queue.again, l.queue.late} {
		for i := range list {
			l.unclaim(list[i].Delivery.ID)
		}
	}
	l.queue = queue{unseen: true}
}

func (l *lane) recovering() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing.Recovering && l.standing.Paused.IsZero()
}

// hasten makes due what waits, after a breaker has closed or a pause has ended.
func (l *lane) hasten(send context.Context, now time.Time) error {
	ctx := context.WithoutCancel(send)
	for n, err := hastenAtOnce, error(nil); n == hastenAtOnce; {
		if n, err = l.outbox.Hasten(ctx, l.dest.Name, now, hastenAtOnce); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.standing.Recovering = false
	l.standing.Version++
	l.drop()
	s := l.statement(now)
	l.mu.Unlock()
	return l.save(ctx, &s)
}

// snapshot is the standing as it is to be stored. The caller holds mu.
func (l *lane) snapshot(now time.Time) event.Standing {
	s := l.standing
	s.Retime(now)
	s.Changed, s.Blocked = now, l.subjects.row
	return s
}

// change is the same as a change that no attempt brought.
func (l *lane) change(now time.Time) event.StandingChange {
	return event.StandingChange{Destination: l.dest.Name, UpClock: l.clock.known(now), Standing: l.snapshot(now)}
}
