package publish

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
)

// decide says whether a due delivery may be sent. One that has to let earlier
// events of its session go first comes back with the verdict that makes it
// wait, or is noted as stalled, which costs no write.
func (l *lane) decide(job event.Job, now time.Time) (event.Job, *event.Verdict) {
	d := &job.Delivery
	if !d.Ordered || len(job.Earlier) == 0 {
		return job, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	up := l.clock.at(now)
	var remaining time.Duration
	overtook := make([]string, 0, len(job.Earlier))
	for _, earlier := range job.Earlier {
		if earlier.EventID == d.EventID {
			continue // another rule's rendering of the same event: neither comes first
		}
		due := !earlier.Due.IsZero() && !earlier.Due.After(now)
		if earlier.HeldAt == nil || due || l.inFlight[earlier.ID] {
			// It is due or on its way, and wakes this one when it ends.
			return job, &event.Verdict{Delivery: *d, At: now, UpClock: up}
		}
		remaining = max(remaining, l.dest.OrderHold-(up-*earlier.HeldAt))
		overtook = append(overtook, earlier.EventID)
	}
	switch {
	case remaining > 0 && l.clock.running:
		return job, &event.Verdict{Delivery: *d, At: now, UpClock: up, Retry: now.Add(remaining)}
	case remaining > 0:
		l.stalled[d.ID] = true
		return job, nil
	case d.Overtook == nil:
		d.Overtook = slices.Compact(overtook) // an event may have two renderings
		l.passing[d.ID] = len(overtook) > 0
	}
	return job, nil
}

// attempt makes one attempt: written down, sent, and its result written down.
func (l *lane) attempt(ctx context.Context, job event.Job) {
	// The store is local: a shutdown must not keep a result from being written.
	keep := context.WithoutCancel(ctx)
	d := job.Delivery
	a := event.Attempt{DeliveryID: d.ID, N: l.number(d), Started: time.Now(), Outcome: event.OutcomeUnknown}
	if err := l.begin(keep, d, a); err != nil {
		l.log.Error("writing an attempt down", "delivery", d.ID, "error", err)
		l.storeFailed(time.Now())
		l.putBack([]event.Job{job})
		l.poke()
		return
	}
	r := l.publisher.Publish(ctx, Message{Event: job.Event, Delivery: d})
	if ctx.Err() != nil && r.Outcome != event.OutcomeAccepted && r.StatusCode == 0 && !r.Final {
		// Cut short by our own shutdown, which says nothing about the
		// destination: the attempt stays unknown and the delivery due.
		l.putBack([]event.Job{job})
		return
	}
	a.Duration = time.Since(a.Started)
	a.Outcome, a.StatusCode, a.Class, a.Error, a.Answer, a.Note = r.Outcome, r.StatusCode, r.Class, r.Error, r.Answer, r.Note
	v := l.judge(d, a, r, time.Now())
	if !l.resolve(ctx, v) {
		return
	}
	l.report(v, a)
	l.poke()
}

// begin makes the attempt durable, and before it what the delivery overtakes,
// so that a crash cannot change what was said of it.
func (l *lane) begin(ctx context.Context, d event.Delivery, a event.Attempt) error {
	l.mu.Lock()
	up, passing := l.clock.at(a.Started), l.passing[d.ID]
	l.mu.Unlock()
	if passing {
		err := l.outbox.Resolve(ctx, event.Verdict{Delivery: d, At: a.Started, UpClock: up, Retry: a.Started})
		if err != nil {
			return fmt.Errorf("keeping what delivery %s overtakes: %w", d.ID, err)
		}
	}
	return l.outbox.Begin(ctx, a)
}

// number returns the number of the next attempt. A row that a crash left
// without a result keeps its number; one that found the destination
// unavailable is written again, so that an outage does not fill the store.
func (l *lane) number(d event.Delivery) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, again := l.reuse[d.ID]
	delete(l.reuse, d.ID)
	if again && n == d.Attempts {
		return n
	}
	return d.Attempts + 1
}

// resolve keeps a verdict, trying for as long as the process lives and the
// delivery is pending: what is sent and not written down would be sent again.
// false means that it was not kept.
func (l *lane) resolve(ctx context.Context, v event.Verdict) bool {
	var pause backoff
	for {
		err := l.keep(context.WithoutCancel(ctx), v)
		if err == nil {
			return true
		}
		l.log.Error("writing a result down", "delivery", v.Delivery.ID, "error", err)
		if ctx.Err() == nil && l.pending(ctx, v.Delivery.ID) {
			select {
			case <-ctx.Done():
			case <-time.After(pause.step(storeFirst, storeLast)):
				continue
			}
		}
		l.mu.Lock()
		delete(l.inFlight, v.Delivery.ID)
		l.mu.Unlock()
		l.poke()
		return false
	}
}

