package poller_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/secret"
)

// stall is a list with a session now and then, the newest a minute ago.
func stall(prefix, n int, every time.Duration) *listing {
	l := newListing()
	for i := range n {
		l.add(fmt.Sprintf("cs_%d", prefix-i), time.Now().Add(-time.Minute-time.Duration(i)*every), "open", "unpaid")
	}
	return l
}

// order puts a new session at the head of the list.
func (l *listing) order(id, status, payment string) {
	l.set(id, time.Now(), status, payment)
	l.ids = slices.Insert(l.ids, 0, id)
}

// asked reads the list parameters of a request; without an upper bound it is far away.
func asked(req *http.Request) (from, to int64, limit int, after string) {
	var p struct {
		Limit   int    `json:"limit"`
		After   string `json:"starting_after"`
		Created struct{ GTE, LTE string }
	}
	if req.Body != nil {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		_ = json.Unmarshal(body, &p)
	}
	from, _ = strconv.ParseInt(p.Created.GTE, 10, 64)
	if to, _ = strconv.ParseInt(p.Created.LTE, 10, 64); to == 0 {
		to = math.MaxInt64
	}
	return from, to, p.Limit, p.After
}

// within answers by a listing that honours created.
func (l *listing) within(req *http.Request) (int, string) {
	if !isList(req) {
		return l.answer(req)
	}
	from, to, limit, after := asked(req)
	kept := &listing{items: l.items}
	for _, id := range l.ids {
		if created := l.created[id]; id == after || (created >= from && created <= to) {
			kept.ids = append(kept.ids, id)
		}
	}
	if after != "" && !slices.Contains(kept.ids, after) {
		return http.StatusBadRequest, `{"error":{"message":"no such session"}}`
	}
	return http.StatusOK, kept.page(limit, after)
}

// The orders of another account are not told, however few sessions an account has and
// however few the other one shows; when the right ones are back it goes on, and tells
// what happened meanwhile.
func TestOrdersOfAnotherAccountAreNotTold(t *testing.T) {
	for _, known := range []int{3, 4, 8, 50} {
		for name, every := range map[string]time.Duration{"busy": time.Second, "as busy": 2 * time.Minute, "quiet": 40 * time.Minute} {
			for _, past := range []int{0, 1, 60, 300} {
				t.Run(fmt.Sprint(known, " known, the other one ", name, " with ", past), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						own, other := stall(100000, known, 2*time.Minute), stall(900000, past, every)
						w.answer = own.within
						p := w.poller()
						w.run(p, 5*time.Minute)
						w.answer = other.within
						w.run(p, 25*time.Second)
						for i := range 10 {
							other.order(fmt.Sprintf("cs_%d", 900001+i), "complete", "paid")
							w.run(p, time.Minute)
						}
						told := 0
						for id := range w.events {
							if strings.HasPrefix(id, "cs_9") {
								told++
							}
						}
						if told > 0 || w.account.Foreign == "" {
							t.Errorf("%d sessions of another account were told, foreign %q", told, w.account.Foreign)
						}
						w.answer = own.within
						own.order("cs_100001", "complete", "paid")
						w.run(p, time.Minute)
						w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
						if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
							t.Errorf("status = %+v", s)
						}
					})
				})
			}
		}
	}
}

// Known sessions that are hidden for a moment or for good are no sign of another account
// as long as the API shows any of them, nor where they are too few to tell.
func TestHiddenSessionsAreNoOtherAccount(t *testing.T) {
	for _, known := range []int{1, 2, 3, 8, 50} {
		for name, hide := range map[string]func(l *listing){
			"the newest":     func(l *listing) { delete(l.items, l.ids[0]) },
			"all but one":    func(l *listing) { l.items = map[string]string{l.ids[0]: l.items[l.ids[0]]} },
			"all but oldest": func(l *listing) { l.items = map[string]string{l.ids[len(l.ids)-1]: l.items[l.ids[len(l.ids)-1]]} },
			"all":            func(l *listing) { clear(l.items) },
		} {
			if name == "all" && known >= 3 { // which stops: see TestYoungerAccountStops
				continue
			}
			for _, noSingle := range []bool{false, true} {
				t.Run(fmt.Sprint(known, " known, hidden ", name, ", no single ones ", noSingle), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						l := stall(100000, known, 3*time.Minute)
						w.answer = func(req *http.Request) (int, string) {
							if noSingle && !isList(req) {
								return http.StatusNotFound, `{"error":{"message":"Unrecognized request URL"}}`
							}
							return l.within(req)
						}
						p := w.poller()
						w.run(p, 5*time.Second)
						hide(l)
						for i := range 3 {
							id := fmt.Sprintf("cs_%d", 100001+i)
							l.order(id, "complete", "paid")
							w.run(p, 15*time.Second)
							w.expect(id, "created", "completed", "paid", "fulfillable")
						}
						if w.account.Foreign != "" {
							t.Errorf("stopped: %s", w.account.Foreign)
						}
					})
				})
			}
		}
	}
}

