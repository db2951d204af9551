package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
)

// A replica that lags shows what a session was before it was first seen, and takes
// it back: nothing has happened.
func TestPastOfTheFirstSight(t *testing.T) {
	w := &watcher{t: t}
	want(t, w.look(30*time.Second, 0, session(t, "open", "unpaid", `,"metadata":{"order":"A-17"}`)), `created status:null>"open"`)
	for i := range 5 {
		at := time.Duration(i+1) * time.Minute
		want(t, w.look(at, 2*i+1, session(t, "open", "unpaid", "")))
		want(t, w.look(at+time.Second, 2*i+2, session(t, "open", "unpaid", `,"metadata":{"order":"A-17"}`)))
	}
	if len(w.snapshot.Held) > 0 {
		t.Errorf("still held: %v", w.snapshot.Held)
	}
}

// What stays is told once it is confirmed.
func TestChangeAfterTheFirstSight(t *testing.T) {
	w := &watcher{t: t}
	w.look(30*time.Second, 0, session(t, "complete", "unpaid", ""))
	changed := session(t, "complete", "unpaid", `,"customer":"a"`)
	want(t, w.look(time.Minute, 1, changed))
	want(t, w.look(10*time.Minute, 2, changed))
	want(t, w.look(11*time.Minute, 3, changed), `updated customer:null>"a"`)
	// From then on a change is told at once.
	want(t, w.look(12*time.Minute, 4, session(t, "complete", "unpaid", `,"customer":"a","mode":"payment"`)), `updated mode:null>"payment"`)
}

// A session that was as old as its first look has no past.
func TestNoPastBeforeTheFirstSight(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "open", "unpaid", ""))
	want(t, w.look(time.Minute, 1, session(t, "open", "unpaid", `,"customer":"a"`)), `updated customer:null>"a"`)
}

// A state that is reached later is never the past: no payment waits, whatever else
// the look shows, and whatever is held.
func TestPaymentNeverWaits(t *testing.T) {
	paid := []string{`completed status:"open">"complete"`, `paid payment_status:"unpaid">"paid"`, `fulfillable payment_status:"unpaid">"paid"`}
	t.Run("after the first sight", func(t *testing.T) {
		w := &watcher{t: t}
		w.look(30*time.Second, 0, session(t, "open", "unpaid", ""))
		want(t, w.look(time.Minute, 1, session(t, "open", "unpaid", `,"customer":"a"`)))
		want(t, w.look(2*time.Minute, 2, session(t, "complete", "paid", `,"customer":"a","metadata":{"a":"b"}`)), paid...)
		if len(w.snapshot.Held) > 0 {
			t.Errorf("still held: %v", w.snapshot.Held)
		}
	})
	t.Run("a field returns", func(t *testing.T) {
		w := &watcher{t: t}
		w.look(0, 0, session(t, "open", "unpaid", `,"customer":"a"`))
		w.look(time.Minute, 1, session(t, "open", "unpaid", `,"customer":"b"`))
		want(t, w.look(2*time.Minute, 2, session(t, "open", "unpaid", `,"customer":"a"`)))
		want(t, w.look(3*time.Minute, 3, session(t, "complete", "paid", `,"customer":"a"`)), paid...)
	})
	for _, tt := range []struct{ status, payment, then string }{
		{"complete", "unpaid", `paid async payment_status:"unpaid">"paid"`},
		{"complete", "processing", `paid async payment_status:"processing">"paid"`},
		{"expired", "unpaid", `completed unexpected status:"expired">"complete"`},
		{"odd", "unpaid", `completed status:"odd">"complete"`},
	} {
		t.Run(tt.status+"/"+tt.payment, func(t *testing.T) {
			w := &watcher{t: t}
			w.look(30*time.Second, 0, session(t, tt.status, tt.payment, ""))
			got := w.look(time.Minute, 1, session(t, "complete", "paid", `,"customer":"a"`))
			if len(got) == 0 || got[0] != tt.then {
				t.Errorf("told %q, want %q first", got, tt.then)
			}
		})
	}
}

