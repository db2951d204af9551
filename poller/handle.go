package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

// handle hands on what a page shows that may be new, and notes the rest as seen.
func (a *account) handle(ctx context.Context, page *wooshpay.Page, by *sweep) error {
	at := a.observe(page.Answer)
	asked := a.clock.Asked(page.Answer)
	early, late := a.clock.Uncertain()
	if a.clock.Skewed() {
		a.odd("clock_skew", "the clocks of the API and of this machine differ: check that this machine keeps time (NTP)",
			"detail", "the API's is "+serverclock.Apart(a.clock.Told())+", and is used"+word(a.clock.IsDoubted(), " once its answers agree for a minute", ""))
	}
	existing, err := a.begin(ctx, page)
	if err != nil {
		return err
	}
	existing = later(existing, page.Existed)
	a.noteBad(page, by)
	if a.asking != nil && a.asking.First { // nothing tells within the precision of creation times
		existing = later(existing, a.state.Start.Add(wooshpay.CreatedRounding))
	}
	a.now.listed = a.now.listed || len(page.Items) > 0
	a.now.sessions += len(page.Items)
	outside := a.outside(page)
	batch := Batch{
		Account: a.state, Livemode: wooshpay.KeyMode(a.cfg.SecretKey.Reveal()) == wooshpay.ModeLive, Poll: a.cfg.Poll,
		Pass: a.now.began, Existing: existing, Starting: a.fixesStart(), Announce: by.announce(), Passed: a.passedOver(),
	}
	var doubts []*wooshpay.Item
	var leftOut []*index.Entry
	for i := range page.Items {
		it := &page.Items[i]
		e := a.index.Find(it.ID)
		if by.leavesOut(it) {
			continue
		}
		if outside[string(it.ID)] {
			if e != nil {
				leftOut = append(leftOut, e)
			}
			continue
		}
		if !page.Apart && a.isUnreadable(e, page, i, &batch, by) {
			continue
		}
		if e != nil && page.Asked.Limit > 0 { // the list shows it
			e.SetUnlisted(false)
		}
		doubt := a.doubt(page, e, it)
		if doubt == waits {
			a.garble(e, errUntold)
			continue
		}
		news := e == nil || a.see(e, it, asked)
		if doubt == asksApart {
			doubts = append(doubts, it)
			continue
		}
		if !news {
			continue
		}
		s, err := it.Decode()
		if err != nil { // it was known as it is when the page came
			if e != nil {
				a.shown(e)
			}
			a.odd("bad_item", "a session in the list cannot be read; what is stored of it stays as it is, and it is looked at again", "error", err)
			continue
		}
		if len(s.Unreadable) > 0 {
			a.odd("unreadable_field", "a session has a field whose value cannot be read; the field keeps its stored value, and the rest is used", "session", s.ID, "fields", s.Unreadable)
		}
		look := Look{Session: *s, At: at, Asked: asked, Own: page.Answer.Received.UTC(), Early: early, Late: late}
		if e != nil {
			look.LastLooked = e.LookedAt()
		}
		batch.Looks = append(batch.Looks, look)
	}
	if !page.Apart {
		by.saw(page)
	}
	if err := a.leaveOut(ctx, leftOut); err != nil {
		return err
	}
	if len(batch.Looks) > 0 {
		if err := a.handLooks(ctx, batch, by); err != nil {
			return err
		}
	}
	return a.askDoubts(ctx, doubts, page, by)
}

// handLooks hands on a batch; if that fails its sessions are as good as not shown.
func (a *account) handLooks(ctx context.Context, batch Batch, by *sweep) error {
	err := a.hand(ctx, batch, by)
	if err != nil {
		for i := range batch.Looks {
			if e := a.index.Get(batch.Looks[i].Session.ID); e != nil {
				e.Pass = 0
			}
		}
	}
	return err
}

