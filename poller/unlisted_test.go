package poller_test

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// archive is an API whose list, once it is cut, no longer shows old sessions as it should.
// By id it shows all. It notes when it last showed each.
type archive struct {
	*world
	all      *listing
	old      []string // newest first
	young    *listing
	shown    map[string]time.Time
	waited   map[string]time.Duration // at most
	requests int
	list     func(limit int, after string) (int, string) // once it is cut; nil: as it should
}

// archive returns one of n old unpaid sessions and a few young ones, and a poller that
// knows them.
func (w *world) archive(n int) (*archive, *poller.Poller) {
	a := &archive{world: w, all: newListing(), young: newListing(), shown: make(map[string]time.Time), waited: make(map[string]time.Duration)}
	w.cfg.Poll.RateLimit, w.cfg.Poll.Tuning.UnpaidEvery = 5, time.Minute
	now := time.Now()
	for i := range 5 {
		for _, l := range []*listing{a.all, a.young} {
			l.add(fmt.Sprintf("cs_%d", 99999-i), now.Add(-time.Duration(i+5)*time.Minute), "complete", "paid")
		}
	}
	for i := range n {
		id := fmt.Sprintf("cs_%d", 90000-i)
		a.old = append(a.old, id)
		a.all.add(id, now.Add(-26*time.Hour-time.Duration(i)*10*time.Minute), "complete", "unpaid")
	}
	w.answer = a.answer
	p := w.poller()
	w.run(p, 2*time.Minute)
	return a, p
}

func (a *archive) answer(req *http.Request) (status int, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	if isList(req) && a.list != nil {
		status, body = a.list(params(req))
		for _, item := range strings.Split(body, `{"id":"`)[1:] {
			id, _, _ := strings.Cut(item, `"`)
			a.show(id)
		}
	} else if status, body = a.all.answer(req); !isList(req) && status == http.StatusOK {
		a.show(path.Base(req.URL.Path))
	}
	return status, body
}

func (a *archive) show(id string) {
	a.waited[id] = max(a.waited[id], time.Since(a.shown[id]))
	a.shown[id] = time.Now()
}

// cut changes what the list shows, and counts anew.
func (a *archive) cut(list func(limit int, after string) (int, string)) {
	a.list, a.requests = list, 0
	for _, id := range a.old {
		a.shown[id], a.waited[id] = time.Now(), 0
	}
}

// longest is for how long the session that waited longest was not shown.
func (a *archive) longest() (longest time.Duration) {
	for _, id := range a.old {
		longest = max(longest, a.waited[id], time.Since(a.shown[id]))
	}
	return longest
}

// knows says whether the cut list knows a cursor.
func (a *archive) knows(after string) bool { return after == "" || slices.Contains(a.young.ids, after) }

// lists are ways not to show the old sessions.
func (a *archive) lists() map[string]func(limit int, after string) (int, string) {
	fails := func(status int) func(int, string) (int, string) {
		return func(limit int, after string) (int, string) {
			if !a.knows(after) {
				return status, `{"error":{"message":"no such session: ` + after + `"}}`
			}
			return http.StatusOK, a.young.page(limit, after)
		}
	}
	return map[string]func(int, string) (int, string){
		"refused": fails(http.StatusBadRequest), "not found": fails(http.StatusNotFound), "fails": fails(http.StatusInternalServerError),
		"empty": func(limit int, after string) (int, string) {
			if !a.knows(after) {
				return http.StatusOK, `{"object":"list","has_more":false,"data":[]}`
			}
			return http.StatusOK, a.young.page(limit, after)
		},
		"ends early": func(limit int, after string) (int, string) { // as if the cursor were unknown
			return http.StatusOK, a.young.page(limit, "")
		},
	}
}

// Where the list no longer shows old sessions each is asked for by its id, at about one
// request, so that none waits for longer than its round.
func TestListWithoutOldSessions(t *testing.T) {
	for name := range (&archive{}).lists() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, p := newWorld(t).archive(100)
				a.cut(a.lists()[name])
				a.run(p, 10*time.Minute)
				t.Logf("%d requests, the longest wait %v", a.requests, a.longest())
				if longest := a.longest(); longest > 2*time.Minute {
					t.Errorf("a session was not looked at for %v", longest)
				}
				if looks := 10 * len(a.old); a.requests > looks*13/10 {
					t.Errorf("%d requests for %d looks", a.requests, looks)
				}
				a.cut(nil)
				a.run(p, 10*time.Minute)
				if a.requests > 200 {
					t.Errorf("%d requests in 60 passes once the list shows them again", a.requests)
				}
			})
		})
	}
}

// So it is where there are more of them than the rate allows to ask for in a round: none
// waits for ever.
func TestMoreUnlistedSessionsThanTheRateAllows(t *testing.T) {
	lists := func(a *archive) map[string]func(int, string) (int, string) {
		lists := a.lists()
		var half *listing
		lists["every second is missing"] = func(limit int, after string) (int, string) {
			if half == nil {
				half = &listing{ids: a.all.ids, items: maps.Clone(a.all.items)}
				for i := 0; i < len(a.old); i += 2 {
					delete(half.items, a.old[i])
				}
			}
			return http.StatusOK, half.page(limit, after)
		}
		lists["short pages"] = func(limit int, after string) (int, string) { return http.StatusOK, a.all.page(min(limit, 2), after) }
		return lists
	}
	for _, name := range []string{"fails", "every second is missing", "short pages"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, p := newWorld(t).archive(600)
				a.cut(lists(a)[name])
				a.run(p, 30*time.Minute)
				t.Logf("%d requests, the longest wait %v", a.requests, a.longest())
				if longest := a.longest(); longest > 13*time.Minute {
					t.Errorf("a session was not looked at for %v", longest)
				}
			})
		})
	}
}

// Where a pass has time for a single page the oldest sessions have their turns, too.
func TestOnePageAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.Concurrency, w.cfg.Poll.Tuning.PageSize = 1, 2
		a, _ := w.archive(100)
		w.cfg.Poll.Interval, w.cfg.Poll.RateLimit = time.Second, 1
		a.cut(func(limit int, after string) (int, string) { return http.StatusOK, a.all.page(limit, after) })
		a.run(w.poller(), time.Hour)
		t.Logf("%d requests, the longest wait %v", a.requests, a.longest())
		if longest := a.longest(); longest > 25*time.Minute {
			t.Errorf("a session was not looked at for %v", longest)
		}
	})
}
