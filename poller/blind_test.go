package poller_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// failing lets the API fail with the status where it is asked for what matches says:
// parameters of a list, or the id of a session.
func (w *world) failing(status int, matches func(asked string, list bool) bool) {
	w.answer = func(req *http.Request) (int, string) {
		asked := path.Base(req.URL.Path) + req.URL.RawQuery
		if req.Body != nil {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			asked += string(body)
		}
		if !matches(asked, isList(req)) {
			return 0, ""
		}
		return status, `{"error":{"message":"boom"}}`
	}
}

// butTheNewest is all but the newest page.
func butTheNewest(asked string, list bool) bool {
	return !list || strings.Contains(asked, "starting_after") || strings.Contains(asked, "lte")
}

// orders are sessions that are open, and older than what each pass reads.
func (w *world) orders(n int) (ids []string) {
	for range n {
		time.Sleep(time.Minute)
		ids = append(ids, w.create(open(simulator.Fields{"expires_at": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)})))
	}
	time.Sleep(time.Hour)
	return ids
}

func (w *world) saidLost(id string) (n int) {
	for _, line := range w.lines {
		if strings.Contains(line, "cannot show sessions that it showed before") && strings.Contains(line, id) {
			n++
		}
	}
	return n
}

// When most of the watched sessions cannot be shown the account is failing until they
// are. Then all are asked for at once, however long it was.
func TestMostSessionsCannotBeShown(t *testing.T) {
	for _, tt := range []struct {
		status int
		lasts  time.Duration
		back   time.Duration // within it all is known; a refused key is not tried for five minutes
	}{
		{400, 10 * time.Minute, 30 * time.Second},
		{400, 5 * time.Hour, 30 * time.Second},
		{500, 10 * time.Minute, 40 * time.Second},
		{500, 5 * time.Hour, 40 * time.Second},
		{403, 10 * time.Minute, 6 * time.Minute},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.lasts), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = poller.StartAll
				w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour
				ids := w.orders(30)
				p := w.poller()
				w.run(p, 6*time.Minute)
				w.failing(tt.status, butTheNewest)
				sick := time.Now()
				for _, id := range ids[10:20] {
					w.update(id, paid())
				}
				w.run(p, tt.lasts)
				status := p.Status()[0]
				if status.Healthy || time.Since(status.ErrorSince) < tt.lasts-6*time.Minute {
					t.Errorf("healthy %t since %s: %s", status.Healthy, status.ErrorSince, status.Error)
				}
				if tt.status == 400 && !strings.Contains(status.Error, "watched sessions that were due") {
					t.Errorf("the error is %s", status.Error)
				}
				for _, tier := range status.Tiers {
					if tier.Sessions > 0 && time.Since(tier.OldestLook) < time.Since(sick) {
						t.Errorf("the oldest look at %s was %s ago, after %s", tier.Name, time.Since(tier.OldestLook), time.Since(sick))
					}
				}
				if n := w.saidLost(""); tt.status == 400 && (n == 0 || n > 3) {
					t.Errorf("said %d times", n)
				}
				w.answer = nil
				w.run(p, tt.back)
				for _, id := range ids[10:20] {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
				if status := p.Status()[0]; !status.Healthy || len(status.Holes) > 0 {
					t.Errorf("it is well again, but: %s, %d holes", status.Error, len(status.Holes))
				}
			})
		})
	}
}

// A few sessions that cannot be shown among others are no error of the account. They are
// named once, and once one of them is shown again the others are asked for.
func TestFewSessionsCannotBeShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		ids := w.orders(30)
		p := w.poller()
		w.run(p, 6*time.Minute)
		var poison []string
		w.answer = func(req *http.Request) (int, string) {
			resp, err := serve(w.api, req)
			if err != nil { // its context ended
				return http.StatusInternalServerError, ""
			}
			body, _ := io.ReadAll(resp.Body)
			if slices.ContainsFunc(poison, func(id string) bool { return bytes.Contains(body, []byte(id)) }) {
				return http.StatusInternalServerError, "boom"
			}
			return resp.StatusCode, string(body)
		}
		for n, at := range []int{3, 11, 19} {
			poison = append(poison, ids[at])
			for range 60 + 17*n {
				w.run(p, 59*time.Second) // not to the moment at which a pass begins
				if status := p.Status()[0]; !status.Healthy {
					t.Fatal(status.Error)
				}
			}
		}
		for _, id := range poison {
			if n := w.saidLost(id); n != 1 {
				t.Errorf("%s is named %d times", id, n)
			}
			w.update(id, paid())
		}
		w.answer = nil
		for n := 0; len(w.events[poison[0]])+len(w.events[poison[1]])+len(w.events[poison[2]]) < 4; n++ {
			if w.run(p, 10*time.Second); n > 360 {
				t.Fatal("nothing is shown within an hour")
			}
		}
		w.run(p, 20*time.Second)
		for _, id := range poison {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}
