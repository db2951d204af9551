package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/wooshpay"
)

// sweep reads a range of the list besides what the passes read, a part of it in
// the time that each of them leaves: a reconciliation, or a backfill. A nil one
// stands for a pass itself.
type sweep struct {
	account  string
	scan     *scan
	since    time.Time
	until    time.Time
	sighting uint64    // the last of a row that makes no sense before it began
	backfill *Backfill // nil: a reconciliation
	report   BackfillReport
	told     map[string]bool // sessions of which a dry run has told
	progress func(BackfillReport)
	gone     <-chan struct{} // whoever asked has left
	done     chan error
	failures int       // in a row
	resume   time.Time // not before
}

// A sweep that failed rests, longer each time: the passes, which come first, are
// not held up again and again by a page that cannot be read.
const (
	sweepRest     = 10 * time.Second
	sweepRestMost = 10 * time.Minute
)

// dry says whether nothing of it is to be recorded.
func (s *sweep) dry() bool { return s != nil && s.backfill != nil && s.backfill.DryRun }

// known are the holes that are read around: a dry run comes upon them.
func (s *sweep) known(all []event.Hole) []event.Hole {
	if s.dry() {
		return nil
	}
	return all
}

// announce says whether what was forgotten is announced all the same.
func (s *sweep) announce() bool { return s != nil && s.backfill != nil && s.backfill.Announce }

// leavesOut says whether an item is not of the range that was asked for, which
// pages overlap at both ends.
func (s *sweep) leavesOut(it *wooshpay.Item) bool {
	if s == nil || s.backfill == nil || it.IsAbsurd() {
		return false
	}
	created := it.CreatedAt()
	return created.Before(s.since.Truncate(time.Second)) || (!s.until.IsZero() && created.After(s.until))
}

// saw counts a page.
func (s *sweep) saw(page *wooshpay.Page) {
	if s == nil {
		return
	}
	s.report.Pages++
	for i := range page.Items {
		if it := &page.Items[i]; !it.Again && !s.leavesOut(it) {
			s.report.Sessions++
		}
	}
	if len(page.Items) > 0 {
		s.report.Reached = page.Last().CreatedAt()
	}
	s.tell()
}

// tell tells whoever asked how far the sweep has come.
func (s *sweep) tell() {
	if s.progress != nil {
		s.progress(s.report)
	}
}

// drifted says whether a reconciliation shows what the passes should have found:
// a session that nobody knew. Of known ones they look at those that can still
// change; another state of a settled one is somebody's doing, not an oversight.
func (s *sweep) drifted(row *Row) bool {
	return s != nil && s.backfill == nil && row.New && row.Created.Before(s.until)
}

// failed tells whoever asked what keeps the sweep from going on.
func (s *sweep) failed(err error) {
	s.report.Error = err.Error()
	s.tell()
}

// MostFound bounds the sessions that a dry run lists.
const MostFound = 1000

// took counts what a batch came to.
func (s *sweep) took(handled *Handled) {
	if s == nil || s.backfill == nil {
		return
	}
	s.report.Events += handled.Events
	for i := range handled.Rows {
		row := &handled.Rows[i]
		switch {
		case s.repeats(row):
			if !row.Silent {
				s.report.Events -= len(row.Types)
			}
			continue
		case row.New:
			s.report.New++
		case row.Changed:
			s.report.Changed++
		default:
			continue
		}
		if row.Silent {
			s.report.Silent++
		}
		if s.dry() && len(s.report.Found) < MostFound {
			s.report.Found = append(s.report.Found, Found{
				Account: s.account, Session: row.ID, Created: row.Created, Types: row.Types, Silent: row.Silent,
			})
		}
	}
	s.tell()
}

// repeats says whether a dry run has told of a session: slices overlap, and what
// is not recorded looks new each time.
func (s *sweep) repeats(row *Row) bool {
	if !s.dry() || (!row.New && !row.Changed) {
		return false
	}
	told := s.told[row.ID]
	s.told[row.ID] = true
	return told
}

