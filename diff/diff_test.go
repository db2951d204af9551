package diff_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
)

var (
	t0     = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	policy = diff.Policy{ConfirmAfter: 10 * time.Minute, UnpaidFor: 14 * 24 * time.Hour, WarmEvery: 5 * time.Minute}
)

// session writes a session as the API would; extra is appended to its members.
func session(t *testing.T, status, payment, extra string) checkout.Session {
	t.Helper()
	s, err := checkout.Parse(fmt.Appendf(nil, `{"id":"cs_1","created":%d,"expires_at":%d,"status":%q,"payment_status":%q,"amount_total":100%s}`,
		t0.Unix(), t0.Add(24*time.Hour).Unix(), status, payment, extra))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// watcher looks at one session again and again, as pipeline does.
type watcher struct {
	t        *testing.T
	snapshot *event.Snapshot
}

// look returns what the look yields, as words: type, flags, reason, from>to.
func (w *watcher) look(after time.Duration, pass int, s checkout.Session) []string {
	w.t.Helper()
	at := diff.Look{At: t0.Add(after), Pass: t0.Add(time.Duration(pass) * time.Second)}
	var o diff.Outcome
	if w.snapshot == nil {
		o = first(w.t, s, at)
	} else {
		var err error
		if o, err = diff.Next(w.snapshot, &s, at, policy); err != nil {
			w.t.Fatal(err)
		}
	}
	if o.Held && len(o.Transitions) > 0 {
		w.t.Fatalf("a held look has transitions: %v", o.Transitions)
	}
	next := o.Snapshot
	counts := map[string]int{}
	for k, v := range next.Counts {
		counts[k] = v
	}
	var words []string
	for _, tr := range o.Transitions {
		counts[tr.Type]++
		words = append(words, describe(tr))
	}
	next.Counts = counts
	w.snapshot = &next
	return words
}

func describe(tr diff.Transition) string {
	word := []string{event.Short(tr.Type)}
	for flag, set := range map[string]bool{"inferred": tr.Inferred} {
		if set {
			word = append(word, flag)
		}
	}
	if tr.Unexpected {
		word = append(word, "unexpected")
	}
	if tr.Async {
		word = append(word, "async")
	}
	if tr.Reason != "" {
		word = append(word, tr.Reason)
	}
	if tr.Change != nil {
		word = append(word, fmt.Sprintf("%s:%s>%s", tr.Change.Field, tr.Change.From, tr.Change.To))
	} else {
		word = append(word, "null")
	}
	return strings.Join(word, " ")
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("transitions (-want +got):\n%s", diff)
	}
}

func TestFirstSight(t *testing.T) {
	tests := []struct {
		status, payment string
		at              time.Duration
		want            []string
	}{
		{"open", "unpaid", time.Second, []string{`created status:null>"open"`}},
		{"complete", "paid", time.Minute, []string{
			`created status:null>"complete"`, `completed inferred status:null>"complete"`,
			`paid inferred payment_status:null>"paid"`, `fulfillable inferred payment_status:null>"paid"`}},
		{"complete", "no_payment_required", time.Minute, []string{
			`created status:null>"complete"`, `completed inferred status:null>"complete"`,
			`no_payment_required inferred payment_status:null>"no_payment_required"`,
			`fulfillable inferred payment_status:null>"no_payment_required"`}},
		{"complete", "unpaid", time.Minute, []string{`created status:null>"complete"`, `completed inferred status:null>"complete"`}},
		{"expired", "unpaid", time.Hour, []string{`created status:null>"expired"`, `expired inferred manual status:null>"expired"`}},
		{"expired", "unpaid", 25 * time.Hour, []string{`created status:null>"expired"`, `expired inferred unknown status:null>"expired"`}},
		{"open", "unpaid", 16 * 24 * time.Hour, []string{`created status:null>"open"`, `unresolved inferred status:"open">"open"`}},
		{"weird", "odd", time.Minute, []string{`created status:null>"weird"`}},
	}
	for _, tt := range tests {
		t.Run(tt.status+"/"+tt.payment, func(t *testing.T) {
			w := &watcher{t: t}
			want(t, w.look(tt.at, 0, session(t, tt.status, tt.payment, "")), tt.want...)
		})
	}
}

