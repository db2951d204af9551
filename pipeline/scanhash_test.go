package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// TestRowsKnowTheBytesThatShowWhatIsStored: a row has the hash of a look that
// said what is stored, and no other look's.
func TestRowsKnowTheBytesThatShowWhatIsStored(t *testing.T) {
	store := &memory{snapshots: make(map[string]event.Snapshot)}
	p := newPipeline(t, store, everything())
	open := session(t, "cs_1", "open", "unpaid", `,"amount_total":5`)
	rewritten := session(t, "cs_1", "open", "unpaid", `,"customer":null,"amount_total":"5"`)
	garbled := session(t, "cs_1", "open", "unpaid", `,"amount_total":{}`)
	complete := session(t, "cs_1", "complete", "paid", `,"amount_total":5`)
	escaped, err := checkout.Parse([]byte(strings.Replace(string(complete.Object), "complete", `c\u006fmplete`, 1)))
	if err != nil || escaped.Hash != complete.Hash || escaped.ScanHash != 0 {
		t.Fatalf("%v, %d", err, escaped.ScanHash)
	}
	for i, step := range []struct {
		name   string
		look   checkout.Session
		row    uint64
		stored uint64
	}{
		{"first look", open, open.ScanHash, open.ScanHash},
		{"other bytes, nothing stored", rewritten, rewritten.ScanHash, open.ScanHash},
		{"a field that makes no sense is adopted", garbled, garbled.ScanHash, open.ScanHash},
		{"change", complete, complete.ScanHash, complete.ScanHash},
		{"bytes that cannot be scanned", escaped, 0, complete.ScanHash},
		{"step back that is not believed", open, 0, 0},
		{"the step back is over", complete, complete.ScanHash, complete.ScanHash},
	} {
		handled, err := p.Handle(t.Context(), batch(time.Duration(i)*time.Second, step.look))
		if err != nil || len(handled.Rows) != 1 {
			t.Fatalf("%s: %+v, %v", step.name, handled, err)
		}
		if got := handled.Rows[0].ScanHash; got != step.row {
			t.Errorf("%s: the row has %d instead of %d", step.name, got, step.row)
		}
		if got := store.snapshots["cs_1"].ScanHash; got != step.stored {
			t.Errorf("%s: the snapshot has %d instead of %d", step.name, got, step.stored)
		}
	}
}
