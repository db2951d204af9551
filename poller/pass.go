package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
)

// missesToVanish is in how many passes the API must deny that a session exists
// before it is no longer watched.
const missesToVanish = 3

// pass reads the head of the list and looks again at what can still change.
func (a *account) pass(ctx context.Context) (err error) {
	began := time.Now()
	defer func() {
		took := time.Since(began)
		a.observer.Passed(a.cfg.Name, took, err)
		a.status.update(func(s *Status) {
			s.LastPass = took
			switch {
			case err == nil:
				s.Passes++
				s.LastSuccess = time.Now()
				s.Healthy, s.Error, s.ErrorSince = true, "", time.Time{}
			case ctx.Err() == nil:
				s.Healthy, s.Error = false, err.Error()
				if s.ErrorSince.IsZero() {
					s.ErrorSince = time.Now()
				}
			}
		})
		a.publish()
	}()
	if err := a.identify(ctx); err != nil {
		return err
	}
	pass := began.UTC()
	a.listed = false
	err = a.head(ctx, pass)
	if !errors.Is(err, errForeignPage) && !denied(err) && ctx.Err() == nil {
		// A page of the head that always fails must not keep the known sessions from being looked at.
		err = a.revisitAfter(ctx, pass, err)
	}
	if errors.Is(err, errForeignPage) {
		return a.stop(ctx, errForeignPage.Error())
	}
	if err != nil {
		return err
	}
	a.forgotten = later(a.forgotten, a.clock.now().Add(-2*max(Window, a.cfg.Poll.Tuning.Overlap)))
	a.index.forget(a.forgotten)
	return nil
}

// revisitAfter looks again at what is due, whatever came of the head. After one
// that failed a single question tells whether it is the whole API that is away,
// which needs no second telling.
func (a *account) revisitAfter(ctx context.Context, pass time.Time, head error) error {
	// Of a few sessions all may be gone.
	a.listed = a.listed || (head == nil && len(a.index.oldest) < enoughToTell)
	if head == nil {
		return a.revisit(ctx, pass)
	}
	patience := a.tries
	a.tries = 1
	err := a.revisit(ctx, pass)
	a.tries = patience
	if err == nil || unanswered(err) {
		return head
	}
	return fmt.Errorf("%w; and then %w", head, err)
}

// head reads the newest part of the list, and moves the low-water mark once the
// whole part has been read.
func (a *account) head(ctx context.Context, pass time.Time) error {
	now := a.clock.now()
	bound := a.bound(now)
	age := now.Sub(a.reconciled)
	// One of the future tells of a Date that was wrong then, or is now.
	reconcile := age >= a.cfg.Poll.Tuning.ReconcileEvery || age < -skewNoticed
	if reconcile && !bound.IsZero() {
		bound = earlier(bound, now.Add(-Window))
	}
	newest, err := a.chain(ctx, pass, bound)
	if err != nil {
		return err
	}
	if reconcile {
		a.reconciled = now
	}
	// The newest creation time that was shown is a mark on the API's own scale:
	// no clock, right or wrong, can move it past a session that is not visible yet.
	low := earlier(newest, a.clock.now())
	if newest.IsZero() {
		low = a.state.Low
	}
	if low.Equal(a.state.Low) && a.state.StartFixed {
		return nil
	}
	a.state.Low, a.state.StartFixed = low, true
	return a.save(ctx)
}

// bound is how far down the head pass reads: zero means to the end of the list.
func (a *account) bound(now time.Time) time.Time {
	if a.state.Low.IsZero() {
		switch a.cfg.Start {
		case StartAll:
			return time.Time{}
		case StartNow:
			return now.Add(-max(Window, a.cfg.Poll.UnpaidFor))
		}
		bound := now.Add(-max(Window, a.cfg.Poll.UnpaidFor))
		if start, err := time.Parse(time.RFC3339, a.cfg.Start); err == nil {
			bound = earlier(bound, start)
		}
		return bound
	}
	bound := a.state.Low.Add(-a.cfg.Poll.Tuning.Overlap)
	for _, e := range slices.Backward(a.index.byAge()) {
		if !hot(&e.Tracked, now, a.cfg.Poll.Tuning) {
			break
		}
		if e.Watch.Is(event.Watched) {
			bound = earlier(bound, e.Created)
		}
	}
	return bound
}

