package simulator_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

func TestSessionShape(t *testing.T) {
	for _, key := range []string{"sk_test_1", "sk_live_1"} {
		t.Run(key, func(t *testing.T) {
			now := time.Date(2026, 11, 22, 12, 0, 0, 600e6, time.UTC)
			api := simulator.NewAPI(simulator.Config{SecretKey: key, Now: func() time.Time { return now }})
			s, err := api.Create(simulator.Fields{"customer_email": "a@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(s.Object, &got); err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^cs_\d{19}$`).MatchString(s.ID) {
				t.Errorf("id %q", s.ID)
			}
			num, _ := strconv.ParseUint(strings.TrimPrefix(s.ID, "cs_"), 10, 64)
			if ms := int64(num>>22) + 1288834974657; ms != now.UnixMilli() {
				t.Errorf("id says %d ms, want %d", ms, now.UnixMilli())
			}
			if want := float64(now.UnixMilli() + 400); got["created"] != want {
				t.Errorf("created %v, want the nearest second %v", got["created"], want)
			}
			if off := got["expires_at"].(float64) - float64(now.Add(24*time.Hour).UnixMilli()); off < 0 || off > 2 {
				t.Errorf("expires_at is %v ms off 24 h", off)
			}
			live := strings.HasPrefix(key, "sk_live_")
			details := got["customer_details"].(map[string]any)
			if got["livemode"] != live || details["livemode"] != !live || details["object"] != "customer" {
				t.Errorf("livemode %v, customer_details %v", got["livemode"], details)
			}
			path := "/pay/cs_test_"
			if live {
				path = "/pay/cs_"
			}
			if link := got["url"].(string); !strings.Contains(link, path+strconv.FormatUint(num, 10)+"?key=") {
				t.Errorf("url %s", link)
			}
			for name, want := range map[string]any{
				"object": "checkout.session", "status": "open", "payment_status": "unpaid", "mode": "payment",
				"currency": "USD", "amount_subtotal": got["amount_total"],
			} {
				if got[name] != want {
					t.Errorf("%s = %v, want %v", name, got[name], want)
				}
			}
			if intent := got["payment_intent"].(string); !regexp.MustCompile(`^pi_\d{19}$`).MatchString(intent) || intent[3:] == s.ID[3:] {
				t.Errorf("payment_intent %v", intent)
			}
		})
	}
}

func TestCreateOverrides(t *testing.T) {
	created := noon().Add(-2 * time.Hour)
	for name, tc := range map[string]struct {
		fields simulator.Fields
		want   map[string]any
	}{
		"created in RFC 3339": {simulator.Fields{"created": created}, map[string]any{"created": json.Number("1795341600000")}},
		"created in seconds":  {simulator.Fields{"created": created.Unix()}, map[string]any{"created": json.Number("1795341600000")}},
		"created in ms":       {simulator.Fields{"created": strconv.FormatInt(created.UnixMilli(), 10)}, map[string]any{"created": json.Number("1795341600000")}},
		"expires_in": {simulator.Fields{"created": created, "expires_in": "3h"},
			map[string]any{"expires_at": json.Number(strconv.FormatInt(created.Add(3*time.Hour).UnixMilli(), 10))}},
		"expires_in duration": {simulator.Fields{"expires_in": 90 * time.Second},
			map[string]any{"expires_at": json.Number(strconv.FormatInt(noon().Add(90*time.Second).UnixMilli(), 10))}},
		"expires_in seconds": {simulator.Fields{"expires_in": 90},
			map[string]any{"expires_at": json.Number(strconv.FormatInt(noon().Add(90*time.Second).UnixMilli(), 10))}},
		"born paid":          {simulator.Fields{"status": "complete"}, map[string]any{"payment_status": "paid"}},
		"born free":          {simulator.Fields{"status": "complete", "amount_total": 0}, map[string]any{"payment_status": "no_payment_required", "amount_subtotal": json.Number("0")}},
		"subtotal alone":     {simulator.Fields{"amount_subtotal": 5}, map[string]any{"amount_total": json.Number("5")}},
		"setup":              {simulator.Fields{"mode": "setup"}, map[string]any{"payment_status": nil, "mode": "setup"}},
		"unknown fields":     {simulator.Fields{"new_thing": json.Number("12345678901234567890.5")}, map[string]any{"new_thing": json.Number("12345678901234567890.5")}},
		"metadata":           {simulator.Fields{"metadata": simulator.Fields{"a": "b"}}, map[string]any{"metadata": map[string]any{"a": "b"}}},
		"unknown status":     {simulator.Fields{"status": "canceled"}, map[string]any{"status": "canceled", "payment_status": "unpaid"}},
		"before all ids":     {simulator.Fields{"created": "2000-01-01T00:00:00Z"}, map[string]any{"created": json.Number("946684800000")}},
		"id":                 {simulator.Fields{"id": "cs_77"}, map[string]any{"id": "cs_77"}},
		"explicit no expiry": {simulator.Fields{"expires_at": nil}, map[string]any{"expires_at": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			got := w.get(w.create(tc.fields))
			for field, want := range tc.want {
				if diff := cmp.Diff(want, got[field]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", field, diff)
				}
			}
		})
	}
}

func TestInvalidFields(t *testing.T) {
	w := setup(t)
	id := w.create(nil)
	for name, fields := range map[string]simulator.Fields{
		"created":     {"created": "yesterday"},
		"expires_at":  {"expires_at": true},
		"expires_in":  {"expires_in": "soon"},
		"status":      {"status": 3},
		"existing id": {"id": id},
		"not JSON":    {"x": func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.api.Create(fields); !errors.Is(err, simulator.ErrInvalid) {
				t.Errorf("Create: %v, want ErrInvalid", err)
			}
			if name == "existing id" {
				return
			}
			if _, err := w.api.Update(id, fields); !errors.Is(err, simulator.ErrInvalid) {
				t.Errorf("Update: %v, want ErrInvalid", err)
			}
		})
	}
	if _, err := w.api.Update(id, simulator.Fields{"id": "cs_2"}); !errors.Is(err, simulator.ErrInvalid) {
		t.Errorf("changing an id: %v, want ErrInvalid", err)
	}
	if _, err := w.api.Update("cs_2", nil); !errors.Is(err, simulator.ErrNotFound) {
		t.Errorf("unknown id: %v, want ErrNotFound", err)
	}
}

