package poller_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

func open(more simulator.Fields) simulator.Fields {
	f := simulator.Fields{"status": "open", "payment_status": "unpaid"}
	for k, v := range more {
		f[k] = v
	}
	return f
}

func paid() simulator.Fields {
	return simulator.Fields{"status": "complete", "payment_status": "paid"}
}

func (w *world) expect(id string, types ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff(types, w.events[id]); diff != "" {
		w.t.Errorf("events of %s (-want +got):\n%s", id, diff)
	}
}

func TestWhatExistedIsSilentAndWhatFollowsIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		before := w.create(open(nil))
		done := w.create(paid())
		p := w.poller()
		w.run(p, 15*time.Second)
		after := w.create(open(nil))
		bornPaid := w.create(paid())
		w.update(before, paid())
		w.run(p, 15*time.Second)
		w.update(after, simulator.Fields{"status": "complete"})
		w.run(p, 15*time.Second)
		w.update(after, paid())
		w.run(p, 20*time.Minute)

		w.expect(before, "completed", "paid", "fulfillable")
		w.expect(done)
		w.expect(after, "created", "completed", "paid", "fulfillable")
		w.expect(bornPaid, "created", "completed", "paid", "fulfillable")
	})
}

// Sessions made in the very second of the start, more than a page of them, are
// silent; those made right after the first pass are not.
func TestStartInABusySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		var before, after []string
		for range 35 {
			before = append(before, w.create(open(nil)))
		}
		p := w.poller()
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 35 {
			after = append(after, w.create(open(nil)))
		}
		w.run(p, 15*time.Second)
		for i := range before {
			w.expect(before[i])
			w.expect(after[i], "created")
		}
	})
}

func TestStart(t *testing.T) {
	tests := []struct {
		start string
		want  []string // of a session of yesterday
	}{
		{poller.StartNow, nil},
		{poller.StartAll, []string{"created", "completed", "paid", "fulfillable"}},
		{"2026-11-21T09:00:00Z", []string{"created", "completed", "paid", "fulfillable"}},
		{"2026-11-21T11:00:00Z", nil},
	}
	for _, tt := range tests {
		t.Run(tt.start, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = tt.start
				id := w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": "2026-11-21T10:00:00Z"})
				w.run(w.poller(), 15*time.Second)
				w.expect(id, tt.want...)
			})
		})
	}
}

func TestRestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.create(open(nil))
		w.run(w.poller(), 15*time.Second)
		// While nobody looks: one is paid, one is born and paid.
		w.update(a, paid())
		b := w.create(paid())
		time.Sleep(3 * time.Hour)
		w.run(w.poller(), 15*time.Second)
		w.expect(a, "completed", "paid", "fulfillable")
		w.expect(b, "created", "completed", "paid", "fulfillable")
	})
}

func TestManyPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 7
		ids := make([]string, 100)
		for i := range ids {
			ids[i] = w.create(open(nil))
			time.Sleep(7 * time.Second)
		}
		w.run(w.poller(), 15*time.Second)
		for _, id := range ids {
			w.expect(id, "created")
		}
	})
}

// A late payment long after the head has moved on is found by the session's tier.
func TestOldSessionsAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Interval = time.Minute
		w.cfg.Poll.Tuning.PageSize = 20
		p := w.poller()
		w.run(p, 61*time.Second)
		transfer := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
		cart := w.create(open(simulator.Fields{"expires_in": "24h"}))
		for range 30 { // traffic that pushes both far down the list
			for range 5 {
				w.create(paid())
			}
			w.run(p, 10*time.Minute)
		}
		w.update(transfer, simulator.Fields{"payment_status": "paid"})
		w.run(p, 16*time.Minute)
		w.expect(transfer, "created", "completed", "paid", "fulfillable")
		w.run(p, 20*time.Hour)
		w.expect(cart, "created", "expired timer")
		late := w.events[cart]
		if len(late) != 2 {
			t.Errorf("the expiry was told %d times", len(late)-1)
		}
	})
}

