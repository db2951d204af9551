package poller_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// While the API is left alone the status tells until when, and whoever asks for a
// pass or a dry run is told so at once, and not after minutes.
func TestWhoWaitsIsToldOfALongPause(t *testing.T) {
	for name, tt := range map[string]struct {
		status   int
		throttle string
		asked    bool
		next     time.Duration // of the try after a failure, at most
		told     string
	}{
		"asked to wait": {http.StatusTooManyRequests, "600", true, 10 * time.Minute, "the API asked for a pause (Retry-After), and is asked again in "},
		"refused":       {http.StatusUnauthorized, "", false, 5 * time.Minute, "it is asked again in "},
		"fails":         {http.StatusInternalServerError, "", false, 30 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var fails atomic.Bool
				w.answer = func(*http.Request) (int, string) {
					if fails.Load() {
						return tt.status, `{}`
					}
					return http.StatusOK, `{"object":"list","has_more":false,"data":[]}`
				}
				w.throttle = tt.throttle
				p := w.poller()
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- p.Run(ctx) }()
				time.Sleep(time.Second)
				if s := p.Status()[0]; !s.NextTry.IsZero() || s.AskedToWait {
					t.Errorf("all is well, the next try is at %s, asked for: %t", s.NextTry, s.AskedToWait)
				}
				fails.Store(true)
				for _, within := range []time.Duration{5 * time.Second, 2 * time.Second} { // in the first the failure is met, in the second it is known
					began := time.Now()
					reports, err := p.Now(ctx)
					if err != nil || len(reports) != 1 || reports[0].Error == "" || !strings.Contains(reports[0].Error, tt.told) {
						t.Errorf("Now = %+v, %v, want %q", reports, err, tt.told)
					}
					if took := time.Since(began); tt.told != "" && took > within {
						t.Errorf("whoever waits was told after %s", took)
					}
				}
				s := p.Status()[0]
				for n := 0; n < 10 && s.NextTry.IsZero(); n++ { // a try is under way
					time.Sleep(time.Second)
					s = p.Status()[0]
				}
				if left := time.Until(s.NextTry); left <= 0 || left > tt.next || s.AskedToWait != tt.asked || s.NextPass.Before(s.NextTry) {
					t.Errorf("the next try is in %s, at most %s are right, asked for: %t; the next pass in %s", left, tt.next, s.AskedToWait, time.Until(s.NextPass))
				}
				if tt.told != "" {
					began := time.Now()
					_, err := p.Backfill(ctx, poller.Backfill{Since: began.Add(-time.Hour), DryRun: true}, nil)
					if took := time.Since(began); !errors.Is(err, poller.ErrUnreachable) || !strings.Contains(err.Error(), tt.told) || took > 2*time.Second {
						t.Errorf("a dry run: %v after %s", err, took)
					}
				}
				fails.Store(false)
				time.Sleep(11 * time.Minute)
				if s := p.Status()[0]; !s.Healthy || !s.NextTry.IsZero() || s.AskedToWait {
					t.Errorf("the API answers again, healthy %t, the next try is at %s", s.Healthy, s.NextTry)
				}
				cancel()
				<-ended
			})
		})
	}
}

// After a refused key the API is left alone for minutes. Whoever asks for a pass has
// it asked once, at once, and gets the pass if the key is taken again.
func TestPassThatIsAskedForTriesARefusedKeyOnce(t *testing.T) {
	for name, known := range map[string]int{"no session": 0, "sessions to look at": 300} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range known {
					w.create(open(nil))
				}
				p := w.poller()
				w.run(p, time.Second)
				asked := func() int {
					w.mu.Lock()
					defer w.mu.Unlock()
					return w.requests
				}
				var refuses atomic.Bool
				refuses.Store(true)
				w.answer = func(*http.Request) (int, string) {
					if refuses.Load() {
						return http.StatusUnauthorized, `{}`
					}
					return 0, ""
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- p.Run(ctx) }()
				time.Sleep(30 * time.Second)
				for range 3 {
					before := asked()
					reports, err := p.Now(ctx)
					if err != nil || !strings.Contains(reports[0].Error, "asked again in ") || asked() != before+1 || reports[0].Requests != 1 {
						t.Errorf("Now = %+v, %v after %d requests, want a failure after one, which it tells", reports, err, asked()-before)
					}
					if left := time.Until(p.Status()[0].NextTry); left < 2*time.Minute {
						t.Errorf("the next try is in %s", left)
					}
				}
				refuses.Store(false)
				began := time.Now()
				if reports, err := p.Now(ctx); err != nil || reports[0].Error != "" || time.Since(began) > 10*time.Second {
					t.Errorf("Now = %+v, %v after %s, the key is taken again", reports, err, time.Since(began))
				}
				cancel()
				<-ended
			})
		})
	}
}
