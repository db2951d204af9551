package poller_test

import (
	"cmp"
	"testing"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
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
		// The order of 671 ms is shown by the second pass first. The first answer is about older
		// sessions, and our clock is behind: nothing tells that the order existed by then, and
		// it is announced.
		"an order right before a first answer about older ones": {
			seed: 485, own: []time.Duration{-20 * time.Minute},
			fates: []fate{born(-time.Hour), born(-time.Minute), born(671 * time.Millisecond), born(30 * time.Second)},
			spells: []spell{
				{from: time.Millisecond, lasts: time.Minute, does: fails, share: 0.6},
				{from: time.Millisecond, lasts: time.Minute, does: badBody, share: 0.6},
			},
		},
		// By a clock of ours that is ahead the API's was taken to be as late as an answer
		// allows, and so was the start: what was ordered in the seconds after it was recorded
		// silently.
		"an order right after a first answer that is slow": {
			seed: 1, own: []time.Duration{time.Hour},
			fates:  []fate{born(-time.Hour), born(17 * time.Second), born(30 * time.Second)},
			spells: []spell{{lasts: time.Minute, does: slow, share: 1, n: 25}},
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
		// A pass whose time ended just where the hole does that it read left one that began
		// with its own end. Whatever came to it read the same page again and failed.
		"a hole that is read as the time ends": {
			seed:   1033,
			params: wooshpay.ParamsBoth,
			nudges: 7 * time.Second,
			poll: poller.Poll{
				Interval: 15 * time.Second, RateLimit: 2, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 5 * time.Minute, HotAge: 3 * time.Minute, WarmEvery: 3 * time.Minute, UnpaidEvery: 5 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 4 * time.Minute, PageSize: 2, Concurrency: 1,
				},
			},
			fates: []fate{
				{born: -(time.Hour + 32*time.Minute + 59*time.Second + 633*time.Millisecond), lives: 15 * time.Minute, ends: owes, at: time.Hour + 30*time.Minute + 15*time.Millisecond, noted: 15*time.Minute + 6*time.Millisecond},
				{born: time.Minute + 3*time.Second + 920*time.Millisecond, lives: 2 * time.Minute, ends: cancelled, at: 25*time.Minute + 24*time.Second + 797*time.Millisecond},
				{born: -(8*time.Minute + 59*time.Second + 222*time.Millisecond), lives: 15 * time.Minute, ends: paysLater, at: 18*time.Minute + 58*time.Second + 165*time.Millisecond, later: 14*time.Minute + 23*time.Second + 336*time.Millisecond, mends: 40 * time.Minute},
				{born: -(2*time.Minute + 59*time.Second + 769*time.Millisecond), lives: 24 * time.Hour, ends: cancelled, at: time.Minute + 161*time.Millisecond, lag: 23 * time.Second},
				{born: -time.Minute, lives: 2 * time.Minute, ends: abandoned, at: 6*time.Minute + time.Millisecond, twins: 6},
				{born: -(time.Hour + 29*time.Minute + 59*time.Second + 998*time.Millisecond), lives: 15 * time.Minute, ends: pays, at: time.Hour + 40*time.Minute + time.Millisecond, lag: 2*time.Minute + 20*time.Second},
				{born: -(time.Hour + 27*time.Minute + 39*time.Second + 791*time.Millisecond), lives: 45 * time.Minute, ends: pays, at: time.Hour + 45*time.Minute + 47*time.Second + 733*time.Millisecond, lag: 2 * time.Second},
				{born: -(8*time.Minute + time.Millisecond), lives: 2 * time.Minute, ends: pays, at: time.Second + 18*time.Millisecond, noted: 14*time.Minute + 3*time.Millisecond, hides: 4*time.Minute + 14*time.Second + 916*time.Millisecond, back: 5*time.Minute + 14*time.Second + 943*time.Millisecond},
				{born: -(25*time.Hour + 58*time.Minute + 59*time.Second + 994*time.Millisecond), lives: 45 * time.Minute, ends: paysLater, at: time.Minute + 24*time.Second + 9*time.Millisecond, later: 26*time.Hour + 8*time.Minute + 45*time.Second + 212*time.Millisecond, noted: 15 * time.Minute},
				{born: -(time.Hour + 34*time.Minute + 59*time.Second + 999*time.Millisecond), lives: 45 * time.Minute, ends: cancelled, at: time.Hour + 31*time.Minute + 53*time.Millisecond, noted: 24 * time.Millisecond, twins: 7},
				{born: -(8*time.Minute + 59*time.Second + 617*time.Millisecond), lives: 15 * time.Minute, ends: pays, at: 2*time.Minute + 126*time.Millisecond, lag: 14 * time.Second},
				{born: -(time.Minute + 59*time.Second + 886*time.Millisecond), lives: 45 * time.Minute, ends: isFree, at: time.Minute + 4*time.Millisecond, noted: 3*time.Minute + time.Millisecond},
				{born: -(time.Hour + 38*time.Minute + 59*time.Second + 982*time.Millisecond), lives: 45 * time.Minute, ends: paysLater, at: time.Hour + 39*time.Minute + 2*time.Millisecond, later: time.Second + 38*time.Millisecond, mends: 40 * time.Minute},
				{born: -(2*time.Minute + 59*time.Second + 882*time.Millisecond), lives: 45 * time.Minute, ends: cancelled, at: time.Minute + time.Second + 8*time.Millisecond, lag: 2 * time.Second, twins: 5},
				{born: 2*time.Minute + time.Second + 214*time.Millisecond, lives: 2 * time.Minute, ends: owes, at: 19*time.Second + 218*time.Millisecond},
				{born: 4*time.Minute + 16*time.Second + 954*time.Millisecond, lives: 45 * time.Minute, ends: pays, at: 7*time.Minute + 24*time.Millisecond},
				{born: -(59*time.Hour + 41*time.Minute + 59*time.Second + 109*time.Millisecond), lives: 15 * time.Minute, ends: pays, at: 7*time.Minute + 3*time.Millisecond, breaks: 20*time.Minute + 4*time.Millisecond, mends: time.Hour + 4*time.Millisecond},
				{born: 13*time.Minute + 43*time.Second + 416*time.Millisecond, lives: 2 * time.Minute, ends: owes, at: 3*time.Minute + 39*time.Millisecond, noted: 499 * time.Millisecond},
			},
			spells: []spell{
				{from: time.Millisecond, lasts: 5*time.Minute + 10*time.Second + 419*time.Millisecond, does: badBody, share: 0.25, n: 2},
				{from: 59*time.Second + 999*time.Millisecond, lasts: 2*time.Minute + 10*time.Second + 238*time.Millisecond, does: slow, share: 0.25, n: 7},
				{from: time.Minute + 51*time.Second + 785*time.Millisecond, lasts: 7*time.Minute + 10*time.Second + 20*time.Millisecond, does: busy, share: 0.6, n: 7},
			},
			crashes: []crash{
				{at: time.Minute + time.Millisecond, how: diskFull, down: 4 * time.Minute},
			},
		},
		// What was looked at by a clock that was ahead was set back by what Date tells of
		// it, which is cut to the second: the look seemed later than the change it missed.
		"a change right after the last look by a clock that was ahead": {
			fates: []fate{
				{born: -5 * time.Minute, lives: 24 * time.Hour, ends: abandoned, twins: 3},
				{
					born: -6 * time.Minute, lives: 24 * time.Hour, ends: pays, at: 7*time.Minute + 300*time.Millisecond,
					hides: 7*time.Minute + 301*time.Millisecond, back: 19 * time.Minute,
				},
			},
			spells: []spell{{lasts: 7 * time.Minute, does: lies, share: 1}},
		},
		// A hole that a look at an older session came upon while the API's clock was behind
		// was taken for twenty days old, and asked for once an hour when the clock was right.
		"a hole that is found by a clock that is behind": {
			poll: poller.Poll{
				Interval: 30 * time.Second, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 10 * time.Minute, HotAge: 3 * time.Minute, WarmEvery: 3 * time.Minute, UnpaidEvery: 5 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 10 * time.Minute, PageSize: 3, Concurrency: 2,
				},
			},
			fates: []fate{
				{born: 2 * time.Minute, lives: 24 * time.Hour, ends: abandoned},
				{born: 21 * time.Minute, lives: 24 * time.Hour, ends: abandoned},
				{born: 7 * time.Minute, lives: 24 * time.Hour, ends: abandoned},
				{born: 11 * time.Minute, lives: 24 * time.Hour, ends: abandoned, hides: 20*time.Minute + 24*time.Millisecond, back: 32 * time.Minute},
				{born: 4 * time.Minute, lives: 24 * time.Hour, ends: abandoned, mends: 40 * time.Minute},
			},
			spells: []spell{{from: 26*time.Minute + 30*time.Second, lasts: 5*time.Minute + 10*time.Second, does: lies, share: 1, n: 9}},
		},
		// The newest session, alone on its page, was shown before a newer one that the API does
		// not give away, and to ask for it again was to ask for that: the key seemed refused,
		// and all others waited.
		"a session that is not given away above one that was alone on its page": {
			seed: 6, randomIDs: true, exact: true,
			poll: poller.Poll{
				Interval: 30 * time.Second, RateLimit: 2, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 3 * time.Minute, HotAge: 3 * time.Minute, WarmEvery: 5 * time.Minute, UnpaidEvery: 5 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 4 * time.Minute, PageSize: 8, Concurrency: 4,
				},
			},
			fates: []fate{
				{born: -7 * time.Minute, lives: 45 * time.Minute, ends: abandoned},
				{born: 19*time.Minute + 29*time.Millisecond, lives: 24 * time.Hour, ends: abandoned},
				{born: 21 * time.Minute, lives: 24 * time.Hour, ends: abandoned, mends: 40 * time.Minute},
			},
		},
		// Of two sessions the API does not give away the older one, and the question that tells
		// that from a refused key was about that one again.
		"an older session that is not given away": {
			seed: 26,
			poll: poller.Poll{
				Interval: 15 * time.Second, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 3 * time.Minute, HotAge: 10 * time.Minute, WarmEvery: 5 * time.Minute, UnpaidEvery: 5 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 4 * time.Minute, PageSize: 7, Concurrency: 1,
				},
			},
			fates: []fate{
				{born: 2 * time.Minute, lives: 24 * time.Hour, ends: pays, at: 2 * time.Minute},
				{born: -time.Minute - time.Millisecond, lives: 24 * time.Hour, ends: pays, breaks: 3 * time.Minute, mends: 43 * time.Minute},
			},
		},
		"the only session is not given away before the next comes": {
			seed: 174324,
			poll: poller.Poll{
				Interval: 30 * time.Second, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 3 * time.Minute, HotAge: 10 * time.Minute, WarmEvery: 3 * time.Minute, UnpaidEvery: 2 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 4 * time.Minute, PageSize: 13, Concurrency: 8,
				},
			},
			fates: []fate{
				{born: 8 * time.Minute, lives: 24 * time.Hour, ends: pays, breaks: time.Minute, mends: 41 * time.Minute},
				{born: 19 * time.Minute, lives: 24 * time.Hour, ends: pays},
			},
		},
		"the newest five sessions are not given away": {
			seed: 1,
			poll: poller.Poll{
				Interval: 15 * time.Second, RateLimit: 5, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{
					Overlap: 5 * time.Minute, HotAge: 10 * time.Minute, WarmEvery: time.Minute, UnpaidEvery: 8 * time.Minute,
					ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 4 * time.Minute, PageSize: 8, Concurrency: 1,
				},
			},
			fates: []fate{
				{born: -2 * time.Minute, lives: 24 * time.Hour, ends: pays},
				{born: 3 * time.Minute, lives: 24 * time.Hour, ends: pays},
				{born: 13 * time.Minute, lives: 24 * time.Hour, ends: pays, at: 25 * time.Minute, twins: 7},
				{born: 28*time.Minute + 2*time.Millisecond, lives: 24 * time.Hour, ends: pays, breaks: 3 * time.Minute, mends: 43 * time.Minute, twins: 4},
				{born: -240*time.Hour - 7*time.Minute, lives: 24 * time.Hour, ends: pays},
			},
		},
		// A slice of the list that began in a hole that hangs looked for it in each pass, and
		// the head was begun again each time: older sessions waited for minutes.
		"a slice that begins in a hole": {
			seed: 18446744073709551615, params: wooshpay.ParamsQuery,
			poll: poller.Poll{Interval: 30 * time.Second, RateLimit: 2, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{Overlap: 3 * time.Minute, HotAge: 10 * time.Minute, WarmEvery: 3 * time.Minute, UnpaidEvery: 2 * time.Minute, ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 10 * time.Minute, PageSize: 7, Concurrency: 7}},
			fates: []fate{
				{born: 7*time.Minute + 9*time.Millisecond, lives: 15 * time.Minute, ends: cancelled, at: 19 * time.Minute},
				{born: 8*time.Minute + 28602*time.Millisecond, lives: 45 * time.Minute, ends: abandoned},
				{born: 1*time.Minute + 3*time.Millisecond, lives: 15 * time.Minute, ends: abandoned, breaks: 3*time.Minute + 3582*time.Millisecond, mends: 5*time.Minute + 3582*time.Millisecond, stuck: true},
				{born: -9*time.Minute - 59993*time.Millisecond, lives: 15 * time.Minute, ends: abandoned},
				{born: -3*time.Minute - 59999*time.Millisecond, lives: 45 * time.Minute, ends: isFree, at: 3*time.Minute + 10429*time.Millisecond, mends: 2 * time.Minute, stuck: true},
				{born: 1*time.Minute + 56641*time.Millisecond, lives: 45 * time.Minute, ends: isFree, at: time.Minute},
				{born: 21*time.Minute + 2322*time.Millisecond, lives: 2 * time.Minute, ends: pays, at: 23 * time.Minute, lag: 27 * time.Second, twins: 4},
				{born: -4*time.Minute - 59999*time.Millisecond, lives: 24 * time.Hour, ends: abandoned, breaks: time.Minute, mends: 3 * time.Minute, stuck: true},
				{born: 2206 * time.Millisecond, lives: 2 * time.Minute, ends: pays, at: 9 * time.Minute, hides: 19*time.Minute + 27332*time.Millisecond, back: 20*time.Minute + 27332*time.Millisecond, mends: 40 * time.Minute},
				{born: 6 * time.Millisecond, lives: 45 * time.Minute, ends: abandoned, at: 2 * time.Minute},
				{born: -3*time.Minute - time.Millisecond, lives: 24 * time.Hour, ends: paysLater, at: 3 * time.Minute, later: 10 * time.Minute},
				{born: 1*time.Minute + 59999*time.Millisecond, lives: 15 * time.Minute, ends: paysLater, at: 20*time.Minute + 44388*time.Millisecond, later: 17*time.Minute + 58321*time.Millisecond},
				{born: 11*time.Minute + time.Millisecond, lives: 2 * time.Minute, ends: abandoned, at: 9 * time.Minute, mends: 40 * time.Minute, stuck: true},
				{born: -59*time.Hour - 59*time.Minute - 59999*time.Millisecond, lives: 45 * time.Minute, ends: paysLater, at: 11 * time.Minute, later: 60*time.Hour + 15*time.Minute + 1098*time.Millisecond, mends: 2 * time.Minute, stuck: true},
			},
		},
		// The hole began with a second of which the filter shows only the beginning. As that was
		// shown, the rest was taken out of the hole when it was divided, and nobody read it.
		"the rest of the second with which a hole begins": {
			exact: true,
			poll: poller.Poll{Interval: 30 * time.Second, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{Overlap: 10 * time.Minute, HotAge: 3 * time.Minute, WarmEvery: 3 * time.Minute, UnpaidEvery: 5 * time.Minute, ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 10 * time.Minute, PageSize: 2, Concurrency: 1}},
			fates: []fate{
				{born: 4*time.Minute + 3*time.Millisecond, lives: 24 * time.Hour, ends: pays, at: 6 * time.Minute},
				{born: 14*time.Minute + 1577*time.Millisecond, lives: 24 * time.Hour, ends: abandoned, mends: 40 * time.Minute},
				{born: 28 * time.Minute, lives: 45 * time.Minute, ends: abandoned},
			},
		},
		// The newest session and an older one cannot be shown. Of the second with which the hole
		// begins the filter shows only the beginning: as that was answered, the hole was not
		// divided, and what lies between the two was not read.
		"between two sessions that cannot be shown": {
			exact: true, start: poller.StartAll,
			poll: poller.Poll{Interval: 15 * time.Second, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{Overlap: 10 * time.Minute, HotAge: 10 * time.Minute, WarmEvery: 5 * time.Minute, UnpaidEvery: 2 * time.Minute, ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 10 * time.Minute, PageSize: 8, Concurrency: 1}},
			fates: []fate{
				{born: -5 * time.Minute, lives: 24 * time.Hour, ends: abandoned},
				{born: -4*time.Minute - 43*time.Second, lives: 24 * time.Hour, ends: abandoned, mends: 41 * time.Minute},
				{born: -100 * time.Second, lives: 24 * time.Hour, ends: pays, at: 15 * time.Minute},
				{born: -time.Minute + 3*time.Millisecond, lives: 24 * time.Hour, ends: abandoned, mends: 40 * time.Minute},
				{born: time.Minute, lives: 24 * time.Hour, ends: abandoned},
			},
		},
		"between two sessions that cannot be shown, in a quiet hour": {
			exact: true, start: poller.StartAll,
			poll: poller.Poll{Interval: 15 * time.Second, Timeout: 10 * time.Second, UnpaidFor: 14 * 24 * time.Hour,
				Tuning: poller.Tuning{Overlap: 10 * time.Minute, HotAge: 10 * time.Minute, WarmEvery: 5 * time.Minute, UnpaidEvery: 2 * time.Minute, ReconcileEvery: 1000 * time.Hour, ConfirmAfter: 10 * time.Minute, PageSize: 8, Concurrency: 1}},
			fates: []fate{
				{born: -5 * time.Minute, lives: 24 * time.Hour, ends: abandoned},
				{born: -4*time.Minute - 43*time.Second, lives: 24 * time.Hour, ends: abandoned, mends: 41 * time.Minute},
				{born: -100 * time.Second, lives: 24 * time.Hour, ends: pays, at: 15 * time.Minute},
				{born: -time.Minute + 3*time.Millisecond, lives: 24 * time.Hour, ends: abandoned, mends: 40 * time.Minute},
				{born: 80 * time.Minute, lives: 24 * time.Hour, ends: abandoned},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			seenByRace(t)
			u.start, u.params, u.badCursor = cmp.Or(u.start, poller.StartNow), cmp.Or(u.params, wooshpay.ParamsBody), cmp.Or(u.badCursor, 404)
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
