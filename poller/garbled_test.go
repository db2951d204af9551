package poller_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/poller"
)

// showing is the answer of an API whose list shows other rows than it shows by id.
func (l *listing) showing(req *http.Request, rows map[string]string) (int, string) {
	if !isList(req) {
		return l.answer(req)
	}
	shown := &listing{ids: l.ids, items: maps.Clone(l.items), created: l.created}
	maps.Copy(shown.items, rows)
	return shown.within(req)
}

// garbledRows are rows of a paid session that make no sense, by what is wrong.
func garbledRows(id string, created time.Time) map[string]string {
	row := func(members string) string { return fmt.Sprintf(`{"id":%q,%s}`, id, members) }
	at := created.Unix()
	deep := strings.Repeat("[", checkout.MaxDepth) + strings.Repeat("]", checkout.MaxDepth)
	return map[string]string{
		"no status":          row(fmt.Sprintf(`"created":%d,"payment_status":"paid"`, at)),
		"null status":        row(fmt.Sprintf(`"created":%d,"status":null,"payment_status":"paid"`, at)),
		"nothing but the id": row(fmt.Sprintf(`"created":%d`, at)),
		"list for a status":  row(fmt.Sprintf(`"created":%d,"status":["complete"],"payment_status":"paid"`, at)),
		"list for a payment": row(fmt.Sprintf(`"created":%d,"status":"complete","payment_status":["paid"]`, at)),
		"no payment":         row(fmt.Sprintf(`"created":%d,"status":"complete","payment_status":null`, at)),
		"no time":            row(`"created":null,"status":"complete","payment_status":"paid"`),
		"neither":            row(`"created":null,"status":null,"payment_status":"paid"`),
		"too deep":           row(fmt.Sprintf(`"created":%d,"status":"complete","payment_status":"paid","x":%s`, at, deep)),
		"not expanded":       fmt.Sprintf("%q", id),
		"absurd time":        row(`"created":1,"status":"complete","payment_status":"paid"`),
	}
}

// A row that makes no sense says nothing of its session, which is asked for by its id.
func TestGarbledRowIsAskedForByID(t *testing.T) {
	for what := range garbledRows("", time.Time{}) {
		for _, age := range []time.Duration{0, time.Minute, 3 * time.Hour} {
			t.Run(fmt.Sprintf("%s, known for %s", what, age), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					l := newListing()
					w.answer = l.answer
					if age > time.Hour {
						w.cfg.Poll.Interval = time.Minute
					}
					created := time.Now()
					for i := range 4 {
						l.add(fmt.Sprintf("cs_%d", 90-i), created.Add(-time.Duration(i)*time.Minute), "open", "unpaid")
					}
					p := w.poller()
					w.run(p, 15*time.Second)
					created = time.Now()
					l.add("cs_95", created, "open", "unpaid")
					slices.Sort(l.ids)
					slices.Reverse(l.ids)
					want := []string{"created", "completed", "paid", "fulfillable"}
					if age > 0 {
						w.run(p, age)
					}
					l.set("cs_95", created, "complete", "paid")
					w.answer = func(req *http.Request) (int, string) {
						return l.showing(req, map[string]string{"cs_95": garbledRows("cs_95", created)[what]})
					}
					patience := 15 * time.Second
					if age > time.Hour {
						patience = 6 * time.Minute
					}
					w.run(p, patience)
					w.expect("cs_95", want...)
					s := p.Status()[0]
					if len(s.Holes) > 0 || !s.Healthy || len(s.Oddities) == 0 {
						t.Errorf("holes %+v, odd %+v, error %q", s.Holes, s.Oddities, s.Error)
					}
					before := w.requests
					w.run(p, 20*time.Minute)
					if n := w.requests - before; n > int(20*time.Minute/w.cfg.Poll.Interval)+30 { // the passes, and the rounds of what is open
						t.Errorf("%d requests within 20 minutes", n)
					}
				})
			})
		}
	}
}

// What the first pass shows existed before, whether its row makes sense or not.
func TestGarbledRowOfTheFirstPassExisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		for i := range 3 {
			l.add(fmt.Sprintf("cs_%d", 9-i), time.Now().Add(time.Duration(-i)*time.Second), "complete", "paid")
		}
		w.answer = func(req *http.Request) (int, string) { return l.showing(req, map[string]string{"cs_9": `"cs_9"`}) }
		p := w.poller()
		w.run(p, time.Minute)
		w.expect("cs_9")
		if _, known := w.snapshots["cs_9"]; !known {
			t.Error("it was not asked for")
		}
	})
}

