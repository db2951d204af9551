package checkout_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/checkout"
)

// observed is a session as the API was seen to serve it: milliseconds, upper
// case currency, missing and empty members.
const observed = `{"id":"cs_1766032392423735296","object":"checkout.session","created":1709889908000,"livemode":false,
 "currency":"USD","customer":"","mode":"payment","status":"open",
 "url":"https://checkouttest.clangcling.com/pay/cs_test_1766032392423735296?key=cGs",
 "line_items":{"object":"list","data":[{"id":"li_1","quantity":1,"amount_total":2000,"price":{"product":{"id":"prod_1","name":"apple"}}}]},
 "payment_intent":"pi_1766032397326876672","payment_method_types":["card"],"payment_status":"unpaid",
 "amount_subtotal":2000,"amount_total":"2000","expires_at":1709976308306,"live_mode":true,"big":12345678901234567890.12}`

func parse(t *testing.T, raw string) checkout.Session {
	t.Helper()
	s, err := checkout.Parse([]byte(raw))
	if err != nil {
		t.Fatalf("Parse(%s): %v", raw, err)
	}
	return s
}

func members(t *testing.T, object json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatalf("object is not JSON: %v\n%s", err, object)
	}
	return m
}

func TestParseObserved(t *testing.T) {
	s := parse(t, observed)
	if s.ID != "cs_1766032392423735296" || s.Status != "open" || s.PaymentStatus != "unpaid" || s.Mode != "payment" {
		t.Errorf("got %+v", s)
	}
	if want := time.UnixMilli(1709889908000).UTC(); !s.Created.Equal(want) {
		t.Errorf("Created = %v, want %v", s.Created, want)
	}
	if want := time.UnixMilli(1709976308306).UTC(); !s.ExpiresAt.Equal(want) {
		t.Errorf("ExpiresAt = %v, want %v", s.ExpiresAt, want)
	}
	m := members(t, s.Object)
	for name, want := range map[string]string{
		"created": "1709889908", "expires_at": "1709976308", "amount_total": "2000", "customer": "null",
		"shipping": "null", "metadata": "null", "live_mode": "true", "big": "12345678901234567890.12",
		"client_reference_id": "null", "currency": `"USD"`,
	} {
		if got := string(m[name]); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	for _, name := range checkout.Fields() {
		if _, ok := m[name]; !ok {
			t.Errorf("documented field %s is not present", name)
		}
	}
	if !strings.Contains(string(m["line_items"]), `"quantity":"1"`) || !strings.Contains(string(m["line_items"]), `"name":"apple"`) {
		t.Errorf("line items: documented types or expanded product lost: %s", m["line_items"])
	}
}

func TestParseTypes(t *testing.T) {
	tests := []struct{ name, field, value, want string }{
		{"decimal without fraction", "amount_total", `2000.00`, `2000`},
		{"exponent", "amount_total", `2e3`, `2000`},
		{"text with space", "amount_total", `" 2000 "`, `2000`},
		{"negative", "amount_total", `"-5"`, `-5`},
		{"expanded object", "customer", `{"id":"cus_1","object":"customer"}`, `"cus_1"`},
		{"number for text", "client_reference_id", `1042`, `"1042"`},
		{"text for boolean", "livemode", `"true"`, `true`},
		{"RFC 3339", "created", `"2024-03-08T09:25:08Z"`, `1709889908`},
		{"seconds as text", "expires_at", `"1709976308"`, `1709976308`},
		{"seconds as text with a fraction", "expires_at", `"1709976308.000"`, `1709976308`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(observed), &m); err != nil {
				t.Fatal(err)
			}
			m[tt.field] = json.RawMessage(tt.value)
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			s := parse(t, string(raw))
			if got := string(members(t, s.Object)[tt.field]); got != tt.want {
				t.Errorf("%s = %s, want %s", tt.field, got, tt.want)
			}
			if len(s.Unreadable) > 0 {
				t.Errorf("unreadable: %v", s.Unreadable)
			}
		})
	}
}

