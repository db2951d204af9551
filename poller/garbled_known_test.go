package poller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// A vanished session that the list shows again is asked for by its id, whatever its row.
func TestGarbledRowOfAVanishedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.within
		for i := range 5 {
			l.add(fmt.Sprintf("cs_%d", 90-i), time.Now().Add(-time.Duration(i)*time.Minute), "open", "unpaid")
		}
		created := time.Now().Add(-2 * time.Minute)
		p := w.poller()
		w.run(p, 25*time.Second)
		delete(l.items, "cs_88")
		w.run(p, time.Hour)
		if watch := w.snapshots["cs_88"].Watch; !watch.Is(event.Vanished) {
			t.Fatalf("it is %s", watch)
		}
		l.set("cs_88", created, "complete", "paid")
		w.answer = func(req *http.Request) (int, string) {
			return l.showing(req, map[string]string{"cs_88": `"cs_88"`})
		}
		w.run(p, time.Minute)
		w.expect("cs_88", "completed", "paid", "fulfillable")
	})
}

// A page that shows a session twice, and once so that it makes no sense, is doubted.
func TestGarbledRowBesideAnother(t *testing.T) {
	for _, known := range []bool{false, true} {
		for _, first := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.answer = l.within
				l.add("cs_80", time.Now().Add(-time.Hour), "open", "unpaid")
				p := w.poller()
				w.run(p, 25*time.Second)
				l.order("cs_88", "open", "unpaid")
				if known {
					w.run(p, 25*time.Second)
				}
				row := l.items["cs_88"] + `,{"id":"cs_88","created":null,"status":["complete"]}`
				if first {
					row = `{"id":"cs_88","created":null,"status":["complete"]},` + l.items["cs_88"]
				}
				l.set("cs_88", time.Now(), "complete", "paid")
				w.answer = func(req *http.Request) (int, string) { return l.showing(req, map[string]string{"cs_88": row}) }
				w.run(p, time.Minute)
				w.expect("cs_88", "created", "completed", "paid", "fulfillable")
			})
		}
	}
}

// A backfill finds sessions whose rows make no sense, announces them if it is to, and
// leaves no hole; a dry run asks for none.
func TestGarbledRowsOfABackfill(t *testing.T) {
	for _, announce := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			l := newListing()
			w.cfg.Poll.UnpaidFor = 48 * time.Hour
			w.answer = l.within
			l.add("cs_90", time.Now(), "open", "unpaid")
			p := w.poller()
			w.run(p, 25*time.Second)
			for i := range 4 {
				l.add(fmt.Sprintf("cs_%d", 70-i), time.Now().Add(-100*time.Hour), "complete", "paid")
			}
			alone := 0
			w.answer = func(req *http.Request) (int, string) {
				if strings.HasSuffix(req.URL.Path, "/cs_69") {
					alone++
				}
				return l.showing(req, map[string]string{"cs_69": `"cs_69"`})
			}
			since := time.Now().Add(-200 * time.Hour)
			go func() {
				if _, err := p.Backfill(t.Context(), poller.Backfill{Since: since, DryRun: true}, nil); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				w.mu.Lock()
				_, known := w.snapshots["cs_69"]
				w.mu.Unlock()
				if known {
					t.Error("a dry run recorded it")
				}
				if _, err := p.Backfill(t.Context(), poller.Backfill{Since: since, Announce: announce}, nil); err != nil {
					t.Error(err)
				}
			}()
			w.run(p, 3*time.Minute)
			if _, known := w.snapshots["cs_69"]; !known {
				t.Error("it was not asked for")
			}
			if announce {
				w.expect("cs_69", "created", "completed", "paid", "fulfillable")
			} else {
				w.expect("cs_69")
			}
			if holes := p.Status()[0].Holes; len(holes) > 0 || alone > 2 {
				t.Errorf("asked for %d times, holes %+v", alone, holes)
			}
		})
	}
}

// A session that the account's filter leaves out is not asked for again and again.
func TestGarbledRowOutsideTheFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Filter.Customer = "cus_1"
		w.answer = l.within
		l.add("cs_90", time.Now(), "open", "unpaid")
		p := w.poller()
		w.run(p, 25*time.Second)
		for id, customer := range map[string]string{"cs_91": "cus_1", "cs_92": "cus_2"} {
			l.order(id, "complete", "paid")
			l.items[id] = l.items[id][:len(l.items[id])-1] + fmt.Sprintf(`,"customer":%q}`, customer)
		}
		alone := 0
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				alone++
			}
			return l.showing(req, map[string]string{"cs_91": `"cs_91"`, "cs_92": `"cs_92"`})
		}
		w.run(p, 10*time.Minute)
		w.expect("cs_91", "created", "completed", "paid", "fulfillable")
		w.expect("cs_92")
		if holes := p.Status()[0].Holes; len(holes) > 0 || alone > 2 {
			t.Errorf("asked for %d times, holes %+v", alone, holes)
		}
	})
}

// An expired session is told although the list shows no payment_status any more.
func TestExpiredWithoutPaymentStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if isList(req) && strings.Contains(body, "expired") {
				body = unpaying(body)
			}
			return status, body
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		l.order("cs_1", "open", "unpaid")
		w.run(p, 15*time.Second)
		l.set("cs_1", time.Now(), "expired", "unpaid")
		w.run(p, 15*time.Second)
		w.expect("cs_1", "created", "expired unknown")
	})
}

// Some servers write an array as an object whose members are numbered.
func TestListInNumberedMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		l.add("cs_1", time.Now(), "open", "unpaid")
		p := w.poller()
		w.run(p, 15*time.Second)
		l.order("cs_2", "complete", "paid")
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				return l.answer(req)
			}
			return http.StatusOK, fmt.Sprintf(`{"object":"list","has_more":false,"data":{"0":%s,"2":%s}}`, l.items["cs_2"], l.items["cs_1"])
		}
		w.run(p, 15*time.Second)
		w.expect("cs_2", "created", "completed", "paid", "fulfillable")
		w.answer = func(*http.Request) (int, string) { return http.StatusOK, `{"code":401,"data":{}}` }
		w.run(p, time.Minute)
		if p.Status()[0].Healthy {
			t.Error("an error is taken for a list without sessions")
		}
	})
}
