package poller_test

import (
	"cmp"
	"testing"
	"time"

	"checkout-notifier/poller"
)

// Worlds in which the oracle found the poller at fault.
func TestOracleFound(t *testing.T) {
	hour := fate{lives: time.Hour, ends: pays, at: 10 * time.Minute}
	born := func(at time.Duration) fate { f := hour; f.born = at; return f }
	for name, u := range map[string]*universe{
		// The start that could not be stored was relied on, and another one was
		// stored after a crash: what lay between them was recorded silently.
		"the start is not stored": {
			fates: []fate{born(4 * time.Second), born(40 * time.Second)},
			crashes: []crash{
				{at: time.Millisecond, how: diskFull},
				{at: 2 * time.Second, how: diedAfter, down: time.Minute},
			},
		},
		// Slices between the seconds that rounding adds to both ends were split
		// for ever, and no pass ended.
		"more sessions in a second than on a page": {
			poll:  poller.Poll{Tuning: poller.Tuning{PageSize: 2}},
			fates: []fate{{born: time.Minute, twins: 3, lives: 15 * time.Minute, ends: pays, at: time.Minute}},
		},
		// A process that has not tried created[lte] let a hole reach down to the next
		// known session, over a healthy one that nobody had seen yet.
		"a healthy session below one that cannot be shown": {
			seed: 23515421, exact: true, badCursor: 400, cron: true,
			poll: poller.Poll{
				Interval: time.Minute, RateLimit: 5, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 5 * time.Minute, HotAge: 3 * time.Minute, WarmEvery: time.Minute, UnpaidEvery: 5 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 4 * time.Minute, PageSize: 13, Concurrency: 3,
				},
			},
			fates: []fate{
				{born: -time.Minute, lives: 24 * time.Hour, ends: abandoned},
				{born: 21*time.Minute + 20*time.Second, lives: 24 * time.Hour, ends: abandoned},
				{born: 21*time.Minute + 30*time.Second, lives: 15 * time.Minute, ends: abandoned, mends: 40 * time.Minute},
				{born: 21*time.Minute + 40*time.Second, lives: 24 * time.Hour, ends: abandoned},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			u.start, u.params, u.badCursor = poller.StartNow, poller.ParamsBody, cmp.Or(u.badCursor, 404)
			if size := u.poll.Tuning.PageSize; u.poll.Interval == 0 {
				u.poll = poller.DefaultPoll()
				u.poll.Tuning.PageSize = cmp.Or(size, u.poll.Tuning.PageSize)
			}
			if faults := u.live(t, daemon); len(faults) > 0 {
				t.Error(report(u, faults))
			}
		})
	}
}