// A state that was left by a confirmed step back is no news when a replica shows it.
func TestStateLeftLatelyIsNoAdvance(t *testing.T) {
	w := &watcher{t: t}
	w.look(0, 0, session(t, "complete", "paid", ""))
	for i := range 11 {
		w.look(time.Duration(i+1)*time.Minute, i+1, session(t, "complete", "unpaid", ""))
	}
	if w.snapshot.PaymentStatus != "unpaid" {
		t.Fatal("the step back was not believed")
	}
	want(t, w.look(12*time.Minute, 12, session(t, "complete", "paid", "")))
	want(t, w.look(13*time.Minute, 13, session(t, "complete", "unpaid", "")))
}

// Replicas that disagree for longer than ConfirmAfter make no news: a value that is taken
// back was left once more. What they agree on in the end is told.
func TestReplicasThatDisagreeForLong(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b checkout.Session
		told []string
	}{
		"metadata": {session(t, "open", "unpaid", ""), session(t, "open", "unpaid", `,"metadata":{"order":"A-17"}`), []string{`updated metadata:null>{"order":"A-17"}`}},
		"status":   {session(t, "expired", "unpaid", ""), session(t, "complete", "unpaid", ""), []string{`completed unexpected status:"expired">"complete"`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watcher{t: t}
			w.look(0, 0, tt.a)
			want(t, w.look(time.Minute, 1, tt.b), tt.told...)
			n := 2
			for ; n < 120; n += 2 {
				want(t, w.look(time.Duration(n)*time.Minute, n, tt.a))
				want(t, w.look(time.Duration(n+1)*time.Minute, n+1, tt.b))
				if len(w.snapshot.Left) > 2 {
					t.Fatalf("%d values are remembered", len(w.snapshot.Left))
				}
			}
			for range 10 {
				want(t, w.look(time.Duration(n)*time.Minute, n, tt.a))
				n++
			}
			if got := w.look(time.Duration(n)*time.Minute, n, tt.a); len(got) != 1 {
				t.Errorf("told %q of what they agree on", got)
			}
		})
	}
}

// Times that a wrong clock left in the snapshot are not waited for.
func TestTimesOfTheFuture(t *testing.T) {
	const year, days = 365 * 24 * time.Hour, 10 * 24 * time.Hour
	t.Run("held", func(t *testing.T) {
		w := &watcher{t: t}
		w.look(0, 0, session(t, "complete", "paid", ""))
		back := session(t, "complete", "unpaid", "")
		want(t, w.look(year, 1, back)) // the clock is a year ahead
		want(t, w.look(time.Hour, 2, back))
		want(t, w.look(time.Hour+9*time.Minute, 3, back))
		want(t, w.look(time.Hour+10*time.Minute, 4, back), `regressed payment_status:"paid">"unpaid"`)
	})
	t.Run("held, and one clock jumps on", func(t *testing.T) {
		for _, jump := range []func(l *diff.Look){
			func(l *diff.Look) { l.At = l.At.Add(-days) }, func(l *diff.Look) { l.Own = l.Own.Add(-days) },
		} {
			prev := first(t, session(t, "complete", "paid", ""), diff.Look{At: t0, Own: t0}).Snapshot
			back := session(t, "complete", "unpaid", "")
			for i := range 20 {
				now := t0.Add(time.Duration(i+1) * time.Minute)
				look := diff.Look{At: now, Own: now, Pass: now}
				if i < 5 {
					jump(&look)
				}
				o, err := diff.Next(&prev, &back, look, policy)
				if err != nil {
					t.Fatal(err)
				}
				if believed := !o.Held; believed && i < 10 {
					t.Fatalf("a step back was believed after %d minutes", i)
				}
				prev = o.Snapshot
			}
			if prev.PaymentStatus != "unpaid" {
				t.Error("a step back was not believed after twenty minutes")
			}
		}
	})
	t.Run("left", func(t *testing.T) {
		w := &watcher{t: t}
		w.look(0, 0, session(t, "open", "unpaid", `,"customer":"a"`))
		want(t, w.look(days, 1, session(t, "open", "unpaid", `,"customer":"b"`)), `updated customer:"a">"b"`)
		want(t, w.look(time.Hour, 2, session(t, "open", "unpaid", `,"customer":"a"`)), `updated customer:"b">"a"`)
		if n := len(w.snapshot.Left); n != 1 {
			t.Errorf("%d values left lately, want the last one", n)
		}
	})
	t.Run("first seen", func(t *testing.T) {
		w := &watcher{t: t}
		w.look(year, 0, session(t, "open", "unpaid", ""))
		want(t, w.look(time.Hour, 1, session(t, "open", "unpaid", `,"customer":"a"`)), `updated customer:null>"a"`)
	})
	t.Run("last look before an expiry", func(t *testing.T) {
		w := &watcher{t: t}
		w.look(days, 0, session(t, "open", "unpaid", ""))
		want(t, w.look(30*time.Hour, 1, session(t, "expired", "unpaid", "")), `expired unknown status:"open">"expired"`)
	})
}

