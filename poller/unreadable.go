package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
)

// A row of the list that makes no sense says nothing of its session, which is asked for
// by its id instead: a known one that can still change as one that the list does not
// show (see lookAt), any other by askUnreadable. What makes no sense even then is named
// in the status and once in the log.

const (
	// mostUnreadable bounds the rows that are remembered.
	mostUnreadable = 1000
	// refusalBelieved is for how long the API must refuse a session that its list shows.
	refusalBelieved = time.Minute
	// namedEvery is how often at most the log names what makes no sense.
	namedEvery = time.Minute
)

var (
	errNoStatus  = errors.New("the session has no status")
	errAbsurd    = errors.New("the session has a creation time that makes no sense")
	errOld       = errors.New("the session was never shown before, and its creation time is that of an old one")
	errMisdated  = errors.New("the session has a creation time at which the list should not show it there")
	errNoPayment = errors.New("the session has no payment_status, which it had")
	errUntold    = errors.New("the session has no payment_status, and never had")
)

// unreadable is a row that makes no sense. It is asked for again as a hole is.
type unreadable struct {
	event.Unreadable
	pass     uint32 // the last that was shown it
	sighting uint64 // which of the account's was the last
	gone     bool   // its place was read since, without it
	answer   error  // what is wrong with the answer for its id; nil: nothing, or it was not asked for
	done     bool   // the answer was taken; the index may have forgotten the session since
	believed bool   // the API refuses the session: its row is taken as it is when it is shown again
	logged   bool
}

func newUnreadable(id string, created time.Time) *unreadable {
	return &unreadable{Unreadable: event.Unreadable{ID: id, Name: secret.MaskID(id, checkout.MaxID), From: created, To: created}}
}

// toStore lists what a restart must know of the rows of which no sense was made: what is
// older than the window no pass reads again.
func (a *account) toStore() (list []event.Unreadable) {
	for _, u := range a.unreadable {
		if a.leftOver(u) {
			list = append(list, u.Stored(u.answer))
		}
	}
	slices.SortFunc(list, func(x, y event.Unreadable) int { return strings.Compare(x.Key(), y.Key()) })
	return list
}

// takeUp takes over what an earlier process stored of them.
func (a *account) takeUp(stored []event.Unreadable) {
	for _, row := range stored {
		a.unreadable[row.Key()] = &unreadable{Unreadable: row, answer: row.Failure()}
	}
}

// text says what is wrong.
func (u *unreadable) text() string {
	if u.answer == nil {
		return u.Error
	}
	return u.Error + "; asked for by its id: " + u.answer.Error()
}

// contradicts returns why a session cannot be taken as it is shown, nil if it can: its
// creation time is absurd, or it lacks what decides its state. The list may leave out the
// payment_status of an open session, which decides nothing yet.
func (a *account) contradicts(e *index.Entry, it *wooshpay.Item, apart bool) error {
	switch {
	case it.IsAbsurd() && (e == nil || e.Created().Unix() >= wooshpay.OldestCreated):
		return errAbsurd
	case e != nil && !a.index.IsRevisited(e): // nothing more is expected of it
		return nil
	case len(it.Status) == 0:
		return errNoStatus
	case e == nil || len(it.PaymentStatus) > 0 || a.index.Payment(e) == "":
		return nil
	case !apart && string(it.Status) == checkout.StatusOpen:
		return nil
	}
	return errNoPayment
}

// isUnreadable says whether a row of the list contradicts itself or what is known, and
// notes it then.
func (a *account) isUnreadable(e *index.Entry, page *wooshpay.Page, at int, batch *Batch, by *sweep) bool {
	it := &page.Items[at]
	cause := cmp.Or(a.misdated(e, page, at, batch, by), a.contradicts(e, it, false))
	if cause == nil {
		return false
	}
	id := string(it.ID)
	switch {
	case errors.Is(cause, errOld): // it may well be
	case errors.Is(cause, errNoPayment):
		a.oddPayment(id)
	default:
		a.odd("contradictory_item", "the list shows a session without its status, or with a creation time that cannot be right; it is asked for by its id", "session", id, "error", cause)
	}
	u := newUnreadable(id, it.CreatedAt())
	if errors.Is(cause, errMisdated) || errors.Is(cause, errOld) || it.IsAbsurd() {
		a.locate(u, page, at, at+1)
	}
	a.noteUnreadable(u, cause, by)
	return true
}