// observe takes in the time that an answer tells. If it turns out that the server's
// clock was ahead, the looks since it leapt were not as late as was noted; by how much is
// known as well as the time is now.
func (a *account) observe(answer wooshpay.Answer) time.Time {
	known, was := a.clock.IsKnown(), a.clock.At(answer.Received)
	at := a.clock.Observe(answer)
	switch ahead := was.Sub(at); {
	case known && ahead >= serverclock.SkewNoticed:
		a.index.SetBack(ahead+a.clock.LateBy(), a.leapt)
		a.leapt, a.shownAgain = time.Time{}, time.Time{}
	case known && -ahead >= serverclock.SkewNoticed:
		a.leapt = was
	}
	return at
}

// outOfOrder is by how much an answer may be overtaken by one that was asked for
// later, when several are under way at once.
const outOfOrder = time.Minute

// see notes that a known session was shown by an answer that was asked for at a
// time, and says whether the look is to be handed on. One that has been overtaken
// says nothing any more.
func (a *account) see(e *index.Entry, it *wooshpay.Item, asked time.Time) bool {
	e.Misses = 0
	a.shownNow(e)
	ours := e.Pass != 0 // an earlier process awaits no answers, and knew the time otherwise
	e.Pass = a.now.number
	last := e.LookedAt()
	if ours && asked.Before(last) && last.Sub(asked) < outOfOrder {
		return false
	}
	if a.unchanged(e, it, asked) {
		e.SetLooked(asked)
		return false
	}
	return true
}

// unchanged says whether a look shows what is stored and nothing is waiting to
// be decided by it. Other bytes may still say the same, which decoding tells.
func (a *account) unchanged(e *index.Entry, it *wooshpay.Item, asked time.Time) bool {
	if e.ScanHash == 0 || e.ScanHash != it.Hash ||
		a.index.Status(e) != string(it.Status) || a.index.Payment(e) != string(it.PaymentStatus) {
		return false
	}
	if e.IsHeld() || e.IsVanished() || a.ending(e, asked) {
		return false
	}
	if !e.IsWatched() {
		return true
	}
	return asked.Before(e.GiveUpAt(a.cfg.Poll.UnpaidFor)) && !a.completeInTheFuture(e)
}

// completeInTheFuture says whether the look that showed a session complete was made
// at a time to which no clock has come yet. The next look puts that right.
func (a *account) completeInTheFuture(e *index.Entry) bool {
	if a.index.Status(e) != checkout.StatusComplete {
		return false
	}
	_, latest := a.clock.Span(a.clock.Own())
	return e.GiveUpAt(-serverclock.SkewNoticed).After(latest)
}

// ending says whether a look is the first within warm_every of the session's
// expiry, which must outlive this process.
func (a *account) ending(e *index.Entry, asked time.Time) bool {
	return !e.IsEnding() && a.index.Status(e) == checkout.StatusOpen && !asked.Before(e.Expiry().Add(-a.cfg.Poll.Tuning.WarmEvery))
}

