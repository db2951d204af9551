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

// failing lets a listing fail over each range in which a session stands, on whatever page
// of it, and over the session itself.
func (l *listing) failing(poison map[string]bool) func(*http.Request) (int, string) {
	return func(req *http.Request) (int, string) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		whole := req.Clone(req.Context())
		whole.Body = io.NopCloser(bytes.NewReader(limits.ReplaceAll(body, []byte(`"limit":1000`))))
		_, all := l.within(whole)
		for id := range poison {
			if strings.Contains(all, fmt.Sprintf("%q", id)) {
				return http.StatusInternalServerError, "boom"
			}
		}
		return l.within(req)
	}
}

// The API may come to show what it could not while a pass goes on: that pass was shown
// nothing of what stands in the hole, and that is no error.
func TestHoleThatHealsWhileThePassGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, poison, healing := newListing(), make(map[string]bool), false
		answer := l.failing(poison)
		w.answer = func(req *http.Request) (int, string) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			if asked := string(body); healing && isList(req) && !strings.Contains(asked, "created") && strings.Contains(asked, `"limit":100`) {
				clear(poison)
			}
			return answer(req)
		}
		for n := range 10 {
			l.order(fmt.Sprintf("cs_%d", 1000+n), "complete", "paid")
			time.Sleep(time.Minute)
		}
		p := w.poller()
		w.run(p, time.Hour)
		l.order("cs_2000", "open", "unpaid")
		w.run(p, 12*time.Second)
		l.order("cs_2001", "open", "unpaid")
		w.run(p, 12*time.Second)
		poison["cs_2000"] = true // known, as the one above it
		w.run(p, time.Minute)
		for n := range 10 {
			l.order(fmt.Sprintf("cs_%d", 3000+n), "complete", "paid")
			w.run(p, 20*time.Second)
		}
		healing = true
		failed := 0
		for range 20 {
			if w.run(p, 9*time.Second); !p.Status()[0].Healthy {
				failed++
				t.Log(p.Status()[0].Error)
			}
		}
		if s := p.Status()[0]; failed > 0 || len(s.Holes) > 0 {
			t.Errorf("%d of 20 passes failed, holes %+v", failed, s.Holes)
		}
	})
}