// noteBad notes the items of a page that make no sense.
func (a *account) noteBad(page *wooshpay.Page, by *sweep) {
	for i := range page.Bad {
		bad := &page.Bad[i]
		a.odd("bad_item", "a session in the list cannot be read; it is asked for by its id", "error", bad)
		u := newUnreadable(bad.ID, time.Time{})
		if errors.Is(bad.Err, checkout.ErrLongID) {
			u.ID = ""
		}
		a.locate(u, page, bad.Place, bad.Place)
		a.noteUnreadable(u, bad.Err, by)
	}
}

// noteUnreadable notes a row of the list.
func (a *account) noteUnreadable(u *unreadable, cause error, by *sweep) {
	if by.dry() {
		return
	}
	if e := a.index.Get(u.ID); u.ID != "" && e != nil {
		e.Misses = 0
		e.SetUnlisted(false)
		switch {
		case !a.index.IsRevisited(e):
			return // nothing more is expected of it
		case !e.IsVanished():
			a.garble(e, cause)
			return
		}
	}
	if u = a.remember(u, cause); u != nil {
		u.Announce, u.Existed = u.Announce || by.announce(), later(u.Existed, a.existedUntil())
	}
}

// garble notes that the list shows a known session, and nothing of it that makes sense.
func (a *account) garble(e *index.Entry, cause error) {
	a.now.garbled[e] = cause
}

// isGarbled says whether garble noted that in this pass.
func (a *account) isGarbled(e *index.Entry) bool { return a.now.garbled[e] != nil }

// remember keeps what is wrong with a row, and where it stands. If there are too many the
// one goes that was shown longest ago; nil says that all were shown by this pass.
func (a *account) remember(u *unreadable, cause error) *unreadable {
	key := u.Key()
	known := a.unreadable[key]
	if known == nil {
		if len(a.unreadable) >= mostUnreadable {
			oldest := ""
			for key, other := range a.unreadable {
				if other.pass != a.now.number && (oldest == "" || other.Shown.Before(a.unreadable[oldest].Shown)) {
					oldest = key
				}
			}
			if oldest == "" {
				return nil
			}
			delete(a.unreadable, oldest)
		}
		u.Since = a.clock.Now()
		a.unreadable[key] = u
		known = u
	} else {
		a.moved(known, u, known.pass == a.now.number)
	}
	a.sightings++
	known.pass, known.Shown, known.sighting, known.gone = a.now.number, a.clock.Now(), a.sightings, false
	known.Error = cause.Error()
	return known
}

// existedUntil returns the creation time up to which a session that this pass reads existed
// before the account's start. It is zero once the start is fixed.
func (a *account) existedUntil() time.Time {
	switch {
	case a.state.StartFixed:
		return time.Time{}
	case a.starting == a.now.number:
		return a.existing
	}
	return a.state.Start.Add(wooshpay.CreatedRounding)
}

// readByID is getByID for an answer that is to say what became of a session.
func (a *account) readByID(ctx context.Context, id string) (*wooshpay.Page, error) {
	page, err := a.getByID(ctx, id)
	if err == nil {
		if cause := a.contradicts(a.index.Get(id), &page.Items[0], true); cause != nil {
			return nil, wooshpay.Nonsense(page.Answer, cause.Error())
		}
	}
	return page, err
}

// failedByID notes that the answer for a session helps no more than its row.
func (a *account) failedByID(e *index.Entry, err error) {
	cause, garbled := a.now.garbled[e]
	if !garbled || errors.Is(cause, errUntold) {
		return
	}
	id := a.index.ID(e)
	if u := a.remember(newUnreadable(id, e.Created()), cause); u != nil {
		u.answer = err
	}
}

