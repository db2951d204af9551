package publish

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// start hands what was begun to senders.
func (l *lane) start(send context.Context, tasks []task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starting = 0
	for i := range tasks {
		if l.claimed[tasks[i].job.Delivery.ID] { // otherwise it is gone
			l.begun = append(l.begun, tasks[i])
		}
	}
	for l.working < min(l.dest.Concurrency, l.sending.all+len(l.begun)) {
		l.working++
		l.senders.Go(func() { l.send(send) })
	}
}

// send makes attempts until none is begun, or none may be made.
func (l *lane) send(ctx context.Context) {
	for {
		t, ok := l.next(time.Now())
		if !ok {
			return
		}
		t.attempt.Started = time.Now()
		r := l.publisher.Publish(ctx, Message{Event: t.job.Event, Delivery: t.job.Delivery, Siblings: t.job.Siblings, Probe: t.unblocks, Stored: true})
		l.ended(ctx, &t, r)
	}
}

// next takes what was begun first. A sender that gets nothing ends.
func (l *lane) next(now time.Time) (t task, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.begun) > 0 && !l.begun[0].probe && l.blockedNow(l.begun[0].job) != "" {
		l.overtaken = append(l.overtaken, l.begun[0])
		l.begun = l.begun[1:]
		l.poke()
	}
	if len(l.begun) == 0 || l.stopping || !l.mayBeSent(&l.begun[0], now) {
		l.working--
		return task{}, false
	}
	t = l.begun[0]
	l.begun[0] = task{}
	l.begun = l.begun[1:]
	l.sending.add(&t, 1)
	_, t.unblocks = l.subjects.probes[t.job.Delivery.ID]
	return t, true
}

// ended judges an attempt and leaves its result to the loop.
func (l *lane) ended(ctx context.Context, t *task, r Result) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending.add(t, -1)
	l.served(t.job.Delivery.ID)
	if ctx.Err() != nil && r.Outcome != event.OutcomeAccepted && r.StatusCode == 0 && !r.Final {
		// Cut short by our own shutdown, which says nothing about the
		// destination: the attempt stays unknown and the delivery due.
		l.unclaim(t.job.Delivery.ID)
		return
	}
	a := t.attempt
	a.Duration = now.Sub(a.Started)
	a.Started = now.Add(-a.Duration) // as our clock tells it now: the next try goes by that, too
	a.Outcome, a.StatusCode, a.Class, a.Error, a.Answer, a.Note = r.Outcome, r.StatusCode, r.Class, r.Error, r.Answer, r.Note
	a.Headers, a.Probe = r.Headers, t.probe
	l.results = append(l.results, l.judge(t, &a, r, now))
	if len(l.results) == 1 || l.gathering(now) == 0 {
		l.poke() // otherwise the loop has looked, and will again when this has been gathered
	}
}

// judge decides what becomes of a delivery after an attempt.
func (l *lane) judge(t *task, a *event.Attempt, r Result, now time.Time) outcome {
	d := t.job.Delivery
	l.noteContact(r.Contact, now)
	l.count(&d, a.Outcome)
	d.Attempts = a.N
	unseen := r.Unsent && l.passing[d.ID]
	delete(l.passing, d.ID)
	d.BlockedSubject = ""
	o := outcome{verdict: event.Verdict{Attempt: a, At: now}}
	v := &o.verdict
	switch r.Outcome {
	case event.OutcomeAccepted:
		v.Accepted = true
		l.tookSubject(&d, now)
		o.news = rescued(&d, fmt.Sprintf("was accepted at attempt %d", d.Attempts), now)
		l.succeeded(t.job, now)
	case event.OutcomeUnavailable:
		if r.Subject != "" {
			l.blocked(&o.verdict, &d, r, now)
			if t.probe && l.broken() {
				l.probeBlocked(r, t.asked, now)
			}
			break
		}
		l.noProbe(d.ID)
		v.Retry = now.Add(l.unavailable(r.Error, now))
	default:
		l.noProbe(d.ID)
		l.refused(&o, &d, r, t.probe && !t.asked, now)
	}
	if o.refused -= min(1, t.job.Delivery.Slots); d.Slots > 0 && !v.Retry.IsZero() {
		o.refused++
	}
	if l.standing.AnnouncedRefused && (v.Accepted || v.Dead != "") && d.Attempts > event.OftenRefused {
		l.health.refusals.next = time.Time{} // it may be the last one
	}
	if v.Delivery = d; unseen {
		v.Delivery.Overtook = nil // it has passed nobody, but those behind it have waited as well
	}
	v.UpClock, v.Standing = l.clock.known(now), l.snapshot(now)
	return o
}