// What makes no sense by id either is named, costs little with time, and is announced
// once it makes sense.
func TestGarbledEverywhereIsNamed(t *testing.T) {
	for name, answer := range map[string]func(string) (int, string){
		"denied": func(string) (int, string) {
			return http.StatusNotFound, `{"error":{"message":"Unrecognized request URL"}}`
		},
		"garbled": func(id string) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"id":%q,"created":null,"status":null,"payment_status":"paid"}`, id)
		},
		"no status": func(id string) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"id":%q,"created":%d,"payment_status":"paid"}`, id, time.Now().Unix())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval = time.Minute
				l := newListing()
				w.answer = l.answer
				created := time.Now()
				l.add("cs_5", created, "open", "unpaid")
				l.add("cs_4", created, "open", "unpaid")
				p := w.poller()
				w.run(p, 15*time.Second)
				l.order("cs_6", "complete", "paid")
				l.set("cs_5", created, "complete", "paid")
				rows := map[string]string{
					"cs_5": fmt.Sprintf(`{"id":"cs_5","created":%d,"payment_status":"paid"}`, created.Unix()),
					"cs_6": `{"id":"cs_6","created":null,"status":"complete","payment_status":["paid"]}`,
				}
				alone := map[string]int{}
				w.answer = func(req *http.Request) (int, string) {
					id := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
					if _, garbled := rows[id]; garbled {
						alone[id]++
						return answer(id)
					}
					return l.showing(req, rows)
				}
				w.run(p, 6*time.Hour)
				s := p.Status()[0]
				var named []string
				for _, h := range s.Holes {
					if h.Session == "" { // where it was looked for in depth
						continue
					}
					named = append(named, h.Session)
					if h.Error == "" || h.Next.IsZero() || h.Asked.IsZero() {
						t.Errorf("the hole does not say all: %+v", h)
					}
				}
				slices.Sort(named)
				if !slices.Equal(named, []string{"cs_5", "cs_6"}) || !s.Healthy {
					t.Errorf("%v are named, error %q", named, s.Error)
				}
				if w.snapshots["cs_5"].Watch == "vanished" {
					t.Error("a session that the list shows is vanished")
				}
				for id, n := range alone {
					if n > 40 {
						t.Errorf("%s was asked for %d times", id, n)
					}
				}
				if len(w.lines) > 40 {
					t.Errorf("%d lines of log", len(w.lines))
				}
				clear(alone)
				w.run(p, 5*time.Hour)
				for id, n := range alone {
					if n > 6 {
						t.Errorf("%s was asked for %d times in five hours", id, n)
					}
				}
				clear(rows)
				w.run(p, 2*time.Hour)
				w.expect("cs_5", "completed", "paid", "fulfillable")
				w.expect("cs_6", "created", "completed", "paid", "fulfillable")
				if s := p.Status()[0]; len(s.Holes) > 0 {
					t.Errorf("still named: %+v", s.Holes)
				}
			})
		})
	}
}

// Many rows that make no sense delay no others, and one another fairly.
func TestManyGarbledRows(t *testing.T) {
	for n := range 4 {
		known, all := n%2 == 1, n > 1
		t.Run(fmt.Sprintf("known %t, nothing else %t", known, all), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.RateLimit = 5
				l := newListing()
				w.answer = l.answer
				l.add("cs_1000", time.Now(), "open", "unpaid")
				p := w.poller()
				w.run(p, 15*time.Second)
				rows := map[string]string{}
				var ids []string
				for i := range 250 {
					id := fmt.Sprintf("cs_%d", 2000+i)
					ids = append(ids, id)
					l.order(id, "open", "unpaid")
				}
				if known {
					w.run(p, 15*time.Second)
				}
				for i, id := range ids {
					l.set(id, time.Now(), "complete", "paid")
					rows[id] = fmt.Sprintf(`{"id":%q,"created":null,"status":"complete"}`, id)
					if i%2 == 0 && !all {
						rows[id] = fmt.Sprintf(`{"id":%q,"created":%d,"status":null}`, id, time.Now().Unix())
					}
				}
				w.answer = func(req *http.Request) (int, string) {
					if id := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]; id >= "cs_2100" && rows[id] != "" {
						return http.StatusOK, rows[id]
					}
					return l.showing(req, rows)
				}
				w.run(p, 20*time.Second)
				l.order("cs_3000", "complete", "paid")
				w.run(p, 20*time.Second)
				w.expect("cs_3000", "created", "completed", "paid", "fulfillable")
				w.run(p, 4*time.Minute)
				for _, id := range ids[:100] {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
				if n := len(p.Status()[0].Holes); n < 150 {
					t.Errorf("%d are named", n)
				}
			})
		})
	}
}

