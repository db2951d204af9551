package poller

import (
	"context"
	"strings"
	"time"

	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// MayShare says whether two accounts of distinct names may show the same sessions, as
// far as the configuration tells: not at two hosts, nor if their filters differ in a key.
func (a Account) MayShare(b Account) bool {
	host, _ := a.Binding()
	other, _ := b.Binding()
	apart := func(x, y string) bool { return x != "" && y != "" && !strings.EqualFold(x, y) }
	return strings.EqualFold(host, other) && !apart(a.Filter.Customer, b.Filter.Customer) &&
		!apart(a.Filter.CustomerEmail, b.Filter.CustomerEmail) && !apart(a.Filter.PaymentIntent, b.Filter.PaymentIntent)
}

// beyond is how far ahead no session is ever created, whatever the clocks say.
const beyond = 365 * 24 * time.Hour

// placeFilter makes sure, once, that the API reads the parameters where they are
// sent: if it does not, a page whose sessions show no value cannot tell.
func (a *account) placeFilter(ctx context.Context) error {
	if a.cfg.Filter == (wooshpay.Filter{}) || a.filterPlaced || a.client.Params() == wooshpay.ParamsBoth {
		return nil
	}
	page, err := a.page(ctx, patience{tries: a.tries}, wooshpay.Query{CreatedGTE: a.clock.Now().Add(beyond), Limit: 1}, nil)
	switch {
	case refusedQuestion(err): // the head finds out why
		return nil
	case err != nil:
		return err
	}
	a.filterPlaced = true
	if page.Total > 0 {
		a.everywhere()
	}
	page.Release()
	return nil
}

// outside says which sessions of a page the filter leaves out: those that show
// another value, and beside one of them in the list, which proves that the API ignores
// the filter, also those that show none unless they are known.
func (a *account) outside(page *wooshpay.Page) map[string]bool {
	if a.cfg.Filter == (wooshpay.Filter{}) {
		return nil
	}
	verdicts := make([]wooshpay.Verdict, len(page.Items))
	ignored := false
	for i := range page.Items {
		s, err := page.Items[i].Decode()
		if err == nil {
			verdicts[i], err = a.cfg.Filter.Judge(s)
		}
		if err != nil { // members of other types: it is for the API to know
			verdicts[i] = wooshpay.Unclear
		}
		ignored = ignored || verdicts[i] == wooshpay.Unwanted
	}
	if !ignored {
		return nil
	}
	if page.Asked.Limit > 0 {
		a.odd("watch_filter_ignored", "the API ignores the account's filter and shows other sessions as well; these are left out here")
	}
	out := make(map[string]bool)
	for i, v := range verdicts {
		if id := page.Items[i].ID; v == wooshpay.Unwanted || (v == wooshpay.Unclear && a.index.Find(id) == nil) {
			out[string(id)] = true
		}
	}
	return out
}

// leaveOut treats known sessions that the filter leaves out, for instance since it was made
// narrower, like sessions that the list does not show any more: nothing of them is announced.
func (a *account) leaveOut(ctx context.Context, known []*index.Entry) error {
	var gone []Gone
	for _, e := range known {
		e.Misses = 0
		e.SetSetbacks(0)
		a.shown(e)
		if a.index.IsRevisited(e) && !e.IsVanished() {
			gone = append(gone, Gone{ID: a.index.ID(e), Looked: e.LookedAt()})
		}
	}
	if len(gone) == 0 {
		return nil
	}
	a.odd("outside_filter", "stored sessions are outside the account's filter: nothing of them is announced, and they are asked for each hour, after a day each day, for as long as they may change", "sessions", len(gone))
	return a.recordVanished(ctx, gone)
}
