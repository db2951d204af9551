package poller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// revisit looks at every watched session that is due and that the head did not
// show, newest first. A list that starts after a session's newer neighbour shows
// it together with a page of older ones, so it is never dearer than asking for
// the session alone. What fails once keeps no other session from being looked at;
// two in a row are an API that is away.
func (a *account) revisit(ctx context.Context, until time.Time) error {
	r := &revisit{account: a, ctx: ctx, until: until, asked: make(map[*index.Entry]bool)}
	round := a.clock.Now()
	a.dropFutureRounds(round)
	due := a.due(round)
	for ; r.cover(due); due = r.left(a.due(round)) {
		a.parallel(min(max(a.cfg.Poll.Tuning.Concurrency, 1), len(r.pages)), r.work)
		if err := a.askSuspects(ctx, until); err != nil {
			return err
		}
	}
	a.nameLost()
	if err := a.vanish(ctx, r.vanished()); err != nil {
		return err
	}
	if err := cmp.Or(ctx.Err(), r.failure); err != nil {
		return err
	}
	if !r.late() {
		a.looked(round)
	}
	return nil
}

// revisit is one pass's work on what is due.
type revisit struct {
	*account
	ctx   context.Context
	until time.Time

	asked   map[*index.Entry]bool // sessions that a page was begun with
	pages   []*index.Entry        // the first of each page that is to be asked for, newest first
	begun   int                   // pages
	denied  []*index.Entry        // often enough
	failure error                 // the first
	inARow  int
	stopped bool
}

// vanished lists the sessions that the API denies, without those that another
// page has shown since.
func (r *revisit) vanished() (gone []Gone) {
	for _, e := range r.denied {
		if e.Misses >= missesToVanish {
			gone = append(gone, Gone{ID: r.index.ID(e), Looked: e.LookedAt()})
		}
	}
	return gone
}

// late says whether the rest is left to the next pass. As many pages as go at
// once are asked for in any case.
func (r *revisit) late() bool {
	return past(r.until) && r.begun >= r.cfg.Poll.Tuning.Concurrency
}

// left returns what is still due: what neither a page has shown nor was asked for.
func (r *revisit) left(due []*index.Entry) []*index.Entry {
	return slices.DeleteFunc(due, func(e *index.Entry) bool { return e.Pass == r.now.number || r.asked[e] })
}

// cover chooses the fewest pages that show all that is due, which is newest
// first, and says whether there are any: each begins with the newest session that
// no page before it reaches. What no page is expected to show stands for itself, and
// so does what has waited longest where pages did not show all that they should.
func (r *revisit) cover(due []*index.Entry) bool {
	r.pages = r.pages[:0]
	if r.stopped || r.ctx.Err() != nil {
		return false
	}
	if r.late() {
		r.now.waiting = len(due)
		return false
	}
	reach := -1 // place of the last session that the pages so far show; none yet
	for _, e := range due {
		place := r.index.Position(e)
		switch {
		case r.standsAlone(e) || r.isHidden(e):
			r.pages = append(r.pages, e)
		case reach < 0 || place < reach:
			r.pages = append(r.pages, e)
			reach = r.reach(place)
		}
	}
	if r.begun > 0 && len(due) > 0 {
		longest := slices.MinFunc(due, func(x, y *index.Entry) int { return r.lastLook(x).Compare(r.lastLook(y)) })
		if !slices.Contains(r.pages, longest) {
			r.pages = append(r.pages, longest)
		}
	}
	return len(r.pages) > 0
}

// reach returns the place of the oldest session on a page that begins at a place.
func (r *revisit) reach(place int) int {
	floor := holes.Floor(r.state.Holes, r.index.At(place).Created())
	for left := r.room(place+1, r.cfg.Poll.Tuning.PageSize); place >= 0; place-- {
		e := r.index.At(place)
		if !e.Created().After(floor) {
			return place + 1
		}
		if e.Listed() {
			if left--; left == 0 {
				return place
			}
		}
	}
	return 0
}

// work asks for page after page.
func (r *revisit) work() {
	for len(r.pages) > 0 && !r.stopped && !r.late() && r.ctx.Err() == nil {
		e := r.take()
		r.asked[e] = true
		if e.Pass == r.now.number {
			continue
		}
		r.begun++
		before := e.TriedAt()
		err := r.lookAt(r.ctx, e)
		if err != nil {
			if unanswered(err) {
				e.SetSetbacks(max(e.Setbacks(), 1))
			} else { // it was not for the session
				e.SetTried(before)
			}
			r.failure = cmp.Or(r.failure, err)
			r.inARow++
			r.stopped = r.stopped || r.inARow > 1 || !unanswered(err)
			continue
		}
		r.inARow = 0
		if e.Misses >= missesToVanish {
			r.denied = append(r.denied, e)
		}
	}
}

// take takes the next page: the newest, but every fourth time (counted over all passes),
// and where that could not be shown, the one that has waited longest, so that older
// sessions wait while the rate binds, and not for ever.
func (r *revisit) take() *index.Entry {
	next := 0
	if r.taken++; r.taken%4 == 0 || r.pages[0].Setbacks() > 0 {
		for i, e := range r.pages {
			if r.lastLook(e).Before(r.lastLook(r.pages[next])) {
				next = i
			}
		}
	}
	e := r.pages[next]
	r.pages = slices.Delete(r.pages, next, next+1)
	return e
}

