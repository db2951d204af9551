package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

func TestTypesOfRules(t *testing.T) {
	known := rules.Known{Destinations: []string{"shop"}}
	list := []rules.Rule{
		{Name: "all", To: []string{"shop"}, Enabled: true},
		{Name: "globs", To: []string{"shop"}, Events: []string{"p*", "checkout.session.expired"}, Enabled: true},
		{Name: "narrowed", To: []string{"shop"}, When: `event.type in ["checkout.session.paid", "checkout.session.created"]`, Enabled: true},
		{Name: "off", To: []string{"shop"}, Events: []string{"updated"}},
		{Name: "never", To: []string{"shop"}, Events: []string{"updated"}, When: `event.type == "checkout.session.paid"`, Enabled: true},
	}
	want := [][]string{
		event.Types(), {event.Expired, event.Paid}, {event.Created, event.Paid}, {event.Updated}, {},
	}
	set, problems := rules.Compile(list, known)
	if set == nil {
		t.Fatal(problems)
	}
	for i, rule := range list {
		if diff := cmp.Diff(want[i], set.Types(rule.Name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule.Name, diff)
		}
	}
	if got := set.Types("unknown"); len(got) > 0 {
		t.Errorf("a rule that is not there: %v", got)
	}
	list[1].To, list[2].When = []string{"nowhere"}, list[2].When+" && session.stauts == 1"
	want[2] = event.Types() // what cannot be read narrows nothing
	if diff := cmp.Diff(want, rules.Types(list, known)); diff != "" {
		t.Errorf("with mistakes (-want +got):\n%s", diff)
	}
}
