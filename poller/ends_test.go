package poller_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// sessions is a list answer.
type sessions struct {
	Object string            `json:"object"`
	More   bool              `json:"has_more"`
	Data   []json.RawMessage `json:"data"`
}

// bent answers as the API does, with its list changed.
func (w *world) bent(req *http.Request, bend func(*sessions)) (status int, body string) {
	w.t.Helper()
	resp, err := serve(w.api, req)
	if err != nil { // its context ended
		return http.StatusInternalServerError, ""
	}
	var list sessions
	answer, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(answer, &list); err != nil {
		w.t.Errorf("%v: %s", err, answer)
	}
	bend(&list)
	short, _ := json.Marshal(list)
	return resp.StatusCode, string(short)
}

// remove takes sessions from the list for good.
func (w *world) remove(ids ...string) {
	w.answer = func(req *http.Request) (int, string) {
		if !isList(req) && slices.Contains(ids, path.Base(req.URL.Path)) {
			return http.StatusNotFound, `{"error":{"message":"no such session"}}`
		} else if !isList(req) {
			return 0, ""
		}
		return w.bent(req, func(list *sessions) {
			list.Data = slices.DeleteFunc(list.Data, func(item json.RawMessage) bool {
				return slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(string(item), `"`+id+`"`) })
			})
		})
	}
}

// lie lets the API give one wrong answer, the n-th of the list's from now on, and
// returns how many there were.
func (w *world) lie(n int, bend func(*sessions)) (asked *int) {
	asked = new(int)
	w.answer = func(req *http.Request) (int, string) {
		if !isList(req) {
			return 0, ""
		}
		w.mu.Lock()
		*asked++
		lies := *asked == n
		w.mu.Unlock()
		if !lies {
			return 0, ""
		}
		return w.bent(req, bend)
	}
	return asked
}

// falseEnds are answers that show too little, and all but one say that there is no more.
var falseEnds = map[string]func(*sessions){
	"empty": func(list *sessions) { list.More, list.Data = false, nil },
	"one":   func(list *sessions) { list.More, list.Data = false, list.Data[:min(len(list.Data), 1)] },
	"half":  func(list *sessions) { list.More, list.Data = false, list.Data[:len(list.Data)/2] },
	"one and more": func(list *sessions) {
		list.More, list.Data = list.More || len(list.Data) > 1, list.Data[:min(len(list.Data), 1)]
	},
}

// sell creates paid sessions.
func (w *world) sell(n int, every time.Duration) (ids []string) {
	for range n {
		time.Sleep(every)
		ids = append(ids, w.create(paid()))
	}
	return ids
}

// readings are the ways in which a list is read to where nobody knows it. Each has a
// poller at work whose answers are true but for one of those that lie counts.
var readings = map[string]func(w *world, lie func()) (hidden []string){
	"catch-up": func(w *world, lie func()) []string {
		w.sell(5, time.Minute)
		w.run(w.poller(), time.Second)
		ids := w.sell(60, 3*time.Minute)
		lie()
		w.run(w.poller(), time.Minute)
		return ids
	},
	"catch-up beyond the window": func(w *world, lie func()) []string {
		w.sell(5, time.Minute)
		w.run(w.poller(), time.Second)
		ids := w.sell(60, time.Hour)
		lie()
		w.run(w.poller(), time.Minute)
		return ids
	},
	"first pass": func(w *world, lie func()) []string {
		ids := w.sell(60, time.Hour)
		lie()
		w.run(w.poller(), time.Minute)
		return ids
	},
	"first pass over all": func(w *world, lie func()) []string {
		w.cfg.Start = poller.StartAll
		ids := w.sell(60, 10*time.Hour)
		lie()
		w.run(w.poller(), time.Minute)
		return ids
	},
	"backfill": func(w *world, lie func()) []string {
		since := time.Now()
		w.cfg.Poll.UnpaidFor = time.Hour
		ids := w.sell(60, time.Hour)
		p := w.poller()
		w.run(p, time.Second)
		lie()
		w.backfill(p, time.Minute, poller.Backfill{Since: since})
		return ids
	},
	"reconciliation": func(w *world, lie func()) []string {
		ids := w.sell(60, 10*time.Minute)
		w.run(w.poller(), time.Second)
		for i, id := range ids {
			if i%20 > 4 && i < 55 {
				delete(w.snapshots, id)
			}
		}
		time.Sleep(time.Hour)
		w.cfg.Poll.Tuning.ReconcileEvery = time.Hour
		lie()
		w.run(w.poller(), time.Minute)
		return ids
	},
}