func TestTransitions(t *testing.T) {
	type look struct {
		at              time.Duration
		status, payment string
		want            []string
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"card", []look{
			{time.Second, "open", "unpaid", []string{`created status:null>"open"`}},
			{time.Minute, "complete", "paid", []string{`completed status:"open">"complete"`,
				`paid payment_status:"unpaid">"paid"`, `fulfillable payment_status:"unpaid">"paid"`}},
			{2 * time.Minute, "complete", "paid", nil},
		}},
		{"bank transfer", []look{
			{time.Second, "open", "unpaid", []string{`created status:null>"open"`}},
			{time.Minute, "complete", "unpaid", []string{`completed status:"open">"complete"`}},
			{time.Hour, "complete", "paid", []string{`paid async payment_status:"unpaid">"paid"`,
				`fulfillable async payment_status:"unpaid">"paid"`}},
		}},
		{"paid before complete", []look{
			{time.Second, "open", "paid", []string{`created status:null>"open"`, `paid inferred payment_status:null>"paid"`}},
			{time.Minute, "complete", "paid", []string{`completed status:"open">"complete"`, `fulfillable payment_status:"paid">"paid"`}},
		}},
		{"expiry by the clock", []look{
			{24*time.Hour - 4*time.Minute, "open", "unpaid", []string{`created status:null>"open"`}},
			{24*time.Hour + time.Minute, "expired", "unpaid", []string{`expired timer status:"open">"expired"`}},
		}},
		{"expiry by hand", []look{
			{time.Second, "open", "unpaid", []string{`created status:null>"open"`}},
			{time.Hour, "expired", "unpaid", []string{`expired manual status:"open">"expired"`}},
		}},
		{"expiry after a gap", []look{
			{time.Second, "open", "unpaid", []string{`created status:null>"open"`}},
			{30 * time.Hour, "expired", "unpaid", []string{`expired unknown status:"open">"expired"`}},
		}},
		{"expired and complete after all", []look{
			{time.Hour, "expired", "unpaid", []string{`created status:null>"expired"`, `expired inferred manual status:null>"expired"`}},
			{2 * time.Hour, "complete", "paid", []string{`completed unexpected status:"expired">"complete"`,
				`paid payment_status:"unpaid">"paid"`, `fulfillable payment_status:"unpaid">"paid"`}},
			{3 * time.Hour, "expired", "paid", []string{`expired unexpected manual status:"complete">"expired"`}},
		}},
		{"unknown values come and go", []look{
			{time.Second, "open", "unpaid", []string{`created status:null>"open"`}},
			{time.Minute, "canceled", "unpaid", []string{`updated status:"open">"canceled"`}},
			{2 * time.Minute, "complete", "refunded", []string{`completed status:"canceled">"complete"`}},
			{3 * time.Minute, "complete", "paid", []string{`paid async payment_status:"refunded">"paid"`,
				`fulfillable async payment_status:"refunded">"paid"`}},
		}},
		{"given up and revived", []look{
			{time.Minute, "complete", "unpaid", []string{`created status:null>"complete"`, `completed inferred status:null>"complete"`}},
			{14 * 24 * time.Hour, "complete", "unpaid", nil},
			{15 * 24 * time.Hour, "complete", "unpaid", []string{`unresolved payment_status:"unpaid">"unpaid"`}},
			{16 * 24 * time.Hour, "complete", "unpaid", nil},
			{17 * 24 * time.Hour, "complete", "paid", []string{`paid async payment_status:"unpaid">"paid"`,
				`fulfillable async payment_status:"unpaid">"paid"`}},
		}},
		{"never expired", []look{
			{time.Minute, "open", "unpaid", []string{`created status:null>"open"`}},
			{15*24*time.Hour + time.Minute, "open", "unpaid", []string{`unresolved status:"open">"open"`}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &watcher{t: t}
			for i, l := range tt.looks {
				want(t, w.look(l.at, i, session(t, l.status, l.payment, "")), l.want...)
			}
		})
	}
}

func TestUpdated(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "open", "unpaid", `,"metadata":{"a":"1"}`))
	want(t, w.look(time.Minute, 1, session(t, "open", "unpaid", `,"metadata":{"a":"2"}`)), `updated metadata:{"a":"1"}>{"a":"2"}`)
	want(t, w.look(2*time.Minute, 2, session(t, "open", "unpaid", `,"metadata":{"a":"3"},"customer":"cus_1"`)), `updated null`)
	want(t, w.look(3*time.Minute, 3, session(t, "complete", "unpaid", `,"metadata":{"a":"4"},"customer":"cus_1"`)), `completed status:"open">"complete"`)
}

// unresolved is an event like any other: updated is for revisions without one.
func TestUpdatedWhileGivenUp(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "complete", "unpaid", ""))
	want(t, w.look(14*24*time.Hour, 1, session(t, "complete", "unpaid", `,"customer":"a"`)), `unresolved payment_status:"unpaid">"unpaid"`)
}

// Whatever it shows, a session that is listed again is watched again.
func TestVanishedIsRevivedByAStepBack(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "complete", "unpaid", ""))
	w.snapshot.Watch = event.Vanished
	want(t, w.look(time.Hour, 1, session(t, "open", "unpaid", "")))
	if !w.snapshot.Watch.Is(event.Watched) {
		t.Errorf("watch = %s, want watched", w.snapshot.Watch)
	}
}

// A stale replica can only show an earlier state: nothing of it is believed.
func TestStaleReplicaChangesNothing(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "open", "unpaid", ""))
	w.look(time.Minute, 1, session(t, "complete", "paid", ""))
	for i := range 20 {
		stale := time.Minute + time.Duration(2*i+1)*10*time.Second
		want(t, w.look(stale, 2*i+2, session(t, "open", "unpaid", "")))
		want(t, w.look(stale+10*time.Second, 2*i+3, session(t, "complete", "paid", "")))
	}
	if w.snapshot.Status != "complete" || w.snapshot.Regressed || len(w.snapshot.Held) > 0 {
		t.Errorf("snapshot = %+v", w.snapshot)
	}
}