// An API that has no address for single sessions denies each; with a new key of the same
// account the list shows the known ones where they stood, below more new ones than fit on a page.
func TestNewKeyWhereNoSingleSessionIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := stall(100000, 20, 3*time.Minute)
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				return http.StatusNotFound, `{"error":{"message":"Unrecognized request URL"}}`
			}
			return l.within(req)
		}
		w.run(w.poller(), 5*time.Second)
		for i := range 150 {
			time.Sleep(time.Second)
			l.order(fmt.Sprintf("cs_%d", 100001+i), "complete", "paid")
		}
		w.cfg.SecretKey = "sk_test_rotated"
		w.run(w.poller(), time.Minute)
		for i := range 150 {
			w.expect(fmt.Sprintf("cs_%d", 100001+i), "created", "completed", "paid", "fulfillable")
		}
	})
}

// Where known sessions can neither be met in the list nor be asked for, nothing is
// believed and nothing is stopped until they can.
func TestStrangersWaitUntilKnownSessionsCanBeAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := stall(100000, 8, 3*time.Minute)
		away := false
		w.answer = func(req *http.Request) (int, string) {
			if from, to, _, _ := asked(req); away && (!isList(req) || to < time.Now().Unix() && from <= 0) {
				return http.StatusServiceUnavailable, "down"
			}
			return l.within(req)
		}
		p := w.poller()
		w.run(p, 5*time.Second)
		away = true
		kept := l.items
		l.items = map[string]string{}
		l.order("cs_100001", "complete", "paid")
		w.run(p, time.Minute)
		w.expect("cs_100001")
		for id, item := range kept {
			l.items[id] = item
		}
		w.run(p, time.Minute)
		w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
	})
}

// An account all of whose sessions are younger than the stored ones is another one,
// too: the API denies the stored ones, and shows nothing where they stood.
func TestYoungerAccountStops(t *testing.T) {
	for _, known := range []int{1, 2, 3, 5, 20} {
		for _, orders := range []int{1, 3, 150} {
			for name, swap := range map[string]func(w *world) bool{
				"restart": func(*world) bool { return true },
				"live":    func(*world) bool { return false },
				"empty": func(w *world) bool {
					w.answer = newListing().within
					return false
				},
			} {
				t.Run(fmt.Sprint(known, " known, ", orders, " others, ", name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						own := stall(100000, known, 2*time.Hour)
						w.answer = own.within
						p := w.poller()
						w.run(p, 5*time.Minute)
						if swap(w) {
							p = w.poller()
						}
						w.run(p, 10*time.Minute)
						other := newListing()
						for i := range orders {
							time.Sleep(time.Second)
							other.order(fmt.Sprintf("cs_%d", 900001+i), "complete", "paid")
						}
						w.answer = other.within
						w.run(p, 10*time.Minute)
						stops := known >= 3 // fewer tell nothing
						if told := len(w.events) > 0; told == stops || w.foreign() != stops {
							t.Errorf("told %t, stopped %t, want stopped %t", told, w.foreign(), stops)
						}
						if !stops {
							return
						}
						w.answer = own.within
						own.order("cs_100001", "complete", "paid")
						w.run(p, time.Minute)
						w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
					})
				})
			}
		}
	}
}

