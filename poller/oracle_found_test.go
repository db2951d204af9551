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
	} {
		t.Run(name, func(t *testing.T) {
			u.start, u.params, u.badCursor = poller.StartNow, poller.ParamsBody, 404
			size := u.poll.Tuning.PageSize
			u.poll = poller.DefaultPoll()
			u.poll.Tuning.PageSize = cmp.Or(size, u.poll.Tuning.PageSize)
			if faults := u.live(t, daemon); len(faults) > 0 {
				t.Error(report(u, faults))
			}
		})
	}
}
