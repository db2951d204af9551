package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// handle hands on what a page shows that may be new, and notes the rest as seen.
func (a *account) handle(ctx context.Context, page *Page, pass time.Time) error {
	at := a.clock.observe(page.Answer)
	if a.clock.skewed() {
		a.odd("clock_skew", "the API's clock and ours differ; times are told by the API's", "skew", a.clock.offset.Round(time.Second).String())
	}
	for _, bad := range page.Bad {
		a.odd("bad_item", "an item of the list makes no sense and is left as it was", "error", bad)
	}
	existing, err := a.begin(ctx, page)
	if err != nil {
		return err
	}
	batch := Batch{
		Account: a.state, Livemode: a.mode() == ModeLive, Poll: a.cfg.Poll,
		At: at, Pass: pass, Existing: existing,
	}
	a.listed = a.listed || len(page.Sessions) > 0
	outside := a.outside(page)
	for i := range page.Sessions {
		s := &page.Sessions[i]
		if outside[s.ID] && a.index.get(s.ID) == nil {
			continue
		}
		if len(s.Unreadable) > 0 {
			a.odd("unreadable_field", "a documented field has a value that makes no sense and is left as it was", "session", s.ID, "fields", s.Unreadable)
		}
		e := a.index.get(s.ID)
		if e == nil {
			batch.Looks = append(batch.Looks, Look{Session: *s})
			continue
		}
		e.misses = 0
		e.pass = pass
		if a.unchanged(e, page, i, at) {
			e.LookedAt = at
			continue
		}
		batch.Looks = append(batch.Looks, Look{Session: *s, LastLooked: e.LookedAt})
	}
	if len(batch.Looks) == 0 {
		return nil
	}
	return a.hand(ctx, batch)
}

// unchanged says whether a look shows what is stored and nothing is waiting to
// be decided by it.
func (a *account) unchanged(e *entry, page *Page, i int, at time.Time) bool {
	s := &page.Sessions[i]
	if e.Hash != s.Hash || e.Status != s.Status || e.PaymentStatus != s.PaymentStatus {
		return false
	}
	if e.Held || e.Watch.Is(event.Vanished) {
		return false
	}
	if !e.ending && e.Status == checkout.StatusOpen && !at.Before(e.Expiry().Add(-a.cfg.Poll.Tuning.WarmEvery)) {
		e.ending = true
		return false
	}
	return !e.Watch.Is(event.Watched) || at.Before(e.GiveUpAt(a.cfg.Poll.UnpaidFor))
}

// hand gives a batch to the stages and takes back the rows.
func (a *account) hand(ctx context.Context, batch Batch) error {
	handled, err := a.handler.Handle(ctx, batch)
	if err != nil {
		return fmt.Errorf("handling a page: %w", err)
	}
	for _, row := range handled.Rows {
		e := a.index.put(row.Tracked)
		e.pass = batch.Pass
		if row.Held {
			a.odd("step_back", "a session steps back, which is not believed until it is confirmed", "session", row.ID)
		}
	}
	for _, ignored := range handled.Ignored {
		a.odd("contradictory_item", "a look contradicts what is known and is left out", "session", ignored.ID, "error", ignored.Err)
	}
	return nil
}

// begin fixes the account's start at the first successful answer, and says
// whether what an answer shows existed before it. So does what the whole first
// chain shows: later pages are older than the first, and creation times, which
// are rounded, cannot tell within a second.
func (a *account) begin(ctx context.Context, page *Page) (existing bool, err error) {
	if a.state.StartFixed {
		return false, nil
	}
	if !a.state.Start.IsZero() { // the first chain is not finished
		return true, nil
	}
	now := page.Answer.Date
	if now.IsZero() {
		now = page.Answer.Received.Truncate(time.Second)
	}
	switch {
	case a.state.Restart || a.cfg.Start == StartNow:
		a.state.Start, a.state.Restart = now.UTC(), false
	case a.cfg.Start == StartAll:
		a.state.StartFixed = true
	default:
		start, err := time.Parse(time.RFC3339, a.cfg.Start)
		if err != nil {
			return false, fmt.Errorf("start of account %s: %w", a.cfg.Name, err)
		}
		a.state.Start, a.state.StartFixed = start.UTC(), true
	}
	if a.state.Start.IsZero() {
		a.log.Info("the account starts: all that its list shows is announced", "host", a.state.Host, "mode", a.state.Mode)
	} else {
		a.log.Info("the account starts: what was created before is recorded silently", "start", a.state.Start, "host", a.state.Host, "mode", a.state.Mode)
	}
	return !a.state.StartFixed, a.save(ctx)
}