// No single answer that shows too little hides a session, whatever is read and whichever
// answer it is, nor where the API ignores cursors.
func TestOneFalseEnd(t *testing.T) {
	for what, read := range readings {
		for how, bend := range falseEnds {
			for cursors, ignored := range map[string]simulator.Chance{"cursors": {}, "no cursors": simulator.Always()} {
				t.Run(what+", "+how+", "+cursors, func(t *testing.T) {
					t.Parallel()
					oneFalseEnd(t, simulator.Faults{RepeatPage: ignored}, bend, read)
				})
			}
		}
	}
}

func oneFalseEnd(t *testing.T, faults simulator.Faults, bend func(*sessions), read func(w *world, lie func()) []string) {
	step := 3
	if testing.Short() || raceEnabled {
		step = 17
	}
	for n, asked := 1, 1; n <= asked; n += step {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.cfg.Poll.Tuning.PageSize, w.cfg.Poll.Tuning.ReconcileEvery = 5, 1000*time.Hour
			w.faults(faults)
			var answers *int
			unknown := 0
			for _, id := range read(w, func() { answers = w.lie(n, bend) }) {
				if _, known := w.snapshots[id]; !known {
					unknown++
				}
			}
			if unknown > 0 {
				t.Errorf("answer %d of %d: %d sessions are not known", n, *answers, unknown)
			}
			asked = min(*answers, 60)
		})
	}
}

