package pacer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	throttled = &Failure{Throttled: true, Overtaxed: true}
	broken    = &Failure{Overtaxed: true}
	refusal   = &Failure{Denied: true}
	forbidden = &Failure{MaybeDenied: true}
	tooMany   = &Failure{Throttled: true, Overtaxed: true, Crowded: true}
)

// send makes a request that takes a while and ends as told.
func (p *Pacer) send(t *testing.T, takes time.Duration, failure *Failure) {
	t.Helper()
	if _, err := p.Enter(t.Context()); err != nil {
		t.Error(err)
		return
	}
	sent := time.Now()
	time.Sleep(takes)
	p.Leave(failure, sent)
}

func (p *Pacer) expect(t *testing.T, rate float64, parallel int) {
	t.Helper()
	if r, n := p.State(); r != rate || n != parallel {
		t.Errorf("rate %v and %d at once, want %v and %d", r, n, rate, parallel)
	}
}

// Requests that were under way together say one thing, however late they fail.
func TestPacerHalvesOnceForABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(8, 4)
		for _, takes := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second} {
			go p.send(t, takes, throttled)
		}
		time.Sleep(6 * time.Second)
		p.expect(t, 4, 4)
		p.send(t, time.Second, broken)
		p.expect(t, 2, 4)
	})
}

// One failure among answers may be chance; two in a row are an API at its limit.
func TestPacerForgivesOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(8, 4)
		for range 5 {
			p.send(t, time.Second, broken)
			p.send(t, time.Second, nil)
		}
		p.expect(t, 8, 4)
		p.send(t, time.Second, broken)
		p.send(t, time.Second, broken)
		p.expect(t, 4, 4)
	})
}

func TestPacerFloorAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(5, 4)
		for range 10 {
			p.send(t, 2*time.Second, throttled)
		}
		p.expect(t, slowest, 4)
		began := time.Now()
		for range 10 {
			p.send(t, 0, nil)
		}
		if took := time.Since(began); took < 3*time.Second {
			t.Errorf("10 requests in %v at one a second and a little more", took)
		}
		for range 400 {
			p.send(t, 0, nil)
		}
		p.expect(t, 5, 4)
	})
}

// A configured rate below the floor is no reason to go faster.
func TestPacerBelowTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(0.5, 1)
		p.send(t, 2*time.Second, throttled)
		p.expect(t, 0.5, 1)
	})
}

// An account without a limit is slowed down to half of what it sent, and has
// none again once it was answered at four times as much.
func TestPacerWithoutALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(0, 2)
		for range 100 {
			p.send(t, 50*time.Millisecond, nil)
		}
		p.expect(t, 0, 2)
		p.send(t, 0, throttled)
		if rate, _ := p.State(); rate < 8 || rate > 12 {
			t.Errorf("rate = %v after 20 a second were too much", rate)
		}
		for range 300 {
			p.send(t, 0, nil)
		}
		p.expect(t, 0, 2)
	})
}

func TestPacerPauseHoldsEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, 8)
		began := time.Now()
		var first time.Duration
		var mu sync.Mutex
		var all sync.WaitGroup
		p.send(t, 0, nil)
		for range 5 { // most of them wait for the rate already
			all.Go(func() {
				p.send(t, 0, nil)
				mu.Lock()
				defer mu.Unlock()
				if first == 0 {
					first = time.Since(began)
				}
			})
		}
		synctest.Wait()
		p.Pause(20 * time.Second)
		all.Wait()
		if first < 20*time.Second {
			t.Errorf("a request was sent %v into a pause of 20 s", first)
		}
	})
}

// An objection to requests at once halves their number, not the rate.
func TestPacerCrowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(0, 4)
		p.send(t, 0, tooMany)
		p.expect(t, 0, 2)
		p.send(t, 0, tooMany)
		p.send(t, 0, tooMany)
		p.expect(t, 0, 1)
		for range widenAfter {
			p.send(t, 0, nil)
		}
		p.expect(t, 0, 2)
		for range 3 * widenAfter {
			p.send(t, 0, nil)
		}
		p.expect(t, 0, 4)
	})
}

