package rules_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
	"checkout-notifier/rules"

	"pgregory.net/rapid"
)

// exclusion is a rule that no event meets, and what is said of it.
type exclusion struct{ events, when, says string }

const (
	ownType  = "updated is sent for what has no type of its own"
	neverSet = "unresolved is sent for a session that is complete and not paid, or still open"
	stepBack = "regressed is sent for a step back"
)

var exclusions = []exclusion{
	{"updated", `changed("status")`, ownType},
	{"updated", `session.livemode and changed("payment_status")`, ownType},
	{"updated", `changed("status") or changed("payment_status")`, ownType},
	{"updated", `session.status == "complete" && previous.status == "open"`, ownType},
	{"updated", `previous.payment_status in ["unpaid"] and session.payment_status == "paid" and session.amount_total > 100_00`, ownType},
	{"updated", `previous.payment_status != session.payment_status`, ownType},
	{"updated", `previous.status != "expired" and session.status == "expired"`, ownType},
	{"updated", `event.change.field == "status"`, ownType},
	{"updated", `event.change.field in ["status", "payment_status"] and session.livemode`, ownType},
	{"updated", `event.change.field == "payment_status" and event.change.to == "paid"`, ownType},
	{"*", `event.type == "checkout.session.updated" and changed("status")`, ownType},
	{"unresolved", `session.payment_status == "paid" and session.status == "complete"`, neverSet},
	{"unresolved", `session.payment_status in ["paid", "no_payment_required"] and session.status != "open"`, neverSet},
	{"unresolved", `session.status == "expired"`, neverSet},
	{"unresolved", `event.change.to == "paid"`, neverSet},
	{"unresolved", `event.change.to == "complete"`, neverSet},
	{"unresolved", `event.change.from == "open" and event.change.to == "complete"`, neverSet},
	{"unresolved", `event.change.field == "amount_total"`, neverSet},
	{"unresolved", `event.change.field == "status" and session.status == "complete"`, neverSet},
	{"unresolved", `event.change.field == "payment_status" and session.status == "open"`, neverSet},
	{"unresolved", `session.mode == "setup" and session.status == "complete"`, neverSet},
	{"regressed", `event.change.to == "paid"`, stepBack},
	{"regressed", `event.change.field == "amount_total"`, stepBack},
	{"regressed", `event.change.from == "open"`, stepBack},
	{"regressed", `event.change.from == "unpaid" and session.livemode`, stepBack},
	{"regressed", `event.change.field == "status" and session.status == "complete"`, stepBack},
	{"regressed", `session.payment_status == "paid" and session.status == "complete"`, stepBack},
	{"regressed", `event.change.field == "status" and event.change.to == "unpaid"`, stepBack},
	{"regressed unresolved", `event.change.to == "paid"`, "exclude each other"},
	{"unresolved updated", `event.change.field == "payment_status" and event.change.to == "paid"`, "exclude each other"},
	{"regressed", `not changed("status") and not changed("payment_status")`, stepBack},
}