func TestHistory(t *testing.T) {
	w := setup(t)
	id := w.create(simulator.Fields{"customer_email": "a@example.com"})
	w.update(id, simulator.Fields{"status": "complete"})
	w.clock.Advance(time.Second)
	w.update(id, simulator.Fields{"status": "complete", "client_reference_id": ""}) // no change
	w.update(id, simulator.Fields{"payment_status": "paid", "metadata": simulator.Fields{"k": "v"}})
	w.clock.Advance(time.Second)
	w.update(id, simulator.Fields{"created": noon().Add(-time.Hour)})

	want := []simulator.Change{
		{Time: noon(), Status: "open", PaymentStatus: "unpaid"},
		{Time: noon().Add(1 * time.Second), Status: "complete", PaymentStatus: "unpaid", Fields: []string{"status"}},
		{Time: noon().Add(2 * time.Second), Status: "complete", PaymentStatus: "paid", Fields: []string{"metadata", "payment_status"}},
		{Time: noon().Add(3 * time.Second), Status: "complete", PaymentStatus: "paid", Fields: []string{"created"}},
	}
	if diff := cmp.Diff(want, w.truth(id).History); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestExpiry(t *testing.T) {
	w := setup(t)
	due := w.create(simulator.Fields{"expires_in": "1m"})
	paid := w.create(simulator.Fields{"expires_in": "1m", "status": "complete"})
	moved := w.create(simulator.Fields{"expires_in": "1m"})
	w.update(moved, simulator.Fields{"expires_in": "10m"})
	w.clock.Advance(5 * time.Minute)

	for id, want := range map[string]string{due: "expired", paid: "complete", moved: "open"} {
		if got := w.get(id)["status"]; got != want {
			t.Errorf("status %v, want %v", got, want)
		}
	}
	if last := w.truth(due).History[1]; !last.Time.Equal(noon().Add(time.Minute)) {
		t.Errorf("expired at %v, want its expires_at", last.Time)
	}
	w.update(due, simulator.Fields{"status": "open"})
	if got := w.get(due)["status"]; got != "open" {
		t.Errorf("status after reopening %v, want open: the timer fires once", got)
	}
}

func TestEmptyFieldsAreInconsistentButStable(t *testing.T) {
	w := setup(t)
	styles := map[string]int{}
	for _, id := range w.createMany(60) {
		first, again := w.get(id), w.get(id)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("a session differs between two answers:\n%s", diff)
		}
		styles[style(first, "client_reference_id")]++
	}
	for _, want := range []string{"missing", "null", "blank"} {
		if styles[want] == 0 {
			t.Errorf("no session shows its empty field %s: %v", want, styles)
		}
	}
}

func style(object map[string]any, name string) string {
	value, ok := object[name]
	switch {
	case !ok:
		return "missing"
	case value == nil:
		return "null"
	case value == "":
		return "blank"
	}
	return "set"
}

func TestControlOverHTTP(t *testing.T) {
	w := setup(t)
	resp := w.do(http.MethodPost, "/sim/sessions", `{"amount_total": 4200, "currency": "EUR", "expires_in": 3600}`)
	var made map[string]any
	decode(t, resp, &made)
	id, _ := made["id"].(string)
	if resp.StatusCode != http.StatusOK || made["amount_total"] != json.Number("4200") || made["currency"] != "EUR" {
		t.Fatalf("created %d %v", resp.StatusCode, made)
	}
	var changed map[string]any
	decode(t, w.do(http.MethodPost, "/sim/sessions/"+id, `{"status":"complete","payment_status":"paid"}`), &changed)
	if changed["status"] != "complete" || changed["payment_status"] != "paid" || changed["amount_total"] != json.Number("4200") {
		t.Errorf("changed %v", changed)
	}
	if resp := w.do(http.MethodPost, "/sim/sessions", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("creating without a body: %d", resp.StatusCode)
	}
	for _, tc := range []struct {
		target, body string
		want         int
	}{
		{"/sim/sessions/cs_1", `{}`, http.StatusNotFound},
		{"/sim/sessions/" + id, `{"status": 1}`, http.StatusBadRequest},
	} {
		resp := w.do(http.MethodPost, tc.target, tc.body)
		if resp.StatusCode != tc.want {
			t.Errorf("%s: %d, want %d", tc.target, resp.StatusCode, tc.want)
		}
		if e := errorOf(t, resp); e["message"] == "" {
			t.Errorf("%s: no message", tc.target)
		}
	}
	if resp := w.do(http.MethodPost, "/sim/sessions", `[`); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("broken JSON: %d", resp.StatusCode)
	}
	var truth struct {
		Data []simulator.Session `json:"data"`
	}
	decode(t, w.do(http.MethodGet, "/sim/sessions", ""), &truth)
	if len(truth.Data) != 2 || truth.Data[0].ID != id || len(truth.Data[0].History) != 2 {
		t.Errorf("truth %+v", truth.Data)
	}
}
