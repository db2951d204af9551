package simulator_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

func TestListOrder(t *testing.T) {
	w := setup(t)
	old := w.create(simulator.Fields{"created": noon().Add(-time.Hour)})
	late := w.create(nil)
	sameA := w.create(simulator.Fields{"created": noon().Add(-time.Minute)})
	sameB := w.create(simulator.Fields{"created": noon().Add(-time.Minute)})
	small := w.create(simulator.Fields{"created": noon().Add(-time.Minute), "id": "cs_5"})

	p := w.list("", "")
	if diff := cmp.Diff([]string{late, sameB, sameA, small, old}, p.ids()); diff != "" {
		t.Errorf("newest first, ties by number (-want +got):\n%s", diff)
	}
	if p.Object != "list" || p.HasMore == nil || *p.HasMore {
		t.Errorf("envelope %+v", p)
	}
	w.update(old, simulator.Fields{"created": noon().Add(time.Hour)})
	if got := w.list("", "").ids()[0]; got != old {
		t.Errorf("first is %s, want the one whose created has moved", got)
	}
}

func TestPaging(t *testing.T) {
	w := setup(t)
	want := reversed(w.createMany(23))

	var forward []string
	cursor := ""
	for {
		p := w.list("limit=5&starting_after="+cursor, "")
		forward = append(forward, p.ids()...)
		if !p.more() {
			break
		}
		cursor = p.ids()[len(p.Data)-1]
	}
	if diff := cmp.Diff(want, forward); diff != "" {
		t.Errorf("forward (-want +got):\n%s", diff)
	}

	var back []string
	cursor = want[len(want)-1]
	for {
		p := w.list("", fmt.Sprintf(`{"limit":"5","ending_before":%q}`, cursor))
		back = append(p.ids(), back...)
		if !p.more() {
			break
		}
		cursor = p.ids()[0]
	}
	if diff := cmp.Diff(want[:22], back); diff != "" {
		t.Errorf("back (-want +got):\n%s", diff)
	}
	if p := w.list("", ""); len(p.Data) != 10 || !p.more() {
		t.Errorf("without limit: %d items, has_more %v", len(p.Data), p.more())
	}
	if p := w.list("limit=5&starting_after="+want[22], ""); len(p.Data) != 0 || p.more() {
		t.Errorf("after the last: %v", p.ids())
	}
}

func TestFilters(t *testing.T) {
	w := setup(t)
	w.create(nil)                                                    // 12:00:00
	b := w.create(simulator.Fields{"customer_email": "b@shop.test"}) // 12:00:01
	c := w.create(simulator.Fields{"customer": "cus_1"})             // 12:00:02
	d := w.create(nil)                                               // 12:00:03
	s, ms := noon().Unix(), noon().UnixMilli()
	intent := url.QueryEscape(w.get(d)["payment_intent"].(string))
	for name, tc := range map[string]struct {
		query, body string
		want        []string
	}{
		"gte query seconds":   {fmt.Sprintf("created[gte]=%d", s+2), "", []string{d, c}},
		"gt body string":      {"", fmt.Sprintf(`{"created":{"gt":"%d"}}`, s+2), []string{d}},
		"gt body number ms":   {"", fmt.Sprintf(`{"created":{"gt":%d}}`, ms+2000), []string{d}},
		"gt ms just below":    {"", fmt.Sprintf(`{"created":{"gt":%d}}`, ms+1999), []string{d, c}},
		"lt and gte":          {"", fmt.Sprintf(`{"created":{"gte":%d,"lt":%d}}`, s+1, s+3), []string{c, b}},
		"lte and gt":          {fmt.Sprintf("created[lte]=%d&created[gt]=%d", s+3, s+1), "", []string{d, c}},
		"equal":               {fmt.Sprintf("created=%d", s+1), "", []string{b}},
		"empty window":        {fmt.Sprintf("created[gt]=%d", s+3), "", []string{}},
		"customer":            {"customer=cus_1", "", []string{c}},
		"email in the query":  {"customer_details[email]=b@shop.test", "", []string{b}},
		"email in the body":   {"", `{"customer_details":{"email":"b@shop.test"}}`, []string{b}},
		"payment intent":      {"payment_intent=" + intent, "", []string{d}},
		"body before query":   {fmt.Sprintf("created[gte]=%d&limit=1", s), fmt.Sprintf(`{"created":{"gte":%d}}`, s+2), []string{d}},
		"both channels add":   {"customer=cus_1", fmt.Sprintf(`{"created":{"gte":%d}}`, s), []string{c}},
		"unknown names":       {"members&reference&Type=3", `{"expand":["line_items"]}`, []string{d, c, b, "?"}},
		"blanks and nulls":    {"starting_after=&limit=2&created[gt]=", `{"customer":null,"created":{"gte":null}}`, []string{d, c}},
		"huge value":          {"created[lte]=99999999999999999", "", []string{d, c, b, "?"}},
		"window and a cursor": {fmt.Sprintf("created[gte]=%d&starting_after=%s", s+1, d), "", []string{c, b}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, api: w.api, clock: w.clock}
			got := w.list(tc.query, tc.body).ids()
			for i, id := range tc.want {
				if id == "?" && i < len(got) {
					got[i] = "?"
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestListRefusals(t *testing.T) {
	w := setup(t)
	id := w.create(nil)
	for name, tc := range map[string]struct{ query, body, param, code string }{
		"limit 0":          {"limit=0", "", "limit", "parameter_invalid"},
		"limit 101":        {"", `{"limit":101}`, "limit", "parameter_invalid"},
		"limit text":       {"limit=many", "", "limit", "parameter_invalid"},
		"two cursors":      {"starting_after=" + id + "&ending_before=" + id, "", "ending_before", "parameter_invalid"},
		"unknown after":    {"starting_after=cs_9", "", "starting_after", "resource_missing"},
		"unknown before":   {"", `{"ending_before":"cs_9"}`, "ending_before", "resource_missing"},
		"created no digit": {"created[gte]=today", "", "created[gte]", "parameter_invalid"},
		"created list":     {"", `{"created":{"gt":[1]}}`, "created[gt]", "parameter_invalid"},
		"customer number":  {"", `{"customer":1}`, "customer", "parameter_invalid"},
		"broken body":      {"", `{"limit":`, "", "parameter_invalid"},
		"body no object":   {"", `[1]`, "", "parameter_invalid"},
		"two values":       {"", `{} {}`, "", "parameter_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, api: w.api, clock: w.clock}
			resp := w.do(http.MethodGet, listURL+"?"+tc.query, tc.body)
			if resp.StatusCode != http.StatusBadRequest {
				t.Fatalf("status %d, want 400", resp.StatusCode)
			}
			e := errorOf(t, resp)
			param, _ := e["param"].(string)
			if param != tc.param || e["code"] != tc.code {
				t.Errorf("error %v, want param %q code %q", e, tc.param, tc.code)
			}
		})
	}
}
