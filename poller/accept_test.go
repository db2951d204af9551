package poller_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
)

// accept does to the store what an operator's acceptance does.
func (w *world) accept() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.account.Foreign == "" {
		w.t.Fatal("the account is not stopped")
	}
	for id, s := range w.snapshots {
		s.Watch = event.Vanished
		w.snapshots[id] = s
	}
	w.account.StartOver(time.Now().UTC())
}

// foreign says whether the account is stopped.
func (w *world) foreign() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.account.Foreign != ""
}

// An account that was accepted goes on with what its key shows: that is recorded
// silently, what follows is announced.
func TestAcceptedAccountGoesOn(t *testing.T) {
	for _, known := range []int{3, 50} {
		for name, every := range map[string]time.Duration{"younger": time.Second, "between": 90 * time.Second, "older": 40 * time.Minute} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprint(known, " known, the others ", name, ", restart ", restart), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.cfg.Poll.Tuning.ReconcileEvery = 20 * time.Minute
						own := stall(100000, known, 2*time.Minute)
						w.answer = own.within
						p := w.poller()
						w.run(p, 5*time.Minute)
						other := stall(900000, 6, every)
						for _, id := range other.ids {
							other.items[id] = other.items[id][:len(other.items[id])-len(`"unpaid"}`)] + `"paid"}`
						}
						w.answer = other.within
						w.run(p, 25*time.Second)
						if restart {
							p = w.poller()
						}
						w.accept()
						w.run(p, time.Minute)
						for i := range 3 {
							id := fmt.Sprintf("cs_%d", 900001+i)
							other.order(id, "complete", "paid")
							w.run(p, time.Minute)
							w.expect(id, "created", "completed", "paid", "fulfillable")
						}
						w.run(p, w.cfg.Poll.Tuning.ReconcileEvery+10*time.Minute)
						for _, id := range other.ids[3:] {
							w.expect(id)
						}
						if s := p.Status()[0]; s.Foreign != "" || !s.Healthy || w.foreign() {
							t.Errorf("status = %+v", s)
						}
					})
				})
			}
		}
	}
}

// What is created after the acceptance is announced, however long the API then takes to
// answer.
func TestWhatComesAfterAnAcceptanceIsAnnounced(t *testing.T) {
	for _, outage := range []time.Duration{0, 10 * time.Minute} {
		for _, ahead := range []time.Duration{0, -time.Hour} {
			t.Run(fmt.Sprint("outage of ", outage, ", Date ahead by ", ahead), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
						resp, err := w.RoundTrip(req)
						if err == nil {
							resp.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
						}
						return resp, err
					})
					own := stall(100000, 8, 2*time.Minute)
					w.answer = own.within
					p := w.poller()
					w.run(p, 5*time.Minute)
					other := stall(900000, 6, time.Minute)
					w.answer = other.within
					w.run(p, 25*time.Second)
					other.order("cs_900001", "complete", "paid")
					time.Sleep(2 * time.Second)
					w.accept()
					time.Sleep(2 * time.Second)
					other.order("cs_900002", "complete", "paid")
					if outage > 0 {
						w.answer = func(*http.Request) (int, string) { return http.StatusServiceUnavailable, "{}" }
						w.run(p, outage)
						other.order("cs_900003", "complete", "paid")
						w.answer = other.within
					}
					w.run(p, time.Minute)
					w.run(w.poller(), time.Hour)
					w.expect("cs_900001")
					w.expect("cs_900002", "created", "completed", "paid", "fulfillable")
					if outage > 0 {
						w.expect("cs_900003", "created", "completed", "paid", "fulfillable")
					}
				})
			})
		}
	}
}