func TestStepBackIsBelievedWhenConfirmed(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "complete", "paid", ""))
	want(t, w.look(1*time.Minute, 1, session(t, "open", "unpaid", ""))) // first of the row
	want(t, w.look(10*time.Minute, 2, session(t, "open", "unpaid", "")))
	want(t, w.look(11*time.Minute, 3, session(t, "open", "unpaid", "")), `regressed status:"complete">"open"`)
	// Announced again, as unexpected; fulfillable never.
	want(t, w.look(40*time.Minute, 4, session(t, "complete", "paid", "")),
		`completed unexpected status:"open">"complete"`, `paid unexpected payment_status:"unpaid">"paid"`)
}

func TestStepBackNeedsTwoPasses(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "complete", "paid", ""))
	want(t, w.look(1*time.Minute, 1, session(t, "complete", "unpaid", "")))
	want(t, w.look(30*time.Minute, 1, session(t, "complete", "unpaid", "")))
	want(t, w.look(31*time.Minute, 2, session(t, "complete", "unpaid", "")), `regressed payment_status:"paid">"unpaid"`)
}

func TestStepBackRowIsBroken(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "complete", "paid", ""))
	w.look(1*time.Minute, 1, session(t, "open", "unpaid", ""))
	w.look(6*time.Minute, 2, session(t, "complete", "paid", "")) // breaks the row
	w.look(7*time.Minute, 3, session(t, "open", "unpaid", ""))
	want(t, w.look(12*time.Minute, 4, session(t, "open", "unpaid", "")))
	want(t, w.look(17*time.Minute, 5, session(t, "open", "unpaid", "")), `regressed status:"complete">"open"`)
}

// Any field that returns to a value that it left lately waits as well.
func TestReturningValue(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "open", "unpaid", `,"customer":"a"`))
	want(t, w.look(time.Minute, 1, session(t, "open", "unpaid", `,"customer":"b"`)), `updated customer:"a">"b"`)
	want(t, w.look(8*time.Minute, 2, session(t, "open", "unpaid", `,"customer":"a"`)))
	want(t, w.look(17*time.Minute, 3, session(t, "open", "unpaid", `,"customer":"a"`))) // not yet: held since minute 8
	want(t, w.look(18*time.Minute, 4, session(t, "open", "unpaid", `,"customer":"a"`)), `updated customer:"b">"a"`)
	// Much later it may return at once.
	want(t, w.look(60*time.Minute, 5, session(t, "open", "unpaid", `,"customer":"b"`)), `updated customer:"a">"b"`)
}

func TestContradictory(t *testing.T) {
	prev := first(t, session(t, "open", "unpaid", ""), diff.Look{At: t0}).Snapshot
	for _, raw := range []string{
		`{"id":"cs_1","created":1763805600,"payment_status":"paid"}`,
		`{"id":"cs_1","created":1763805600,"status":"complete","payment_status":null}`,
	} {
		s, err := checkout.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := diff.Next(&prev, &s, diff.Look{At: t0.Add(time.Minute)}, policy); !errors.Is(err, diff.ErrContradictory) {
			t.Errorf("%s: error = %v, want ErrContradictory", raw, err)
		}
	}
}

func TestSetupModeIsSettledOnceComplete(t *testing.T) {
	raw := `{"id":"cs_1","created":1763805600,"mode":"setup","status":%q}`
	s, err := checkout.Parse(fmt.Appendf(nil, raw, "complete"))
	if err != nil {
		t.Fatal(err)
	}
	if o := first(t, s, diff.Look{At: t0}); !o.Snapshot.Watch.Is(event.Settled) {
		t.Errorf("watch = %s, want settled", o.Snapshot.Watch)
	}
}

func TestUnchangedIsNotStored(t *testing.T) {
	prev := first(t, session(t, "open", "unpaid", ""), diff.Look{At: t0}).Snapshot
	o, err := diff.Next(&prev, ptr(session(t, "open", "unpaid", `,"url":"https://pay.example/?key=2"`)), diff.Look{At: t0.Add(time.Minute)}, policy)
	if err != nil || o.Store || len(o.Transitions) > 0 {
		t.Errorf("outcome = %+v, %v", o, err)
	}
}

func TestOccurredAfterIsTheLastLookAtTheOldState(t *testing.T) {
	prev := first(t, session(t, "open", "unpaid", ""), diff.Look{At: t0}).Snapshot
	prev.LookedAt = t0.Add(5 * time.Minute)
	o, err := diff.Next(&prev, ptr(session(t, "complete", "paid", "")), diff.Look{At: t0.Add(6 * time.Minute)}, policy)
	if err != nil {
		t.Fatal(err)
	}
	if want := t0.Add(5 * time.Minute); !o.Since.Equal(want) {
		t.Errorf("Since = %v, want %v", o.Since, want)
	}
}

func first(t *testing.T, s checkout.Session, look diff.Look) diff.Outcome {
	t.Helper()
	o, err := diff.First("main", &s, look, policy)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func ptr[T any](v T) *T { return &v }
