package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

func sample(t testing.TB) *event.Event {
	t.Helper()
	s, err := checkout.Parse([]byte(`{"id":"cs_2031282752732528640","created":1773130522000,"status":"complete","payment_status":"paid",
		"amount_total":36514,"currency":"SGD","customer_details":{"email":"buyer@example.com","name":"<A&B>"},"url":"https://pay.example/?key=k","exact":0.10}`))
	if err != nil {
		t.Fatal(err)
	}
	looked := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	return &event.Event{
		ID: event.ID("main", s.ID, event.Paid, 1), Type: event.Paid, Account: "main", Session: s.ID, Livemode: true,
		Time: looked, Revision: 3, Position: 2, Object: s.Object, PreviousAttributes: json.RawMessage(`{"payment_status":"unpaid"}`),
		Change: &event.Change{Field: "payment_status", From: json.RawMessage(`"unpaid"`), To: json.RawMessage(`"paid"`)},
		Async:  true, OccurredAfter: looked.Truncate(time.Second).Add(-10 * time.Second), OccurredBefore: looked,
	}
}

// The ids are part of what receivers store: they must never change.
func TestIDsAreFixed(t *testing.T) {
	tests := []struct{ got, want string }{
		{event.ID("main", "cs_1", event.Created, 1), "evt_bxqe23r7okim5jee6swma7jlmt"},
		{event.ID("main", "cs_1", event.Created, 2), "evt_bxzi47b42spn6rpjxj4cx4er3i"},
		{event.ID("main", "cs_1", event.Updated, 1, `amount_total=5`), "evt_fh7bsfqx2dwl7d4rbmjf7sij7d"},
		{event.DeliveryID("evt_x", "fulfilment", ""), "dlv_c56hizwc53v4x37sto2pqlvi6s"},
		{event.DeliveryID("evt_x", "fulfilment", "ship"), "dlv_7ihka23vrelszdhpmwmmuu5far"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("id = %s, want %s", tt.got, tt.want)
		}
	}
}

func TestIDsTellPartsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z0-9:]{0,6}`)
		a, b := rapid.SliceOfN(text, 3, 3).Draw(t, "a"), rapid.SliceOfN(text, 3, 3).Draw(t, "b")
		same := event.ID(a[0], a[1], a[2], 1) == event.ID(b[0], b[1], b[2], 1)
		if same != cmp.Equal(a, b) {
			t.Fatalf("ids of %q and %q: same = %v", a, b, same)
		}
		if strings.Contains(event.ID(a[0], a[1], a[2], 1), ".") {
			t.Fatal("an id contains a dot, which Standard Webhooks forbids")
		}
	})
}

func TestCloudEventIsReadByTheUpstreamSDK(t *testing.T) {
	e := sample(t)
	body, err := e.CloudEvent(event.Match{Rules: []string{"ship"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ce cloudevents.Event
	if err := json.Unmarshal(body, &ce); err != nil {
		t.Fatalf("the SDK refuses the body: %v\n%s", err, body)
	}
	if err := ce.Validate(); err != nil {
		t.Errorf("the SDK finds the event invalid: %v", err)
	}
	got := map[string]any{
		"id": ce.ID(), "source": ce.Source(), "type": ce.Type(), "subject": ce.Subject(), "time": ce.Time().Format(time.RFC3339Nano),
		"schema": ce.DataSchema(), "content": ce.DataContentType(), "account": ce.Extensions()["account"],
		"livemode": ce.Extensions()["livemode"], "sequence": ce.Extensions()["sequence"],
	}
	want := map[string]any{
		"id": e.ID, "source": "/wooshpay/accounts/main", "type": "checkout.session.paid", "subject": e.Session,
		"time": "2026-11-22T10:00:00.123Z", "schema": "https://notifier.invalid/schemas/checkout.session/v1",
		"content": "application/json", "account": "main", "livemode": true, "sequence": "0000000003-02",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestData(t *testing.T) {
	e := sample(t)
	body, err := e.Data(event.Match{Rules: []string{"ship"}, Labels: map[string]string{"severity": "page"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"created":1773130522,`, `"exact":0.10`, `"name":"<A&B>"`, `"previous_attributes":{"payment_status":"unpaid"}`,
		`"change":{"field":"payment_status","from":"unpaid","to":"paid"}`, `"revision":3`,
		`"inferred":false,"unexpected":false,"async":true,"reason":""`,
		`"occurred_after":"2026-11-22T09:59:50Z","occurred_before":"2026-11-22T10:00:00.123Z"`,
		`"match":{"rules":["ship"],"labels":{"severity":"page"},"overtook":[]}`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("data lacks %s:\n%s", want, body)
		}
	}
}

