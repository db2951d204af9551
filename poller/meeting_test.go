package poller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// market is a list to which a session is added every few seconds, and of which
// the API cannot show some. It notes how long those wait that it can show.
type market struct {
	*world
	wares   []*ware // newest first
	status  int     // in place of what cannot be shown; 0 is a cut answer
	ignores bool    // created
	asked   int
	longest time.Duration // for which a session that is due in each pass was not looked at
	worst   string
}

type ware struct {
	id, item      string
	created, seen time.Time
	bad           bool
}

func (w *world) market(status int, ignores bool) *market {
	m := &market{world: w, status: status, ignores: ignores}
	w.cfg.Poll.RateLimit = 5
	for i := range 200 {
		m.add(time.Now().Add(-time.Duration(200-i) * 30 * time.Second))
	}
	w.parallel = true
	w.answer = func(req *http.Request) (int, string) {
		time.Sleep(200 * time.Millisecond)
		w.mu.Lock()
		defer w.mu.Unlock()
		m.asked++
		return m.answer(req)
	}
	return m
}

func (m *market) add(created time.Time) {
	it := &ware{id: fmt.Sprintf("cs_%d", 10000+len(m.wares)), created: created, seen: time.Now()}
	it.item = fmt.Sprintf(`{"id":%q,"created":%d,"status":"open","payment_status":"unpaid"}`, it.id, created.Unix())
	m.wares = append([]*ware{it}, m.wares...)
}

func (m *market) answer(req *http.Request) (int, string) {
	if !isList(req) {
		at := slices.IndexFunc(m.wares, func(it *ware) bool { return strings.HasSuffix(req.URL.Path, "/"+it.id) })
		if at < 0 {
			return http.StatusNotFound, `{"error":{"message":"no such session"}}`
		}
		return m.show(m.wares[at:at+1], "%s")
	}
	var p struct {
		Limit   int
		After   string `json:"starting_after"`
		Created struct{ GTE, LTE string }
	}
	if req.Body == nil {
		m.t.Errorf("asked without a body: %s", req.URL)
		return http.StatusBadRequest, ""
	}
	if body, err := io.ReadAll(req.Body); err != nil || json.Unmarshal(body, &p) != nil {
		return http.StatusBadRequest, ""
	}
	gte, _ := strconv.ParseInt(p.Created.GTE, 10, 64)
	lte, _ := strconv.ParseInt(p.Created.LTE, 10, 64)
	list := slices.Clone(m.wares)
	if p.After != "" {
		at := slices.IndexFunc(list, func(it *ware) bool { return it.id == p.After })
		if at < 0 {
			return http.StatusNotFound, `{"error":{"message":"no such cursor"}}`
		}
		list = list[at+1:]
	}
	list = slices.DeleteFunc(list, func(it *ware) bool {
		return !m.ignores && (gte > 0 && it.created.Unix() < gte || lte > 0 && it.created.Unix() > lte)
	})
	n := min(p.Limit, len(list))
	return m.show(list[:n], fmt.Sprintf(`{"object":"list","has_more":%t,"data":[%%s]}`, n < len(list)))
}

func (m *market) show(shown []*ware, form string) (int, string) {
	var items []string
	for _, it := range shown {
		if it.bad && m.status == 0 {
			return http.StatusOK, `{"object":`
		}
		if it.bad {
			return m.status, `{"error":{"message":"boom"}}`
		}
		items = append(items, it.item)
	}
	for _, it := range shown {
		m.waited(it)
		it.seen = time.Now()
	}
	return http.StatusOK, fmt.Sprintf(form, strings.Join(items, ","))
}

func (m *market) waited(it *ware) {
	if wait := time.Since(it.seen); wait > m.longest && !it.bad && time.Since(it.created) < 29*time.Minute {
		m.longest, m.worst = wait, it.id
	}
}

// trade lets new sessions arrive for a while, and returns for how long at most a
// payment waited for a look and how many requests were made.
func (m *market) trade(d time.Duration) (longest time.Duration, asked int) {
	m.world.mu.Lock()
	m.longest, m.asked = 0, 0
	m.world.mu.Unlock()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
		m.world.mu.Lock()
		m.add(time.Now())
		m.world.mu.Unlock()
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	for _, it := range m.wares {
		m.waited(it)
	}
	return m.longest, m.asked
}