// Whoever accepted another account by mistake and puts the right key back hears of
// what happened meanwhile: at once where nothing of the other one was read, and once
// more accepted where that has become the account's.
func TestRightKeyAfterAcceptanceLosesNothing(t *testing.T) {
	for _, meanwhile := range []int{1, 250} {
		for _, read := range []bool{false, true} {
			t.Run(fmt.Sprint(meanwhile, " meanwhile, the other one was read ", read), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					own, other := stall(100000, 8, 2*time.Minute), stall(900000, 6, time.Minute)
					w.answer = own.within
					p := w.poller()
					w.run(p, 5*time.Minute)
					w.answer = other.within
					w.run(p, 25*time.Second)
					own.order("cs_100001", "complete", "paid")
					w.accept()
					if read {
						w.run(p, time.Minute)
					}
					time.Sleep(time.Minute)
					for i := 1; i < meanwhile; i++ {
						time.Sleep(time.Second)
						own.order(fmt.Sprintf("cs_%d", 100001+i), "complete", "paid")
					}
					own.set("cs_100000", time.Now().Add(-10*time.Minute), "complete", "paid")
					w.answer = own.within
					w.run(p, time.Minute)
					if w.foreign() != read {
						t.Fatalf("stopped %t, want %t", w.foreign(), read)
					}
					if read {
						w.expect("cs_100001")
						w.accept()
						w.run(p, time.Minute)
					}
					for i := range meanwhile {
						w.expect(fmt.Sprintf("cs_%d", 100001+i), "created", "completed", "paid", "fulfillable")
					}
					w.expect("cs_100000", "completed", "paid", "fulfillable")
					if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
						t.Errorf("status = %+v", s)
					}
				})
			})
		}
	}
}

// So does whoever accepted an account that shows few sessions or none.
func TestRightKeyAfterAcceptanceOfAnEmptyAccount(t *testing.T) {
	for _, others := range []int{0, 1, 2} {
		t.Run(fmt.Sprint(others, " others"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				own, other := stall(100000, 8, 2*time.Minute), stall(900000, others, time.Minute)
				w.answer = own.within
				w.run(w.poller(), 5*time.Minute)
				w.answer, w.cfg.SecretKey = other.within, "sk_test_other"
				p := w.poller()
				w.run(p, time.Minute)
				own.order("cs_100001", "complete", "paid")
				w.accept()
				w.run(p, 20*time.Minute)
				w.answer, w.cfg.SecretKey = own.within, testKey
				p = w.poller()
				w.run(p, time.Minute)
				if w.foreign() {
					w.accept()
					w.run(p, time.Minute)
				}
				w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
				if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
					t.Errorf("status = %+v", s)
				}
			})
		})
	}
}

// The same where the key stays and the API shows another account for a while.
func TestAccountOfFewSessionsThatWasAcceptedStopsForTheFormerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		own, other := stall(100000, 8, 2*time.Minute), stall(900000, 1, time.Minute)
		w.answer = own.within
		p := w.poller()
		w.run(p, 5*time.Minute)
		w.answer = other.within
		w.run(p, time.Minute)
		own.order("cs_100001", "complete", "paid")
		w.accept()
		w.run(p, 20*time.Minute)
		w.answer = own.within
		w.run(p, time.Minute)
		w.expect("cs_100001")
		w.accept()
		w.run(p, time.Minute)
		w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
	})
}

// An account that goes on is not said to fail by what stopped it, also while the first
// pass lasts.
func TestAccountThatGoesOnIsNotSaidToFail(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		t.Run(fmt.Sprint("accepted ", accepted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				own, other := stall(100000, 8, 2*time.Minute), stall(900000, 6, time.Minute)
				w.answer = own.within
				p := w.poller()
				w.run(p, 5*time.Minute)
				w.answer = other.within
				w.run(p, time.Minute)
				shown := other
				if accepted {
					w.accept()
				} else {
					shown = own
				}
				w.answer = func(req *http.Request) (int, string) {
					if s := p.Status()[0]; !w.foreign() && s.Error != "" {
						t.Errorf("the account fails: %s", s.Error)
					}
					return shown.within(req)
				}
				w.run(p, time.Minute)
				if w.foreign() {
					t.Error("the account is stopped")
				}
			})
		})
	}
}