func TestOmitReachesEveryQuote(t *testing.T) {
	e := sample(t)
	e.PreviousAttributes = json.RawMessage(`{"customer_details":{"email":"old@example.com"}}`)
	e.Change = &event.Change{Field: "customer_details", From: json.RawMessage(`{"email":"old@example.com"}`), To: json.RawMessage(`{"email":"buyer@example.com"}`)}
	body, err := e.CloudEvent(event.Match{}, []string{"customer_details", "url"})
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"buyer@", "old@", "key=k"} {
		if strings.Contains(string(body), leak) {
			t.Errorf("%q is still in the body:\n%s", leak, body)
		}
	}
}

func TestPreviousObject(t *testing.T) {
	e := sample(t)
	before, err := e.PreviousObject()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		PaymentStatus string `json:"payment_status"`
		Status        string `json:"status"`
	}
	if err := json.Unmarshal(before, &s); err != nil {
		t.Fatal(err)
	}
	if s.PaymentStatus != "unpaid" || s.Status != "complete" {
		t.Errorf("previous = %+v", s)
	}
	e.Revision = 1
	if before, err := e.PreviousObject(); before != nil || err != nil {
		t.Errorf("at first sight there is a previous object: %s, %v", before, err)
	}
}

func TestGiveUpAt(t *testing.T) {
	created := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	open := event.Tracked{Created: created}
	if got, want := open.GiveUpAt(time.Hour), created.Add(25*time.Hour); !got.Equal(want) {
		t.Errorf("open without expiry: %v, want %v", got, want)
	}
	back := event.Tracked{Created: created, CompleteAt: created.Add(time.Minute), Status: "open"}
	if got, want := back.GiveUpAt(time.Hour), created.Add(25*time.Hour); !got.Equal(want) {
		t.Errorf("open again: %v, want %v", got, want)
	}
	complete := event.Tracked{Created: created, CompleteAt: created.Add(time.Minute), Status: "complete"}
	if got, want := complete.GiveUpAt(time.Hour), created.Add(61*time.Minute); !got.Equal(want) {
		t.Errorf("complete: %v, want %v", got, want)
	}
}

func BenchmarkCloudEvent(b *testing.B) {
	e := sample(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.CloudEvent(event.Match{Rules: []string{"ship"}}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// A type is read in every form in which it may be written.
func TestTypesAreReadShortAndWhole(t *testing.T) {
	for _, list := range []struct {
		prefix string
		types  []string
	}{{event.TypePrefix, event.Types()}, {event.SystemPrefix, event.SystemTypes()}} {
		for _, whole := range list.types {
			for _, name := range []string{whole, strings.TrimPrefix(whole, list.prefix)} {
				if got, known := event.ParseType(name); !known || got != whole {
					t.Errorf("%s is read as %q, known %t", name, got, known)
				}
			}
		}
	}
	for _, name := range []string{"", "payed", "checkout.session.", "checkout.session.payed", "recovered", "notifier.recovered", "notifier.paid", "checkout.session.destination.recovered"} {
		if got, known := event.ParseType(name); known {
			t.Errorf("%q is read as %s", name, got)
		}
	}
	if n := len(event.TypeNames()); n != len(event.Types())+len(event.SystemTypes()) {
		t.Errorf("%d names", n)
	}
}

// What began by a clock that was ahead is told of in time once the clock is right.
func TestTroubleOfTheFutureIsTakenUpAsOfNow(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ahead := now.Add(24 * time.Hour)
	if got := (event.Trouble{Since: ahead}).TakenUp(ahead.Add(time.Second), now).Lasted(now.Add(time.Minute)); got != time.Minute {
		t.Errorf("after a minute it has lasted for %s", got)
	}
}
