package poller_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// A first pass that comes to the head of the list again swallows nothing either.
func TestStartWhileTheHeadIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fresh := w.firstPassReadsTheHeadAgain()
		w.expect(fresh, "created", "completed", "paid", "fulfillable")
	})
}

// Without a Date the first pass cannot tell what came to be meanwhile from what existed,
// but the start is when its first answer came all the same.
func TestStartWithoutADate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := w.RoundTrip(req)
			if err == nil {
				resp.Header.Del("Date")
			}
			return resp, err
		})
		fresh := w.firstPassReadsTheHeadAgain()
		if s := w.snapshots[fresh]; s.Created.Before(w.account.Start) {
			t.Errorf("the account started at %s, after a session of %s", w.account.Start, s.Created)
		}
	})
}

// Nor does it move the start where the clocks tell different times.
func TestStartWhileTheHeadIsReadAgainByClocksThatDiffer(t *testing.T) {
	for _, own := range []time.Duration{-20 * days, -3 * time.Minute, 3 * time.Minute, 20 * days} {
		t.Run(own.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.own = own
				fresh := w.firstPassReadsTheHeadAgain()
				if s := w.snapshots[fresh]; s.Created.Before(w.account.Start) {
					t.Errorf("the account started at %s, after a session of %s", w.account.Start, s.Created)
				}
			})
		})
	}
}

// firstPassReadsTheHeadAgain lets the first pass come to the head of the list twice, and
// returns a session that was created in between. All others existed.
func (w *world) firstPassReadsTheHeadAgain() (fresh string) {
	w.cfg.Poll.Tuning.PageSize = 3
	w.faults(simulator.Faults{IgnoreFilters: simulator.Chance{Probability: 1}})
	var existed []string
	for i := range 40 {
		existed = append(existed, w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(time.Duration(40-i) * time.Hour)}))
	}
	for range 3 { // of one second: created[lte] seems to be honoured
		existed = append(existed, w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(time.Minute)}))
	}
	var made atomic.Bool
	w.answer = func(req *http.Request) (int, string) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		if !strings.Contains(string(body), "lte") {
			time.Sleep(time.Second) // created[lte] is tried first
		}
		if strings.Contains(string(body), "lte") && !strings.Contains(string(body), `"limit":1}`) && made.CompareAndSwap(false, true) {
			time.Sleep(3 * time.Second)
			fresh = w.create(paid())
		}
		return 0, ""
	}
	w.run(w.poller(), 2*time.Minute)
	for _, id := range existed {
		w.expect(id)
	}
	return fresh
}