// version is what a session is from a time on.
type version struct {
	from                   time.Duration
	status, payment, extra string
}

// drawLife is the life of a session whose metadata change once.
func drawLife(t *rapid.T) []version {
	states := rapid.SampledFrom([][]version{
		{{status: "open", payment: "unpaid"}},
		{{status: "open", payment: "unpaid"}, {status: "expired", payment: "unpaid"}},
		{{status: "open", payment: "unpaid"}, {status: "complete", payment: "paid"}},
		{{status: "open", payment: "unpaid"}, {status: "complete", payment: "unpaid"}, {status: "complete", payment: "paid"}},
		{{status: "open", payment: "unpaid"}, {status: "complete", payment: "no_payment_required"}},
	}).Draw(t, "states")
	life := slices.Clone(states)
	noted := rapid.IntRange(0, len(life)).Draw(t, "noted")
	if noted < len(life) {
		life = slices.Insert(life, noted+1, life[noted])
		for i := noted + 1; i < len(life); i++ {
			life[i].extra = `,"metadata":{"a":"b"}`
		}
	}
	at := time.Duration(0)
	for i := range life {
		life[i].from = at
		at += time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second
	}
	return life
}

func at(life []version, when time.Duration) int {
	n := 0
	for i := range life {
		if life[i].from <= when {
			n = i
		}
	}
	return n
}

// Whatever replicas show that lag by less than confirm_after, a session is never
// told to be what it was before, nothing is told twice, and what it has become is
// told in the end.
func TestReplicasThatLagTellNothingFalse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		life := drawLife(rt)
		end := life[len(life)-1].from
		lag := time.Duration(rapid.IntRange(60, 590).Draw(rt, "lag")) * time.Second
		now := time.Duration(rapid.IntRange(1, 600).Draw(rt, "first sight")) * time.Second
		var snapshot *event.Snapshot
		reached, pass, told := 0, 0, map[string]bool{}
		look := func(shown int) {
			v := life[shown]
			s := session(t, v.status, v.payment, v.extra)
			when := diff.Look{At: t0.Add(now), Pass: t0.Add(time.Duration(pass) * time.Second)}
			pass++
			var o diff.Outcome
			var err error
			if snapshot == nil {
				o, err = diff.First("main", &s, when, policy)
				reached = shown
			} else {
				o, err = diff.Next(snapshot, &s, when, policy)
			}
			if err != nil {
				rt.Fatal(err)
			}
			if !o.Held && shown < reached {
				rt.Fatalf("at %s believed the past and told %v: version %d after %d of %v", now, o.Transitions, shown, reached, life)
			}
			if !o.Held {
				reached = shown
			}
			next := o.Snapshot
			next.Counts = map[string]int{}
			for _, tr := range o.Transitions {
				if told[tr.Type] {
					rt.Fatalf("at %s told %s twice; %v", now, tr.Type, life)
				}
				told[tr.Type] = true
			}
			for name := range told {
				next.Counts[name] = 1
			}
			snapshot = &next
		}
		for now <= end+lag {
			behind := time.Duration(rapid.IntRange(0, int(lag/time.Second)).Draw(rt, "behind")) * time.Second
			look(at(life, now-behind))
			now += time.Duration(rapid.IntRange(1, 120).Draw(rt, "pause")) * time.Second
		}
		for range 22 { // minutes: two confirmations
			now += time.Minute
			look(len(life) - 1)
		}
		if last := life[len(life)-1]; snapshot.Status != last.status || snapshot.PaymentStatus != last.payment ||
			!strings.Contains(string(snapshot.Object), `"a":"b"`) && last.extra != "" {
			rt.Fatalf("in the end %s; %v", snapshot.Object, life)
		}
	})
}