// identify makes sure that the key still belongs to the stored sessions, and
// stops the account until an operator accepts the new ones if it does not.
func (a *account) identify(ctx context.Context) error {
	if a.state.Foreign != "" {
		stored, _, err := a.tracker.Account(ctx, a.cfg.Name)
		if err != nil {
			return fmt.Errorf("reading account %s: %w", a.cfg.Name, err)
		}
		if stored.Foreign != "" {
			return fmt.Errorf("%w: %s", ErrForeign, stored.Foreign)
		}
		if err := a.accept(ctx); err != nil {
			return err
		}
	}
	hash := event.KeyHash(a.state.Host, a.cfg.SecretKey.Reveal())
	if a.state.KeyHash == hash {
		return nil
	}
	if a.state.KeyHash != "" {
		same, err := a.sameAccount(ctx)
		if err != nil {
			return err
		}
		if !same {
			return a.stop(ctx, "secret_key was changed and the new one does not know the newest stored sessions")
		}
	}
	a.state.KeyHash = hash
	return a.save(ctx)
}

// accept starts over with the account as an operator accepted it.
func (a *account) accept(ctx context.Context) error {
	a.index, a.loaded = newIndex(), false
	if err := a.load(ctx); err != nil {
		return err
	}
	a.log.Info("the account goes on: an operator accepted the sessions that its key shows")
	return nil
}

// probes is how many of the newest known sessions are asked for.
const probes = 3

// sameAccount says whether a new key knows any of the newest stored sessions:
// on the first page of its list, or by their ids.
func (a *account) sameAccount(ctx context.Context) (bool, error) {
	page, err := a.page(ctx, time.Time{}, Query{Limit: a.cfg.Poll.Tuning.PageSize}, nil)
	if err != nil && !errors.Is(err, errForeignPage) {
		return false, err
	}
	for i := range page.Sessions {
		if a.index.get(page.Sessions[i].ID) != nil {
			return true, nil
		}
	}
	asked := 0
	for _, e := range slices.Backward(a.index.byAge()) {
		if e.Watch.Is(event.Vanished) {
			continue
		}
		if asked == probes {
			return false, nil
		}
		asked++
		err := a.ask(ctx, func(ctx context.Context) error {
			_, _, err := a.client.Get(ctx, e.ID)
			return err
		})
		switch {
		case err == nil:
			return true, nil
		case !refused(err):
			return false, err
		}
	}
	return asked == 0, nil
}

// enoughToTell is how many known sessions must be missing from the part of the
// list in which they stood before the list is taken for another account's.
const enoughToTell = 5

// errForeignPage is a page that shows only strangers where known sessions stood.
var errForeignPage = errors.New("none of the known sessions stands where it stood in the list, only others")

// plausible says whether a page can be of this account. A filter hides known
// sessions for a reason of its own. Those that this pass was shown stand
// elsewhere in the list, and where the index has forgotten sessions a stranger
// may be one of them.
func (a *account) plausible(page *Page, pass time.Time) error {
	if len(page.Sessions) < 2 || a.cfg.Filter != (Filter{}) {
		return nil
	}
	newest, oldest := page.Sessions[0].Created, page.Sessions[0].Created
	for i := range page.Sessions {
		s := &page.Sessions[i]
		if a.index.get(s.ID) != nil {
			return nil
		}
		newest, oldest = later(newest, s.Created), earlier(oldest, s.Created)
	}
	if oldest.Before(a.forgotten) {
		return nil
	}
	known := 0
	for _, e := range slices.Backward(a.index.byAge()) {
		if !e.Created.After(oldest.Add(createdRounding)) {
			break // of its oldest second, some may stand on the next page
		}
		shown := !pass.IsZero() && e.pass.Equal(pass)
		if e.Created.Before(newest.Add(-createdRounding)) && !e.Watch.Is(event.Vanished) && !shown {
			known++
		}
	}
	if known < enoughToTell {
		return nil
	}
	return errForeignPage
}

// stop records why the account is not polled any more. Until an operator
// accepts the new sessions nothing of them is recorded.
func (a *account) stop(ctx context.Context, why string) error {
	a.state.Foreign = why
	a.log.Error("the account is stopped: its key shows other sessions than the stored ones", "why", why,
		"help", "put the right secret_key back, or say that this is right: notifier accounts accept "+a.cfg.Name)
	if err := a.save(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrForeign, why)
}