// revisit looks at every watched session that is due and that the head did not
// show, newest first. A list that starts after a session's newer neighbour shows
// it together with a page of older ones, so it is never dearer than asking for
// the session alone. What fails once keeps no other session from being looked at;
// two in a row are an API that is away.
func (a *account) revisit(ctx context.Context, pass time.Time) error {
	now := a.clock.now()
	var due []*entry
	for _, e := range slices.Backward(a.index.byAge()) {
		if !e.Watch.Is(event.Watched) || e.pass.Equal(pass) {
			continue
		}
		last := later(e.LookedAt, e.tried)
		// A look of the future tells of a Date that was wrong then, or is now.
		if last.After(now.Add(skewNoticed)) || !dueAt(&e.Tracked, last, a.cfg.Poll.Tuning).After(now) {
			due = append(due, e)
		}
	}
	var vanished []string
	var failure error // the first
	inARow := 0
	for _, e := range due {
		if e.pass.Equal(pass) {
			continue
		}
		if err := a.lookAt(ctx, e, pass); err != nil {
			failure = cmp.Or(failure, err)
			if inARow++; inARow > 1 || !unanswered(err) {
				break
			}
			continue
		}
		inARow = 0
		if e.misses >= missesToVanish {
			vanished = append(vanished, e.ID)
		}
	}
	if err := a.vanish(ctx, vanished); err != nil {
		return err
	}
	return failure
}

// vanish gives up the watch on sessions that the API no longer shows.
func (a *account) vanish(ctx context.Context, vanished []string) error {
	if len(vanished) == 0 {
		return nil
	}
	if err := a.handler.Vanish(ctx, a.cfg.Name, vanished); err != nil {
		return fmt.Errorf("recording sessions that the API no longer shows: %w", err)
	}
	for _, id := range vanished {
		a.index.get(id).Watch = event.Vanished
	}
	a.odd("vanished", "the API no longer shows sessions that it showed; they are watched again if it does", "sessions", len(vanished))
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lookAt shows one due session, by the page on which it stands or by its id.
func (a *account) lookAt(ctx context.Context, e *entry, pass time.Time) error {
	e.tried = a.clock.now()
	patience := a.tries
	a.tries = min(patience, triesPerRequestOnce) // there is another way
	page, err := a.page(ctx, pass, Query{StartingAfter: a.index.newerNeighbour(e), Limit: a.cfg.Poll.Tuning.PageSize}, nil)
	a.tries = patience
	switch {
	case err == nil:
		if err := a.handle(ctx, page, pass); err != nil {
			return err
		}
	case !unanswered(err) || denied(err):
		return err
	}
	if e.pass.Equal(pass) {
		return nil
	}
	return a.lookByID(ctx, e, pass)
}

// refused says whether the API answered that it does not take the question,
// such as a cursor that it does not know any more.
func refused(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && (failure.Kind == KindRefused || failure.Kind == KindNotFound)
}

// unanswered says whether it is the API that failed, and not we.
func unanswered(err error) bool {
	var failure *Error
	return errors.As(err, &failure)
}

// denied says whether the API refused the key.
func denied(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && failure.Kind == KindDenied
}

// refusedQuestion is refused without the 404, which a wrong address or a
// disturbed router gives whatever the question.
func refusedQuestion(err error) bool {
	return refused(err) && !errors.Is(err, ErrNotFound)
}

func (a *account) lookByID(ctx context.Context, e *entry, pass time.Time) error {
	var page Page
	err := a.ask(ctx, func(ctx context.Context) error {
		s, answer, err := a.client.Get(ctx, e.ID)
		if err == nil {
			page.Sessions, page.Items, page.Answer = append(page.Sessions, s), 1, answer
		}
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound):
		if a.listed { // else the API may know no address, or no session at all
			e.misses++
		}
		return nil
	case refused(err):
		a.odd("get_refused", "the API does not answer for a single session", "error", err)
		return nil
	case err != nil:
		return err
	}
	return a.handle(ctx, &page, pass)
}