// What has no id that could be asked for is named all the same, as long as it is there.
func TestGarbledRowWithoutUsableID(t *testing.T) {
	long := "cs_" + strings.Repeat("7", 3000)
	for row, want := range map[string]poller.Hole{
		fmt.Sprintf(`{"id":%q,"created":1795555555,"status":"complete","payment_status":"paid"}`, long): {Session: long[:64] + "…", Error: checkout.ErrLongID.Error()},
		"null": {Error: checkout.ErrNotASession.Error()},
		`{"created":1795555555,"status":"complete"}`: {Error: checkout.ErrNoID.Error()},
		`"ann@shop.example 7"`:                       {Error: checkout.ErrNotASession.Error()},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			l := newListing()
			w.answer = l.answer
			l.add("cs_5", time.Now(), "open", "unpaid")
			l.add("cs_4", time.Now(), "open", "unpaid")
			p := w.poller()
			w.run(p, 15*time.Second)
			l.ids = []string{"cs_5", "odd", "cs_4"}
			l.items["odd"] = row
			w.run(p, time.Minute)
			holes := p.Status()[0].Holes
			if len(holes) != 1 || holes[0].Session != want.Session || holes[0].Error != want.Error || holes[0].Above != "cs_5" || holes[0].Below != "cs_4" {
				t.Errorf("%.40s: the holes are %+v", row, holes)
			}
			delete(l.items, "odd")
			w.run(p, time.Minute)
			if holes := p.Status()[0].Holes; len(holes) > 0 {
				t.Errorf("%.40s: still named: %+v", row, holes)
			}
		})
	}
}

// A row that makes no sense is no reason to think that the API ignores cursors, nor that
// the list ends too early, wherever it stands among others of its second.
func TestGarbledRowAmongOthersOfItsSecond(t *testing.T) {
	for place := range 6 {
		t.Run(fmt.Sprint(place), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.cfg.Poll.Interval, w.cfg.Poll.Tuning.PageSize = 30*time.Second, 4
				w.answer = l.within
				for _, id := range []string{"cs_b1", "cs_a9", "cs_c2", "cs_a1", "cs_d3", "cs_b7"} { // in no order
					l.add(id, time.Now(), "open", "unpaid")
				}
				p := w.poller()
				w.run(p, time.Minute)
				id := l.ids[place]
				w.answer = func(req *http.Request) (int, string) {
					return l.showing(req, map[string]string{id: fmt.Sprintf(`{"id":%q,"created":null,"status":{"a":1}}`, id)})
				}
				w.run(p, time.Hour)
				l.order("cs_e5", "open", "unpaid") // the head goes on without the others
				w.run(p, 2*time.Hour)
				s := p.Status()[0]
				for _, o := range s.Oddities {
					if o.Code != "bad_item" {
						t.Errorf("odd: %+v", o)
					}
				}
				if !s.Healthy || len(s.Holes) > 0 {
					t.Errorf("error %q, holes %+v", s.Error, s.Holes)
				}
			})
		})
	}
}

// Rows that make sense in one answer and not in the next are no reason to think anything
// of the list.
func TestRowsThatFlicker(t *testing.T) {
	for _, size := range []int{2, 5, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = size
				l := newListing()
				w.answer = l.within
				for i := range 25 {
					l.add(fmt.Sprintf("cs_%d", 90-i), time.Now().Add(-time.Duration(i)*time.Minute), "open", "unpaid")
				}
				p := w.poller()
				w.run(p, 25*time.Second)
				for i := range 12 {
					l.order(fmt.Sprintf("cs_%d", 100+i), "complete", "paid")
					time.Sleep(time.Duration(i%3) * time.Second)
				}
				random := rand.New(rand.NewPCG(1, 2))
				w.answer = func(req *http.Request) (int, string) {
					w.mu.Lock()
					defer w.mu.Unlock()
					id := l.ids[random.IntN(len(l.ids))]
					return l.showing(req, map[string]string{id: fmt.Sprintf("%q", id)})
				}
				w.run(p, time.Hour)
				for i := range 12 {
					w.expect(fmt.Sprintf("cs_%d", 100+i), "created", "completed", "paid", "fulfillable")
				}
				s := p.Status()[0]
				for _, o := range s.Oddities {
					if o.Code != "bad_item" && o.Code != "bad_page" {
						t.Errorf("odd: %+v", o)
					}
				}
				if !s.Healthy || len(s.Holes) > 0 {
					t.Errorf("error %q, holes %+v", s.Error, s.Holes)
				}
			})
		})
	}
}

// A session whose creation time makes no sense by id either is no old one that is
// recorded silently: it is named until the time is known, and announced then.
func TestAbsurdCreatedByIDIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		l.add("cs_5", time.Now(), "complete", "paid")
		p := w.poller()
		w.run(p, 15*time.Second)
		created := time.Now()
		l.order("cs_6", "complete", "paid")
		l.items["cs_6"] = garbledRows("cs_6", created)["absurd time"]
		w.run(p, time.Minute)
		if s := p.Status()[0]; len(s.Holes) != 1 || s.Holes[0].Session != "cs_6" {
			t.Errorf("holes %+v", s.Holes)
		}
		if _, known := w.snapshots["cs_6"]; known {
			t.Error("it was recorded")
		}
		l.set("cs_6", created, "complete", "paid")
		w.run(p, time.Minute)
		w.expect("cs_6", "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; len(s.Holes) > 0 {
			t.Errorf("holes %+v afterwards", s.Holes)
		}
	})
}
