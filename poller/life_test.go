package poller_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// life is a world in which much happens at once, by one seed.
type life struct {
	*world
	rng   *rand.Rand
	lasts time.Duration
	acts  []act
}

// act is something that happens at a time since the beginning.
type act struct {
	at time.Duration
	do func()
}

func (l *life) at(when time.Duration, do func()) {
	if when < l.lasts {
		l.acts = append(l.acts, act{when, do})
	}
}

// any is a random duration below a bound.
func (l *life) any(below time.Duration) time.Duration {
	return time.Duration(l.rng.Int64N(int64(below)))
}

// session plans one session's life.
func (l *life) session() {
	var id string
	born, lifetime := l.any(l.lasts), []time.Duration{30 * time.Minute, 2 * time.Hour, 8 * time.Hour}[l.rng.IntN(3)]
	change := func(after time.Duration, fields simulator.Fields) {
		l.at(born+after, func() { l.update(id, fields) })
	}
	l.at(born, func() { id = l.create(open(simulator.Fields{"expires_in": lifetime.String()})) })
	done := l.any(lifetime - time.Minute)
	switch l.rng.IntN(6) {
	case 0:
		change(done, paid())
	case 1:
		change(done, simulator.Fields{"status": "complete", "payment_status": "no_payment_required"})
	case 2:
		change(done, simulator.Fields{"status": "expired"})
	case 3, 4:
		change(done, simulator.Fields{"status": "complete"})
		change(done+time.Second+l.any(12*time.Hour), simulator.Fields{"payment_status": "paid"})
	}
	change(l.any(lifetime), simulator.Fields{"metadata": map[string]any{"n": fmt.Sprint(born)}})
}

// trouble is what an API may do for a while, several things at once.
func (l *life) trouble() simulator.Faults {
	var f simulator.Faults
	kinds := []*simulator.Chance{
		&f.RateLimited, &f.RateLimitedBare, &f.ServerError, &f.Unavailable, &f.Redirect, &f.RejectBody, &f.CutBody,
		&f.InvalidJSON, &f.TruncatedJSON, &f.RepeatPage, &f.IgnoreFilters, &f.IgnoreLimit, &f.Ascending, &f.HasMoreNull,
		&f.HasMoreTrue, &f.Seconds, &f.StringNumbers, &f.RotateURL, &f.NullFlip, &f.DuplicateItem,
	}
	for range l.rng.IntN(4) {
		*kinds[l.rng.IntN(len(kinds))] = simulator.Share(l.rng.Float64())
	}
	f.RetryAfterS = 1 + l.rng.IntN(300)
	f.Late, f.LateMS = l.rng.Float64(), 120_000
	f.Stale, f.StaleMS = simulator.Share(l.rng.Float64()/2), 120_000
	return f
}

// want lists what must have been told of a session.
func want(s *simulator.Session) []string {
	told := []string{"created"}
	switch {
	case s.Status == "expired":
		return append(told, "expired")
	case s.PaymentStatus != "unpaid":
		return append(told, "completed", s.PaymentStatus, "fulfillable")
	case s.Status == "complete":
		return append(told, "completed")
	}
	return told
}

// Sessions live, the API has its days, and the process dies now and then: in the
// end every session's changes were told once, in order, and nothing else was.
func TestLives(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testLife(t, seed) })
		})
	}
}

func testLife(t *testing.T, seed uint64) {
	l := &life{world: newWorld(t), rng: rand.New(rand.NewPCG(seed, 1)), lasts: 12 * time.Hour}
	l.cfg.Poll.Interval = 3 * time.Minute
	l.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour // it would repair what the rest must not miss
	l.cfg.Poll.Tuning.PageSize = 3 + l.rng.IntN(8)
	stop, nothing := atomic.Pointer[context.CancelFunc]{}, context.CancelFunc(func() {})
	stop.Store(&nothing)
	for range 40 {
		l.session()
	}
	for range 8 {
		l.at(l.any(l.lasts), func() { l.faults(l.trouble()) })
		l.at(l.any(l.lasts), func() { (*stop.Load())() })
		l.at(l.any(l.lasts), func() {
			l.mu.Lock()
			l.fail = errors.New("disk full")
			l.mu.Unlock()
		})
	}
	slices.SortStableFunc(l.acts, func(a, b act) int { return int(a.at - b.at) })

	began := time.Now()
	l.run(l.poller(), time.Second) // the account starts
	end, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for end.Err() == nil {
			ctx, die := context.WithCancel(end)
			stop.Store(&die)
			if err := l.poller().Run(ctx); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Duration(seed%4) * 20 * time.Minute) // nobody looks
		}
	}()
	for _, a := range l.acts {
		time.Sleep(time.Until(began.Add(a.at)))
		a.do()
	}
	l.faults(simulator.Faults{})
	time.Sleep(10 * time.Hour) // until the last has expired
	cancel()
	<-ended
	l.checkLives()
}

func (l *life) checkLives() {
	l.t.Helper()
	all, err := l.api.Sessions()
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range all {
		var told []string
		updates := 0
		for _, word := range l.events[all[i].ID] {
			if word == "updated" {
				updates++
				continue
			}
			word, _, _ = strings.Cut(word, " ") // without the reason
			told = append(told, word)
		}
		if !slices.Equal(told, want(&all[i])) || updates > 1 {
			l.t.Errorf("session %s: told %v and %d updates, want %v and at most 1; it was %+v", all[i].ID, told, updates, want(&all[i]), all[i].History)
		}
	}
}
