package wooshpay

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/checkout"
	"checkout-notifier/simulator"
)

// checkSplit holds split to what it promises for any bytes: where it takes a
// page, readChecked reads the same, or Parse refuses one of the items.
func checkSplit(t interface {
	Helper()
	Fatalf(string, ...any)
}, body []byte) bool {
	t.Helper()
	var p splitPage
	if !split(body, &p) {
		return false
	}
	for _, item := range p.items {
		if !json.Valid(item.raw) {
			if _, err := checkout.Parse(item.raw); err == nil {
				t.Fatalf("Parse takes an item that is no JSON: %s", item.raw)
			}
			return true
		}
	}
	page, err := readChecked(body)
	if err != nil {
		t.Fatalf("split takes a page that readChecked does not: %v\n%s", err, body)
	}
	if len(page.Bad) > 0 || page.Repeated > 0 || page.Total != len(p.items) || len(page.Items) != len(p.items) {
		t.Fatalf("split: %d items, readChecked: %d, bad %v, %d repeated\n%s", len(p.items), page.Total, page.Bad, page.Repeated, body)
	}
	if !cmp.Equal(page.HasMore, p.hasMore) {
		t.Fatalf("has_more differs from that of readChecked: %s\n%s", cmp.Diff(page.HasMore, p.hasMore), body)
	}
	for i, g := range p.items {
		s := page.Items[i].session
		if s.ID != string(g.ID) || s.Status != string(g.Status) || s.PaymentStatus != string(g.PaymentStatus) ||
			s.Created.Unix() != g.Created || s.ScanHash != g.Hash {
			t.Fatalf("item %d\nsplit: %s %q %q %d %d\nreadChecked: %+v", i+1, g.ID, g.Status, g.PaymentStatus, g.Created, g.Hash, s)
		}
	}
	return true
}

const item1, item2 = `{"id":"cs_1","created":1,"status":"open"}`, `{"id":"cs_2","created":1,"status":null}`

// pages are small answers, and whether split takes them.
var pages = map[string]bool{
	`{"object":"list","url":null,"has_more":true,"data":[` + item1 + `,` + item2 + `]}`:    true,
	`{"data":[` + item1 + `],"has_more":"false"}`:                                          true,
	" {\n\t\"data\" : [ " + item1 + " , " + item2 + " ] , \"x\" : [1, {\"data\":2}] }\r\n": true,
	`{"object":"list","data":[]}`:                                                          true,
	`{"data":[ ],"has_more":null}`:                                                         true,
	`{"data":[],"has_more":"tr\u0075e"}`:                                                   true,
	`{"data":[],"has_more":{"a":"}"}}`:                                                     true,
	`{"data":[],"has_more":true }`:                                                         true,
	`{"data":[],"x":"\"}],","x":"\\"}`:                                                     true,
	`{"data":[{"id":"cs_1","created":1,"x":[1 2]}]}`:                                       true, // which Parse refuses
	``:                                 false,
	`[]`:                               false,
	`{}`:                               false,
	`{"object":"list"}`:                false,
	`{"object":"list","data":null}`:    false,
	`{"object":"list","data":{}}`:      false,
	`{"object":"page","data":[]}`:      false,
	`{"object":1,"data":[]}`:           false,
	`{"data":[null]}`:                  false,
	`{"data":["x"]}`:                   false,
	`{"data":[` + item1 + `,]}`:        false,
	`{"data":[,` + item1 + `]}`:        false,
	`{"data":[` + item1 + item2 + `]}`: false,
	`{"data":[` + item1 + `,` + item2 + `,` + item1 + `]}`:       false,
	`{"data":[{"id":"cs_1"}]}`:                                   false,
	`{"data":[` + item1 + `]`:                                    false,
	`{"data":[` + item1 + `]]`:                                   false,
	`{"data":[` + item1 + `]} x`:                                 false,
	`{"data":[` + item1 + `]}{}`:                                 false,
	`{"data":[` + item1 + `],}`:                                  false,
	`{"data":[` + item1 + `] "x":1}`:                             false,
	`{"data":[` + item1 + `],"x":1 2}`:                           false,
	`{"data":[` + item1 + `],"x":}`:                              false,
	`{"data":[` + item1 + `],"x":[}`:                             false,
	`{"data":[` + item1 + `],"x":"`:                              false,
	`{"data":[` + item1 + `],"x`:                                 false,
	`{"data":[` + item1 + `],"x\n":1}`:                           false,
	"{\"data\":[],\"x\n\":1}":                                    false,
	`{"data":[` + item1 + `],"data":[]}`:                         false,
	`{"data":[` + item1 + `],"Data":[]}`:                         false,
	`{"data":[` + item1 + `],"has_more":true,"has_more":false}`:  false,
	`{"data":[` + item1 + `],"has_more":true,"HAS_MORE":false}`:  false,
	`{"data":[` + item1 + `],"has_more":true,"ha\u017f_more":1}`: false,
	`{"data":[` + item1 + `],"has_more":true,"haſ_more":false}`:  false,
	`{"data":[` + item1 + `],"error":null}`:                      false,
	`{"data":[],"error":{"message":"no"}}`:                       false,
	`{"data":[],"OBJECT":1}`:                                     false,
	"\ufeff" + `{"data":[]}`:                                     false,
}

func TestSplit(t *testing.T) {
	for body, want := range pages {
		if got := checkSplit(t, []byte(body)); got != want {
			t.Errorf("split = %t: %s", got, body)
		}
		for cut := range len(strings.TrimRight(body, "\r\n")) {
			if checkSplit(t, []byte(body[:cut])) && want {
				t.Errorf("split takes a page that was cut: %s", body[:cut])
			}
		}
	}
}