// Equal content is no change, however it is written, and any field that differs is one.
func TestAnyFieldThatChangesIsTold(t *testing.T) {
	values := map[string][]string{ // of each field some that differ, written in several ways
		"customer": {`"a"`, `"b"`}, "amount_total": {`1`, `2`}, "metadata": {`{"a":"1"}`, `{"a":"2"}`, `{"b":"1"}`},
		"payment_method_types": {`["card"]`, `["card","pix"]`}, "livemode": {`true`, `false`}, "unknown": {`1`, `2`, `"x"`, `[0]`, `false`},
		"shipping": {`{"name":"a"}`, `{"address":{"city":"a"}}`}, "expires_at": {`1763892000`, `1763895600`},
	}
	empty := []string{`null`, `""`, `[]`, `{}`, `{"a":null}`, `[{}]`}
	for field, list := range values {
		for i, from := range append([]string{`null`}, list...) {
			for j, to := range append([]string{`null`}, list...) {
				w := &watcher{t: t}
				with := func(value string) checkout.Session {
					s, err := checkout.Parse(fmt.Appendf(nil, `{"id":"cs_1","created":%d,"status":"open","payment_status":"unpaid",%q:%s}`, t0.Unix(), field, value))
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				w.look(0, 0, with(from))
				if told := w.look(time.Minute, 1, with(to)); (i != j) != (len(told) == 1) {
					t.Errorf("%s from %s to %s: told %q", field, from, to, told)
				}
			}
		}
		if field == "metadata" || field == "shipping" || field == "unknown" || field == "payment_method_types" {
			for _, from := range empty {
				for _, to := range empty {
					w := &watcher{t: t}
					w.look(0, 0, session(t, "open", "unpaid", fmt.Sprintf(`,%q:%s`, field, from)))
					want(t, w.look(time.Minute, 1, session(t, "open", "unpaid", fmt.Sprintf(`,%q:%s`, field, to))))
				}
			}
		}
	}
}

// A snapshot whose hash an earlier version made differently knows the bytes that
// show it again from the first look on.
func TestHashOfAnEarlierVersionIsReplaced(t *testing.T) {
	s := session(t, "open", "unpaid", `,"metadata":{}`)
	prev := first(t, s, diff.Look{At: t0}).Snapshot
	prev.Hash++
	o, err := diff.Next(&prev, &s, diff.Look{At: t0.Add(time.Minute)}, policy)
	if err != nil || o.Store || o.Snapshot.Hash != s.Hash {
		t.Errorf("stored %t, hash %d, want %d; %v", o.Store, o.Snapshot.Hash, s.Hash, err)
	}
}

// Whoever reads what is held must know whether something stepped back, or changed so
// soon after the first sight that it awaits confirmation.
func TestAnEarlyChangeIsNoStepBack(t *testing.T) {
	at := func(d time.Duration) diff.Look { return diff.Look{At: t0.Add(d), Pass: t0.Add(d)} }
	for name, c := range map[string]struct {
		first, then string
		back        bool
	}{
		"metadata changed": {"open", "open", false},
		"reopened":         {"complete", "open", true},
	} {
		t.Run(name, func(t *testing.T) {
			prev := first(t, session(t, c.first, "unpaid", ""), at(30*time.Second)).Snapshot
			later := session(t, c.then, "unpaid", `,"metadata":{"order":"A-17"}`)
			o, err := diff.Next(&prev, &later, at(33*time.Second), policy)
			if err != nil || !o.Held || o.StepsBack != c.back {
				t.Errorf("held %t, steps back %t, want %t; %v", o.Held, o.StepsBack, c.back, err)
			}
		})
	}
}