// refused fills in a verdict about a refusal.
func (l *lane) refused(o *outcome, d *event.Delivery, r Result, probe bool, now time.Time) {
	v, wasBroken := &o.verdict, l.broken()
	l.failed(d, r, probe, now)
	if d.Attempts >= event.OftenRefused {
		l.health.refusals.none = false
	}
	if r.Final {
		l.bury(o, d, r, describe(r), now)
		return
	}
	if wasBroken || r.Gone && l.dest.Retry.OnGone == OnGonePause {
		if d.Due.After(now) && d.Slots > 1 { // a pause that a probe cuts short uses no slot either
			d.Slots--
		}
		v.Retry = now // it uses no slot, and is due when the breaker closes or somebody resumes
		return
	}
	d.Slots++
	slot, ok := l.dest.Retry.slot(d.Slots, l.dest.Type == TypeNATS)
	if !ok {
		l.bury(o, d, r, fmt.Sprintf("given up after %d refusals, the last: %s", d.Slots, describe(r)), now)
		return
	}
	v.Retry = now.Add(l.dest.Retry.pause(slot, r.RetryAfter, spread()))
	l.hold(v, d, now)
}

// nextTry says when what was not accepted is tried again, unless that is for somebody
// to decide. Under an open breaker it may be another delivery that is tried then.
func nextTry(v *event.Verdict) time.Time {
	next := v.Retry
	switch {
	case v.Accepted || v.Dead != "" || !v.Standing.Paused.IsZero():
		return time.Time{}
	case !v.Standing.Broken.IsZero():
		next = v.Standing.NextProbe
	}
	if next.Before(v.Standing.Throttled) {
		return v.Standing.Throttled
	}
	return next
}

// told tells the log, the observer and other lanes what was written down.
func (l *lane) told(verdicts []event.Verdict, gone []string) {
	for i := range verdicts {
		v := &verdicts[i]
		if slices.Contains(gone, v.Delivery.ID) {
			l.log.Warn("a delivery was accepted, given up or erased otherwise while it was being sent: what came of this attempt is not recorded", "delivery", v.Delivery.ID)
			continue
		}
		l.report(v)
		l.call(v.Notices)
	}
}

// call wakes the destinations that hear of a notice that is stored.
func (l *lane) call(notices []event.Notice) {
	for _, n := range notices {
		if l.observer != nil {
			l.observer.Told(n)
		}
		for i := range n.Deliveries {
			l.others(n.Deliveries[i].Destination)
		}
	}
}

// report tells the log and the observer of a finished attempt.
func (l *lane) report(v *event.Verdict) {
	a, failures := v.Attempt, v.Standing.Failures
	level, text := slog.LevelDebug, "delivered"
	switch {
	case v.Dead != "":
		level, text = slog.LevelError, "delivery given up: it is a dead letter now, which is sent again only by notifier deadletters redrive or notifier deliveries retry"
	case a.Outcome == event.OutcomeRefused:
		level, text = slog.LevelWarn, "delivery refused; it is tried again"
	case a.Outcome == event.OutcomeUnavailable:
		text = "delivery not taken: the destination takes nothing at present" // which the lane says
	}
	repeats := slog.Attr{}
	if level == slog.LevelWarn {
		repeats = loglimit.Repeats(fmt.Sprintf("refused %s %d", a.Class, a.StatusCode)) // a summary is of one reason
	}
	status := slog.Int("status", a.StatusCode)
	if a.StatusCode == 0 { // it was not answered, or not by HTTP
		status = slog.Attr{}
	}
	if l.log.Enabled(context.Background(), level) {
		l.log.LogAttrs(context.Background(), level, text, repeats,
			slog.String("delivery", v.Delivery.ID), slog.String("event", v.Delivery.EventID), slog.String("type", v.Delivery.EventType),
			slog.String("session", v.Delivery.Session), slog.Int("attempt", a.N), status, slog.String("class", a.Class),
			slog.String("reason", a.Error), slog.String("took", a.Duration.String()), slog.Int("failures_in_a_row", failures))
	}
	if l.observer == nil {
		return
	}
	l.observer.Attempted(Observation{
		Destination: l.dest.Name, Delivery: v.Delivery, Attempt: *a, Dead: v.Dead, NextTry: nextTry(v),
		Latency: v.At.Sub(v.Delivery.Since()),
	})
}