// The first meeting with what the API cannot show is short, whatever it says
// instead and wherever in the list, and costs few requests; from then on nothing
// waits at all. Nothing else is concluded from it.
func TestFirstMeetingIsShort(t *testing.T) {
	for n, c := range []struct {
		where string
		bad   []int // places from the top, -1 for one that is bad from birth
		most  time.Duration
	}{
		{"one", []int{1}, 14 * time.Second},
		{"new ones", []int{-1, -1, -1}, 14 * time.Second},
		{"three at the top", []int{0, 1, 2}, 15 * time.Second},
		{"three near the top", []int{1, 5, 9}, 18 * time.Second},
		{"three in the middle", []int{50, 60, 70}, 19 * time.Second},
		{"old ones", []int{120, 140, 160}, 11 * time.Second},
		{"many", []int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19}, 35 * time.Second},
	} {
		for i, status := range []int{500, 404, 400, 0} {
			ignores := (n+i)%2 == 0 // every pair of two is met
			t.Run(fmt.Sprintf("%s, %d, ignores created %t", c.where, status, ignores), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					m := w.market(status, ignores)
					p := w.poller()
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- p.Run(ctx) }()
					time.Sleep(2 * time.Minute)
					m.trade(65 * time.Second)
					m.world.mu.Lock()
					for _, at := range c.bad {
						if at < 0 {
							m.add(time.Now())
						}
						m.wares[max(at, 0)].bad = true
					}
					m.world.mu.Unlock()
					if wait, asked := m.trade(time.Minute); wait > c.most || asked > 60+20*len(c.bad) {
						t.Errorf("at the first meeting %s waited %s, and there were %d requests", m.worst, wait, asked)
					}
					if wait, asked := m.trade(time.Minute); wait > 11*time.Second || asked > 60+10*len(c.bad) {
						t.Errorf("after it %s waited %s, and there were %d requests", m.worst, wait, asked)
					}
					m.trade(5 * time.Minute)
					if wait, asked := m.trade(time.Minute); wait > 11*time.Second || asked > 60+10*len(c.bad) {
						t.Errorf("long after it %s waited %s, and there were %d requests", m.worst, wait, asked)
					}
					s := p.Status()[0]
					if !s.Healthy || len(s.Holes) == 0 {
						t.Errorf("healthy %t (%s), %d holes", s.Healthy, s.Error, len(s.Holes))
					}
					expectOddities(t, &s)
					cancel()
					<-ended
				})
			})
		}
	}
}

// What began with the newest session is over once the list begins below it, even if
// the next answers fail.
func TestHoleAtTheTopThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.market(http.StatusInternalServerError, false)
		m.add(time.Now())
		m.wares[0].bad = true
		p := w.poller()
		w.run(p, 31*time.Second)
		if holes := p.Status()[0].Holes; len(holes) != 1 || holes[0].Above != "" {
			t.Fatalf("the holes are %+v", holes)
		}
		m.wares = m.wares[1:]
		answer, asked := w.answer, 0
		w.answer = func(req *http.Request) (int, string) {
			if asked++; asked > 1 && asked < 4 {
				return http.StatusInternalServerError, "boom"
			}
			return answer(req)
		}
		w.run(p, time.Minute)
		if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 || time.Since(s.LastSuccess) > 15*time.Second {
			t.Errorf("healthy %t (%s), the holes are %+v", s.Healthy, s.Error, s.Holes)
		} else {
			expectOddities(t, &s)
		}
	})
}

// expectOddities objects to anything that a market does not do.
func expectOddities(t *testing.T, s *poller.Status) {
	t.Helper()
	for _, o := range s.Oddities {
		if !slices.Contains([]string{"page_narrowed", "get_refused", "created_lte_ignored", "filter_ignored"}, o.Code) {
			t.Errorf("an oddity: %s: %s", o.Code, o.Message)
		}
	}
}

// An API that refuses every body, a correct one behind some proxies, is found out
// by the first pass, whatever its start.
func TestBodyRefusedFromTheStart(t *testing.T) {
	for _, start := range []string{poller.StartNow, poller.StartAll} {
		t.Run(start, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = start
				w.answer = func(req *http.Request) (int, string) {
					if req.ContentLength > 0 {
						return http.StatusBadRequest, "a GET has no body"
					}
					return 0, ""
				}
				p := w.poller()
				w.run(p, 30*time.Second)
				id := w.create(paid())
				w.run(p, 15*time.Second)
				w.expect(id, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}
