package poller

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/bits"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"checkout-notifier/event"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/simulator"
)

// benchPages returns a page of 100 sessions with 45 fields in 3.5 KB each, and
// the same page with another key in each url.
func benchPages(tb testing.TB) (body, rotated []byte) {
	tb.Helper()
	api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_bench", Seed: 3})
	for i := range 100 {
		if _, err := api.Create(benchFields(i)); err != nil {
			tb.Fatal(err)
		}
	}
	list := func(f simulator.Faults) []byte {
		if err := api.SetFaults(f); err != nil {
			tb.Fatal(err)
		}
		req := httptest.NewRequestWithContext(tb.Context(), "GET", "/v1/checkout/sessions/list", strings.NewReader(`{"limit":100}`))
		req.SetBasicAuth("sk_test_bench", "")
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, req)
		return rec.Body.Bytes()
	}
	body, rotated = list(simulator.Faults{}), list(simulator.Faults{RotateURL: simulator.Always()})
	var e struct{ Data []json.RawMessage }
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &e); err != nil || len(e.Data) != 100 {
		tb.Fatalf("%d items, %v: %.200s", len(e.Data), err, body)
	}
	if bytes.Contains(body, []byte(`\\`)) {
		tb.Fatal("the page has escapes")
	}
	if err := json.Unmarshal(e.Data[0], &members); err != nil || len(members) < 45 || len(body) < 330_000 || len(body) > 370_000 {
		tb.Fatalf("%d fields, a page of %d bytes, %v", len(members), len(body), err)
	}
	return body, rotated
}

func benchFields(i int) simulator.Fields {
	address := map[string]any{"city": "Singapore", "country": "SG", "line1": "1 Raffles Place", "line2": "#20-61", "postal_code": "048616", "state": "SG"}
	var items []any
	for n := range 2 {
		items = append(items, map[string]any{
			"id": fmt.Sprintf("li_17660323924237352%02d", n), "object": "item", "amount_subtotal": 2000, "amount_total": 2000, "currency": "USD",
			"description": "A red apple", "quantity": 1, "discounts": []any{},
			"price": map[string]any{
				"id": "price_1766032390339166208", "object": "price", "active": true, "billing_scheme": "per_unit", "created": int64(1709889907806),
				"currency": "USD", "livemode": false, "metadata": map[string]any{"sku": "A-1"}, "type": "one_time", "unit_amount": 2000,
				"product": map[string]any{"id": "prod_1766032389672271872", "name": "apple", "images": []any{"https://shop.example/images/apple.png"}},
			},
		})
	}
	f := simulator.Fields{
		"client_reference_id": fmt.Sprintf("order-%d", i), "customer_email": "jenny.rosen@example.com", "customer_creation": "if_required",
		"metadata":               map[string]any{"order_id": fmt.Sprint(i), "tenant": "north", "cart": "c_8f2b7c1d9e"},
		"payment_method_options": map[string]any{"card": map[string]any{"setup_future_usage": "off_session"}},
		"payment_method_types":   []any{"card", "grabpay", "paynow", "alipay_cn"},
		"payment_link":           "plink_1766032392423735296", "phone_number_collection": map[string]any{"enabled": true},
		"shipping_address_collection": map[string]any{"allowed_countries": []any{"SG", "MY", "ID", "TH", "VN", "PH", "US", "GB"}},
		"shipping":                    map[string]any{"address": address, "carrier": "SingPost", "name": "Jenny Rosen", "phone": "+6561234567", "tracking_number": "RA123456785SG"},
		"customer_details":            map[string]any{"address": address, "email": "jenny.rosen@example.com", "name": "Jenny Rosen", "phone": "+6561234567"},
		"line_items":                  map[string]any{"object": "list", "url": "/v1/checkout/sessions/line_items", "has_more": false, "data": items},
		"live_mode":                   false,
	}
	for n := range 15 {
		f[fmt.Sprintf("undocumented_field_%02d", n)] = fmt.Sprintf("something that is not documented, %d", n)
	}
	return f
}

