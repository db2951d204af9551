package poller_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// blank lets the API answer for its list with the body, and for single sessions with
// the status, 0 for the truth; both only where matches says so.
func (w *world) blank(body string, byID int, matches func(params string) bool) {
	w.answer = func(req *http.Request) (int, string) {
		if !isList(req) {
			return byID, `{"error":{"message":"no such session"}}`
		}
		asked, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(strings.NewReader(string(asked)))
		if !matches(string(asked)) {
			return 0, ""
		}
		return http.StatusOK, body
	}
}

func always(string) bool { return true }

// A list that shows nothing although it should show known sessions is an error of the
// account for as long as it lasts, whatever the API says by id. What happened meanwhile
// is announced.
func TestListThatShowsNothing(t *testing.T) {
	const none = `{"object":"list","has_more":false,"data":[]}`
	recent := func(params string) bool { return strings.Contains(params, "gte") }
	for name, tt := range map[string]struct {
		body    string
		byID    int
		every   time.Duration // a session is created
		matches func(params string) bool
		says    string
	}{
		"no rows":                     {none, 404, 30 * time.Second, always, "sessions that are known and should stand there"},
		"no rows, but by id":          {none, 0, 30 * time.Second, always, "sessions that are known and should stand there"},
		"no rows, no answer by id":    {none, 500, 30 * time.Second, always, "sessions that are known and should stand there"},
		"no object":                   {`{"data":[],"has_more":false}`, 404, 30 * time.Second, always, "sessions that are known and should stand there"},
		"no data":                     {`{"object":"list","has_more":false}`, 404, 30 * time.Second, always, "sessions that are known and should stand there"},
		"data null":                   {`{"object":"list","data":null}`, 404, 30 * time.Second, always, "sessions that are known and should stand there"},
		"more, and no rows":           {`{"object":"list","has_more":true,"data":[]}`, 404, 30 * time.Second, always, "sessions that are known and should stand there"},
		"an error":                    {`{"code":500,"msg":"busy","data":[]}`, 404, 30 * time.Second, always, "busy"},
		"quiet shop":                  {none, 404, time.Hour, always, "sessions that are known and should stand there"},
		"nothing where time matters":  {none, 404, 30 * time.Second, recent, "sessions that are known and should stand there"},
		"the same, and a quiet shop":  {none, 404, time.Hour, recent, "sessions that are known and should stand there"},
		"the same, no answer by id":   {none, 500, time.Hour, recent, "sessions that are known and should stand there"},
		"the same, and answers by id": {none, 0, time.Hour, recent, "sessions that are known and should stand there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = poller.StartAll
				var ids []string
				for range 20 {
					time.Sleep(tt.every)
					ids = append(ids, w.create(open(simulator.Fields{"expires_at": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)})))
				}
				p := w.poller()
				w.run(p, time.Minute)
				w.blank(tt.body, tt.byID, tt.matches)
				sick := time.Now()
				w.run(p, time.Minute)
				ids = append(ids, w.create(paid()))
				w.update(ids[19], paid())
				w.run(p, 3*time.Minute)
				s := p.Status()[0]
				if s.Healthy || !strings.Contains(s.Error, tt.says) || s.ErrorSince.Sub(sick) > 30*time.Second || s.LastSuccess.After(sick.Add(time.Second)) {
					t.Errorf("healthy %t, last success %s, error since %s (%s)", s.Healthy, s.LastSuccess, s.ErrorSince, s.Error)
				}
				if tt.byID == 0 {
					w.expect(ids[19], "created", "completed", "paid", "fulfillable")
				}
				w.answer = nil
				w.run(p, time.Minute)
				if s := p.Status()[0]; !s.Healthy {
					t.Errorf("it is well again, but: %s", s.Error)
				}
				w.expect(ids[19], "created", "completed", "paid", "fulfillable")
				w.expect(ids[20], "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// A list may well show nothing where nothing, or little, is known, and the newest
// sessions may leave it.
func TestListThatMayShowNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		sessions int
		leave    func(w *world, ids []string)
	}{
		"new account":       {0, func(w *world, _ []string) { w.blank(`{"object":"list","data":null}`, 404, always) }},
		"new, told so":      {0, func(w *world, _ []string) { w.blank(`{"code":200,"msg":"success","data":[]}`, 404, always) }},
		"two sessions":      {2, func(w *world, _ []string) { w.blank(`{"data":[],"has_more":false}`, 404, always) }},
		"the newest left":   {20, func(w *world, ids []string) { w.remove(ids[18:]...) }},
		"the oldest left":   {20, func(w *world, ids []string) { w.remove(ids[:18]...) }},
		"nobody comes":      {20, func(*world, []string) { time.Sleep(70 * time.Hour) }},
		"nobody comes long": {20, func(*world, []string) { time.Sleep(20 * 24 * time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = poller.StartAll
				ids := w.sell(tt.sessions, 20*time.Minute)
				p := w.poller()
				w.run(p, time.Minute)
				tt.leave(w, ids)
				for n := range 60 {
					w.run(p, 10*time.Second)
					if s := p.Status()[0]; !s.Healthy || s.Error != "" {
						t.Fatal(fmt.Sprint("run ", n, ": ", s.Error))
					}
				}
			})
		})
	}
}
