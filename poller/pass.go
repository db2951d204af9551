package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/internal/index"
)

// missesToVanish is in how many passes the API must deny that a session exists
// before it is no longer watched.
const missesToVanish = 3

// pass reads the head of the list, looks again at what can still change, and goes
// on with the sweeps. What older sessions cannot be looked at by the given time
// is left to the next pass; the zero time leaves nothing.
func (a *account) pass(ctx context.Context, until time.Time) (err error) {
	a.now = running{number: a.now.number + 1, began: a.clock.Own().UTC(), garbled: make(map[*index.Entry]error)}
	defer func() {
		a.finish(ctx, err)
		a.publish(until)
	}()
	for _, step := range []func(context.Context) error{a.identify, a.placeFilter} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{a.head, a.boundTop, a.fixStart} {
		if err == nil {
			err = step(ctx)
		}
	}
	if !errors.Is(err, errForeignPage) && !denied(err) && ctx.Err() == nil {
		// A page of the head that always fails must not keep the known sessions from being looked at.
		err = a.revisitAfter(ctx, until, err)
	}
	for _, step := range []func(context.Context, time.Time) error{a.askUnreadable, a.askMissing, a.askHoles, a.sweep} {
		if err == nil {
			err = step(ctx, until)
		}
	}
	if err == nil && until.IsZero() { // no later pass of this process asks for what that came upon
		err = a.askUnreadable(ctx, until)
	}
	err = cmp.Or(err, a.now.empty, a.now.blindTop, a.blindToNew(), a.blindToPayments(), a.blind(), holes.Apart(a.state.Holes, a.clock.Now().Add(-a.cfg.Poll.Tuning.Overlap)))
	if errors.Is(err, errForeignPage) {
		return a.stop(ctx, errForeignPage.Error())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err = cmp.Or(err, a.saveProgress(ctx, until)); err != nil {
		return err
	}
	a.noteTwin()
	now, _ := a.clock.Span(a.clock.Own())
	a.forgotten = later(a.forgotten, now.Add(-a.reach()))
	a.index.Forget(a.forgotten)
	return nil
}

// reach is how far back pages are usually read: what is settled beyond it need
// not be known to tell that a page shows nothing new.
func (a *account) reach() time.Duration {
	return max(2*Window, 2*a.cfg.Poll.Tuning.Overlap, Window+a.cfg.Poll.UnpaidFor)
}

// finish tells how the pass went.
func (a *account) finish(ctx context.Context, err error) {
	took := a.clock.Own().Sub(a.now.began)
	a.observer.Passed(a.cfg.Name, took, err)
	if err != nil && ctx.Err() == nil {
		for _, s := range a.sweeps { // whoever waits for them should know
			s.failed(err)
		}
	}
	a.status.update(func(s *Status) {
		switch {
		case err == nil:
			s.Passes++
			s.LastPass = event.Seconds(took)
			s.LastSuccess = time.Now()
			s.recovered()
		case ctx.Err() == nil:
			s.fail(err, a.now.began)
		}
	})
}

// saveEvery is how far the low-water mark may move before it is stored: until
// then a restart reads a little more.
const saveEvery = time.Minute

// saveProgress stores what a restart should know, unless it is only a mark that
// has moved a little and will be stored soon.
func (a *account) saveProgress(ctx context.Context, until time.Time) error {
	a.state.Unreadable = a.toStore()
	behind, polled := a.saved, a.polled()
	behind.Low = a.state.Low
	young := polled < Window && polled-a.saved.Polled >= saveEvery // a clock that was ahead would be found out soon
	if !until.IsZero() && behind.Equal(&a.state) && a.state.Low.Sub(a.saved.Low).Abs() < saveEvery && !young {
		return nil
	}
	a.state.Polled = polled
	return a.save(ctx)
}

// revisitAfter looks again at the known sessions that are due. head is the error of reading
// the newest part of the list. After one, each request is made only once, and if none is
// answered either, head is returned: it has the same cause.
func (a *account) revisitAfter(ctx context.Context, until time.Time, head error) error {
	// Of one or two sessions all may be gone.
	a.now.listed = a.now.listed || (head == nil && a.index.Len() < enoughToAsk)
	if head == nil {
		return a.revisit(ctx, until)
	}
	patience := a.tries
	a.tries = 1
	err := a.revisit(ctx, until)
	a.tries = patience
	if err == nil || unanswered(err) {
		return head
	}
	return fmt.Errorf("%w; and then %w", head, err)
}

// head reads the newest part of the list, and moves the low-water mark once the
// whole part has been read.
func (a *account) head(ctx context.Context) error {
	lo, err := a.bound(ctx)
	if err != nil {
		return err
	}
	if h := a.top(); h != nil { // it is over only if all of it was read
		lo = earlier(lo, h.BelowAt)
	}
	lo = a.downToLeftOvers(lo, lo.Add(-a.cfg.Poll.Tuning.Overlap))
	sighting := a.sightings
	rows := a.now.rows
	s, err := a.readHead(ctx, lo)
	if err == nil && a.now.rows == rows {
		err = a.noteEmpty(ctx, lo)
	}
	a.last = Chain{From: s.newest, To: lo, Took: event.Seconds(a.clock.Own().Sub(a.now.began)), Pages: s.pages, Slices: s.slices}
	if err != nil {
		return err
	}
	if a.mistrust.since.IsZero() {
		a.readThrough(lo, time.Time{}, sighting)
	}
	began := a.clock.At(a.now.began) // by what the answers tell: before them our own clock told the time
	if lo.Before(began.Add(-Window)) {
		a.state.Reconciled = began
		a.rereadFrom(lo)
	}
	// The newest creation time that was shown is a mark on the API's own scale:
	// no clock, right or wrong, can move it past a session that is not visible yet.
	// One of the future tells no more than when the pass began. What was seen once
	// has been seen: the mark never goes back, unless it turns out to lie in the
	// future; then the next pass reads as far as a first one.
	low := a.low()
	switch {
	case low.IsZero() && !a.state.Low.IsZero():
		a.state.Low = time.Time{}
	case !s.newest.IsZero():
		a.state.Low = later(low, earlier(s.newest, began))
	}
	a.correctStart()
	a.now.read, a.state.Holes = true, holes.Few(a.state.Holes) // what lies between them was read
	a.status.update(func(s *Status) { s.Read = time.Now() })
	a.closeTop()
	return nil
}

// readHead reads the list from its top down to a creation time.
func (a *account) readHead(ctx context.Context, lo time.Time) (s *scan, err error) {
	p := patience{tries: a.tries, deep: lo.Before(a.clock.Now().Add(-Window - a.cfg.Poll.Tuning.Overlap))}
	for err = errAgain; errors.Is(err, errAgain); {
		s = newScan(a, p, nil, lo, time.Time{})
		a.topRead, a.now.headFrom = false, time.Now()
		err = s.run(ctx, time.Time{})
	}
	return s, err
}

// vanish records that the API no longer shows sessions. From then on they are
// asked for now and then.
func (a *account) vanish(ctx context.Context, vanished []Gone) error {
	if len(vanished) == 0 {
		return nil
	}
	if err := a.recordVanished(ctx, vanished); err != nil {
		return err
	}
	a.odd("vanished", "the API no longer shows sessions that it showed before; nothing is announced of them, and they are asked for each hour, after a day each day", "sessions", len(vanished))
	return nil
}

func (a *account) recordVanished(ctx context.Context, vanished []Gone) error {
	if err := a.handler.Vanish(ctx, a.cfg.Name, vanished); err != nil {
		return fmt.Errorf("recording sessions that the API no longer shows: %w", err)
	}
	for _, g := range vanished {
		a.index.SetWatch(g.ID, event.Vanished)
	}
	return nil
}

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{b, a}, time.Time.Compare) }

func earlier(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{b, a}, time.Time.Compare) }
