package poller_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inMillis is the list as an API shows it that takes bounds of creation times for
// milliseconds, and answers for no single session.
func (l *listing) inMillis(single int) func(*http.Request) (int, string) {
	return func(req *http.Request) (int, string) {
		if !isList(req) {
			return single, "{}"
		}
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(bounds.ReplaceAll(body, []byte(`"$1":"$2"`))))
		return l.within(req)
	}
}

// More new orders than a page are no other account's where nothing is shown up to any time.
func TestNewOrdersWhereTheAPIReadsMilliseconds(t *testing.T) {
	t.Parallel()
	for _, single := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed} {
		for _, stopped := range []bool{true, false} {
			t.Run(fmt.Sprint(single, ", stopped ", stopped), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					l := stall(100000, 50, 2*time.Minute)
					w.answer = l.inMillis(single)
					p, orders, every := w.poller(), 180, time.Minute
					w.run(p, 5*time.Minute)
					if !stopped {
						orders, every = 120, 10*time.Millisecond
					}
					for i := range orders {
						time.Sleep(every)
						l.order(fmt.Sprintf("cs_%d", 100001+i), "complete", "paid")
					}
					if stopped {
						p = w.poller()
					}
					w.run(p, 5*time.Minute)
					for i := range orders {
						w.expect(fmt.Sprintf("cs_%d", 100001+i), "created", "completed", "paid", "fulfillable")
					}
					if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
						t.Errorf("status = %+v", s)
					}
				})
			})
		}
	}
}

// There, too, another account's orders are not told, and whoever accepted it by mistake and
// puts the right key back hears of what happened meanwhile.
func TestAnotherAccountWhereTheAPIReadsMilliseconds(t *testing.T) {
	t.Parallel()
	for _, known := range []int{3, 50} {
		for _, every := range []time.Duration{time.Second, 2 * time.Minute, 40 * time.Minute} {
			for _, past := range []int{1, 60, 300} {
				t.Run(fmt.Sprint(known, " known, the other one has ", past, " each ", every), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						own, other := stall(100000, known, 2*time.Minute), stall(900000, past, every)
						w.answer = own.inMillis(http.StatusNotFound)
						p := w.poller()
						w.run(p, 5*time.Minute)
						w.answer = other.inMillis(http.StatusNotFound)
						for i := range 10 {
							other.order(fmt.Sprintf("cs_%d", 900001+i), "complete", "paid")
							w.run(p, time.Minute)
						}
						for id := range w.events {
							if strings.HasPrefix(id, "cs_9") {
								t.Errorf("%s of another account was told", id)
							}
						}
						for i := range 180 {
							time.Sleep(time.Minute)
							own.order(fmt.Sprintf("cs_%d", 100001+i), "complete", "paid")
						}
						w.accept()
						w.answer = own.inMillis(http.StatusNotFound)
						w.run(p, 5*time.Minute)
						for i := range 180 {
							w.expect(fmt.Sprintf("cs_%d", 100001+i), "created", "completed", "paid", "fulfillable")
						}
						if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
							t.Errorf("status = %+v", s)
						}
					})
				})
			}
		}
	}
}
