package poller_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// A backfill over a range that the API cannot show says so, and keeps no other
// from being made.
func TestFailingBackfillKeepsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(paid())
		p := w.poller()
		w.run(p, time.Second)
		bad := time.Now().Add(-1000 * 24 * time.Hour)
		w.answer = func(req *http.Request) (int, string) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			if strings.Contains(string(body), fmt.Sprint(bad.Unix()-1)) {
				return http.StatusInternalServerError, "oh no"
			}
			return 0, ""
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		go func() { _ = p.Run(ctx) }()
		said := make(chan string, 100)
		go func() {
			_, _ = p.Backfill(ctx, poller.Backfill{Since: bad}, func(r poller.BackfillReport) { said <- r.Error })
		}()
		time.Sleep(time.Second)
		if _, err := p.Backfill(ctx, poller.Backfill{Since: time.Now().Add(-time.Hour)}, nil); err != nil {
			t.Errorf("the other backfill: %v", err)
		}
		if why := <-said; !strings.Contains(why, "oh no") {
			t.Errorf("the failing one says %q", why)
		}
		if _, err := p.Backfill(ctx, poller.Backfill{Since: bad, DryRun: true}, nil); !errors.Is(err, poller.ErrUnreachable) {
			t.Errorf("a dry run of the same range: %v, want ErrUnreachable", err)
		}
		cancel()
		time.Sleep(time.Minute)
	})
}

// A 403 for a page is said of a part of the list. Once it turns out to be about the key,
// the log says that at once as well.
func TestTheLogSaysThatTheKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(paid())
		p := w.poller()
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{Forbidden: simulator.Always()})
		before := len(w.lines)
		w.run(p, 20*time.Second)
		text := strings.Join(w.lines[before:], "")
		part, key := strings.Index(text, "refuses a part of the list (status 403)"), strings.Index(text, "level=ERROR")
		if part < 0 || key < part || !strings.Contains(text[key:], "refused the key (status 403)") {
			t.Errorf("the log says\n%s", text)
		}
	})
}

// An API that is down shows nothing, in smaller pages neither.
func TestAnAPIThatIsDownIsNoOddity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 5 {
			w.create(paid())
		}
		p := w.poller()
		w.run(p, time.Minute)
		w.answer = func(*http.Request) (int, string) { return http.StatusBadGateway, "down" }
		w.run(p, 10*time.Minute)
		if s := p.Status()[0]; len(s.Oddities) > 0 || s.Error == "" {
			t.Errorf("status %+v", s)
		}
	})
}

// poison lets every answer fail that would show a session.
func (w *world) poison(id string, status int, answer string) {
	w.answer = func(req *http.Request) (int, string) {
		resp, err := serve(w.api, req)
		if err != nil {
			return http.StatusBadGateway, ""
		}
		body, _ := io.ReadAll(resp.Body)
		if strings.Contains(string(body), id) {
			return status, answer
		}
		return resp.StatusCode, string(body)
	}
}

// Whoever waits for a backfill is told that the account cannot be polled, and in
// how many requests that was found out.
func TestBackfillOfARefusedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(paid())
		p := w.poller()
		w.run(p, time.Second)
		before := p.Status()[0]
		w.answer = func(*http.Request) (int, string) { return http.StatusForbidden, "no such key" }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		said := ""
		_, err := p.Backfill(ctx, poller.Backfill{Since: time.Now().Add(-time.Hour)}, func(r poller.BackfillReport) { said = r.Error })
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(said, "403") {
			t.Errorf("Backfill = %v, it said %q", err, said)
		}
		if s := p.Status()[0]; s.RequestsLastHour == 0 || s.LastPass != before.LastPass {
			t.Errorf("%d requests in the last hour, the last complete pass took %v instead of %v", s.RequestsLastHour, s.LastPass, before.LastPass)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A page in the newest part of the list that always fails keeps no other from
// being looked at as often as ever.
func TestFailingPageSlowsNoOtherDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.create(paid())
		p := w.poller()
		w.run(p, 5*time.Second)
		w.poison(w.create(paid()), http.StatusInternalServerError, "oh no")
		var above []string
		for range 10 { // it stands on the second page
			above = append(above, w.create(simulator.Fields{"payment_status": "unpaid"}))
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(5 * time.Minute)
		for _, id := range above {
			w.update(id, simulator.Fields{"status": "complete", "payment_status": "paid"})
			time.Sleep(25 * time.Second)
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
		cancel()
		<-ended
	})
}