// lookAt shows one due session, by the page on which it stands or by its id. An
// error is more than that the API cannot show this one: then it answered neither
// for the page nor for the session.
func (a *account) lookAt(ctx context.Context, e *index.Entry) error {
	var goesOn bool
	var err error
	before := e.TriedAt()
	e.SetTried(a.clock.Now())
	neighbour := a.index.NewerNeighbour(e)
	hidden := a.isHidden(e)
	onPage := !a.standsAlone(e) && (!hidden || a.probesHidden())
	if onPage {
		goesOn, err = a.showPage(ctx, e, neighbour)
	}
	if errors.Is(err, errNoCursors) {
		goesOn, err = a.showPage(ctx, e, "")
	}
	if goesOn {
		a.noteListed(hidden)
	}
	switch {
	case err != nil && (!unanswered(err) || denied(err)):
		return err
	case e.Pass == a.now.number:
		return nil
	}
	alone := a.lookByID(ctx, e)
	if onPage && !goesOn && e.Pass == a.now.number && (err == nil || unavailable(err)) {
		a.noteHidden(e)
	}
	if unavailable(err) && e.Pass == a.now.number && !hidden {
		a.suspect(neighbour, e)
	}
	if unavailable(alone) && a.now.read && (err == nil && !hidden || e.Setbacks() > 0 || a.answersElsewhere(ctx, false)) {
		if unavailable(err) && onPage && !hidden { // another session may be what the page cannot show
			a.suspect(neighbour, e)
		}
		a.setBack(e, before)
		return nil
	}
	return alone
}

// errNoCursors is a page that shows that cursors are ignored.
var errNoCursors = errors.New("the API ignores starting_after")

// showPage handles the page that begins with a session: after a newer neighbour
// or, where cursors are ignored, at its creation time. goesOn says whether the page
// shows any row that may stand in the session's place or below it.
func (a *account) showPage(ctx context.Context, e *index.Entry, neighbour string) (goesOn bool, err error) {
	p := patience{tries: 1} // there is another way
	q := wooshpay.Query{StartingAfter: neighbour, Limit: a.cfg.Poll.Tuning.PageSize}
	for i := range a.state.Holes {
		if h := &a.state.Holes[i]; h.Above == neighbour && (neighbour != "" || h.Newest()) { // it begins below the hole
			q.StartingAfter, q.CreatedLTE = holes.Under(h)
		}
	}
	if a.cursorless {
		q.StartingAfter, q.CreatedLTE = "", e.Created().Add(wooshpay.CreatedRounding)
	}
	a.clearOf(&q, e, neighbour)
	q.Limit = a.room(a.index.Position(e)+1, q.Limit)
	page, err := a.page(ctx, p, q, nil)
	if err != nil {
		return false, err
	}
	goesOn = len(page.Bad) > 0 || slices.ContainsFunc(page.Items, func(it wooshpay.Item) bool {
		return !it.CreatedAt().After(e.Created().Add(wooshpay.CreatedRounding))
	})
	ignored := q.StartingAfter != "" && a.above(page, q.StartingAfter)
	err = a.handle(ctx, page, nil)
	page.Release()
	if err != nil || !ignored || e.Pass == a.now.number {
		return goesOn, err
	}
	a.cursorless = true
	a.odd("cursor_ignored", "the API ignores or refuses the cursor starting_after; pages are asked for by creation time instead, which takes more requests")
	return goesOn, errNoCursors
}

// above says whether a page begins above the session after which it was to begin, or
// shows it. Within a second, and what is rounded to one, no order is promised.
func (a *account) above(page *wooshpay.Page, after string) bool {
	if slices.ContainsFunc(page.Items, func(it wooshpay.Item) bool { return string(it.ID) == after }) {
		return true
	}
	if len(page.Items) == 0 || !page.Ordered() {
		return false
	}
	first, cursor := a.index.Find(page.First().ID), a.index.Get(after)
	return first != nil && cursor != nil && first.Created().After(cursor.Created().Add(wooshpay.CreatedRounding))
}

func (a *account) lookByID(ctx context.Context, e *index.Entry) error {
	page, err := a.readByID(ctx, a.index.ID(e))
	if err == nil {
		return a.handle(ctx, page, nil)
	}
	a.failedByID(e, err)
	switch {
	case errors.Is(err, wooshpay.ErrNotFound) && a.standsAlone(e): // no page can say so
		return err
	case errors.Is(err, wooshpay.ErrNotFound) && !a.now.listed: // the API may know no address, or no session at all
		return nil
	case errors.Is(err, wooshpay.ErrNotFound):
		return a.miss(ctx, e)
	case refused(err):
		a.odd("get_refused", "the API gives no answer for a single session that is asked for by its id; that one is asked for less often", "error", err)
	}
	return err
}

// miss counts that the API denies a session, unless it stands elsewhere among
// those of its second than its id says and the API answers for no single one.
func (a *account) miss(ctx context.Context, e *index.Entry) error {
	_, err := a.showPage(ctx, e, a.newerSecond(e))
	switch {
	case errors.Is(err, errNoCursors):
		return nil // the next look takes another way
	case err != nil && !refused(err):
		return err
	case err != nil: // the cursor may be gone as well, or the page is what the API cannot show
		a.suspect(a.newerSecond(e), e)
	}
	if e.Pass != a.now.number {
		e.Misses = min(e.Misses+1, missesToVanish)
	}
	return nil
}

// newerSecond returns the id of the oldest session that was created in a later
// second than another, "" if there is none.
func (a *account) newerSecond(than *index.Entry) string {
	return a.index.ListedFrom(a.index.Search(than.Created().Add(time.Second)))
}
