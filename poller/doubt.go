package poller

import (
	"context"

	"checkout-notifier/checkout"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// doubt is what a row of the list is good for.
type doubt int

const (
	believed  doubt = iota
	asksApart       // the session is asked for by its id instead
	waits           // so it is once it is due, and its turn comes
)

// mostDoubts bounds how many sessions a pass asks for because of what the list shows.
const mostDoubts = 100

// doubt says whether a row can be taken as it is: not one that its page shows in two
// ways, nor one of a completed session without the payment_status that decides what it
// is worth.
func (a *account) doubt(page *wooshpay.Page, e *index.Entry, it *wooshpay.Item) doubt {
	if page.Apart || (!it.Twice && !a.lacksPayment(e, it)) {
		return believed
	}
	if e != nil && e.IsWatched() && !it.Twice && a.index.Status(e) == checkout.StatusComplete { // they may be many
		return waits
	}
	if a.now.doubts < mostDoubts {
		a.now.doubts++
		return asksApart
	}
	if e == nil || it.Twice {
		return believed
	}
	return waits
}

// lacksPayment says whether a row lacks a payment_status that the session may have by now.
// Where the API does not give one even by id, it is asked again in each round.
func (a *account) lacksPayment(e *index.Entry, it *wooshpay.Item) bool {
	if len(it.PaymentStatus) > 0 || string(it.Status) != checkout.StatusComplete || (e != nil && !e.IsWatched() && !e.IsVanished()) {
		return false
	}
	s, err := it.Decode()
	if err != nil || s.Mode == checkout.ModeSetup {
		return false
	}
	a.oddPayment(s.ID)
	if e == nil || a.index.Status(e) != checkout.StatusComplete {
		return true
	}
	return a.roundBefore(a.clock.Now(), a.cfg.Poll.Tuning.UnpaidEvery).After(a.state.UnpaidRound)
}

func (a *account) oddPayment(id string) {
	a.odd("payment_status_missing", "the list shows sessions without payment_status, which says whether they are paid; each is asked for by its id", "session", id)
}

// askDoubts asks for sessions by their ids. Those for which the API has no answer are
// taken as the page shows them.
func (a *account) askDoubts(ctx context.Context, doubts []*wooshpay.Item, page *wooshpay.Page, by *sweep) error {
	rest := &wooshpay.Page{Answer: page.Answer, Checked: true, Apart: true}
	for _, it := range doubts {
		one, err := a.readByID(ctx, string(it.ID))
		switch {
		case unavailable(err):
			rest.Items = append(rest.Items, *it)
			continue
		case err != nil:
			return err
		}
		if err := a.handle(ctx, one, by); err != nil {
			return err
		}
	}
	if len(rest.Items) == 0 {
		return nil
	}
	return a.handle(ctx, rest, by)
}
