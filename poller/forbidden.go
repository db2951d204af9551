package poller

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"checkout-notifier/poller/wooshpay"
)

const (
	// mostElsewhere bounds the other parts of the list that are asked for before a key counts as
	// refused: sessions that the API does not give away may stand there, too.
	mostElsewhere = 2
	// doubtPause is at most for how long nothing is asked for after a 401, unless the API says so
	// itself: whatever makes it refuse a right key may take seconds.
	doubtPause = 10 * time.Second
	// doubtsBody is after how many refusals in a row they may be for the body of the questions, and
	// not for the key.
	doubtsBody = 2 + mostElsewhere
)

// tryPage is try for a request that a 401 or 403 may answer for either of two reasons: the key
// is refused, or the API does not show just this page or session. One may be chance, and after a
// 401 nothing is asked for some seconds, but in the first pass, for which somebody may wait. After
// a second one in a row it asks for other parts of the list: if one is answered, they are
// about the request alone; if each is refused as well, the key counts as refused. Until one
// is answered nothing else is asked for. What was refused for its body is asked for without one.
func (a *account) tryPage(ctx context.Context, within time.Duration, request func(context.Context, *wooshpay.Client) error, leave func(*wooshpay.Error, time.Time)) (failure *wooshpay.Error, err error) {
	for {
		params := a.client.Params()
		failure, err = a.tryPart(ctx, within, request, leave)
		if !failure.Refusal() || a.client.Params() == params {
			return failure, err
		}
		a.count(failure)
	}
}

// tryPart is tryPage with the list parameters where they are sent now.
func (a *account) tryPart(ctx context.Context, within time.Duration, request func(context.Context, *wooshpay.Client) error, leave func(*wooshpay.Error, time.Time)) (failure *wooshpay.Error, err error) {
	if a.forbidden > 1 {
		if failure, err := a.tryElsewhere(ctx, false); a.forbidden > 1 {
			return failure, err
		}
	}
	failure, err = a.try(ctx, within, request, leave)
	if failure != nil && failure.Asked.Limit > 0 && failure.Asked.StartingAfter == a.lastShown.StartingAfter {
		a.lastShown = wooshpay.Query{} // it may be what failed, or not be the last any more
	}
	switch {
	case err == nil:
		a.forbidden = 0
		return nil, nil
	case !failure.Refusal():
		return failure, err
	case failure.Kind == wooshpay.KindDenied, a.forbidden > 0 && failure.RetryAfter > 0: // the API asks to be left alone
		failure.Kind = wooshpay.KindDenied
		if a.client.Params() != wooshpay.ParamsQuery {
			a.forbidden = doubtsBody
		}
		return failure, err
	}
	a.forbidden++
	if failure.Kind == wooshpay.KindForbidden || a.forbidden == 1 {
		a.forbiddenPage = failure.Asked // none of a single session
	}
	if a.forbidden == 1 {
		if failure.Status == http.StatusUnauthorized && a.now.number > 1 {
			a.pacer.Pause(doubtPause/2 + rand.N(doubtPause/2))
		}
		return failure, err
	}
	most := mostElsewhere
	if a.client.Params() != wooshpay.ParamsQuery {
		most++ // without a body
	}
	for range most {
		other, _ := a.tryElsewhere(ctx, false)
		if other == nil || a.forbidden <= 1 {
			return failure, err
		}
		a.count(other)
		if other.Kind != wooshpay.KindDenied {
			return failure, err
		}
	}
	failure.Kind = wooshpay.KindDenied
	return failure, err
}

// tryElsewhere asks for another part of the list than the page that was answered by
// a 401 or 403. That the API knows no such part any more is an answer, too. After many every
// second question is without a body: some proxies refuse that, whatever it asks for.
func (a *account) tryElsewhere(ctx context.Context, shows bool) (failure *wooshpay.Error, err error) {
	q, heeded := a.elsewhere(shows), false
	if a.forbidden >= doubtsBody && a.forbidden%2 == 0 && a.client.Params() != wooshpay.ParamsQuery {
		failure, err = a.try(ctx, a.cfg.Poll.Timeout, func(ctx context.Context, client *wooshpay.Client) (err error) {
			heeded, err = client.ReadsQuery(ctx, q)
			return err
		}, a.leave)
		if denied(err) {
			a.forbidden++
			return failure, err
		} else if ctx.Err() == nil {
			a.requested(failure.Code())
		}
	}
	failure, err = a.try(ctx, a.cfg.Poll.Timeout, func(ctx context.Context, client *wooshpay.Client) error { _, err := client.List(ctx, q); return err }, a.leave)
	if heeded && denied(err) {
		failure.Kind = wooshpay.KindRefused
		a.refusesBody(err)
	}
	if err != nil && !refused(err) {
		a.lastShown = wooshpay.Query{}
		if denied(err) {
			a.forbidden++
		}
		return failure, err
	}
	if a.blank++; !q.CreatedGTE.IsZero() {
		a.blank = 0
	}
	a.forbidden = 0
	a.answered(failure.Code())
	return nil, nil
}

// answersElsewhere says whether the API answers while it fails over something else: with a
// session that it showed, where shows says so, or with anything.
func (a *account) answersElsewhere(ctx context.Context, shows bool) bool {
	failure, err := a.tryElsewhere(ctx, shows)
	a.count(failure)
	return err == nil
}

// shows notes how to ask for the last session on a page again: below the one above it, or as
// it was, if it is alone.
func (a *account) shows(page *wooshpay.Page) {
	if n := len(page.Items); n > 1 {
		above := &page.Items[n-2]
		a.blank, a.lastShown = 0, after(string(above.ID), above.CreatedAt(), page.Last().CreatedAt())
	} else if n == 1 && !page.Apart {
		a.lastShown = page.Asked
		a.lastShown.Limit = 1
	}
}

// after asks for a session below another one, and for no part of the list around them.
func after(id string, above, below time.Time) wooshpay.Query {
	return wooshpay.Query{StartingAfter: id, CreatedLTE: above.Add(wooshpay.CreatedRounding), CreatedGTE: below.Add(-wooshpay.CreatedRounding), Limit: 1}
}

// elsewhere asks for what was shown last and, if that fails as well, for a known session
// that the API can show, as far as is known: another one each time. It asks for those
// among them that are older than any can be. That shows none, unless the API ignores
// created[lte]; after many such answers and no session, or where shows says so, one of them
// has to be shown.
func (a *account) elsewhere(shows bool) wooshpay.Query {
	const draws, mostBlank = 20, 30
	q, known := a.lastShown, a.index.Len()
	for n := min(known, draws); n > 0 && q.Limit == 0; n-- {
		e := a.index.At(rand.IntN(known))
		newer := a.index.Get(a.index.NewerNeighbour(e))
		shown := e.Listed() && e.Setbacks() == 0 && !a.inHole(e) || n == 1 && known > draws
		if shown && newer != nil && a.index.ID(newer) != a.forbiddenPage.StartingAfter {
			q = after(a.index.ID(newer), newer.Created(), e.Created())
		}
	}
	if q.Limit == 0 || (a.blank < mostBlank && !shows) {
		q = wooshpay.Query{StartingAfter: q.StartingAfter, CreatedLTE: time.Unix(wooshpay.OldestCreated, 0), Limit: 1}
	}
	return q
}
