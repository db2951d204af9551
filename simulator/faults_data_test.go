package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

func TestShapeFaults(t *testing.T) {
	always := simulator.Always()
	w := setup(t)
	id := w.create(simulator.Fields{"amount_total": 1234, "customer_email": "a@example.com",
		"metadata": simulator.Fields{"created": int64(1_795_000_000_123)}, "line_items": simulator.Fields{"data": []any{simulator.Fields{"quantity": 2}}}})
	usual := w.get(id)

	w.faults(simulator.Faults{Seconds: always})
	got := w.get(id)
	details := got["customer_details"].(map[string]any)
	if got["created"] != json.Number("1795348800") || got["expires_at"] != json.Number("1795435200") || details["created"] != json.Number("1795348793") {
		t.Errorf("times in seconds: %v %v %v", got["created"], got["expires_at"], details["created"])
	}
	if diff := cmp.Diff(usual["metadata"], got["metadata"]); diff != "" {
		t.Errorf("seconds changed metadata:\n%s", diff)
	}

	w.faults(simulator.Faults{StringNumbers: always})
	got = w.get(id)
	item := got["line_items"].(map[string]any)["data"].([]any)[0].(map[string]any)
	if got["amount_total"] != "1234" || got["created"] != "1795348800000" || item["quantity"] != "2" {
		t.Errorf("numbers as strings: %v", got)
	}

	w.faults(simulator.Faults{RotateURL: always})
	one, two := w.get(id)["url"].(string), w.get(id)["url"].(string)
	path := func(link string) string { before, _, _ := strings.Cut(link, "?"); return before }
	if one == two || path(one) != path(two) || path(one) != path(usual["url"].(string)) {
		t.Errorf("rotating url: %s, then %s", one, two)
	}

	w.faults(simulator.Faults{NullFlip: always})
	seen := map[string]bool{}
	for range 40 {
		seen[style(w.get(id), "client_reference_id")] = true
	}
	if diff := cmp.Diff(map[string]bool{"missing": true, "null": true, "blank": true}, seen); diff != "" {
		t.Errorf("flipping nulls (-want +got):\n%s", diff)
	}
}

func TestItemFaults(t *testing.T) {
	always := simulator.Always()
	for name, tc := range map[string]struct {
		faults simulator.Faults
		check  func(p page) bool
	}{
		"without id": {simulator.Faults{ItemWithoutID: always}, func(p page) bool {
			return len(p.Data) == 4 && count(p, func(o map[string]any) bool { return o["id"] == nil && o["status"] != nil }) == 1
		}},
		"without status": {simulator.Faults{ItemWithoutStatus: always}, func(p page) bool {
			return len(p.Data) == 4 && count(p, func(o map[string]any) bool { _, ok := o["status"]; return !ok }) == 1
		}},
		"no object": {simulator.Faults{ItemNotObject: always}, func(p page) bool {
			return len(p.Data) == 4 && count(p, func(o map[string]any) bool { return o == nil }) == 1
		}},
		"twice": {simulator.Faults{DuplicateItem: always}, func(p page) bool {
			unique := map[string]bool{}
			for _, id := range p.ids() {
				unique[id] = true
			}
			return len(p.Data) == 5 && len(unique) == 4
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			w.list("", "") // an empty page must stand the fault as well
			w.faults(tc.faults)
			w.list("", "")
			w.createMany(4)
			if p := w.list("", ""); !tc.check(p) {
				t.Errorf("page %v", p.Data)
			}
		})
	}
}

func count(p page, is func(map[string]any) bool) int {
	n := 0
	for i := range p.Data {
		if is(p.item(i)) {
			n++
		}
	}
	return n
}

func TestStaleReplica(t *testing.T) {
	w := setup(t)
	old := w.create(nil)
	w.clock.Advance(time.Minute)
	w.update(old, simulator.Fields{"status": "complete", "payment_status": "paid"})
	young := w.create(nil)

	w.faults(simulator.Faults{Stale: simulator.Always(), StaleMinMS: 10_000, StaleMS: 10_000})
	p := w.list("", "")
	if diff := cmp.Diff([]string{old}, p.ids()); diff != "" {
		t.Errorf("stale list (-want +got):\n%s", diff)
	}
	if p.item(0)["status"] != "open" || w.get(old)["status"] != "open" {
		t.Errorf("stale status %v, want the one before the change", p.item(0)["status"])
	}
	if resp := w.do(http.MethodGet, "/v1/checkout/sessions/"+young, ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a young session on a stale replica: %d, want 404", resp.StatusCode)
	}

	w.faults(simulator.Faults{Stale: simulator.Always(), StaleMS: 2000})
	seen := map[int]bool{}
	for range 50 {
		seen[len(w.list("", "").Data)] = true
	}
	if !seen[1] || !seen[2] {
		t.Errorf("a lag of up to 2 s should show both states: %v", seen)
	}
}

func TestLateVisibility(t *testing.T) {
	w := setup(t)
	ids := w.createMany(100)
	w.faults(simulator.Faults{Late: 0.5, LateMS: 3_600_000})
	first := w.list("limit=100", "").ids()
	if len(first) < 30 || len(first) > 70 {
		t.Errorf("%d of 100 visible, want about half", len(first))
	}
	if diff := cmp.Diff(first, w.list("limit=100", "").ids()); diff != "" {
		t.Errorf("other sessions are late the second time:\n%s", diff)
	}
	for _, id := range ids {
		w.get(id)
	}
	w.clock.Advance(time.Hour)
	if got := w.list("limit=100", "").ids(); len(got) != 100 {
		t.Errorf("%d visible after the delay, want all", len(got))
	}
}

func TestVanishedNoExpiryAndClockSkew(t *testing.T) {
	w := setup(t)
	id := w.create(simulator.Fields{"expires_in": "1m"})
	w.faults(simulator.Faults{Vanished: []string{id}})
	if resp := w.do(http.MethodGet, "/v1/checkout/sessions/"+id, ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("vanished session: %d, want 404", resp.StatusCode)
	}
	if resp := w.do(http.MethodGet, listURL+"?starting_after="+id, ""); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("vanished cursor: %d, want 400", resp.StatusCode)
	}

	w.faults(simulator.Faults{NoExpiry: true, ClockSkewS: -90})
	w.clock.Advance(time.Hour)
	if got := w.get(id)["status"]; got != "open" {
		t.Errorf("status without expiry %v", got)
	}
	date, err := http.ParseTime(w.do(http.MethodGet, listURL, "").Header.Get("Date"))
	if err != nil || !date.Equal(w.clock.Now().Add(-90*time.Second)) {
		t.Errorf("Date %v (%v), want 90 s behind %v", date, err, w.clock.Now())
	}
	w.faults(simulator.Faults{})
	if got := w.get(id)["status"]; got != "expired" {
		t.Errorf("status when expiry is back %v", got)
	}
	if at := w.truth(id).History[1].Time; !at.Equal(w.clock.Now()) {
		t.Errorf("expired at %v, want when the fault ended", at)
	}
}