// reconcile begins a sweep over the whole window when one is due. Once it reads as far
// as a first pass or a catch-up did, and further while the list is mistrusted: what the
// API insisted on wrongly would be hidden for good.
func (a *account) reconcile() {
	now := a.clock.Now()
	age := now.Sub(a.state.Reconciled)
	// One of the future tells of a Date that was wrong then, or is now.
	if (age >= 0 && age < a.reconcileEvery()) || a.reconciling() {
		return
	}
	until := a.state.Low.Add(-a.cfg.Poll.Tuning.Overlap)
	s := &sweep{since: now.Add(-Window), until: until, done: make(chan error, 1)}
	if !a.state.Reread.IsZero() {
		s.since = earlier(s.since, a.state.Reread)
	}
	s.since = earlier(s.since, later(a.downToLeftOvers(s.since, time.Time{}), a.sinceAny(now)))
	if s.since.After(until) { // the passes read further than that
		a.state.Reconciled = now
		return
	}
	a.begun = now
	a.sweeps = append([]*sweep{s}, a.sweeps...)
}

func (a *account) reconciling() bool {
	return slices.ContainsFunc(a.sweeps, func(s *sweep) bool { return s.backfill == nil })
}

// sweep goes on with the sweeps until the time of the next pass; each reads a
// page at least. What of them fails is tried again later, unless nothing is left
// to a later pass.
func (a *account) sweep(ctx context.Context, until time.Time) error {
	a.reconcile()
	for s := a.nextSweep(); s != nil; s = a.nextSweep() {
		err := a.goOn(ctx, s, until)
		switch {
		case s.left():
			a.end(s, context.Canceled)
			continue
		case errors.Is(err, errNotDone):
			return nil
		case err == nil:
			a.completed(s)
			a.end(s, nil)
		case ctx.Err() != nil || errors.Is(err, errForeignPage):
			return err
		case s.dry(): // whoever waits is told
			a.end(s, fmt.Errorf("%w: %w", ErrUnreachable, err))
		case until.IsZero() || denied(err):
			return err
		default:
			a.putOff(s, err)
		}
		if past(until) {
			return nil
		}
	}
	return nil
}

// nextSweep returns the first sweep that does not rest, nil if there is none.
func (a *account) nextSweep() *sweep {
	for _, s := range a.sweeps {
		if s.left() || !time.Now().Before(s.resume) {
			return s
		}
	}
	return nil
}

func (a *account) goOn(ctx context.Context, s *sweep, until time.Time) error {
	if s.left() {
		return nil
	}
	if s.scan == nil {
		s.sighting = a.sightings
		s.scan = newScan(a, patience{tries: min(a.tries, triesPerRequestOnce), deep: s.backfill != nil || !a.state.Reread.IsZero()}, s, s.since, s.until)
	}
	err := s.scan.run(ctx, until)
	if err == nil || errors.Is(err, errNotDone) {
		s.failures, s.report.Error = 0, ""
	}
	return err
}

// completed notes what a sweep has read.
func (a *account) completed(s *sweep) {
	if s.backfill != nil {
		if !s.dry() {
			a.readThrough(s.since, s.until, s.sighting)
		}
		s.report.Unread = holes.Unread(a.state.Holes, s.since, s.until)
		s.tell()
		return
	}
	a.reconciled(s.since)
	from := s.since
	if !from.After(a.sinceAny(a.begun)) { // nobody reads further
		from = time.Time{}
	}
	a.readThrough(from, time.Time{}, s.sighting) // what is newer the passes have read meanwhile
}

// putOff lets a sweep rest after a failure. A reconciliation that has failed for a
// whole window gives way to one over what is of interest by now.
func (a *account) putOff(s *sweep, err error) {
	if s.backfill == nil && a.clock.Now().Sub(a.begun) >= Window {
		a.end(s, err)
		return
	}
	s.resume = time.Now().Add(min(sweepRest<<min(s.failures, 10), sweepRestMost))
	s.failures++
	s.failed(err)
	a.odd("sweep_failed", "a reconciliation or backfill could not read a part of the list; it is tried again within ten minutes, and polling goes on meanwhile", "error", err)
}

// left says whether nobody waits for the sweep any more.
func (s *sweep) left() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

func (a *account) end(s *sweep, err error) {
	a.sweeps = slices.DeleteFunc(a.sweeps, func(other *sweep) bool { return other == s })
	s.done <- err
}

// past says whether a time has come; the zero time never does.
func past(until time.Time) bool { return !until.IsZero() && !time.Now().Before(until) }
