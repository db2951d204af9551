package poller_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sick lets a listing fail over sessions, and, if told so, over every question for the
// newest sessions, whether there are any or not.
func (l *listing) sick(poison map[string]bool, newest func() bool) func(*http.Request) (int, string) {
	return func(req *http.Request) (int, string) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		status, answer := l.within(req)
		asked := string(body)
		if isList(req) && newest() && !strings.Contains(asked, "starting_after") && !strings.Contains(asked, "lte") {
			return http.StatusInternalServerError, "boom"
		}
		for id := range poison {
			if strings.Contains(answer, fmt.Sprintf("%q", id)) {
				return http.StatusInternalServerError, "boom"
			}
		}
		return status, answer
	}
}

// One new session that the API cannot show is no error of the account, however long it is
// the newest. When another one comes that cannot be shown either it is one, until a newer
// session can be shown, and also after a restart. In the end all are announced.
func TestNewSessionsCannotBeShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, poison := newListing(), make(map[string]bool)
		w.answer = l.sick(poison, func() bool { return false })
		p := w.poller()
		w.run(p, time.Minute)
		order := func(n int, shown bool) string {
			id := fmt.Sprintf("cs_%d", n)
			if !shown {
				poison[id] = true
			}
			l.order(id, "complete", "paid")
			return id
		}
		for n := range 8 {
			order(100+n, true)
			w.run(p, 20*time.Second)
		}
		first := order(200, false)
		for range 60 {
			if w.run(p, 59*time.Second); !p.Status()[0].Healthy {
				t.Fatal(p.Status()[0].Error)
			}
		}
		second := order(201, false)
		w.run(p, 15*time.Second)
		ill := func(passes int) {
			t.Helper()
			if s := p.Status()[0]; s.Healthy || !strings.Contains(s.Error, "neither the newest sessions") || s.Passes > passes {
				t.Errorf("healthy %t after %d passes with two orders that cannot be shown (%s): %+v", s.Healthy, s.Passes, s.Error, s.Holes)
			}
		}
		ill(1000)
		p = w.poller()
		w.run(p, 30*time.Minute)
		ill(0)
		third := order(202, true)
		w.run(p, 30*time.Second)
		w.expect(third, "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; !s.Healthy || len(s.Holes) != 1 {
			t.Errorf("a newer one is shown, but: %s, holes %+v", s.Error, s.Holes)
		}
		clear(poison)
		w.run(p, time.Hour)
		for _, id := range []string{first, second} {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
		if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
			t.Errorf("it is well again, but: %s, holes %+v", s.Error, s.Holes)
		}
	})
}

// An API that answers each question for the newest sessions with an error shows no new
// order, even if it shows everything else.
func TestNewestPageCannotBeShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, ill := newListing(), false
		w.answer = l.sick(nil, func() bool { return ill })
		p := w.poller()
		for n := range 8 {
			l.order(fmt.Sprintf("cs_%d", 100+n), "complete", "paid")
			w.run(p, 20*time.Second)
		}
		ill = true
		w.run(p, time.Minute)
		l.order("cs_200", "complete", "paid")
		w.run(p, 10*time.Minute)
		if s := p.Status()[0]; s.Healthy || time.Since(s.ErrorSince) < 10*time.Minute {
			t.Errorf("healthy %t, error %q since %s", s.Healthy, s.Error, s.ErrorSince)
		}
		ill = false
		w.run(p, time.Minute)
		w.expect("cs_200", "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
			t.Errorf("it is well again, but: %s, holes %+v", s.Error, s.Holes)
		}
	})
}

// Orders above a new session that the API cannot show are told as usual, also where the
// API fails over each list with that session, on whatever page of it, or ignores limit.
func TestOrdersAboveANewSessionThatCannotBeShown(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"the whole range is read": "1000", "pages of ten": "10"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = 10
				l, poison := newListing(), ""
				w.answer = func(req *http.Request) (int, string) {
					body, _ := io.ReadAll(req.Body)
					req.Body = io.NopCloser(bytes.NewReader(body))
					status, answer := l.within(req)
					mapped := req.Clone(t.Context())
					mapped.Body = io.NopCloser(bytes.NewReader(limits.ReplaceAll(body, []byte(`"limit":`+limit))))
					_, all := l.within(mapped)
					switch {
					case poison != "" && strings.Contains(all, fmt.Sprintf("%q", poison)):
						return http.StatusInternalServerError, "boom"
					case limit == "10":
						return status, all
					}
					return status, answer
				}
				p := w.poller()
				for n := range 30 {
					l.order(fmt.Sprintf("cs_%d", 1000+n), "complete", "paid")
					time.Sleep(time.Minute)
				}
				w.run(p, time.Minute)
				poison = "cs_2000"
				l.order(poison, "complete", "paid")
				w.run(p, 20*time.Second)
				n := 3000
				order := func(status, payment string) string {
					n++
					id := fmt.Sprintf("cs_%d", n)
					l.order(id, status, payment)
					return id
				}
				told := func(ids ...string) {
					t.Helper()
					for _, id := range ids {
						if !slices.Contains(w.events[id], "fulfillable") {
							t.Errorf("%s is not told: %v", id, w.events[id])
						}
					}
				}
				open := order("open", "unpaid")
				var many []string
				for range 36 { // more than pages show; the last of them reaches down to the broken one
					many = append(many, order("complete", "paid"))
					time.Sleep(time.Second / 2)
				}
				w.run(p, 20*time.Second)
				told(many...)
				for range 100 {
					id := order("complete", "paid")
					w.run(p, 20*time.Second)
					told(id)
				}
				l.set(open, time.Unix(l.created[open], 0), "complete", "paid")
				w.run(p, 15*time.Minute)
				told(open)
				before := w.requests
				w.run(p, 10*time.Minute)
				if each := float64(w.requests-before) / 60; each > 9 { // four pages show the last ten minutes
					t.Errorf("%.1f requests in a pass", each)
				}
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) != 1 {
					t.Errorf("it shows newer orders, but: %s, holes %+v", s.Error, s.Holes)
				}
				broken := poison
				poison = ""
				w.run(p, time.Hour)
				told(broken)
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
					t.Errorf("it is well again, but: %s, holes %+v", s.Error, s.Holes)
				}
			})
		})
	}
}