// possible are conditions that some event of the types meets.
var possible = []exclusion{
	{"updated", `changed("metadata")`, ""},
	{"updated", `not changed("status")`, ""},
	{"updated", `changed("amount_total") or changed("status")`, ""}, // a part of it never holds
	{"updated", `previous.status == "open"`, ""},
	{"updated", `session.status == "complete" and session.payment_status == "unpaid"`, ""},
	{"updated", `previous.status == "complete" and session.payment_status == "paid" and previous.payment_status == "paid"`, ""},
	{"updated", `session.status == "expired" and previous.status != "open"`, ""},
	{"updated", `previous.status == session.status and previous.amount_total != session.amount_total`, ""},
	{"updated completed", `changed("status")`, ""},
	{"updated expired", `event.change.field == "status"`, ""},
	{"*", `changed("status")`, ""},
	{"created updated", `event.change.field == "status"`, ""},
	{"updated", `event.change.to == "paid"`, ""}, // of another field
	{"unresolved", `session.payment_status == "unpaid"`, ""},
	{"unresolved", `session.payment_status == "paid"`, ""}, // while the checkout is still open
	{"unresolved", `session.status == "complete"`, ""},
	{"unresolved", `event.change.to == "open" and event.change.from == "open"`, ""},
	{"unresolved", `event.change.field == "payment_status" and event.change.to == "unpaid"`, ""},
	{"unresolved", `event.change.field == "status"`, ""},
	{"unresolved", `changed("status")`, ""}, // at first sight
	{"unresolved", `event.inferred`, ""},
	{"unresolved", `previous.status == ""`, ""},
	{"unresolved", `session.mode == "setup"`, ""},
	{"unresolved updated", `session.status == "expired"`, ""},
	{"regressed", `event.change.field == "payment_status"`, ""},
	{"regressed", `event.change.from in ["complete", "expired"]`, ""},
	{"regressed", `event.change.from == "no_payment_required"`, ""},
	{"regressed", `event.change.to == "open"`, ""},
	{"regressed", `session.status == "complete"`, ""}, // and no longer paid
	{"regressed", `session.payment_status == "paid"`, ""},
	{"regressed", `previous.status == "complete" and session.status == "open"`, ""},
	{"regressed", `session.status == "expired"`, ""},
	{"regressed paid", `event.change.to == "paid"`, ""},
}

// meant are rules for words that the API does not document.
var meant = []exclusion{
	{"updated", `changed("status") and session.status not in ["open", "complete", "expired"]`, ""},
	{"updated", `changed("status") and session.status != "open" and session.status != "complete" and session.status != "expired"`, ""},
	{"updated", `event.change.field == "payment_status" and event.change.from == ""`, ""},
	{"updated", `event.change.field == "status" and event.change.to not in ["open", "complete", "expired"]`, ""},
	{"updated", `changed("payment_status") and not (previous.payment_status in ["unpaid", "paid", "no_payment_required"])`, ""},
}