// A session that the API cannot show hides none that is newer, however few there
// are: the page is read in smaller ones.
func TestSessionThatCannotBeShownHidesNoNewerOne(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   string
	}{"error": {http.StatusInternalServerError, "oh no"}, "nonsense": {http.StatusOK, `{"data":[{"id":`}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.create(paid())
				p := w.poller()
				w.run(p, 5*time.Second)
				w.poison(w.create(paid()), answer.status, answer.body)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- p.Run(ctx) }()
				w.create(paid())
				time.Sleep(2 * time.Minute) // until it is known that smaller pages help
				for range 30 {
					id := w.create(paid())
					time.Sleep(12 * time.Second) // the interval and a few requests
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) != 1 || s.Holes[0].Error == "" {
					t.Errorf("healthy %t: %s; the holes are %+v", s.Healthy, s.Error, s.Holes)
				}
				cancel()
				<-ended
			})
		})
	}
}

// What no sweep can read holds neither a pass nor the rest of the sweep back, is
// told, and is read once that is possible.
func TestFailingSweepHoldsNoPassBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.cfg.Poll.Tuning.ReconcileEvery = 20 * time.Minute
		var ids []string
		for i := range 100 {
			ids = append(ids, w.create(simulator.Fields{
				"status": "complete", "payment_status": "paid", "created": time.Now().Add(-time.Duration(100-i) * 10 * time.Minute).UTC().Format(time.RFC3339),
			}))
		}
		p := w.poller()
		w.run(p, 5*time.Second)
		w.poison(ids[30], http.StatusInternalServerError, "oh no")
		before := p.Status()[0]
		w.run(p, time.Hour)
		s := p.Status()[0]
		const most = 60 * 6 // a pass every 10 s
		if n := s.Passes - before.Passes; n < most*9/10 {
			t.Errorf("%d passes were completed, of %d", n, most)
		}
		if time.Since(s.Reconciled) > 21*time.Minute || len(s.Holes) != 1 {
			t.Errorf("the window was read at %v; the holes are %+v", s.Reconciled, s.Holes)
		}
		w.answer = nil
		w.run(p, time.Hour)
		if s := p.Status()[0]; len(s.Holes) > 0 {
			t.Errorf("the holes are %+v", s.Holes)
		}
	})
}

// listThatEnds takes the API's place by a list of settled sessions, and returns
// what decides whether it fails from one of them on.
func (w *world) listThatEnds() *atomic.Bool {
	var fails atomic.Bool
	l := newListing()
	w.cfg.Poll.Tuning.PageSize = 10
	for i := range 200 {
		l.add(fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-time.Duration(i)*5*time.Minute), "complete", "paid")
	}
	w.answer = func(req *http.Request) (int, string) {
		status, body := l.answer(req)
		if fails.Load() && isList(req) && (strings.Contains(body, `"cs_900"`) || !strings.Contains(body, `"cs_9`)) {
			return http.StatusInternalServerError, "boom"
		}
		return status, body
	}
	return &fails
}

// A reconciliation that comes upon a page which always fails keeps no backfill
// from being read.
func TestFailingReconciliationStopsNoBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fails := w.listThatEnds()
		p := w.poller()
		w.run(p, 15*time.Second)
		fails.Store(true)
		w.run(p, 2*time.Hour)
		if !p.Status()[0].Reconciling {
			t.Fatal("no reconciliation fails")
		}
		w.backfill(p, time.Hour, poller.Backfill{Since: time.Now().Add(-3 * time.Hour)})
		fails.Store(false)
		w.run(p, 15*time.Minute) // it rests
		if p.Status()[0].Reconciling {
			t.Error("the reconciliation was given up")
		}
	})
}

// A reconciliation that cannot be finished is given up for a new one once its
// range lies behind the window.
func TestReconciliationThatNeverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Interval = 3 * time.Minute
		fails := w.listThatEnds()
		p := w.poller()
		w.run(p, 15*time.Second)
		fails.Store(true)
		w.run(p, 20*time.Hour)
		if s := p.Status()[0]; !s.Reconciling || time.Since(s.Reconciled) < 15*time.Hour {
			t.Fatal("no reconciliation fails")
		}
		w.run(p, 10*time.Hour)
		if s := p.Status()[0]; !s.Healthy || time.Since(s.Reconciled) > 2*time.Hour {
			t.Errorf("reconciled at %s, healthy %t: %s", s.Reconciled, s.Healthy, s.Error)
		}
	})
}
