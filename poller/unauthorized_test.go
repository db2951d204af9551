package poller_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// refusing is a shop whose API answers the next so many requests by a 401.
// met tells when it did since then.
func (w *world) refusing() (refuse func(n int), met func() []time.Time) {
	s, left := w.shop(), 0
	var refusals []time.Time
	answer := w.answer
	w.answer = func(req *http.Request) (int, string) {
		w.mu.Lock()
		refused := left > 0
		if refused {
			left--
			refusals = append(refusals, time.Now())
		}
		w.mu.Unlock()
		if refused {
			return http.StatusUnauthorized, `{"error":{"message":"no"}}`
		}
		return answer(req)
	}
	s.set("cs_1029", time.Now().Add(-time.Minute), "open", "unpaid")
	refuse = func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		left, refusals = n, nil
	}
	met = func() []time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(refusals)
	}
	return refuse, met
}

// One 401, or what comes within the same second, is asked for again seconds later, and says
// nothing of the key: no order waits for minutes.
func TestA401IsAskedForAgain(t *testing.T) {
	for name, n := range map[string]int{"one": 1, "two": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				refuse, met := w.refusing()
				p := w.poller()
				w.run(p, time.Minute)
				refuse(n)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- p.Run(ctx) }()
				for range 30 {
					time.Sleep(time.Second)
					if s := p.Status()[0]; s.Denied {
						t.Fatalf("after %d answers of 401: %s", len(met()), s.Error)
					}
				}
				if s := p.Status()[0]; !s.Healthy || len(met()) != n || len(s.Holes) > 0 {
					t.Errorf("healthy %t (%s), %d of %d answers were 401, holes %+v", s.Healthy, s.Error, len(met()), n, s.Holes)
				}
				if n > 1 && met()[1].Sub(met()[0]) < 4*time.Second {
					t.Errorf("asked again after %s", met()[1].Sub(met()[0]))
				}
				cancel()
				<-ended
			})
		})
	}
}

// A key that is refused is known within 15 seconds, after a few requests.
func TestA401ThatStaysIsTheKey(t *testing.T) {
	for name, c := range map[string]struct {
		throttle string
		within   time.Duration
		most     int
	}{"": {"", 15 * time.Second, 6}, "asked to wait": {"20", 22 * time.Second, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				refuse, met := w.refusing()
				p := w.poller()
				w.run(p, time.Minute)
				w.throttle = c.throttle
				refuse(1000)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- p.Run(ctx) }()
				for len(met()) == 0 {
					time.Sleep(100 * time.Millisecond)
				}
				for !p.Status()[0].Denied && time.Since(met()[0]) < time.Minute {
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(met()[0]); took > c.within || took < 4*time.Second || len(met()) > c.most {
					t.Errorf("the key counts as refused after %s and %d answers", took, len(met()))
				}
				if c.throttle == "" {
					refuse(1000)
					time.Sleep(2 * time.Minute)
					if len(met()) > 0 {
						t.Errorf("%d requests within two minutes", len(met()))
					}
				}
				cancel()
				<-ended
			})
		})
	}
}

// Whoever waits for the only pass, or the first one, is told within seconds.
func TestA401AtTheStartIsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		refuse, met := w.refusing()
		refuse(1000)
		began := time.Now()
		if err := w.poller().RunOnce(t.Context()); !errors.Is(err, poller.ErrUnreachable) || time.Since(began) > 6*time.Second || len(met()) > 6 {
			t.Errorf("%v after %s and %d answers", err, time.Since(began), len(met()))
		}
		refuse(1000)
		p := w.poller()
		w.run(p, 6*time.Second)
		if s := p.Status()[0]; !s.Denied || len(met()) > 6 {
			t.Errorf("denied %t (%s) after %d answers", s.Denied, s.Error, len(met()))
		}
	})
}