// What no event of a rule's types shows is told, with what the types are sent for.
func TestConditionsOnWhatATypeNeverShows(t *testing.T) {
	for _, c := range exclusions {
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if len(problems) != 1+strings.Count(c.when, " or ") || problems[0].Code != rules.CodeNeverMatches || problems[0].Snippet == "" || !strings.Contains(problems[0].Message, c.says) {
			t.Errorf("%s of %s: want %q:%s", c.when, c.events, c.says, describe(problems))
		}
	}
	for _, c := range slices.Concat(possible, meant) {
		part := strings.HasPrefix(c.when, `changed("amount_total") or `)
		if problems := warningsOf(t, c.when, strings.Fields(c.events)...); len(problems) > 0 != part {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
}

// Both lists are so: of all that diff makes of three looks with documented words, no
// event meets what is said never to hold, and some event meets each of the others.
func TestWhatATypeNeverShowsIsNotShown(t *testing.T) {
	met := make(map[string]int)
	list := func(of []exclusion, name string) (list []rules.Rule) {
		for i, c := range of {
			list = append(list, rules.Rule{Name: fmt.Sprintf("%s-%d", name, i), Events: strings.Fields(c.events), When: c.when, To: []string{"bus"}, Enabled: true})
		}
		return list
	}
	set := compile(t, append(list(exclusions, "never"), list(possible, "may")...)...)
	lives(t, func(e *event.Event, previous []byte) {
		for _, target := range set.Match(e, previous, now).Targets {
			for _, name := range target.Rules {
				if met[name]++; strings.HasPrefix(name, "never") && met[name] == 1 {
					t.Errorf("%s: %s meets it: %s before, %s", name, e.Type, previous, e.Object)
				}
			}
		}
	})
	for i, c := range possible {
		if met[fmt.Sprintf("may-%d", i)] == 0 {
			t.Errorf("%s of %s: no event meets it", c.when, c.events)
		}
	}
}

// Of conditions that nobody thought of, too, none is said never to hold that an event meets.
func TestWhatIsSaidNeverToHoldNeverDoes(t *testing.T) {
	type shown struct {
		e        *event.Event
		previous []byte
	}
	byType := make(map[string][]shown)
	lives(t, func(e *event.Event, previous []byte) {
		byType[e.Type] = append(byType[e.Type], shown{e, previous})
	})
	whens := whens()
	rapid.Check(t, func(t *rapid.T) {
		when := whens.Draw(t, "when")
		eventType := rapid.SampledFrom(event.Types()).Draw(t, "type")
		set, problems := rules.Compile([]rules.Rule{{Name: "r", Events: []string{eventType}, When: when, To: []string{"bus"}, Enabled: true}}, known)
		never := func(p rules.Problem) bool { return strings.HasPrefix(p.Message, "the events of the rule") }
		if set == nil || !slices.ContainsFunc(problems, never) {
			return
		}
		for _, s := range byType[eventType] {
			if result := set.Match(s.e, s.previous, now); len(result.Targets) > 0 {
				t.Fatalf("%s of %s matches %s before, %s:%s", when, eventType, s.previous, s.e.Object, describe(problems))
			}
		}
	})
}

// whens are conditions on states and changes that nobody thought of.
func whens() *rapid.Generator[string] {
	status, payment := []string{"open", "complete", "expired"}, []string{"unpaid", "paid", "no_payment_required"}
	literals := []string{`changed("status")`, `changed("payment_status")`, `changed("metadata")`, `event.inferred`, `event.async`, `event.revision > 1`, `event.revision == 1`,
		`previous.status == session.status`, `previous.payment_status != session.payment_status`, `session.mode == "setup"`, `previous.status == ""`,
		`event.change.field == "status"`, `event.change.field == "payment_status"`, `event.change.field == "note"`, `event.change.from == ""`}
	for _, word := range append(status, payment...) {
		literals = append(literals, fmt.Sprintf("event.change.from == %q", word), fmt.Sprintf("event.change.to == %q", word))
	}
	for i := range status {
		for _, of := range []string{"session", "previous"} {
			literals = append(literals, fmt.Sprintf("%s.status == %q", of, status[i]), fmt.Sprintf("%s.payment_status == %q", of, payment[i]),
				fmt.Sprintf("%s.status in [%q, %q]", of, status[i], status[(i+1)%len(status)]), fmt.Sprintf("%s.payment_status != %q", of, payment[i]))
		}
	}
	literal := rapid.Custom(func(t *rapid.T) string {
		one := rapid.SampledFrom(literals)
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			return "not (" + one.Draw(t, "a") + ")"
		case 1:
			return "not (" + one.Draw(t, "a") + rapid.SampledFrom([]string{" or ", " and "}).Draw(t, "by") + one.Draw(t, "b") + ")"
		}
		return one.Draw(t, "a")
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(literal, 1, 4).Draw(t, "parts"), " and ")
	})
}

// Of these conditions, too, each that is said to match several events of one look matches
// all that are named.
func TestWhatIsSaidToMatchSeveralEventsOfALookDoes(t *testing.T) {
	type look struct {
		events   []*event.Event
		previous []byte
	}
	var looks []look
	lives(t, func(e *event.Event, previous []byte) {
		last := len(looks) - 1
		if last < 0 || e.Position == 1 {
			looks = append(looks, look{previous: previous})
			last++
		}
		looks[last].events = append(looks[last].events, e)
	})
	shown := make(map[string]bool)
	looks = slices.DeleteFunc(looks, func(l look) bool {
		key := fmt.Sprint(string(l.previous), string(l.events[0].Object), l.events[0].Type, len(l.events))
		again := shown[key]
		shown[key] = true
		return again || len(l.events) < 2
	})
	whens := whens()
	rapid.Check(t, func(t *rapid.T) {
		when := whens.Draw(t, "when")
		set, problems := rules.Compile([]rules.Rule{{Name: "r", When: when, To: []string{"bus"}, Enabled: true}}, known)
		said := regexp.MustCompile(`of one look: (.*?);`).FindStringSubmatch(describe(problems))
		if set == nil || said == nil {
			return
		}
		left := strings.Split(said[1], ", ")
		for _, l := range looks {
			var types []string
			for _, e := range l.events {
				if len(set.Match(e, l.previous, now).Targets) > 0 {
					types = append(types, event.Short(e.Type))
				}
			}
			if len(types) > 1 {
				left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(types, name) })
			}
			if len(left) == 0 {
				return
			}
		}
		t.Fatalf("%s matches no two events of one look of which one is in %s:%s", when, left, describe(problems))
	})
}