// A replica that lags denies what is younger than its lag. Until its first pass is complete
// an account may know nothing older, and is not taken for another one by what such a
// replica says; with another account's key it is stopped all the same.
func TestReplicaWithoutTheNewestSessionsIsNoOtherAccount(t *testing.T) {
	for name, c := range map[string]struct {
		fails, restart bool   // after the first page
		key            string // from then on
	}{
		"in the first pass": {},
		"in the next pass":  {fails: true},
		"after a restart":   {fails: true, restart: true},
		"another key":       {fails: true, restart: true, key: "sk_test_other"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = 3
				l, replica := stall(100000, 10, time.Minute), stall(100000, 10, time.Minute)
				for i := range 3 {
					l.order(fmt.Sprintf("cs_%d", 100001+i), "open", "unpaid")
				}
				pages, fails := 0, c.fails
				w.answer = func(req *http.Request) (int, string) {
					if _, _, limit, _ := asked(req); pages > 0 && fails {
						return http.StatusServiceUnavailable, "down"
					} else if pages > 0 {
						return replica.within(req)
					} else if limit > 1 {
						pages++
					}
					return l.within(req)
				}
				p := w.poller()
				if c.fails {
					w.run(p, 5*time.Second)
					fails = false
				}
				if c.key != "" {
					w.cfg.SecretKey, replica = secret.String(c.key), stall(900000, 10, time.Minute)
				}
				if c.restart {
					p = w.poller()
				}
				w.run(p, time.Minute)
				if stops := c.key != ""; w.foreign() != stops {
					t.Errorf("stopped %t, want %t: %s", !stops, stops, w.account.Foreign)
				}
				w.expect("cs_900000")
				w.answer = l.within
				l.order("cs_100004", "complete", "paid")
				w.run(p, time.Minute)
				w.expect("cs_100004", "created", "completed", "paid", "fulfillable")
				w.expect("cs_100003")
				if s := p.Status()[0]; !s.Healthy {
					t.Errorf("status = %+v", s)
				}
			})
		})
	}
}

// Settled sessions that are older than what anybody asks for may have left the API.
func TestSettledSessionsThatTheAPIForgotAreNoOtherAccount(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				for i := range 8 {
					l.add(fmt.Sprintf("cs_%d", 100000-i), time.Now().Add(-time.Duration(i)*time.Hour), "complete", "paid")
				}
				w.answer = l.within
				p := w.poller()
				w.run(p, 5*time.Minute)
				time.Sleep(20 * 24 * time.Hour)
				clear(l.items)
				if restart {
					p = w.poller()
				}
				w.run(p, time.Minute)
				l.order("cs_100001", "complete", "paid")
				w.run(p, time.Minute)
				w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// Another account's list may hold a session that the API cannot show: the account is
// stopped all the same, so that the operator can put the key right or accept it.
func TestOtherAccountWithAHoleStops(t *testing.T) {
	for _, known := range []int{3, 50} {
		for name, every := range map[string]time.Duration{"as busy": 2 * time.Minute, "quiet": 40 * time.Minute} {
			for _, broken := range []int{0, 1, 3, 8} {
				t.Run(fmt.Sprint(known, " known, the other one ", name, ", broken ", broken), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						own, other := stall(100000, known, 2*time.Minute), stall(900000, 60, every)
						w.answer = own.within
						p := w.poller()
						w.run(p, 5*time.Minute)
						poison := strconv.Quote(other.ids[broken])
						w.answer = func(req *http.Request) (int, string) {
							status, body := other.within(req)
							if strings.Contains(body, poison) {
								return http.StatusInternalServerError, "boom"
							}
							return status, body
						}
						w.run(p, time.Minute)
						other.order("cs_900001", "complete", "paid")
						w.run(p, 3*time.Minute)
						if len(w.events) > 0 || w.account.Foreign == "" {
							t.Errorf("%d sessions were told of, foreign %q: %+v", len(w.events), w.account.Foreign, p.Status()[0])
						}
						w.answer = own.within
						own.order("cs_100001", "complete", "paid")
						w.run(p, time.Minute)
						w.expect("cs_100001", "created", "completed", "paid", "fulfillable")
					})
				})
			}
		}
	}
}

// Where the API answers for no single session, a burst that fills a page within a second of
// the newest known session is no other account's.
func TestBurstIsNoOtherAccount(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusInternalServerError} {
		for _, known := range []int{3, 8, 50} {
			t.Run(fmt.Sprint(status, ", ", known, " known"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Tuning.PageSize = 10
					l := stall(100000, known, 2*time.Minute)
					w.answer = func(req *http.Request) (int, string) {
						if !isList(req) {
							return status, `{"error":{"message":"Unrecognized request URL"}}`
						}
						return l.within(req)
					}
					p := w.poller()
					w.run(p, 5*time.Minute)
					for i := range 13 {
						l.order(fmt.Sprint("cs_", 200000+i), "complete", "paid")
						if i == 0 {
							w.run(p, w.cfg.Poll.Interval)
						}
					}
					for i, id := range l.ids[:12] { // as near as they can be
						l.set(id, time.UnixMilli(l.created[l.ids[12]]*1000+int64(900-i)), "complete", "paid")
					}
					w.run(p, time.Minute)
					if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
						t.Errorf("status = %+v", s)
					}
					for _, id := range l.ids[:13] {
						w.expect(id, "created", "completed", "paid", "fulfillable")
					}
				})
			})
		}
	}
}