// knowing is an account that has seen the sessions of a page.
func knowing(tb testing.TB, items []wooshpay.Item) *account {
	tb.Helper()
	cfg := Account{Name: "main", SecretKey: "sk_test_bench", Start: StartNow, Poll: DefaultPoll()}
	p, err := New([]Account{cfg}, nil, nil, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	a := p.accounts[0]
	for i := range items {
		s, err := items[i].Decode()
		if err != nil {
			tb.Fatal(err)
		}
		a.index.Put(&event.Tracked{
			ID: s.ID, Created: s.Created, ExpiresAt: s.ExpiresAt, LookedAt: time.Now(), ScanHash: s.ScanHash,
			Status: s.Status, PaymentStatus: s.PaymentStatus, Watch: event.Watched,
		})
	}
	return a
}

// holding is a page's memory with an answer in it, which can be read again and again.
func holding(body []byte) *wooshpay.Memory {
	memory := new(wooshpay.Memory)
	memory.Body.Write(body)
	return memory
}

// readSplit reads an answer in one pass.
func readSplit(tb testing.TB, memory *wooshpay.Memory) *wooshpay.Page {
	tb.Helper()
	page, err := wooshpay.ReadPage(memory)
	if err != nil || page.Checked {
		tb.Fatalf("the page is not split: %v", err)
	}
	return page
}

// bare is the limit: one pass that counts braces and hashes each item, blind to
// what the bytes say. Escapes are not even looked for: the page has none.
func bare(body []byte, hashes []uint64) []uint64 {
	hashes = hashes[:0]
	depth, start := 0, 0
	for i := bytes.IndexByte(body, '['); i < len(body); i++ {
		switch body[i] {
		case '"':
			i = bareQuote(body, i+1)
		case '{', '[':
			if depth++; depth == 2 {
				start = i
			}
		case '}', ']':
			if depth--; depth == 1 {
				hashes = append(hashes, xxhash.Sum64(body[start:i+1]))
			}
		}
	}
	return hashes
}

// bareQuote is the fastest way we know to the end of strings that are short.
func bareQuote(body []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for end := i + 24; i < end && i+8 <= len(body); i += 8 {
		x := binary.LittleEndian.Uint64(body[i:]) ^ ones*'"'
		if zeros := (x - ones) & ^x & highs; zeros != 0 {
			return i + bits.TrailingZeros64(zeros)/8
		}
	}
	return i + bytes.IndexByte(body[i:], '"')
}

// BenchmarkSplit compares the ways to find that nothing on a page has changed.
// Each runs next to the limit, so that the ratio of their best times holds on a
// busy machine too.
func BenchmarkSplit(b *testing.B) {
	body, rotated := benchPages(b)
	memories := map[*byte]*wooshpay.Memory{&body[0]: holding(body), &rotated[0]: holding(rotated)}
	a := knowing(b, readSplit(b, memories[&body[0]]).Items)
	now := time.Now()
	compare := func(body []byte) {
		page := readSplit(b, memories[&body[0]])
		for i := range page.Items {
			it := &page.Items[i]
			if e := a.index.Find(it.ID); e == nil || a.see(e, it, now) {
				b.Fatalf("%s has changed", it.ID)
			}
		}
	}
	var hashes []uint64
	limit := func(body []byte) {
		if hashes = bare(body, hashes); len(hashes) != 100 {
			b.Fatalf("%d items", len(hashes))
		}
	}
	checked := func(body []byte) {
		if _, err := a.client.Reread(readSplit(b, memories[&body[0]])); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("limit", func(b *testing.B) { measure(b, limit, limit, body) })
	b.Run("split", func(b *testing.B) { measure(b, limit, func(body []byte) { readSplit(b, memories[&body[0]]) }, body) })
	b.Run("split-and-compare", func(b *testing.B) { measure(b, limit, compare, body) })
	b.Run("rotating-url", func(b *testing.B) { measure(b, limit, compare, body, rotated) })
	b.Run("split-and-reread", func(b *testing.B) { measure(b, limit, checked, body) })
}

func measure(b *testing.B, limit, way func([]byte), bodies ...[]byte) {
	b.SetBytes(int64(len(bodies[0])))
	b.ReportAllocs()
	bestLimit, best := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for i := 0; b.Loop(); i++ {
		body := bodies[i%len(bodies)]
		b.StopTimer()
		start := time.Now()
		limit(body)
		bestLimit = min(bestLimit, time.Since(start))
		b.StartTimer()
		start = time.Now()
		way(body)
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best.Nanoseconds())/100, "ns/session")
	b.ReportMetric(float64(best)/float64(bestLimit), "x-limit")
}
