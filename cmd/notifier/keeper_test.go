package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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