// Where the API says on every page that more follow, or does so from some day on, a list
// ends all the same, with cursors and without.
func TestAlwaysMore(t *testing.T) {
	for name, tt := range map[string]struct {
		size  int
		later bool
		how   simulator.Faults
	}{
		"no cursors":              {100, false, simulator.Faults{RepeatPage: simulator.Always()}},
		"no cursors, small pages": {5, false, simulator.Faults{RepeatPage: simulator.Always()}},
		"no cursors, later":       {100, true, simulator.Faults{RepeatPage: simulator.Always()}},
		"cursors":                 {5, false, simulator.Faults{}},
		"cursors, later":          {5, true, simulator.Faults{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start, w.cfg.Poll.Tuning.PageSize = poller.StartAll, tt.size
				p, ids := w.poller(), w.sell(30, time.Hour)
				if tt.later {
					w.run(p, time.Minute)
					time.Sleep(time.Hour)
				}
				tt.how.HasMoreTrue = simulator.Always()
				w.faults(tt.how)
				ids = append(ids, w.sell(30, time.Minute)...)
				w.run(p, time.Minute)
				ids = append(ids, w.sell(1, time.Second)...)
				for range 10 { // the first run tells all, the others repeat nothing
					w.run(p, 15*time.Second)
					for _, id := range ids {
						w.expect(id, "created", "completed", "paid", "fulfillable")
					}
				}
				if s := p.Status()[0]; s.Error != "" || time.Since(s.LastSuccess) > time.Minute {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// Pages that are capped, and of which each is said to be the last, hide nothing either.
func TestEveryPageIsSaidToBeTheLast(t *testing.T) {
	for _, most := range []int{10, 50} {
		synctest.Test(t, func(t *testing.T) {
			w, l := newWorld(t), newListing()
			w.answer = func(req *http.Request) (int, string) {
				if !isList(req) {
					return l.answer(req)
				}
				limit, after := params(req)
				return http.StatusOK, strings.Replace(l.page(min(limit, most), after), `"has_more":true`, `"has_more":false`, 1)
			}
			sell := func(n int) (ids []string) {
				for i := range n {
					id := fmt.Sprintf("cs_%d", 1000+len(l.ids))
					l.ids = slices.Insert(l.ids, 0, id)
					l.set(id, time.Now().Add(time.Duration(i-n)*time.Second), "complete", "paid")
					ids = append(ids, id)
				}
				return ids
			}
			old := sell(130)
			p := w.poller()
			w.run(p, 15*time.Second)
			time.Sleep(time.Hour)
			fresh := sell(3 * most)
			w.run(p, 15*time.Second)
			for _, id := range old {
				if _, known := w.snapshots[id]; !known {
					t.Errorf("%s is not known", id)
				}
			}
			for _, id := range fresh {
				w.expect(id, "created", "completed", "paid", "fulfillable")
			}
		})
	}
}

// An end above known sessions on which the API insists hides nothing for good: first the
// passes read the rest again, then reconciliations do.
func TestFalseEndIsInsistedOn(t *testing.T) {
	for _, tt := range []struct{ insists, within time.Duration }{
		{25 * time.Second, 30 * time.Second},
		{10 * time.Minute, 3 * time.Minute},
		{3 * time.Hour, time.Hour},
	} {
		t.Run(tt.insists.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = 10
				w.cfg.Poll.Interval = max(w.cfg.Poll.Interval, tt.within/120)
				w.sell(5, time.Minute)
				w.run(w.poller(), time.Second)
				ids := w.sell(60, time.Minute)
				shown := 0
				w.answer = func(req *http.Request) (int, string) {
					w.mu.Lock()
					defer w.mu.Unlock()
					if shown++; !isList(req) || shown < 3 {
						return 0, ""
					}
					return w.bent(req, falseEnds["empty"])
				}
				p := w.poller()
				w.run(p, tt.insists)
				if len(w.events) > 40 {
					t.Errorf("%d sessions have events", len(w.events))
				}
				w.answer = nil
				w.run(p, tt.within)
				for _, id := range ids {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
			})
		})
	}
}

// Of several sessions that leave the end of the list each is missed.
func TestEndOfTheListLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ids []string
		for range 3 {
			time.Sleep(15 * time.Second)
			ids = append(ids, w.create(nil))
		}
		p := w.poller()
		w.run(p, time.Minute)
		w.remove(ids[:2]...)
		w.run(p, 10*time.Minute)
		for i, want := range []event.Watch{event.Vanished, event.Vanished, event.Watched} {
			if got := w.snapshots[ids[i]].Watch; got != want {
				t.Errorf("session %d: watch = %s, want %s", i, got, want)
			}
		}
		if s := p.Status()[0]; len(s.Holes) > 0 || s.Error != "" {
			t.Errorf("status %+v", s)
		}
	})
}

// To doubt what an API says costs a healthy one nothing, and little where sessions
// leave the list.
func TestDoubtIsCheap(t *testing.T) {
	for name, change := range map[string]func(w *world, ids []string){
		"quiet":        func(*world, []string) {},
		"long quiet":   func(*world, []string) { time.Sleep(5 * 24 * time.Hour) },
		"a new one":    func(w *world, _ []string) { w.create(paid()) },
		"newest gone":  func(w *world, ids []string) { w.remove(ids[9]) },
		"one is gone":  func(w *world, ids []string) { w.remove(ids[7]) },
		"oldest gone":  func(w *world, ids []string) { w.remove(ids[0]) },
		"many are new": func(w *world, _ []string) { w.sell(50, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ids := w.sell(10, time.Minute)
				p := w.poller()
				w.run(p, 15*time.Second)
				w.requests = 0
				w.run(p, 5*time.Minute)
				usual := w.requests
				change(w, ids)
				w.requests = 0
				w.run(p, 5*time.Minute)
				t.Logf("%d requests instead of %d", w.requests, usual)
				if usual > 31 || w.requests > usual+25 {
					t.Errorf("%d requests instead of %d", w.requests, usual)
				}
			})
		})
	}
}