// Every fault of the API, alone: nothing is lost, nothing is told twice,
// nothing that did not happen is told.
func TestFaults(t *testing.T) {
	share := simulator.Share
	tests := map[string]simulator.Faults{
		"hang":                {Hang: share(0.2), HangMS: 60_000},
		"throttled":           {RateLimited: share(0.4), RetryAfterS: 7},
		"throttled bare":      {RateLimitedBare: share(0.4)},
		"HTML error":          {ServerError: share(0.4)},
		"unavailable":         {Unavailable: share(0.4)},
		"denied":              {Unauthorized: simulator.Times(3)},
		"forbidden":           {Forbidden: simulator.Times(3)},
		"redirect":            {Redirect: share(0.3)},
		"cut body":            {CutBody: share(0.4)},
		"invalid JSON":        {InvalidJSON: share(0.4)},
		"truncated JSON":      {TruncatedJSON: share(0.4)},
		"repeated pages":      {RepeatPage: share(0.5)},
		"cursor ignored":      {RepeatPage: simulator.Always()},
		"filter ignored":      {IgnoreFilters: simulator.Always()},
		"limit ignored":       {IgnoreLimit: simulator.Always()},
		"limit, has_more":     {IgnoreLimit: simulator.Always(), HasMoreNull: simulator.Always()},
		"ascending":           {Ascending: simulator.Always()},
		"sometimes ascending": {Ascending: share(0.3)},
		"empty pages":         {EmptyPage: share(0.3)},
		"has_more null":       {HasMoreNull: simulator.Always()},
		"has_more true":       {HasMoreTrue: simulator.Always()},
		"seconds":             {Seconds: share(0.5)},
		"string numbers":      {StringNumbers: share(0.5)},
		"rotating url":        {RotateURL: simulator.Always()},
		"nulls":               {NullFlip: simulator.Always()},
		"item without id":     {ItemWithoutID: share(0.5)},
		"item without status": {ItemWithoutStatus: share(0.5)},
		"item no object":      {ItemNotObject: share(0.5)},
		"duplicate item":      {DuplicateItem: share(0.5)},
		"stale replicas":      {Stale: share(0.5), StaleMS: 120_000},
		"late visibility":     {Late: 0.5, LateMS: 120_000},
		"clock ahead":         {ClockSkewS: 3600},
		"clock behind":        {ClockSkewS: -3600},
		"filter in ms":        {FilterUnit: simulator.UnitMillis},
		"query only":          {Params: simulator.ParamsQuery},
		"body refused":        {RejectBody: simulator.Always()},
		"mixed": {
			RateLimitedBare: share(0.05), ServerError: share(0.05), CutBody: share(0.05), TruncatedJSON: share(0.05),
			RepeatPage: share(0.05), EmptyPage: share(0.05), Seconds: share(0.3), StringNumbers: share(0.3), RotateURL: simulator.Always(),
			NullFlip: simulator.Always(), ItemWithoutStatus: share(0.2), ItemWithoutID: share(0.2), DuplicateItem: share(0.2),
			Stale: share(0.2), StaleMS: 120_000, Late: 0.2, LateMS: 60_000, HasMoreNull: share(0.3), ClockSkewS: -30,
		},
	}
	for name, faults := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testFault(t, faults) })
		})
	}
}

func testFault(t *testing.T, faults simulator.Faults) {
	w := newWorld(t)
	w.cfg.Poll.Tuning.PageSize = 10
	w.cfg.Poll.Interval = time.Minute
	existing := w.create(open(nil))
	p := w.poller()
	w.run(p, 61*time.Second)
	w.faults(faults)
	var carts, transfers, abandoned []string
	for i := range 8 {
		carts = append(carts, w.create(open(nil)))
		transfers = append(transfers, w.create(open(nil)))
		abandoned = append(abandoned, w.create(open(simulator.Fields{"expires_in": fmt.Sprintf("%dm", 20+i)})))
		w.run(p, 3*time.Minute)
		w.update(carts[i], paid())
		w.update(transfers[i], simulator.Fields{"status": "complete"})
		w.run(p, 4*time.Minute)
	}
	for _, id := range transfers {
		w.update(id, simulator.Fields{"payment_status": "paid"})
		w.run(p, time.Minute)
	}
	w.update(existing, paid())
	w.run(p, time.Hour)
	w.faults(simulator.Faults{})
	w.run(p, 65*time.Minute)

	w.expect(existing, "completed", "paid", "fulfillable")
	for i := range carts {
		w.expect(carts[i], "created", "completed", "paid", "fulfillable")
		w.expect(transfers[i], "created", "completed", "paid", "fulfillable")
		got := w.events[abandoned[i]]
		if len(got) != 2 || got[0] != "created" || !strings.HasPrefix(got[1], "expired") {
			t.Errorf("abandoned cart %d: %v", i, got)
		}
	}
	for _, s := range p.Status() {
		for _, o := range s.Oddities {
			t.Logf("oddity %s × %d: %s", o.Code, o.Count, o.Message)
		}
	}
}

func TestVanishedAndRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, 11*time.Second)
		gone := w.create(open(nil))
		w.run(p, 11*time.Second)
		w.faults(simulator.Faults{Vanished: []string{gone}})
		w.run(p, 40*time.Minute)
		if s := w.snapshots[gone]; !s.Watch.Is(event.Vanished) {
			t.Errorf("watch = %s, want vanished", s.Watch)
		}
		w.expect(gone, "created")
		w.faults(simulator.Faults{})
		w.update(gone, paid())
		w.run(p, 65*time.Minute) // reconciliation finds it
		w.expect(gone, "created", "completed", "paid", "fulfillable")
	})
}

func TestUnresolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.UnpaidFor = 24 * time.Hour
		w.cfg.Poll.Interval = time.Minute
		p := w.poller()
		w.run(p, 61*time.Second)
		id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
		w.run(p, 26*time.Hour)
		w.expect(id, "created", "completed", "unresolved")
		if s := w.snapshots[id]; !s.Watch.Is(event.GivenUp) {
			t.Errorf("watch = %s", s.Watch)
		}
	})
}

// A payment after unpaid_for is seen by the reconciliation of the last 25 hours, and later
// by a backfill alone.
func TestPaymentAfterUnresolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.UnpaidFor = time.Hour
		w.cfg.Poll.Interval = time.Minute
		p := w.poller()
		w.run(p, 61*time.Second)
		unpaid := simulator.Fields{"status": "complete", "payment_status": "unpaid"}
		soon, late := w.create(unpaid), w.create(unpaid)
		w.run(p, 3*time.Hour)
		w.create(paid()) // the head ends above the two
		w.update(soon, paid())
		w.run(p, 65*time.Minute)
		w.expect(soon, "created", "completed", "unresolved", "paid", "fulfillable")
		w.run(p, 24*time.Hour)
		w.update(late, paid())
		w.run(p, 26*time.Hour)
		w.expect(late, "created", "completed", "unresolved")
		w.backfill(p, time.Minute, poller.Backfill{Since: time.Now().Add(-72 * time.Hour)})
		w.expect(late, "created", "completed", "unresolved", "paid", "fulfillable")
	})
}

// A page that could not be committed is read again.
func TestFailedCommitLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, 11*time.Second)
		id := w.create(paid())
		w.fail = errors.New("disk full")
		w.run(p, 25*time.Second)
		w.expect(id, "created", "completed", "paid", "fulfillable")
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.RateLimit = 2
		w.cfg.Poll.Tuning.PageSize = 10
		for range 400 {
			w.create(paid())
		}
		p := w.poller()
		w.run(p, 10*time.Second)
		if w.requests > 2*10+2 {
			t.Errorf("%d requests in 10 s at 2 a second", w.requests)
		}
	})
}

func TestIDsAreOrderedAsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 5
		var ids []string
		for range 50 { // all in one second: only the id breaks the tie
			ids = append(ids, w.create(open(nil)))
		}
		w.run(w.poller(), 15*time.Second)
		slices.Sort(ids)
		for _, id := range ids {
			w.expect(id, "created")
		}
	})
}

// Whoever waits for a single pass must not wait for every known session in turn
// when the whole API is away.
func TestOnceEndsSoonWhenTheAPIIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 5 {
			w.create(open(nil))
		}
		w.run(w.poller(), time.Minute)
		time.Sleep(12 * time.Hour) // all of them are due
		w.faults(simulator.Faults{Unavailable: simulator.Always()})
		before, began := w.requests, time.Now()
		if err := w.poller().RunOnce(t.Context()); !errors.Is(err, poller.ErrUnreachable) || strings.Contains(err.Error(), "\n") {
			t.Errorf("RunOnce = %v, want one line that is ErrUnreachable", err)
		}
		if asked, took := w.requests-before, time.Since(began); asked > 12 || took > 15*time.Second {
			t.Errorf("it asked %d times in %v", asked, took)
		}
	})
}
