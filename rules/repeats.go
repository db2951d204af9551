package rules

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// repeats warns of a rule that asks for the state of a session, or for its change, and
// is matched by several events of the session. A list of events that takes in all says
// that this is meant.
func (c *checkers) repeats(r *compiled) {
	x := r.expression
	all := len(r.types) == len(allTypes)
	if x == nil || r.rule.On == OnSystem || len(r.rule.Events) > 0 && all || c.neverMatches() {
		return
	}
	at, message := x.demanded.At, ""
	if len(r.rule.Events) == 0 && !x.uses.event && !x.uses.changed && x.uses.previous == 0 {
		message = r.repeatsAlways()
	} else {
		at, message = x.together.At, r.repeatsInLook()
	}
	if message != "" {
		c.warnAt(r.rule.When, at, CodeRepeats, fmt.Sprintf("rule %q matches ", r.rule.Name)+message)
	}
}

// repeatsAlways says that a rule asks for a state and for nothing that happens: each
// event of a session in that state matches it.
func (r *compiled) repeatsAlways() string {
	state := r.expression.demanded
	if len(state.Types) < 2 {
		return ""
	}
	age, never, early := r.expression.age, "", ""
	switch {
	case age.At >= 0 && state.CanBe(checkout.StatusOpen, checkout.PaymentUnpaid):
		never, early = noAge, event.Created
	case afterCheckout(age) && state.CanBe(checkout.StatusComplete, checkout.PaymentUnpaid):
		never, early = noAgeUnpaid, event.Completed
	}
	if never != "" {
		types := slices.DeleteFunc(slices.Clone(state.Types), func(t string) bool { return t == early })
		return fmt.Sprintf("each event of a session that is %s: %s and every later change, each of them is delivered, but %s. Add the `events` that are meant, or `events: ['*']` if all are",
			state, short(types), never)
	}
	add := "add the `events` that are meant"
	if once := state.Once(); len(once) > 0 {
		add = fmt.Sprintf("add `events: [%s]` to act once an order", short(once))
	}
	return fmt.Sprintf("each event of a session that is %s: %s and every later change, each of them is delivered; %s, or `events: ['*']` if all are meant",
		state, short(state.Types), add)
}

// repeatsInLook says that several events of one look match a rule. Created beside one of
// the others is what a rule may well ask for, unless it asks nothing of the event, or
// lists both and is for no open cart: the other tells of all that created then does.
func (r *compiled) repeatsInLook() string {
	together, listed := r.expression.together, len(r.rule.Events) > 0
	created := together.Whole
	if listed {
		created = together.Ended && !slices.Contains(r.types, event.Updated)
	}
	matched := make(map[string]bool)
	for _, types := range together.Types {
		types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return !slices.Contains(r.types, t) })
		if several := len(types) > 2 || len(types) == 2 && (types[0] != event.Created || created); !several {
			continue
		}
		for _, t := range types {
			matched[t] = true
		}
	}
	if len(matched) == 0 || together.Async && listed {
		return ""
	}
	once, asked, meant := together.Once, "state", "`events: ['*']`"
	if listed {
		meant = "a rule for each"
	}
	if listed && (matched[event.Paid] || matched[event.NoPaymentRequired] || matched[event.Fulfillable]) {
		once = []string{event.Fulfillable}
	}
	if together.Change {
		asked = "change"
	}
	advice := fmt.Sprintf("write `events: [%s]` in place of what asks for the %s,", short(once), asked)
	if together.Async {
		advice = fmt.Sprintf("add `events: [%s]`", short(once))
	}
	return fmt.Sprintf("several events of one look: %s; they share session, previous and changed(), and each of them is delivered; %s to act once an order, or %s if all are meant",
		short(sessionTypes.chosen(matched)), advice, meant)
}

// short lists types by their short names.
func short(types []string) string {
	var names []string
	for _, t := range types {
		names = append(names, event.Short(t))
	}
	return strings.Join(names, ", ")
}
