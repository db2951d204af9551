package poller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

func TestChangedKeyOfAnotherAccountStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(open(nil))
		w.run(w.poller(), 15*time.Second)

		other := newAPI(t, "sk_test_other")
		stranger, err := other.Create(paid())
		if err != nil {
			t.Fatal(err)
		}
		w.api, w.cfg.SecretKey = other, "sk_test_other"
		p := w.poller()
		w.run(p, time.Minute)
		w.expect(stranger.ID)
		if s := p.Status()[0]; s.Foreign == "" || s.Healthy && s.Error == "" {
			t.Errorf("status = %+v, want foreign", s)
		}
		if err := w.poller().RunOnce(t.Context()); !errors.Is(err, poller.ErrForeign) {
			t.Errorf("RunOnce = %v, want ErrForeign", err)
		}
	})
}

func newAPI(t *testing.T, key string) *simulator.API {
	t.Helper()
	return simulator.NewAPI(simulator.Config{SecretKey: key, Seed: 2})
}

// Known sessions of the second in which a page begins or ends may stand on the
// page beside it.
func TestBusySecondIsNoOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		p := w.poller()
		second := time.Now().UTC().Format(time.RFC3339)
		next := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
		for range 6 {
			w.create(simulator.Fields{"created": second})
		}
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			w.create(simulator.Fields{"created": second})
		}
		for range 5 {
			w.create(simulator.Fields{"created": next})
		}
		if err := p.RunOnce(t.Context()); err != nil {
			t.Errorf("eleven new sessions, six of them in the second of the known ones: %v", err)
		}
	})
}

func TestRotatedKeyOfTheSameAccountGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.create(open(nil))
		w.run(w.poller(), 15*time.Second)
		w.account.KeyHash, w.account.TakenOverBy = "of an older key", "the one that has that key"
		w.update(id, paid())
		w.run(w.poller(), 15*time.Second)
		w.expect(id, "completed", "paid", "fulfillable")
		if w.account.TakenOverBy != "" {
			t.Error("what another account took over of it is no more all that it has")
		}
	})
}

func TestAccountIsBoundToHostAndMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(w.poller(), 15*time.Second)
		w.cfg.BaseURL = "https://elsewhere.example"
		if err := w.poller().Check(t.Context()); !errors.Is(err, poller.ErrRebound) {
			t.Errorf("another host: %v, want ErrRebound", err)
		}
		w.cfg.BaseURL, w.cfg.SecretKey = "https://api.example", "sk_live_poller"
		if err := w.poller().Run(t.Context()); !errors.Is(err, poller.ErrRebound) {
			t.Errorf("another mode: %v, want ErrRebound", err)
		}
	})
}

func TestDeniedKeyIsLoudAndNoSessionsAreAssumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(simulator.Faults{Unauthorized: simulator.Always()})
		p := w.poller()
		w.run(p, 15*time.Second)
		s := p.Status()[0]
		if s.Healthy || !s.Denied || !strings.Contains(s.Error, "secret_key") || strings.Contains(s.Error, testKey) {
			t.Errorf("status = %+v", s)
		}
		if !p.Ready() {
			t.Error("not ready although the first pass failed for a stated reason")
		}
		if w.requests > 5 { // one may be chance
			t.Errorf("%d requests in 15 s although the key was refused", w.requests)
		}
		if err := w.poller().RunOnce(t.Context()); !errors.Is(err, poller.ErrUnreachable) {
			t.Errorf("RunOnce = %v, want ErrUnreachable", err)
		}
	})
}

// The pass that the refused key held up is finished by whoever asks for one at once,
// and announces what is new: that came of the asking.
func TestNowCountsTheEventsOfThePassThatItSetFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = p.Run(ctx) }()
		time.Sleep(15 * time.Second)
		w.faults(simulator.Faults{Unauthorized: simulator.Always()})
		w.create(open(nil))
		time.Sleep(30 * time.Second)
		w.faults(simulator.Faults{})
		reports, err := p.Now(ctx)
		if err != nil || reports[0].Error != "" || reports[0].Events != 1 {
			t.Errorf("%+v, %v, want 1 event", reports, err)
		}
		if reports, err = p.Now(ctx); err != nil || reports[0].Events != 0 {
			t.Errorf("the next one: %+v, %v, want no event", reports, err)
		}
	})
}

// stoppedWorld makes a world whose account stopped because its key showed another account's sessions.
func stoppedWorld(t *testing.T) (w *world, right *simulator.API, id string) {
	t.Helper()
	w = newWorld(t)
	id = w.create(open(nil))
	w.run(w.poller(), 15*time.Second)
	right = w.api
	w.api, w.cfg.SecretKey = newAPI(t, "sk_test_other"), "sk_test_other"
	w.run(w.poller(), time.Minute)
	if w.account.Foreign == "" {
		t.Fatal("the account did not stop")
	}
	return w, right, id
}

