package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

const (
	// enoughToTell is how many known sessions must be missing from the part of the
	// list in which they stood, and how many others must stand there, before the list
	// is taken for another account's without further questions.
	enoughToTell = 5
	// enoughToAsk is how many known sessions are asked for apart where a page shows
	// only strangers; an account that knows fewer cannot tell.
	enoughToAsk = 3
)

// errForeignPage is a page that shows only strangers although the API should show
// known sessions.
var errForeignPage = errors.New("the API shows unknown sessions in place of the stored ones")

// WayOut says what to do about an account that is stopped.
func WayOut(account string) string {
	return "if this key is wrong, put the right secret_key back and restart notifier, which reads it then: the account goes on by itself; " +
		"if the account is to be another one from now on: notifier accounts accept " + account
}

// knows says whether a session is one by which the account is known again. Those that
// the API does not show any more, or that an operator's acceptance gave up, are not.
func (a *account) knows(id []byte) bool {
	e := a.index.Find(id)
	return e != nil && !e.IsVanished()
}

// plausible says whether a page can be of this account. Many strangers where many
// known sessions stood are enough to tell. Otherwise nothing of a page that shows only
// strangers is believed before the API has shown a known session, in this pass or
// when asked for it apart. Those that this pass was shown stand elsewhere in the list,
// and what a page repeats of the one before says nothing of it. A filter hides known
// sessions for a reason of its own. Until a first pass is complete all known sessions may be
// so young that a replica that lags denies them; a changed key is asked about apart.
func (a *account) plausible(ctx context.Context, page *wooshpay.Page, q wooshpay.Query, repeats []uint64) error {
	if a.cfg.Filter != (wooshpay.Filter{}) || a.state.Low.IsZero() {
		return nil
	}
	for i := range page.Bad {
		if a.knows([]byte(page.Bad[i].ID)) {
			a.now.met = true
			return nil
		}
	}
	strangers, enough := 0, enoughToAsk
	newest, oldest := int64(0), int64(math.MaxInt64)
	for i := range page.Items {
		it := &page.Items[i]
		if len(repeats) > 0 && slices.Contains(repeats, hashID(it.ID)) {
			continue
		}
		if a.knows(it.ID) {
			a.now.met = true
			return nil
		}
		if a.index.Find(it.ID) != nil { // given up once: the account may be a former one
			enough = 1
		}
		strangers++
		newest, oldest = max(newest, it.Created), min(oldest, it.Created)
	}
	if strangers == 0 {
		return nil
	}
	// Of the page's oldest second some may stand on the next page.
	from, to := time.Unix(oldest, 0).Add(2*wooshpay.CreatedRounding), time.Unix(newest, 0).Add(-wooshpay.CreatedRounding)
	ordered := page.Ordered() // a few sessions may look ordered by chance
	// Where the index has forgotten sessions a stranger may be one of them.
	if strangers >= enoughToTell && ordered && oldest >= a.forgotten.Unix() && a.standing(from, to, enoughToTell) == enoughToTell {
		return errForeignPage
	}
	if page.Ends() {
		from = q.CreatedGTE.Add(2 * wooshpay.CreatedRounding)
	}
	if q.StartingAfter == "" && q.CreatedLTE.IsZero() {
		to = endOfTime
	}
	stood := ordered && a.standing(from, to, 1) > 0
	if (a.now.met && !stood) || len(a.acquaintances()) < enough {
		return nil
	}
	return a.askWhose(ctx, stood)
}

// endOfTime is later than every creation time.
var endOfTime = time.Unix(1<<40, 0)

// standing counts, up to most, the known sessions of a range that a page of it should
// show.
func (a *account) standing(from, to time.Time, most int) (n int) {
	for i, end := a.index.Search(from), a.index.Search(to); i < end && n < most; i++ {
		if a.shouldStand(a.index.At(i)) {
			n++
		}
	}
	return n
}

// shouldStand says whether the list should show a session that it did not show to this
// pass: one that is known, and not in a hole, which may be shown by now.
func (a *account) shouldStand(e *index.Entry) bool {
	return e != nil && !e.IsVanished() && e.Pass != a.now.number && !a.inHole(e)
}