// lives shows the events of all sessions that are seen in three states: of status and
// payment_status, and of what else they have. The last look comes after they are given up.
func lives(t *testing.T, show func(e *event.Event, previous []byte)) {
	t.Helper()
	policy := diff.Policy{ConfirmAfter: time.Minute, UnpaidFor: 48 * time.Hour, WarmEvery: time.Minute}
	var states []*checkout.Session
	for _, status := range []string{"open", "complete", "expired"} {
		for _, payment := range []string{"unpaid", "paid", "no_payment_required"} {
			for _, other := range []map[string]any{{}, {"mode": "setup"}, {"mode": "setup", "metadata": map[string]any{"plan": "new"}}, {"note": "paid"}, {"amount_total": 5, "metadata": map[string]any{"plan": "new"}}} {
				fields := map[string]any{"status": status, "payment_status": payment, "note": "due", "metadata": nil}
				maps.Copy(fields, other)
				s, err := checkout.Parse(session(t, fields))
				if err != nil {
					t.Fatal(err)
				}
				states = append(states, &s)
			}
		}
	}
	for _, first := range states {
		for _, at := range []time.Time{now, now.Add(100 * time.Hour)} {
			outcome, err := diff.First("main", first, diff.Look{At: at}, policy)
			if err != nil {
				t.Fatal(err)
			}
			announce(t, &outcome, nil, 1, show)
			for _, second := range states {
				seen := outcome.Snapshot
				next := believed(t, &seen, second, at.Add(time.Hour), policy)
				announce(t, &next, first.Object, 2, show)
				late := next.Snapshot
				last := believed(t, &late, second, at.Add(200*time.Hour), policy)
				announce(t, &last, second.Object, 3, show)
			}
		}
	}
}

// believed is what a look comes to, after a second one confirmed it where it steps back.
func believed(t *testing.T, seen *event.Snapshot, shown *checkout.Session, at time.Time, p diff.Policy) diff.Outcome {
	t.Helper()
	outcome := diff.Outcome{Snapshot: *seen, Held: true}
	for i := 0; outcome.Held && i < 3; i++ {
		last, look := outcome.Snapshot, at.Add(time.Duration(i)*time.Hour)
		s := *shown
		var err error
		if outcome, err = diff.Next(&last, &s, diff.Look{At: look, Pass: look}, p); err != nil {
			t.Fatal(err)
		}
	}
	return outcome
}

// announce shows the events of a look, and counts them as pipeline does.
func announce(t *testing.T, o *diff.Outcome, previous []byte, revision int, show func(e *event.Event, previous []byte)) {
	t.Helper()
	attributes, err := checkout.PreviousAttributes(o.Changes)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	maps.Copy(counts, o.Snapshot.Counts)
	o.Snapshot.Counts = counts
	for i, is := range o.Transitions {
		o.Snapshot.Counts[is.Type]++
		show(&event.Event{ID: "evt_1", Type: is.Type, Account: "main", Session: o.Snapshot.ID, Time: now, Revision: revision, Position: i + 1, Object: o.Snapshot.Object,
			PreviousAttributes: attributes, Change: is.Change, Async: is.Async, Inferred: is.Inferred, Reason: is.Reason}, previous)
	}
}