// The right key goes on by itself, and what happened meanwhile is announced.
func TestRightKeyPutBackGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, right, id := stoppedWorld(t)
		w.api, w.cfg.SecretKey = right, testKey
		w.update(id, paid())
		fresh := w.create(open(nil))
		p := w.poller()
		w.run(p, time.Minute)
		w.expect(id, "completed", "paid", "fulfillable")
		w.expect(fresh, "created")
		if s := p.Status()[0]; s.Foreign != "" || !s.Healthy || w.account.Foreign != "" {
			t.Errorf("status = %+v, stored as %q", s, w.account.Foreign)
		}
	})
}

// So does one whose API shows the stored sessions again, without a restart.
func TestRightSessionsShownAgainGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, right, id := stoppedWorld(t)
		p := w.poller()
		w.run(p, time.Minute)
		w.expect(id)
		w.answer = func(req *http.Request) (int, string) {
			req.SetBasicAuth(testKey, "")
			rec := &recorder{header: make(http.Header), status: http.StatusOK}
			right.ServeHTTP(rec, req)
			return rec.status, string(rec.body)
		}
		if _, err := right.Update(id, paid()); err != nil {
			t.Fatal(err)
		}
		w.run(p, time.Minute)
		w.expect(id, "completed", "paid", "fulfillable")
	})
}

// A key that shows nothing, or cannot be asked with, is no right key.
func TestStoppedAccountStaysStopped(t *testing.T) {
	for name, faults := range map[string]simulator.Faults{
		"strangers": {},
		"denied":    {Unauthorized: simulator.Always()},
		"down":      {Unavailable: simulator.Always()},
		"empty":     {EmptyPage: simulator.Always()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _, _ := stoppedWorld(t)
				stranger, err := w.api.Create(paid())
				if err != nil {
					t.Fatal(err)
				}
				w.faults(faults)
				p := w.poller()
				w.run(p, time.Hour)
				w.expect(stranger.ID)
				if s := p.Status()[0]; s.Foreign == "" || s.Error == "" {
					t.Errorf("status = %+v, want foreign", s)
				}
				if err := w.poller().RunOnce(t.Context()); !errors.Is(err, poller.ErrForeign) {
					t.Errorf("RunOnce = %v, want ErrForeign", err)
				}
			})
		})
	}
}

// An account that a page of strangers stopped goes on when the page shows its
// sessions again, and not before: the rest of the list may show them all the time.
func TestPageOfStrangersThatIsOverGoesOn(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l, strangers := newListing(), newListing()
				for i := range 20 {
					at := time.Now().Add(-time.Duration(i) * time.Minute)
					l.add(fmt.Sprintf("cs_%d", 1000-i), at, "open", "unpaid")
					strangers.add(fmt.Sprintf("cs_%d", 3000-i), at, "complete", "paid")
				}
				w.answer = l.answer
				p := w.poller()
				w.run(p, 15*time.Second)
				w.answer = strangers.answer
				w.run(p, time.Minute)
				if p.Status()[0].Foreign == "" {
					t.Fatal("the account did not stop")
				}
				if restart {
					p = w.poller()
				}
				w.run(p, 20*time.Minute)
				if p.Status()[0].Foreign == "" {
					t.Fatal("the account goes on with strangers")
				}
				w.answer = l.answer
				l.set("cs_1000", time.Now(), "complete", "paid")
				w.run(p, time.Minute)
				w.expect("cs_1000", "completed", "paid", "fulfillable")
				w.expect("cs_3000")
				if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
					t.Errorf("status = %+v", s)
				}
			})
		})
	}
}

// A page of strangers below a head that shows the stored sessions: the account
// stays stopped instead of going on and stopping in each pass.
func TestPageOfStrangersBelowTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		l, mixed := newListing(), newListing()
		for i := range 40 {
			id, at := fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-time.Duration(i)*time.Minute/10)
			l.add(id, at, "open", "unpaid")
			if i >= 10 {
				id = fmt.Sprintf("cs_%d", 3000-i)
			}
			mixed.add(id, at, "open", "unpaid")
		}
		w.answer = l.answer
		p := w.poller()
		w.run(p, 5*time.Second)
		w.answer = mixed.answer
		w.run(p, time.Minute)
		saves := w.saves
		w.run(p, time.Hour)
		if p.Status()[0].Foreign == "" || w.saves > saves {
			t.Errorf("foreign %q, stored %d times meanwhile", p.Status()[0].Foreign, w.saves-saves)
		}
		w.answer = l.answer
		w.run(p, time.Minute)
		if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
			t.Errorf("status = %+v", s)
		}
	})
}
