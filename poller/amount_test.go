package poller_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// An order whose amount is a text with a fraction is announced, and its amount is not
// known: a hundredth of it is none.
func TestAmountWithFractionLosesNoOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.within
		p := w.poller()
		w.run(p, 15*time.Second)
		costs := func(id, amount string) {
			l.items[id] = strings.TrimSuffix(l.items[id], "}") + `,"amount_total":` + amount + "}"
		}
		l.order("cs_1", "complete", "unpaid")
		costs("cs_1", "2000")
		w.run(p, 15*time.Second)
		l.order("cs_2", "complete", "paid")
		l.set("cs_1", time.Unix(l.created["cs_1"], 0), "complete", "paid")
		costs("cs_1", `"20.00"`)
		costs("cs_2", `"20.00"`)
		w.run(p, 15*time.Second)
		w.expect("cs_1", "created", "completed", "paid", "fulfillable")
		w.expect("cs_2", "created", "completed", "paid", "fulfillable")
		for id, want := range map[string]string{"cs_1": `"amount_total":2000`, "cs_2": `"amount_total":null`} {
			if object := string(w.snapshots[id].Object); !strings.Contains(object, want) {
				t.Errorf("%s is stored as %s, want %s", id, object, want)
			}
		}
		if s := p.Status()[0]; !slices.ContainsFunc(s.Oddities, func(o poller.Oddity) bool { return o.Code == "unreadable_field" }) {
			t.Errorf("odd: %+v", s.Oddities)
		}
	})
}