// pending says whether a delivery can still get a verdict, or cannot be told
// from one that can: an operator may have finished it meanwhile.
func (l *lane) pending(ctx context.Context, id string) bool {
	others := func(other string) bool { return other != id }
	jobs, _, err := l.outbox.Due(ctx, l.dest.Name, time.Now().Add(farFuture), 1, 1, others)
	return err != nil || len(jobs) > 0
}

// farFuture is beyond every due time.
const farFuture = 100 * 365 * 24 * time.Hour

func (l *lane) keep(ctx context.Context, v event.Verdict) error {
	l.order.RLock()
	defer l.order.RUnlock()
	if err := l.outbox.Resolve(ctx, v); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.inFlight, v.Delivery.ID)
	if v.Attempt.Outcome == event.OutcomeUnavailable {
		l.reuse[v.Delivery.ID] = v.Attempt.N
	}
	return nil
}

// judge decides what becomes of a delivery after an attempt.
func (l *lane) judge(d event.Delivery, a event.Attempt, r Result, now time.Time) event.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteContact(r.Contact, now)
	l.count(a.Outcome)
	d.Attempts = a.N
	if r.Unsent && l.passing[d.ID] {
		d.Overtook = nil // nobody has seen it, so that it has passed nobody
	}
	delete(l.passing, d.ID)
	v := event.Verdict{Attempt: &a, At: now}
	switch r.Outcome {
	case event.OutcomeAccepted:
		v.Accepted = true
		l.health.success(now)
	case event.OutcomeUnavailable:
		v.Retry = now.Add(l.health.unavailable(r.Error, now, l.log))
	default:
		l.refused(&v, &d, r, now)
	}
	v.Delivery = d
	v.UpClock = l.clock.at(now)
	return v
}

// refused fills in a verdict about a refusal. The caller holds mu.
func (l *lane) refused(v *event.Verdict, d *event.Delivery, r Result, now time.Time) {
	l.health.failure(r)
	if r.Gone && l.dest.Retry.OnGone == OnGonePause {
		l.health.paused = "stopped: it answered 410 Gone"
		l.clock.note(ContactFailed, now)
	}
	if r.Throttled && r.RetryAfter > 0 {
		l.health.throttle(now.Add(min(r.RetryAfter, retryAfterLimit)))
		l.clock.skip(now, l.health.throttled) // no hold runs out while all have to wait
	}
	if r.Final {
		v.Dead = describe(r)
		return
	}
	d.Slots++
	slot, ok := l.dest.Retry.slot(d.Slots, l.dest.Type == TypeNATS)
	if !ok {
		v.Dead = fmt.Sprintf("given up after %d refusals, the last: %s", d.Slots, describe(r))
		return
	}
	v.Retry = now.Add(l.dest.Retry.pause(slot, r.RetryAfter, spread()))
	if !d.Ordered {
		return
	}
	up := l.clock.at(now)
	if d.HeldAt == nil {
		d.HeldAt = &up
	}
	v.Release = now.Add(max(0, l.dest.OrderHold-(up-*d.HeldAt)))
}

// describe says in few words why an attempt failed.
func describe(r Result) string {
	text := r.Error
	if r.StatusCode != 0 {
		text = strings.TrimSpace(fmt.Sprintf("status %d %s", r.StatusCode, http.StatusText(r.StatusCode)))
	}
	return r.Class + ": " + text
}

// noteContact moves the up clock; a contact regained wakes what waits for it.
// The caller holds mu.
func (l *lane) noteContact(c Contact, now time.Time) {
	was := l.clock.running
	l.clock.note(c, now)
	if l.clock.running && !was {
		clear(l.stalled)
		l.poke()
	}
}

func (l *lane) count(o event.Outcome) {
	switch {
	case l.tally == nil:
	case o == event.OutcomeAccepted:
		l.tally.accepted++
	default:
		l.tally.failed++
	}
}

// failures returns how many attempts in a row have failed.
func (l *lane) failures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.failures
}

// report tells the log and the observer of a finished attempt.
func (l *lane) report(v event.Verdict, a event.Attempt) {
	level, text := slog.LevelDebug, "delivered"
	switch {
	case v.Dead != "":
		level, text = slog.LevelError, "delivery is dead"
	case a.Outcome == event.OutcomeRefused:
		text = "delivery refused"
		if failures := l.failures(); failures&(failures-1) == 0 {
			level = slog.LevelWarn // the first of a row, and then of fewer and fewer
		}
	case a.Outcome == event.OutcomeUnavailable:
		text = "destination unavailable"
	}
	l.log.Log(context.Background(), level, text,
		"delivery", v.Delivery.ID, "event", v.Delivery.EventID, "type", v.Delivery.EventType, "session", v.Delivery.Session,
		"attempt", a.N, "status", a.StatusCode, "class", a.Class, "reason", a.Error, "took", a.Duration.String(), "failures_in_a_row", l.failures())
	if l.observer == nil {
		return
	}
	l.observer.Attempted(Observation{
		Destination: l.dest.Name, Delivery: v.Delivery, Attempt: a, Dead: v.Dead,
		Latency: v.At.Sub(v.Delivery.Created),
	})
}