// askWhose says whether a page of strangers can be of this account, by asking for known
// sessions; stood tells that one should stand on it. It is another account's if the API
// denies them all and shows others where they stood, or nothing. The latter is also what
// deleted test data looks like: nothing tells the two apart, and who stops and asks
// announces nobody else's orders. What is long settled may have left the API.
func (a *account) askWhose(ctx context.Context, stood bool) error {
	m, err := a.meet(ctx)
	switch {
	case err != nil:
		return err
	case m.known || (m.gone && !m.recent) || (!m.others && !m.gone && !stood):
		return nil
	case m.failed != nil: // not as a failure of the page, which was answered
		return fmt.Errorf("a page shows only strangers, and known sessions cannot be asked for: %s", m.failed.Error())
	}
	return errForeignPage
}

// meeting is what the API shows when it is asked for known sessions apart.
type meeting struct {
	asked  int
	known  bool  // it has one of them
	others bool  // where they stood its list shows others
	gone   bool  // where they stood and below its list shows nothing
	recent bool  // they are such that it should show them
	failed error // it did not answer for one of them
}

// meet asks for known sessions by their ids and, for an API that does not answer for
// single ones, by the list where the newest of them stood; once in a pass.
func (a *account) meet(ctx context.Context) (meeting, error) {
	for a.now.meets {
		a.turn.Wait()
	}
	if a.now.meeting != nil {
		return *a.now.meeting, nil
	}
	a.now.meets = true
	m, err := a.askKnown(ctx)
	a.now.meets = false
	a.turn.Broadcast()
	if err != nil {
		return m, err
	}
	a.now.meeting, a.now.met = &m, a.now.met || m.known
	return m, nil
}

func (a *account) askKnown(ctx context.Context) (m meeting, err error) {
	list := a.acquaintances()
	slices.SortFunc(list, func(e, other *index.Entry) int { return other.Created().Compare(e.Created()) })
	for _, e := range list {
		m.asked++
		m.recent = m.recent || e.IsWatched() || e.Created().After(a.clock.Now().Add(-a.reach()))
		_, err := a.getByID(ctx, a.index.ID(e))
		switch {
		case err == nil:
			m.known = true
			return m, nil
		case unshown(err):
			m.failed = cmp.Or(m.failed, err)
		case !refused(err):
			return m, err
		}
	}
	err = a.askWhereTheyStood(ctx, list, &m)
	return m, err
}

// askWhereTheyStood asks the list for what stands where known sessions stood: all of
// them, for a page may be full of what was created within a second of one. The list may
// fail over a session of its own that it cannot show, and then be able to show one alone.
// Then it asks for what stands below them, for an API that reads milliseconds shows nothing
// up to a time: that can tell only that the account is this one.
func (a *account) askWhereTheyStood(ctx context.Context, list []*index.Entry, m *meeting) error {
	var failed error
	answered := false
	for _, limit := range []int{a.cfg.Poll.Tuning.PageSize, 1} {
		for i := 0; i < 2*len(list) && !m.known; i++ {
			e, below := list[i%len(list)], i >= len(list)
			until := e.Created().Add(wooshpay.CreatedRounding)
			q := wooshpay.Query{CreatedLTE: until, Limit: limit}
			if below {
				q = wooshpay.Query{StartingAfter: a.index.ID(e), Limit: limit}
			}
			page, err := a.list(ctx, patience{apart: true}, q)
			switch {
			case refused(err) && !below:
				return nil
			case unavailable(err):
				failed = cmp.Or(failed, err)
				continue
			case err != nil:
				return err
			}
			answered, m.known = answered || !below, a.showsKnown(page)
			m.gone = m.gone || (i == 0 && page.Total == 0)
			m.others = m.others || (!below && len(page.Items) > 0 && !page.Newest().After(until.Add(wooshpay.CreatedRounding))) // else it ignores the time
			page.Release()
		}
		if answered || m.known {
			return nil
		}
	}
	m.failed = cmp.Or(m.failed, failed)
	return nil
}

// acquaintances are the known sessions that are asked for: of those that the list should
// show the newest, one of the middle and the oldest, so that neither a replica that lags
// nor a few that were deleted hide them all. Vanished ones tell nothing.
func (a *account) acquaintances() (list []*index.Entry) {
	n := a.index.Len()
	for _, hidden := range []bool{false, true} {
		for _, start := range []int{n - 1, n / 2, 0} {
			for i := range n {
				e := a.index.At((start - i + n) % n)
				if !e.IsVanished() && !slices.Contains(list, e) && (hidden || (e.Listed() && !a.inHole(e))) {
					list = append(list, e)
					break
				}
			}
			if len(list) == enoughToAsk {
				return list
			}
		}
	}
	return list
}