// faultPages are the simulator's list answers under each of its faults.
func faultPages(t testing.TB) map[string][]byte {
	t.Helper()
	pages := make(map[string][]byte)
	sets := map[string]simulator.Faults{"none": {}}
	for field := range reflect.TypeFor[simulator.Faults]().Fields() {
		if field.Type == reflect.TypeFor[simulator.Chance]() && field.Name != "Hang" {
			var f simulator.Faults
			reflect.ValueOf(&f).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(simulator.Always()))
			sets[field.Name] = f
		}
	}
	api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_split", Seed: 3})
	for i := range 2 {
		if _, err := api.Create(simulator.Fields{"customer_email": fmt.Sprintf("ä\"%d@shop.example", i), "metadata": map[string]any{"<&>": "\u2028"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		if err := api.SetFaults(sets[name]); err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(t.Context(), "GET", listPath, nil)
		req.SetBasicAuth("sk_test_split", "")
		rec := httptest.NewRecorder()
		func() {
			defer func() { _ = recover() }() // a connection that is cut
			api.ServeHTTP(rec, req)
		}()
		pages[name] = rec.Body.Bytes()
	}
	return pages
}

// TestSplitTakesWhatTheAPISends where nothing is wrong with it, and what has
// been observed of it.
func TestSplitTakesWhatTheAPISends(t *testing.T) {
	unusual := []string{
		"RateLimited", "RateLimitedBare", "ServerError", "Unavailable", "Unauthorized", "Forbidden", "Redirect",
		"CutBody", "InvalidJSON", "TruncatedJSON", "StringNumbers", "ItemWithoutID", "ItemNotObject", "DuplicateItem",
	}
	for name, body := range faultPages(t) {
		if got, want := checkSplit(t, body), !slices.Contains(unusual, name); got != want {
			t.Errorf("%s: split = %t\n%s", name, got, body)
		}
	}
}

// TestSplitReusesWhatItHas: a large page, a small one, and no allocation.
func TestSplitReusesWhatItHas(t *testing.T) {
	var items []string
	for i := range 200 {
		items = append(items, fmt.Sprintf(`{"id":"cs_%d","created":1}`, i))
	}
	large := []byte(`{"object":"list","has_more":true,"data":[` + strings.Join(items, ",") + `]}`)
	small := []byte(`{"data":[` + item1 + `],"x":{}}`)
	var p splitPage
	run := func() {
		if !split(large, &p) || len(p.items) != 200 || p.hasMore == nil || !*p.hasMore {
			t.Fatalf("large: %d items", len(p.items))
		}
		if !split(small, &p) || len(p.items) != 1 || p.hasMore != nil || string(p.items[0].raw) != item1 {
			t.Fatalf("small: %+v", p)
		}
	}
	// Some runs must cost nothing: the race detector empties encoding/json's pool at random.
	least := testing.AllocsPerRun(1, run)
	for range 200 {
		least = min(least, testing.AllocsPerRun(1, run))
	}
	if least > 0 {
		t.Errorf("%v allocations", least)
	}
}

// TestSplitAgreesWithReadPage on pages put together from usual and unusual
// parts, some with a byte of them changed.
func TestSplitAgreesWithReadPage(t *testing.T) {
	blank := rapid.SampledFrom([]string{"", "", "", " ", "\n\t"})
	value := rapid.SampledFrom([]string{`1`, `-1.5e3`, `"a"`, `"\""`, `"\\"`, `null`, `true`, `{}`, `[]`, `{"id":"x","data":[]}`, `[[],"]"]`, `"ä"`, "\"\xff\""})
	key := rapid.SampledFrom([]string{"x", "y", "url", "status", "created", "payment_status", "expires_at", "ID", "ſtatus", `\u0069d`})
	item := rapid.Custom(func(t *rapid.T) string {
		members := []string{
			fmt.Sprintf(`"id":%s"cs_%d"`, blank.Draw(t, "blank"), rapid.IntRange(0, 30).Draw(t, "id")),
			fmt.Sprintf(`"created":%d`, rapid.Int64Range(0, 2e14).Draw(t, "created")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			members = append(members, `"`+key.Draw(t, "key")+`"`+blank.Draw(t, "blank")+`:`+value.Draw(t, "value"))
		}
		return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), blank.Draw(t, "blank")+","+blank.Draw(t, "blank")) + "}"
	})
	envelopeKey := rapid.SampledFrom([]string{"url", "x", "X", "has_more", "object", "Data", "error"})
	rapid.Check(t, func(t *rapid.T) {
		members := []string{`"object":"list"`, `"data":[` + strings.Join(rapid.SliceOfN(item, 0, 3).Draw(t, "items"), ",") + `]`}
		if rapid.Bool().Draw(t, "has more") {
			members = append(members, `"has_more":`+value.Draw(t, "more"))
		}
		if rapid.Bool().Draw(t, "another") {
			members = append(members, `"`+envelopeKey.Draw(t, "key")+`":`+value.Draw(t, "value"))
		}
		body := []byte("{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}")
		if rapid.IntRange(0, 3).Draw(t, "spoilt") == 0 {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "place")] = rapid.SampledFrom([]byte("\"\\{}[]:,0 e\x00")).Draw(t, "byte")
		}
		checkSplit(t, body)
	})
}

func FuzzSplit(f *testing.F) {
	for body := range pages {
		f.Add([]byte(body))
	}
	for _, body := range faultPages(f) {
		f.Add(body)
	}
	deep := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	f.Add([]byte(`{"data":[{"id":"cs_1","created":1766032392000,"x":` + deep + `}],"x":` + deep + `}`))
	f.Add([]byte(`{"data":[{"id":"cs_1","created":1,"url":"https:\/\/a\"","metadata":{"\"":"\\\\\"}"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) { checkSplit(t, body) })
}