// askUnreadable asks for sessions of which the list shows no more than the id, those
// first that have waited longest. Time allows for a few in any case.
func (a *account) askUnreadable(ctx context.Context, until time.Time) error {
	defer a.forgetUnreadable()
	away := 0
	for i, u := range a.dueUnreadable() {
		if !until.IsZero() && (i >= mostDoubts || (i >= a.share() && past(until))) {
			return nil
		}
		u.Asked = a.clock.Now()
		u.Since = later(earlier(u.Since, u.Asked), u.From) // whatever the clocks said
		page, err := a.readByID(ctx, u.ID)
		switch {
		case err == nil:
			u.answer, away = nil, 0
			page.Existed = u.Existed
			if err := a.handle(ctx, page, u.by()); err != nil {
				return err
			}
			u.done = true
		case !unavailable(err):
			return err
		default:
			u.answer = err
			old := refused(err) && u.Error == errOld.Error()
			u.believed = (refused(err) && u.Asked.Sub(u.Since) >= refusalBelieved) || (old && a.answersNone(ctx))
			u.logged = u.logged || old // it will be believed
			if away++; !slices.Contains([]wooshpay.Kind{wooshpay.KindServer, wooshpay.KindNetwork}, wooshpay.KindOf(err)) {
				away = 0
			}
		}
		if away > 1 { // the API, and not what it was asked for
			return nil
		}
	}
	return nil
}

// answersNone says whether the API answers for no single session, as far as known ones
// tell.
func (a *account) answersNone(ctx context.Context) bool {
	if a.answersByID {
		return false
	}
	m, err := a.meet(ctx)
	return err == nil && !a.answersByID && m.failed == nil && m.asked > 0
}

// announced stands for a backfill that announces and is over.
var announced = &sweep{backfill: &Backfill{Announce: true}}

func (u *unreadable) by() *sweep {
	if u.Announce {
		return announced
	}
	return nil
}

// dueUnreadable lists the rows whose sessions are to be asked for.
func (a *account) dueUnreadable() (due []*unreadable) {
	now := a.clock.Now()
	for _, u := range a.unreadable {
		e := a.index.Get(u.ID)
		asks := (e == nil && !u.done) || (e != nil && e.IsVanished())
		if u.ID != "" && asks && !holes.DueAt(&u.Hole, now, a.shownAgain).After(now) {
			due = append(due, u)
		}
	}
	slices.SortFunc(due, func(x, y *unreadable) int {
		return cmp.Or(x.Asked.Compare(y.Asked), x.Since.Compare(y.Since), strings.Compare(x.ID, y.ID))
	})
	return due
}

// forgetUnreadable drops what was made out since, or what neither the list nor the API
// shows any more, and names the rest in the log.
func (a *account) forgetUnreadable() {
	now := a.clock.Now()
	var names []string
	for key, u := range a.unreadable {
		e := a.index.Get(u.ID)
		known := u.ID != "" && e != nil && !e.IsVanished()
		switch {
		case u.done && now.Sub(u.Shown) < Window:
		case u.done, known && e.Setbacks() == 0,
			!known && u.gone && (u.ID == "" || u.answer == nil || refused(u.answer)),
			now.Sub(u.Shown) > max(Window, a.cfg.Poll.UnpaidFor):
			delete(a.unreadable, key)
		case !u.logged && a.leftOver(u) && time.Since(a.named) >= namedEvery:
			u.logged = true // those without an id differ by where they stand, which poll status tells
			names = append(names, fmt.Sprintf("%s: %s", cmp.Or(u.Name, "a row without an id"), u.text()))
		}
	}
	if len(names) > 0 {
		a.named = time.Now()
		slices.Sort(names)
		a.log.Warn("sessions in the list cannot be read, nor what the API answers when it is asked for them: what happens to them, a payment perhaps, is not announced until they can; poll status lists them", "sessions", names)
	}
}

// leftOver says whether nothing helps to make sense of a row.
func (a *account) leftOver(u *unreadable) bool {
	if e := a.index.Get(u.ID); u.ID != "" && e != nil && !e.IsVanished() {
		return e.Setbacks() > 0
	}
	return u.ID == "" || u.answer != nil
}

// leftOvers describes the rows of which no sense was made, the newest first.
func (a *account) leftOvers(now time.Time) (list []Hole) {
	for _, u := range a.unreadable {
		if e := a.index.Get(u.ID); !a.leftOver(u) || (u.ID != "" && e != nil && !e.IsVanished()) {
			continue
		}
		h := Holes([]event.Hole{u.Hole})[0]
		h.Session, h.Error = u.Name, u.text()
		if u.ID != "" {
			h.Next = holes.DueAt(&u.Hole, now, a.shownAgain)
		}
		list = append(list, h)
	}
	slices.SortFunc(list, func(x, y Hole) int {
		return cmp.Or(y.Since.Compare(x.Since), strings.Compare(x.Session, y.Session))
	})
	return list
}