// While the key is refused one request at a time finds out whether it still is.
func TestPacerTriesADeniedKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(0, 4)
		ctx, cancel := context.WithCancel(t.Context())
		tries, denied := 0, true
		var mu sync.Mutex
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		for range 4 {
			all.Go(func() {
				for {
					if _, err := p.Enter(ctx); err != nil {
						return
					}
					sent := time.Now()
					mu.Lock()
					tries++
					failure := refusal
					if !denied {
						failure = nil
					}
					mu.Unlock()
					time.Sleep(time.Second)
					p.Leave(failure, sent)
					if failure != nil {
						p.Pause(5 * time.Minute)
					}
				}
			})
		}
		time.Sleep(2 * time.Second)
		mu.Lock()
		tries = 0
		mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		if tries > 12 {
			t.Errorf("%d tries in an hour", tries)
		}
		tries, denied = 0, false
		mu.Unlock()
		time.Sleep(6 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if tries < 20 {
			t.Errorf("%d requests once the key was taken again", tries)
		}
	})
}

// Where the key may be refused, or only what was asked for, one request at a time finds
// out which, without a pause; after the first that is answered they go side by side again.
func TestPacerTriesAKeyThatMayBeDeniedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(0, 4)
		p.send(t, 0, forbidden)
		outcomes := make(chan *Failure, 7) // in the order in which the requests begin
		for _, failure := range []*Failure{forbidden, forbidden, nil, nil, nil, nil, nil} {
			outcomes <- failure
		}
		began := time.Now()
		var all sync.WaitGroup
		for range cap(outcomes) {
			all.Go(func() {
				if _, err := p.Enter(t.Context()); err != nil {
					t.Error(err)
					return
				}
				sent, outcome := time.Now(), <-outcomes
				time.Sleep(time.Second)
				p.Leave(outcome, sent)
			})
		}
		all.Wait()
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("three requests one by one and four side by side, of a second each, took %v", took)
		}
		p.expect(t, 0, 4)
		p.send(t, 0, forbidden)
		p.Pause(time.Hour)
		p.TryNow()
		began = time.Now()
		p.send(t, 0, nil)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("a request that was to be tried now waited for %v", waited)
		}
	})
}

// Whoever leaves the queue takes no place with him.
func TestPacerCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, 2)
		p.send(t, 0, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, err := p.Enter(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("enter = %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if p.inFlight != 0 {
			t.Errorf("%d requests are under way", p.inFlight)
		}
		p.send(t, 0, nil)
	})
}

// Whoever waits has his turn, though not in order: of many none waits for all the others.
func TestPacerIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(10, 4)
		var all sync.WaitGroup
		began, longest := time.Now(), time.Duration(0)
		var mu sync.Mutex
		for range 8 {
			all.Go(func() {
				for range 25 {
					asked := time.Now()
					p.send(t, 100*time.Millisecond, nil)
					mu.Lock()
					longest = max(longest, time.Since(asked))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took < 19*time.Second || took > 22*time.Second {
			t.Errorf("200 requests in %v at 10 a second", took)
		}
		if longest > 18*time.Second {
			t.Errorf("one waited for %v", longest)
		}
	})
}

// Who waits for a request to end does not use the moment before its caller passes
// on how long the API wants to be left alone.
func TestPacerObeysRetryAfterAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(0, 1)
		began := time.Now()
		go p.send(t, time.Second, &Failure{Throttled: true, Overtaxed: true, RetryAfter: time.Minute})
		time.Sleep(time.Millisecond)
		p.send(t, 0, nil)
		if waited := time.Since(began); waited < time.Minute {
			t.Errorf("asked again after %v", waited)
		}
	})
}
