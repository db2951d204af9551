package poller_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/simulator"
)

func TestListParams(t *testing.T) {
	for _, params := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery, wooshpay.ParamsBoth} {
		for _, honoured := range []string{simulator.ParamsBody, simulator.ParamsQuery, simulator.ParamsBoth} {
			t.Run(params+" where the API reads "+honoured, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.ListParams, w.cfg.Start = params, poller.StartAll
					w.cfg.Filter.CustomerEmail = "a@b.example"
					w.faults(simulator.Faults{Params: honoured})
					mine := w.create(simulator.Fields{"status": "open", "customer_details": map[string]any{"email": "a@b.example"}})
					theirs := w.create(simulator.Fields{"status": "open", "customer_details": map[string]any{"email": "c@d.example"}})
					nobodys := w.create(open(nil))
					w.run(w.poller(), 15*time.Second)
					w.expect(mine, "created")
					w.expect(theirs) // an API that ignores the filter raises no event for it
					w.expect(nobodys)
				})
			})
		}
	}
}

// Sessions that show no value cannot prove that the API reads the filter elsewhere.
func TestFilterSentElsewhere(t *testing.T) {
	for _, params := range []string{wooshpay.ParamsBody, wooshpay.ParamsQuery} {
		for _, honoured := range []string{simulator.ParamsBody, simulator.ParamsQuery} {
			t.Run(params+" where the API reads "+honoured, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.ListParams, w.cfg.Start = params, poller.StartAll
					w.cfg.Filter.Customer = "cus_1"
					w.faults(simulator.Faults{Params: honoured})
					mine := w.create(simulator.Fields{"status": "open", "customer": "cus_1"})
					var nobodys []string
					for range 20 {
						nobodys = append(nobodys, w.create(open(nil)))
					}
					w.run(w.poller(), 15*time.Second)
					w.expect(mine, "created")
					for _, id := range nobodys {
						w.expect(id)
					}
				})
			})
		}
	}
}

// An API that reads the list parameters elsewhere still shows everything.
func TestParamsFallBack(t *testing.T) {
	tests := []struct {
		params, honoured string
		hasMore          simulator.Chance // null
	}{
		{wooshpay.ParamsBody, simulator.ParamsQuery, simulator.Chance{}},
		{wooshpay.ParamsQuery, simulator.ParamsBody, simulator.Chance{}},
		{wooshpay.ParamsBody, simulator.ParamsQuery, simulator.Always()},
		{wooshpay.ParamsQuery, simulator.ParamsBody, simulator.Always()},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start, w.cfg.ListParams = poller.StartAll, tt.params
				w.faults(simulator.Faults{Params: tt.honoured, HasMoreNull: tt.hasMore})
				var ids []string
				for range 60 {
					ids = append(ids, w.create(open(nil)))
				}
				p := w.poller()
				w.run(p, 30*time.Second)
				for _, id := range ids {
					w.expect(id, "created")
				}
				if s := p.Status()[0]; len(s.Oddities) == 0 || s.Error != "" {
					t.Errorf("status = %+v", s)
				}
			})
		})
	}
}
