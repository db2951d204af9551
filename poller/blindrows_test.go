package poller_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// respelled are ways in which an API may come to write its sessions so that none is
// made out.
var respelled = map[string]func(map[string]any){
	"numeric id":    func(s map[string]any) { s["id"] = json.Number(strings.TrimPrefix(s["id"].(string), "cs_")) },
	"renamed id":    func(s map[string]any) { s["session_id"] = s["id"]; delete(s, "id") },
	"long id":       func(s map[string]any) { s["id"] = s["id"].(string) + strings.Repeat("0", 300) },
	"no status":     func(s map[string]any) { delete(s, "status") },
	"status object": func(s map[string]any) { s["status"] = map[string]any{"value": s["status"]} },
}

// respell lets the API write sessions in another way: those of the list, and by id if
// told so.
func (l *listing) respell(req *http.Request, rewrite func(map[string]any), ids []string, byID bool) (int, string) {
	if !isList(req) && !byID {
		return l.answer(req)
	}
	rewritten := &listing{ids: l.ids, items: maps.Clone(l.items), created: l.created}
	for _, id := range ids {
		var s map[string]any
		if err := json.Unmarshal([]byte(l.items[id]), &s); err != nil {
			panic(err)
		}
		rewrite(s)
		row, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		rewritten.items[id] = string(row)
	}
	if isList(req) {
		return rewritten.within(req)
	}
	return rewritten.answer(req)
}

// An API that comes to write its sessions so that none of the newest is made out is an
// error of the account until one is, although nothing is watched and older rows may
// still be as they were. Then all are announced.
func TestNewestSessionsCannotBeRead(t *testing.T) {
	for name, rewrite := range respelled {
		for _, tt := range []struct {
			name  string
			known bool // the rows of known sessions are rewritten, too
			page  int
		}{{"all rows", true, 100}, {"new rows", false, 100}, {"all rows, small pages", true, 5}, {"new rows, small pages", false, 5}} {
			t.Run(name+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Tuning.PageSize = tt.page
					l := newListing()
					w.answer = l.within
					p := w.poller()
					w.run(p, time.Minute)
					for n := range 8 {
						l.order(fmt.Sprintf("cs_%d", 100+n), "complete", "paid")
						w.run(p, 20*time.Second)
					}
					ids := slices.Clone(l.ids)
					if !tt.known {
						ids = nil
					}
					w.answer = func(req *http.Request) (int, string) { return l.respell(req, rewrite, ids, true) }
					var orders []string
					for n := range 8 {
						orders = append(orders, fmt.Sprintf("cs_%d", 200+n))
						ids = append(ids, orders[n])
						l.order(orders[n], "complete", "paid")
						w.run(p, 20*time.Second)
						if s := p.Status()[0]; n >= 3 && (s.Healthy || s.Error == "") {
							t.Fatalf("healthy with %d orders that cannot be read: %+v", n+1, s.Holes)
						}
					}
					w.run(p, 20*time.Minute)
					if s := p.Status()[0]; s.Healthy || time.Since(s.ErrorSince) < 20*time.Minute {
						t.Errorf("healthy %t, error since %s", s.Healthy, s.ErrorSince)
					}
					w.answer = l.answer
					w.run(p, 6*time.Minute) // what was asked for in vain waits for a quarter of its age
					for _, id := range orders {
						w.expect(id, "created", "completed", "paid", "fulfillable")
					}
					if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
						t.Errorf("it is well again, but: %s, holes %+v", s.Error, s.Holes)
					}
				})
			})
		}
	}
}

// One or two sessions of a quiet shop that cannot be read are no error of the account,
// nor are more of them below one that can, nor rows of which the API tells more by id.
func TestFewRowsCannotBeRead(t *testing.T) {
	for name, rewrite := range respelled {
		for _, tt := range []struct {
			name string
			spoilt,
			sound int // on top
			byID bool
		}{{"one", 1, 0, true}, {"two", 2, 0, true}, {"five below another", 5, 1, true}, {"five in the list alone", 5, 0, false}} {
			if !tt.byID && strings.Contains(name, "id") { // it cannot be asked for
				continue
			}
			t.Run(name+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					l := newListing()
					w.answer = l.within
					p := w.poller()
					w.run(p, time.Minute)
					l.order("cs_100", "complete", "paid")
					w.run(p, time.Hour)
					var ids []string
					w.answer = func(req *http.Request) (int, string) { return l.respell(req, rewrite, ids, tt.byID) }
					for n := range tt.spoilt {
						ids = append(ids, fmt.Sprintf("cs_%d", 200+n))
						l.order(ids[n], "complete", "paid")
					}
					for n := range tt.sound {
						l.order(fmt.Sprintf("cs_%d", 300+n), "complete", "paid")
					}
					for range 20 {
						w.run(p, 3*time.Minute)
						if s := p.Status()[0]; !s.Healthy {
							t.Fatal(s.Error)
						}
					}
				})
			})
		}
	}
}
