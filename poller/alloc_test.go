package poller

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"checkout-notifier/poller/wooshpay"
)

// An unchanged page costs the same few allocations however many sessions it
// shows, although the url of each is another one in every answer.
func TestUnchangedPagesCostNoAllocationPerSession(t *testing.T) {
	body, rotated := benchPages(t)
	whole := bytes.Count(body, []byte(`"object":"checkout.session"`))
	few, many := allocations(t, cut(t, body, 10), cut(t, rotated, 10)), allocations(t, body, rotated)
	t.Logf("%v allocations for a page of 10, %v for one of %d", few, many, whole)
	if few != many {
		t.Errorf("a page of 10 costs %v allocations, one of %d costs %v", few, whole, many)
	}
}

// cut returns the page with its first sessions only.
func cut(t *testing.T, body []byte, n int) []byte {
	t.Helper()
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	page := []byte(`{"object":"list","data":[`)
	for i, item := range list.Data[:n] {
		if i > 0 {
			page = append(page, ',')
		}
		page = append(page, item...)
	}
	return append(page, `],"has_more":true}`...)
}

// allocations counts those of a page on its whole way from the answer's bytes on,
// once its sessions are known.
func allocations(t *testing.T, body, rotated []byte) float64 {
	t.Helper()
	a := knowing(t, readSplit(t, holding(body)).Items)
	a.state.StartFixed = true
	a.now = running{number: 1, began: time.Now()}
	memory := new(wooshpay.Memory)
	return testing.AllocsPerRun(50, func() {
		memory.Body.Reset()
		memory.Body.Write(rotated)
		page, err := wooshpay.ReadPage(memory)
		if err != nil {
			t.Fatal(err)
		}
		page.Answer = wooshpay.Answer{Sent: time.Now(), Received: time.Now()}
		if page, err = a.decodeChanged(a.client, page); err != nil {
			t.Fatal(err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		// Nobody is there to hand anything to: a page that seems to have changed ends the test.
		if err := a.handle(t.Context(), page, nil); err != nil {
			t.Fatal(err)
		}
	})
}
