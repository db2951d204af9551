package poller_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// A list in no order at all is read to its end, and is nobody else's.
func TestListWithoutOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 60 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(i*37%60)*time.Minute), "complete", "paid")
		}
		w.run(w.poller(), 15*time.Second)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// Where every pass shows that the list has no order and no reconciliation does, these
// become rarer all the same.
func TestListWithoutOrderIsReconciledLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 2
		w.sell(1, 0)
		time.Sleep(time.Hour)
		w.sell(5, time.Minute)
		w.faults(simulator.Faults{Ascending: simulator.Always()})
		p := w.poller()
		w.run(p, 4*time.Hour)
		reconciled := make(map[time.Time]bool)
		for range 60 {
			w.run(p, time.Minute)
			reconciled[p.Status()[0].Reconciled] = true
		}
		if n := len(reconciled); n > 3 {
			t.Errorf("%d reconciliations in an hour", n)
		}
	})
}

// A list from old to new is told apart by its ids where all of a page was made
// within a second.
func TestAscendingWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ids []string
		for range 5 {
			ids = append(ids, w.create(open(nil)))
		}
		w.faults(simulator.Faults{Ascending: simulator.Always()})
		p := w.poller()
		w.run(p, 5*time.Second)
		odd := slices.ContainsFunc(p.Status()[0].Oddities, func(o poller.Oddity) bool { return o.Code == "order" })
		if !odd {
			t.Errorf("the status says nothing of the order: %+v", p.Status()[0].Oddities)
		}
		for _, id := range ids {
			w.update(id, paid())
		}
		w.run(p, time.Minute)
		for _, id := range ids {
			w.expect(id, "completed", "paid", "fulfillable")
		}
	})
}

// Ids that ascend within a second by accident are no reason to read the list again and
// again where one page shows all there is.
func TestIDsThatAscendByAccident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.sell(20, time.Minute)
		time.Sleep(time.Hour)
		w.sell(5, 0)
		w.answer = func(req *http.Request) (int, string) {
			return w.bent(req, func(list *sessions) {
				if len(list.Data) == 5 {
					slices.Reverse(list.Data)
				}
			})
		}
		p := w.poller()
		w.run(p, time.Minute)
		time.Sleep(2 * time.Hour)
		w.run(p, 5*time.Minute)
		w.requests = 0
		w.run(p, 50*time.Minute)
		if w.requests > 310 {
			t.Errorf("%d requests in 300 passes", w.requests)
		}
	})
}

// A few ids that ascend within a second are no sign that the list runs the wrong way,
// where no hole could be passed over.
func TestHoleBelowIDsThatAscendByAccident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		w.cfg.Poll.Tuning.PageSize = 4
		for _, id := range []string{"cs_2004", "cs_2003", "cs_2002", "cs_2001"} { // from the last to the first
			s.newest(id, time.Now(), "complete", "paid")
		}
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_1029"] = true
		w.run(p, 10*time.Minute-time.Second) // no pass is under way then
		status := p.Status()[0]
		if !status.Healthy || len(status.Holes) != 1 {
			t.Errorf("healthy %t, holes %+v", status.Healthy, status.Holes)
		}
		for _, o := range status.Oddities {
			if o.Code == "order" {
				t.Errorf("odd: %+v", o)
			}
		}
	})
}
