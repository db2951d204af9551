package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

// TestLedgerFindsMistakes spoils a correct record in every way that the ledger
// is there to find.
func TestLedgerFindsMistakes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	truth := []simulator.Session{{
		ID: "cs_1", Status: "complete", PaymentStatus: "paid", Created: now,
		History: []simulator.Change{
			{Time: now, Status: "open", PaymentStatus: "unpaid"},
			{Time: now.Add(time.Minute), Status: "complete", PaymentStatus: "paid", Fields: []string{"payment_status", "status"}},
		},
	}}
	good := []simulator.Received{
		reception("d1", "created", 1, 1, "open", "unpaid", now),
		reception("d2", "completed", 2, 1, "complete", "paid", now.Add(time.Minute)),
		reception("d3", "paid", 2, 2, "complete", "paid", now.Add(time.Minute)),
		reception("d4", "fulfillable", 2, 3, "complete", "paid", now.Add(time.Minute)),
	}
	if l := (ledger{truth: truth, requests: append(good, good[1])}); l.complete() != nil || len(l.wrong()) > 0 {
		t.Fatalf("a correct record with a repeat: missing %v, wrong %v", l.missing(), l.wrong())
	}
	for name, tc := range map[string]struct {
		spoil func([]simulator.Received) []simulator.Received
		want  string
	}{
		"lost": {func(r []simulator.Received) []simulator.Received { return r[:3] }, "no fulfillable"},
		"doubled": {func(r []simulator.Received) []simulator.Received {
			return append(r, reception("d5", "fulfillable", 3, 1, "complete", "paid", now.Add(time.Minute)))
		}, "2 events fulfillable"},
		"another id": {func(r []simulator.Received) []simulator.Received {
			again := r[3]
			again.ID = "d9"
			return append(r, again)
		}, "came as d4 and as d9"},
		"another body": {func(r []simulator.Received) []simulator.Received {
			return append(r, reception("d4", "fulfillable", 2, 3, "complete", "paid", now.Add(2*time.Minute)))
		}, "two bodies"},
		"out of order": {func(r []simulator.Received) []simulator.Received { r[0], r[1] = r[1], r[0]; return r }, "came after"},
		"made up": {func(r []simulator.Received) []simulator.Received {
			return append(r, reception("d6", "expired", 3, 1, "expired", "paid", now))
		}, "never"},
		"too early": {func(r []simulator.Received) []simulator.Received {
			r[1] = reception("d2", "completed", 2, 1, "complete", "paid", now)
			return r
		}, "happened at"},
		"stranger": {func(r []simulator.Received) []simulator.Received {
			r[3].Body = []byte(strings.ReplaceAll(string(r[3].Body), "cs_1", "cs_2"))
			return r
		}, "cs_2 never existed"},
		"unsigned": {func(r []simulator.Received) []simulator.Received { r[2].Verification = simulator.Refused; return r }, "refused"},
		"no event": {func(r []simulator.Received) []simulator.Received { r[2].Body = []byte(`{"a":1}`); return r }, "no event of ours"},
		"old news": {func(r []simulator.Received) []simulator.Received {
			return append(r, reception("d7", "updated", 3, 1, "open", "unpaid", now.Add(time.Hour)))
		}, "the last event says"},
	} {
		l := ledger{truth: truth, requests: tc.spoil(slices.Clone(good))}
		if found := append(l.missing(), l.wrong()...); !strings.Contains(strings.Join(found, "\n"), tc.want) {
			t.Errorf("%s: the ledger says %q, nothing of %q", name, found, tc.want)
		}
	}
}

// reception is a request as the program would make it.
func reception(id, kind string, revision, position int, status, payment string, at time.Time) simulator.Received {
	body, err := json.Marshal(object{
		"id": fmt.Sprintf("evt_%s_%d", kind, revision), "type": typePrefix + kind, "subject": "cs_1",
		"sequence": fmt.Sprintf("%010d-%02d", revision, position),
		"data": object{
			"object": object{"id": "cs_1", "status": status, "payment_status": payment}, "revision": revision, "occurred_before": at,
		},
	})
	if err != nil {
		body = []byte(err.Error()) // which is no event, and is found
	}
	return simulator.Received{ID: id, Body: body, Verification: simulator.Verified}
}
