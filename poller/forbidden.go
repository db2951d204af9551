package poller

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// forbiddenPage takes a 403 for a page of the list for one that is about the page,
// until tryPage finds that it is not.
func forbiddenPage(err error, page Query) error {
	var failure *Error
	if errors.As(err, &failure) && failure.Status == http.StatusForbidden && failure.RetryAfter == 0 {
		failure.Kind, failure.page = KindForbidden, page
	}
	return err
}

// tryPage is try for what may be a page or a session that the API does not give away.
// With a refused key it shows nothing at all: one 403 may be chance, after a second one
// in a row another part of the list is asked for, once, and only if that is answered are
// they about what was asked for. Until it is answered nothing else is asked for.
func (a *account) tryPage(ctx context.Context, request func(context.Context, *Client) error, leave func(*Error, time.Time)) (failure *Error, err error) {
	if a.forbidden > 1 {
		if failure, err := a.tryElsewhere(ctx); a.forbidden > 1 {
			return failure, err
		}
	}
	failure, err = a.try(ctx, request, leave)
	switch {
	case err == nil:
		a.forbidden = 0
		return nil, nil
	case failure == nil || failure.Status != http.StatusForbidden || failure.Kind == KindDenied:
		return failure, err
	}
	a.forbidden++
	if failure.Kind == KindForbidden || a.forbidden == 1 {
		a.forbiddenPage = failure.page // none of a single session
	}
	if a.forbidden == 1 {
		return failure, err
	}
	if other, _ := a.tryElsewhere(ctx); other != nil && a.forbidden > 1 {
		a.count(other)
		if other.Kind == KindDenied {
			failure.Kind = KindDenied
		}
	}
	return failure, err
}

// tryElsewhere asks for another part of the list than the page that was answered by
// a 403. That it knows no such part any more is an answer, too.
func (a *account) tryElsewhere(ctx context.Context) (failure *Error, err error) {
	q := a.elsewhere(a.forbiddenPage)
	failure, err = a.try(ctx, func(ctx context.Context, client *Client) error {
		page, err := client.List(ctx, q)
		if err == nil {
			page.release()
		}
		return err
	}, a.pacer.leave)
	switch {
	case err == nil:
		a.forbidden = 0
		a.answered("200")
	case refused(err):
		a.forbidden = 0
		a.answered(failure.code())
	case denied(err):
		a.forbidden++
	}
	return failure, err
}

// shows notes how to ask for the last session on a page again.
func (a *account) shows(page *Page, q Query) {
	q.Limit = 1
	switch n := len(page.Items); {
	case n > 1:
		a.lastShown = Query{StartingAfter: string(page.Items[n-2].ID), Limit: 1}
	case n == 1 && (q.StartingAfter != "" || !q.CreatedLTE.IsZero()): // else a newer one may stand there by now
		a.lastShown = q
	}
}

// elsewhere asks for what was shown last and, if that is refused as well, for a known
// session that neither stands on a page, as far as is known, nor is one that the API
// cannot show: another one each time.
func (a *account) elsewhere(page Query) Query {
	const draws = 20
	known := a.index.len()
	below := known // the page stands there
	if e := a.index.get(page.StartingAfter); page.StartingAfter != "" && e != nil {
		below = a.index.position(e)
	} else if !page.CreatedLTE.IsZero() {
		below = a.index.search(page.CreatedLTE.Add(createdRounding))
	}
	cursor := func(at int) string {
		e := a.index.at(at)
		after := a.index.newerNeighbour(e)
		if !listed(e) || e.setbacks() > 0 || a.inHole(e) || after == page.StartingAfter {
			return ""
		}
		return after
	}
	switch {
	case a.forbidden == 2 && a.lastShown.Limit > 0 && (a.lastShown.StartingAfter != page.StartingAfter || !a.lastShown.CreatedLTE.Equal(page.CreatedLTE)):
		return a.lastShown
	case known == 0:
		return Query{CreatedLTE: a.clock.now().Add(-time.Hour), Limit: 1}
	}
	for range draws {
		at := rand.IntN(known)
		if after := cursor(at); after != "" && (at >= below || at < below-page.Limit) {
			return Query{StartingAfter: after, Limit: 1}
		}
	}
	if after := cursor(0); after != "" { // of a few sessions all may stand on the page, the oldest at its end
		return Query{StartingAfter: after, Limit: 1}
	}
	return Query{CreatedLTE: a.index.at(0).created().Add(-time.Hour), Limit: 1}
}
