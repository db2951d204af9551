package poller

import (
	"context"
	"time"

	"checkout-notifier/poller/wooshpay"
)

// A session that the API cannot show may keep it from answering at all. Each request that
// looks for that session then costs the whole timeout, and nothing else is read meanwhile.
// So for a while after a request that failed late, requests are given not much longer than
// answers take. One that is cut off counts as any other that failed. What may
// only be slow is asked for with the whole timeout by askPatiently, which runs beside the
// passes and makes none of them wait.
const (
	// After a question with the whole timeout there is none for restTimes as long as it
	// took, and for restLeast at least.
	restTimes = 10
	restLeast = time.Minute
)

// within is how long a request may take.
func (a *account) within() time.Duration {
	if a.latency.Hangs() {
		return a.latency.Brief()
	}
	return a.cfg.Poll.Timeout
}

// slowed says whether a request that was cut off after a time failed because the API has
// become slow, and not because it hangs over what it was asked for: what it showed before
// takes it longer than that time as well.
func (a *account) slowed(ctx context.Context, within time.Duration) bool {
	return within < a.cfg.Poll.Timeout && a.answersElsewhere(ctx, true) && a.latency.Slowest() > within
}

// askPatiently asks, while passes are made, for what the API cannot show: with the whole
// timeout, and only after a request was cut off. An answer tells how long others may take.
// It runs without mu, until the context ends.
func (a *account) askPatiently(ctx context.Context) error {
	rest := restLeast
	for turn := 0; a.pacer.Rest(ctx, rest); turn++ {
		began := time.Now()
		a.askLost(ctx, turn)
		rest = max(restLeast, restTimes*time.Since(began))
	}
	return nil
}

// askLost asks for the last page that was read in smaller ones, for one part of the list, or
// for one session, that cannot be shown: for another one at each turn.
// Passes find out what an answer means.
func (a *account) askLost(ctx context.Context, turn int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for _, e := range a.index.Revisited() {
		if e.IsWatched() && e.Setbacks() > 0 {
			ids = append(ids, a.index.ID(e))
		}
	}
	for _, u := range a.unreadable {
		if u.ID != "" && u.answer != nil {
			ids = append(ids, u.ID)
		}
	}
	var parts []wooshpay.Query
	if a.cutOff.Limit > 0 { // what took long may be shown in smaller pages
		parts = append(parts, a.cutOff)
	}
	for _, h := range a.passedOver() {
		q := wooshpay.Query{StartingAfter: h.Above, CreatedGTE: h.BelowAt, Limit: 1} // its newest session
		if h.Above == "" {
			q.CreatedLTE = h.AboveAt
		}
		parts = append(parts, q)
	}
	n := len(ids) + len(parts)
	if n == 0 || !a.latency.TakeCutOff() {
		return
	}
	_ = a.askApart(ctx, a.cfg.Poll.Timeout, func(ctx context.Context, client *wooshpay.Client) (err error) {
		if i := turn % n; i < len(parts) {
			_, err = client.List(ctx, parts[i])
		} else {
			_, _, err = client.Get(ctx, ids[i-len(parts)])
		}
		return wooshpay.OfPage(err)
	})
}
