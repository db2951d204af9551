package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A file that cannot be saved is tried again, less and less often, and at once
// when it is lost the next time.
func TestKeeperTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		lost, full := errors.New("removed"), errors.New("disk full")
		var tried []int
		k := &keeper{
			path: "notifier.db", log: slog.New(slog.DiscardHandler),
			inPlace: func() error { return lost },
			putBack: func(context.Context, time.Time) (string, error) {
				if lost == nil {
					return "", nil
				}
				tried = append(tried, int(time.Since(began).Seconds()))
				if full == nil {
					lost = nil
					return "notifier.db", nil
				}
				return "", full
			},
		}
		runTo := func(second int) {
			ctx, cancel := context.WithDeadline(t.Context(), began.Add(time.Duration(second)*time.Second+time.Second/2))
			defer cancel()
			if err := k.Run(ctx); err != nil {
				t.Error(err)
			}
		}
		runTo(200)
		want := []int{1, 2, 4, 8, 16, 32, 64, 124, 184}
		if !slices.Equal(tried, want) {
			t.Errorf("tried at %v, want %v", tried, want)
		}
		if k.report() != nil {
			t.Errorf("it says that it saved %+v", k.report())
		}
		full = nil
		runTo(250)
		if r := k.report(); lost != nil || r == nil || r.Times != 1 || r.To != "notifier.db" {
			t.Errorf("after there was room again: %v, %+v", lost, r)
		}
		lost, tried = errors.New("removed"), nil
		runTo(252)
		if len(tried) != 1 || tried[0] > 252 || k.report().Times != 2 {
			t.Errorf("the next time it tried at %v", tried)
		}
	})
}

// A file that comes back to its path, from where it was saved beside it, was not
// taken away once more.
func TestKeeperCountsWhatWasTakenAway(t *testing.T) {
	lost := errors.New("replaced")
	var moved string
	var log strings.Builder
	k := &keeper{
		path: "notifier.db", log: slog.New(slog.NewTextHandler(&log, nil)),
		inPlace: func() error { return lost },
		putBack: func(context.Context, time.Time) (string, error) { return moved, nil },
	}
	for _, step := range []struct {
		lost  error
		moved string
		times int
		said  string
	}{
		{lost, "notifier.db.saved", 1, "another file was put in the place"},
		{lost, "", 1, ""},
		{lost, "notifier.db", 1, "is at its path again"},
		{lost, "notifier.db", 2, "was removed while it is in use"},
		{lost, "notifier.db.saved", 3, "another file was put in the place"},
		{nil, "", 3, ""}, // somebody moved it back by hand
		{lost, "notifier.db", 4, "was removed while it is in use"},
	} {
		log.Reset()
		lost, moved = step.lost, step.moved
		if err := k.look(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
		if k.report().Times != step.times || !strings.Contains(log.String(), step.said) || (step.said == "") != (log.String() == "") {
			t.Errorf("%+v: %+v, it says %s", step, k.report(), log.String())
		}
	}
}
