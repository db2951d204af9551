package poller_test

import (
	"errors"
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
		w.account.KeyHash = "of an older key"
		w.update(id, paid())
		w.run(w.poller(), 15*time.Second)
		w.expect(id, "completed", "paid", "fulfillable")
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
		if w.requests > 1 {
			t.Errorf("%d requests in 15 s although the key was refused", w.requests)
		}
		if err := w.poller().RunOnce(t.Context()); !errors.Is(err, poller.ErrUnreachable) {
			t.Errorf("RunOnce = %v, want ErrUnreachable", err)
		}
	})
}