// An amount written as text with a fraction counts major units, most likely: it is no
// amount in minor units, not even where the fraction is zero.
func TestAmountWithFraction(t *testing.T) {
	for _, text := range []string{"20.00", "20.50", "20.", " 20.0 ", "20,00", "2.0e1", "twenty"} {
		s := parse(t, strings.Replace(observed, `"amount_total":"2000"`, `"amount_total":"`+text+`"`, 1))
		if got := string(members(t, s.Object)["amount_total"]); got != "null" || !slices.Equal(s.Unreadable, []string{"amount_total"}) {
			t.Errorf("%q is read as %s, unreadable: %v", text, got, s.Unreadable)
		}
		if n, ok := checkout.Integer(text); ok {
			t.Errorf("%q is the integer %s", text, n)
		}
	}
	if n, ok := checkout.Integer(json.Number("20.00")); !ok || n != "20" {
		t.Errorf("the number 20.00 is read as %s, %t", n, ok)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name, raw string
		want      error
	}{
		{"text", `"cs_1"`, checkout.ErrNotASession},
		{"cut", `{"id":"cs_1"`, checkout.ErrNotASession},
		{"two values", `{"id":"cs_1"} {}`, checkout.ErrNotASession},
		{"no id", `{"status":"open","created":1709889908}`, checkout.ErrNoID},
		{"empty id", `{"id":"","created":1709889908}`, checkout.ErrNoID},
		{"endless id", `{"id":"cs_` + strings.Repeat("9", 300) + `","created":1709889908}`, checkout.ErrLongID},
		{"too deep", `{"id":"cs_1","created":1709889908,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, checkout.ErrTooDeep},
		{"far too deep", `{"id":"cs_1","created":1709889908,"x":` + strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999) + `}`, checkout.ErrTooDeep},
		{"no creation time", `{"id":"cs_x","status":"open"}`, checkout.ErrNoCreated},
		{"absurd creation time", `{"id":"cs_x","created":9e30}`, checkout.ErrNoCreated},
		{"status is a list", `{"id":"cs_1","created":1709889908,"status":["open"]}`, checkout.ErrBadStatus},
		{"payment_status is a boolean", `{"id":"cs_1","created":1709889908,"payment_status":true}`, checkout.ErrBadStatus},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := checkout.Parse([]byte(tt.raw)); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

// What a session is worth does not hang on how a documented word is written.
func TestParseWords(t *testing.T) {
	for _, raw := range []string{
		`{"id":"cs_1","created":1709889908,"status":"Complete","payment_status":"PAID"}`,
		`{"id":"cs_1","created":1709889908,"status":" complete","payment_status":"paid\n"}`,
	} {
		s := parse(t, raw)
		m := members(t, s.Object)
		if s.Status != checkout.StatusComplete || s.PaymentStatus != checkout.PaymentPaid || s.ScanHash != 0 ||
			string(m["status"]) != `"complete"` || string(m["payment_status"]) != `"paid"` {
			t.Errorf("%s is read as %q, %q: %s", raw, s.Status, s.PaymentStatus, s.Object)
		}
	}
	if s := parse(t, `{"id":"cs_1","created":1709889908,"status":"In Review","payment_status":"Due"}`); s.Status != "In Review" || s.PaymentStatus != "Due" {
		t.Errorf("other words are changed: %q, %q", s.Status, s.PaymentStatus)
	}
}

// The id is known of an item that is refused.
func TestRefusedItemsHaveIDs(t *testing.T) {
	for raw, want := range map[string]string{
		`{"id":"cs_x","created":null}`: "cs_x", `{"id":7,"status":[]}`: "", `{"id":{"id":"cs_1"},"created":{}}`: "",
		`"cs_1"`: "cs_1", `"ann@shop.example1"`: "", `"Ann"`: "", `null`: "", `["cs_1"]`: "", `{"created":1709889908}`: "",
		`{"id":"cs_1","created":1709889908,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`: "cs_1",
	} {
		if s, err := checkout.Parse([]byte(raw)); err == nil || s.ID != want {
			t.Errorf("%.60s: id %q, error %v", raw, s.ID, err)
		}
	}
}

// A session without a creation time is still known by the time in its id.
func TestCreatedFromID(t *testing.T) {
	s := parse(t, `{"id":"cs_1766032392423735296","status":"open"}`)
	if want := time.Unix(1709889908, 0).UTC(); !s.Created.Equal(want) {
		t.Errorf("Created = %v, want %v", s.Created, want)
	}
}

func TestAdopt(t *testing.T) {
	stored := parse(t, observed)
	garbled := parse(t, strings.Replace(observed, `"amount_total":"2000"`, `"amount_total":"12.50"`, 1))
	if diff := cmp.Diff([]string{"amount_total"}, garbled.Unreadable); diff != "" {
		t.Fatalf("unreadable fields (-want +got):\n%s", diff)
	}
	if err := garbled.Adopt(stored.Object); err != nil {
		t.Fatal(err)
	}
	changes, err := checkout.Changes(stored.Object, garbled.Object)
	if err != nil || len(changes) > 0 {
		t.Errorf("a field that makes no sense became a change: %v, %v", changes, err)
	}
	if garbled.Hash != stored.Hash {
		t.Error("the adopted look has another hash than what it adopted")
	}
}

func TestChanges(t *testing.T) {
	tests := []struct {
		name     string
		from, to string // replacements in observed: old=new
		want     []string
		previous string
	}{
		{name: "nothing", want: nil, previous: `{}`},
		{name: "status", to: `"status":"open"=>"status":"complete"`, want: []string{"status"}, previous: `{"status":"open"}`},
		{name: "rotating url", to: `?key=cGs=>?key=other`, want: nil, previous: `{}`},
		{name: "seconds for milliseconds", to: `1709889908000=>1709889908`, want: nil, previous: `{}`},
		{name: "rounded expiry", to: `1709976308306=>1709976309`, want: nil, previous: `{}`},
		{name: "moved expiry", to: `1709976308306=>1709976408306`, want: []string{"expires_at"}, previous: `{"expires_at":1709976308}`},
		{name: "empty for missing", to: `"customer":"",=>`, want: nil, previous: `{}`},
		{name: "null for empty", to: `"customer":"",=>"customer":null,`, want: nil, previous: `{}`},
		{name: "empty object for missing", to: `"customer":"",=>"customer":"","metadata":{},`, want: nil, previous: `{}`},
		{name: "list for empty object", from: `"customer":"",=>"metadata":{},`, to: `"customer":"",=>"metadata":[],`, want: nil, previous: `{}`},
		{name: "object of nothing for null", to: `"customer":"",=>"shipping":{"name":null,"address":{"city":""}},`, want: nil, previous: `{}`},
		{name: "list of nothing for missing", to: `"customer":"",=>"extra":[null,{"a":[]}],`, want: nil, previous: `{}`},
		{
			name: "object emptied by a list", from: `"customer":"",=>"metadata":{"a":"1","b":""},`, to: `"customer":"",=>"metadata":[],`,
			want: []string{"metadata"}, previous: `{"metadata":{"a":"1"}}`,
		},
		{name: "place in a list", from: `["card"]=>["","card"]`, to: `["card"]=>["card",""]`, want: []string{"payment_method_types"}, previous: `{"payment_method_types":[null,"card"]}`},
		{name: "number in another form", from: `"live_mode":true=>"rate":1.50`, to: `"live_mode":true=>"rate":15e-1`, want: nil, previous: `{}`},
		{name: "number for text", to: `"amount_total":"2000"=>"amount_total":2000`, want: nil, previous: `{}`},
		{
			name: "units and types that no schema names", from: `"live_mode":true=>"customer_details":{"created":1754650104000,"points":5}`,
			to: `"live_mode":true=>"customer_details":{"created":"1754650104","points":"5"}`, want: nil, previous: `{}`,
		},
		{
			name: "member of an object", from: `"currency":"USD"=>"currency":"USD","metadata":{"a":"1","b":"2"}`,
			to: `"currency":"USD"=>"currency":"USD","metadata":{"a":"1","b":"3","c":"4"}`, want: []string{"metadata"},
			previous: `{"metadata":{"b":"2","c":null}}`,
		},
		{
			name: "array whole", to: `["card"]=>["card","pix"]`, want: []string{"payment_method_types"},
			previous: `{"payment_method_types":["card"]}`,
		},
		{name: "unknown field", to: `"live_mode":true=>"live_mode":false`, want: []string{"live_mode"}, previous: `{"live_mode":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, to := parse(t, replaced(t, tt.from)), parse(t, replaced(t, tt.to))
			changes, err := checkout.Changes(from.Object, to.Object)
			if err != nil {
				t.Fatal(err)
			}
			var fields []string
			for _, c := range changes {
				fields = append(fields, c.Field)
			}
			if diff := cmp.Diff(tt.want, fields); diff != "" {
				t.Errorf("changed fields (-want +got):\n%s", diff)
			}
			previous, err := checkout.PreviousAttributes(changes)
			if err != nil {
				t.Fatal(err)
			}
			if string(previous) != tt.previous {
				t.Errorf("previous_attributes = %s, want %s", previous, tt.previous)
			}
			before, err := checkout.Previous(to.Object, previous)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := checkout.Changes(from.Object, before); err != nil || len(back) > 0 {
				t.Errorf("Previous does not give the earlier object back: %v, %v", back, err)
			}
		})
	}
}

func replaced(t *testing.T, replacement string) string {
	t.Helper()
	if replacement == "" {
		return observed
	}
	from, to, ok := strings.Cut(replacement, "=>")
	if !ok || !strings.Contains(observed, from) {
		t.Fatalf("replacement %q does not apply", replacement)
	}
	return strings.Replace(observed, from, to, 1)
}

// A time that the API once wrote in milliseconds and once in seconds has not
// changed beside a member that has.
func TestPreviousAttributesOfTimes(t *testing.T) {
	from := parse(t, `{"id":"cs_1","created":1773130522,"customer_details":{"created":1773130515000,"email":"a@b.example"}}`)
	to := parse(t, `{"id":"cs_1","created":1773130522,"customer_details":{"created":1773130515,"email":"c@d.example"}}`)
	changes, err := checkout.Changes(from.Object, to.Object)
	if err != nil {
		t.Fatal(err)
	}
	got, err := checkout.PreviousAttributes(changes)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"customer_details":{"email":"a@b.example"}}`; string(got) != want {
		t.Errorf("previous_attributes = %s, want %s", got, want)
	}
}

func TestOmit(t *testing.T) {
	s := parse(t, observed)
	object, err := checkout.Omit(s.Object, []string{"url", "customer_details", "live_mode"})
	if err != nil {
		t.Fatal(err)
	}
	m := members(t, object)
	for _, name := range []string{"url", "customer_details", "live_mode"} {
		if _, ok := m[name]; ok {
			t.Errorf("%s was not left out", name)
		}
	}
	if _, ok := m["status"]; !ok {
		t.Error("status was left out")
	}
}

// Equal hashes are what lets a look be skipped: for any two objects they must
// go together with "no change".
func TestHashAgreesWithChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSession(t, "a"), drawSession(t, "b")
		changes, err := checkout.Changes(a.Object, b.Object)
		if err != nil {
			t.Fatal(err)
		}
		times := slices.ContainsFunc(changes, func(c checkout.Change) bool { return c.Field == "expires_at" })
		if same := a.Hash == b.Hash; same != (len(changes) == 0) && (same || times || len(changes) > 0) {
			t.Fatalf("hashes equal: %v, changes: %v\n%s\n%s", same, changes, a.Object, b.Object)
		}
	})
}

func drawSession(t *rapid.T, label string) checkout.Session {
	value := rapid.SampledFrom([]string{`null`, `""`, `"x"`, `1`, `"1"`, `true`, `[]`, `["a"]`, `{}`, `{"k":""}`, `{"k":"v"}`})
	var b strings.Builder
	b.WriteString(`{"id":"cs_1","created":1709889908`)
	for _, name := range []string{"customer", "amount_total", "metadata", "payment_method_types", "customer_details", "unknown"} {
		if rapid.Bool().Draw(t, label+name) {
			b.WriteString(`,"` + name + `":` + value.Draw(t, label+name+"value"))
		}
	}
	b.WriteString("}")
	s, err := checkout.Parse([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever an API sends, reading it twice gives the same, and what was read can
// be read again unchanged.
func FuzzParse(f *testing.F) {
	f.Add([]byte(observed))
	f.Add([]byte(`{"id":1,"created":"1709889908000","status":null,"metadata":{"":""}}`))
	f.Add([]byte(`{"id":"cs_1","created":1,"shipping":{"address":{"city":7}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := checkout.Parse(raw)
		if err != nil {
			return
		}
		again, err := checkout.Parse(s.Object)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v\n%s", err, s.Object)
		}
		changes, err := checkout.Changes(s.Object, again.Object)
		if err != nil || len(changes) > 0 {
			t.Fatalf("reading it again changes it: %v %v\n%s\n%s", changes, err, s.Object, again.Object)
		}
		if again.Hash != s.Hash {
			t.Fatalf("reading it again changes its hash\n%s\n%s", s.Object, again.Object)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(observed)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := checkout.Parse([]byte(observed)); err != nil {
			b.Fatal(err)
		}
	}
}
