package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

// play runs t to its end in fake time and returns the truth.
func play(t *testing.T, traffic simulator.Traffic) []simulator.Session {
	t.Helper()
	var all []simulator.Session
	synctest.Test(t, func(t *testing.T) {
		api := simulator.NewAPI(simulator.Config{SecretKey: testKey, Seed: 3})
		if err := api.RunTraffic(t.Context(), traffic); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // fake: lets the abandoned carts expire
		var err error
		if all, err = api.Sessions(); err != nil {
			t.Fatal(err)
		}
	})
	return all
}

func TestTrafficIsDeterministic(t *testing.T) {
	traffic := simulator.Traffic{Seed: 11, Rate: 5, Duration: 30 * time.Second}
	first := lives(t, play(t, traffic))
	if len(first) < 100 || len(first) > 200 {
		t.Errorf("%d carts in 30 s at 5 per second", len(first))
	}
	if diff := cmp.Diff(first, lives(t, play(t, traffic))); diff != "" {
		t.Errorf("the same seed lives otherwise:\n%s", diff)
	}
	traffic.Seed = 12
	if slices.Equal(first, lives(t, play(t, traffic))) {
		t.Error("another seed lives the same")
	}
}

// lives writes every session, with what it shows and its history, as one line.
func lives(t *testing.T, all []simulator.Session) []string {
	t.Helper()
	lines := make([]string, len(all))
	for i, s := range all {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(raw)
	}
	return lines
}

func TestTrafficShowsEveryKind(t *testing.T) {
	all := play(t, simulator.Traffic{Seed: 1, Rate: 1, Duration: 30 * time.Second, Scale: 2})
	seen := map[string]int{}
	for _, s := range all {
		var life []string
		for _, c := range s.History {
			life = append(life, c.Status+"/"+c.PaymentStatus)
		}
		kind := strings.Join(life, " ")
		last := s.History[len(s.History)-1]
		switch {
		case last.Status == "expired" && last.Time.Before(s.ExpiresAt):
			kind += " by hand"
		case len(life) == 2 && last.PaymentStatus == "paid" && last.Time.Sub(s.History[0].Time) < time.Second:
			kind += " quickly"
		}
		seen[kind]++
	}
	for _, want := range []string{
		"open/unpaid complete/paid",
		"open/unpaid complete/paid quickly",
		"open/unpaid complete/unpaid complete/paid",
		"open/unpaid complete/no_payment_required",
		"open/unpaid expired/unpaid",
		"open/unpaid expired/unpaid by hand",
		"open/ complete/",
	} {
		if seen[want] == 0 {
			t.Errorf("no cart lived %q", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("unexpected lives: %v", seen)
	}
}

func TestTrafficLeavesForeignChangesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := simulator.NewAPI(simulator.Config{SecretKey: testKey})
		ended := make(chan error, 1)
		go func() { ended <- api.RunTraffic(t.Context(), simulator.Traffic{Rate: 1, Duration: time.Nanosecond}) }()
		synctest.Wait()
		all, err := api.Sessions()
		if err != nil || len(all) != 1 {
			t.Fatalf("%d carts, %v; want the first at once", len(all), err)
		}
		if _, err := api.Update(all[0].ID, simulator.Fields{"status": "canceled"}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if all, _ = api.Sessions(); all[0].Status != "canceled" {
			t.Errorf("status %s, want canceled", all[0].Status)
		}
	})
}

func TestTrafficOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := simulator.NewAPI(simulator.Config{SecretKey: testKey})
		post := func(body string) *http.Response {
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sim/traffic", strings.NewReader(body)))
			return rec.Result()
		}
		created := func() int {
			all, err := api.Sessions()
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		if resp := post(`{"rate_per_second":1}`); resp.StatusCode != http.StatusConflict {
			t.Errorf("without Run: %d, want 409", resp.StatusCode)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- api.Run(ctx) }()
		synctest.Wait()
		for _, body := range []string{`{"rate_per_second":-1}`, `{"rate":1}`, `{"rate_per_second":1,"duration":"long"}`, `{"rate_per_second":1,"scale":-2}`} {
			if resp := post(body); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d, want 400", body, resp.StatusCode)
			}
		}

		if err := api.OrderTraffic(ctx, simulator.Traffic{Seed: 1, Rate: 10}); err != nil {
			t.Fatal(err)
		}
		resp := post(`{"seed":1,"rate_per_second":10,"duration":60,"scale":2}`) // in place of the other
		if got, want := readAll(t, resp), `{"seed":1,"rate_per_second":10,"duration":"1m0s","scale":2}`; got != want {
			t.Errorf("answer %s, want %s", got, want)
		}
		time.Sleep(10 * time.Second)
		running := created()
		if running < 50 {
			t.Errorf("%d carts after 10 s", running)
		}
		post(`{"rate_per_second":0}`)
		synctest.Wait()
		stopped := created()
		time.Sleep(10 * time.Second)
		if created() != stopped {
			t.Errorf("%d carts after traffic was stopped at %d", created(), stopped)
		}
		post(`{"seed":2}`) // at the rate that is nobody's choice
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		last := created()
		time.Sleep(10 * time.Second)
		if last == stopped || created() != last {
			t.Errorf("carts: %d before, %d when Run ended, %d later", stopped, last, created())
		}
	})
}

func TestInvalidTraffic(t *testing.T) {
	api := simulator.NewAPI(simulator.Config{})
	for _, traffic := range []simulator.Traffic{{}, {Rate: -1}, {Rate: math.NaN()}, {Rate: 1e9}, {Rate: 1, Duration: -1}, {Rate: 1, Scale: math.Inf(1)}} {
		if err := api.RunTraffic(t.Context(), traffic); !errors.Is(err, simulator.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", traffic, err)
		}
	}
}