// identify makes sure that the key still belongs to the stored sessions, and
// stops the account if it does not. A stopped account goes on when its key shows
// them again, or when an operator accepted the new ones.
func (a *account) identify(ctx context.Context) error {
	if a.state.Foreign != "" {
		if err := a.resume(ctx); err != nil {
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
	a.state.KeyHash, a.state.TakenOverBy = hash, ""
	return a.save(ctx)
}

// resume lets a stopped account go on if an operator accepted the new sessions or
// its key shows the stored ones again; else it is ErrForeign.
func (a *account) resume(ctx context.Context) error {
	stored, _, err := a.tracker.Account(ctx, a.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the store's record of account %s: %w", a.cfg.Name, err)
	}
	if stored.Foreign == "" {
		return a.startOver(ctx)
	}
	back, err := a.back(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s; asking whether the stored ones are back: %w", ErrForeign, stored.Foreign, err)
	case !back:
		return fmt.Errorf("%w: %s; %s", ErrForeign, stored.Foreign, WayOut(a.cfg.Name))
	}
	a.state.Foreign, a.state.KeyHash = "", event.KeyHash(a.state.Host, a.cfg.SecretKey.Reveal())
	if err := a.save(ctx); err != nil {
		a.state.Foreign = stored.Foreign
		return err
	}
	a.goesOn()
	a.log.Info("the account goes on: its key shows the stored sessions again; what happened meanwhile is announced")
	return nil
}

// back says whether a stopped account's key shows stored sessions again: on the
// page that showed only others, if that was what stopped it, else on the first
// page or apart.
func (a *account) back(ctx context.Context) (bool, error) {
	q := a.strangers
	q.Limit = a.cfg.Poll.Tuning.PageSize
	page, err := a.page(ctx, patience{tries: a.tries}, q, nil)
	switch {
	case errors.Is(err, errForeignPage):
		return false, nil
	case refused(err) && a.strangers != (wooshpay.Query{}): // its cursor may be gone
		a.strangers = wooshpay.Query{}
		return a.back(ctx)
	}
	m, err := a.recognizes(ctx, page, err)
	return m.known, err
}

// recognizes says whether the API has stored sessions: whether a page of its list, or the
// error in its place, shows that, or the answers when they are asked for apart.
func (a *account) recognizes(ctx context.Context, page *wooshpay.Page, err error) (m meeting, _ error) {
	switch {
	case errors.Is(err, errForeignPage):
		err = nil
	case err != nil && !unavailable(err):
		return m, err
	case err == nil && a.showsKnown(page):
		return meeting{known: true}, nil
	}
	m, failed := a.meet(ctx)
	if m.known {
		return m, nil
	}
	return m, cmp.Or(err, failed, m.failed)
}

// startOver starts over with the account as an operator accepted it: nothing that was
// found out of the sessions before holds.
func (a *account) startOver(ctx context.Context) error {
	a.index, a.loaded = index.New(), false
	if err := a.load(ctx); err != nil {
		return err
	}
	a.strangers, a.forbiddenPage, a.lastShown, a.aboveTop = wooshpay.Query{}, wooshpay.Query{}, wooshpay.Query{}, topRange{}
	a.mistrust, a.hidden, a.suspects, a.topRead, a.unreadable = mistrust{}, hidden{}, nil, false, make(map[string]*unreadable)
	a.sweeps = slices.DeleteFunc(a.sweeps, func(s *sweep) bool { return s.backfill == nil })
	a.goesOn()
	a.log.Info("the account goes on: an operator accepted the sessions that its key shows")
	return nil
}

// goesOn notes that what stopped the account is over: the pass that follows may be long.
func (a *account) goesOn() {
	a.broken = 0
	a.status.update(func(s *Status) {
		s.recovered()
		s.Foreign = ""
	})
}

// sameAccount says whether a new key knows any of the newest stored sessions, if
// there are any: on the first page of its list, or apart.
func (a *account) sameAccount(ctx context.Context) (bool, error) {
	page, err := a.page(ctx, patience{tries: a.tries}, wooshpay.Query{Limit: a.cfg.Poll.Tuning.PageSize}, nil)
	m, err := a.recognizes(ctx, page, err)
	if m.asked == 0 && !m.known && err == nil { // all are gone, or were given up
		return true, a.recall(ctx)
	}
	return m.known, err
}

func (a *account) showsKnown(page *wooshpay.Page) bool {
	return slices.ContainsFunc(page.Items, func(it wooshpay.Item) bool { return a.knows(it.ID) })
}

// stop records why the account is not polled any more. Until the stored sessions
// are back, or an operator accepts the new ones, nothing of these is recorded.
func (a *account) stop(ctx context.Context, why string) error {
	a.state.Foreign = why
	a.log.Error("the account is stopped: its key shows other sessions than the stored ones", "why", why,
		"help", WayOut(a.cfg.Name))
	if err := a.save(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrForeign, why)
}

func word(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}
