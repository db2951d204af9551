package rules

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
)

// missedOrders says which orders a condition leaves out, and what to write instead;
// %s is what it asks for.
var missedOrders = map[logic.Way]string{
	logic.FirstSight: "this asks for %s, which is empty when a session is first seen, and leaves out each order that is created and paid between two looks; " +
		"name in `events` what happened, without this condition, or add `not event.inferred` if that is meant",
	logic.NothingDue: "this asks for %s, and leaves out each order without anything to pay, which fulfillable is for as well: that is no_payment_required; " +
		"remove the condition, or write `session.amount_total > 0` if that is meant",
	logic.StillDue: "this asks for %s, and leaves out each order that is paid later, as by bank transfer: completed comes once, before the money; " +
		"write `events: [fulfillable]`, without this condition",
	logic.PaidLater: "this asks for %s, and leaves out each order that is paid after the checkout, as by bank transfer; " +
		"remove the condition, or add `not event.async` if that is meant",
	logic.SeenBefore: "this asks for %s, and leaves out each session that was seen before: most are seen open first; " +
		"remove the condition, or write `event.inferred` if that is meant",
	logic.StillOpen: "this asks for %s, and leaves out each order that is paid, or has nothing to pay, while the checkout is open, and is completed later; " +
		"write `events: [fulfillable]`, without this condition",
	logic.SeenOpen:   "this asks for %s, and leaves out each session that is seen open first, as most are: created comes once, when a session is first seen; ",
	logic.NotUpdated: "this asks for %s, and leaves out each order when it is paid: updated never comes for a change of status or payment_status; ",
	logic.Unchanged: "this compares with %s, which is empty when a session is first seen: it holds then for each order that is created and paid between two looks, although nothing changed; " +
		"add `not event.inferred` if only changes are meant",
	logic.PaidBefore: "this asks for %s, and leaves out each order that is paid, or has nothing to pay, before the checkout is complete; remove the condition",
}

// formerStates are what asks which state a session was in before.
var formerStates = []string{"previous.status", "previous.payment_status", "event.change.from"}

// missed warns of a condition that leaves out orders for the way in which they came
// about. A rule for every change is none for orders, unless it asks for the state
// before.
func (c *checkers) missed(r *compiled) {
	x := r.expression
	if x == nil || r.rule.On == OnSystem || c.neverMatches() {
		return
	}
	hears := func(t string) bool {
		why, excluded := x.excluded[t]
		return (!excluded || why.Own) && slices.Contains(r.types, t)
	}
	for _, m := range x.missed {
		state := m.Way == logic.FirstSight && slices.Contains(formerStates, m.Of)
		paid := m.Way == logic.StillDue && (hears(event.Paid) || hears(event.Fulfillable))
		completed := m.Way == logic.StillOpen && (hears(event.Completed) || hears(event.Fulfillable))
		becomes := m.Way == logic.SeenOpen || m.Way == logic.NotUpdated
		several := becomes && slices.ContainsFunc(r.known(), func(t string) bool {
			return !slices.Contains([]string{m.Type, event.Updated, event.Regressed}, t) && hears(t)
		})
		later := m.Way == logic.NotUpdated && x.asksForMore()
		if hears(m.Type) && !paid && !completed && !several && !later && (state || becomes || !hears(event.Updated)) {
			code := CodeMissesOrders
			if m.Way == logic.Unchanged {
				code = CodeMisleading
			}
			c.warnAt(r.rule.When, m.At, code, x.missesText(m, hears))
		}
	}
	c.createdAlone(r)
}

// createdAlone warns of a rule for created and updated that asks for a change which updated
// never comes for.
func (c *checkers) createdAlone(r *compiled) {
	x := r.expression
	why, never := x.excluded[event.Updated]
	left := slices.DeleteFunc(r.known(), func(t string) bool { _, excluded := x.excluded[t]; return excluded })
	told := slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Rule == c.at && p.Code == CodeMissesOrders })
	if !never || !why.Own || told || x.uses.event || !slices.Contains(r.types, event.Updated) || !slices.Equal(left, []string{event.Created}) || len(x.together.Once) == 0 {
		return
	}
	c.warnAt(r.rule.When, why.At, CodeMissesOrders, fmt.Sprintf("updated never comes for a change of status or payment_status, so that this takes created alone, of each session when it is first seen; "+
		"write `events: [%s]` instead, without this condition", short(x.together.Once)))
}

// fixed are the fields of a session that an updated seldom is about.
var fixed = func() (u uses) {
	for _, name := range []string{"status", "payment_status", "livemode", "mode", "currency", "amount_subtotal", "amount_total"} {
		noteRoot(&ast.IdentifierNode{Value: "session"}, name, &u)
	}
	return u
}()

// asksForMore says whether a condition asks for something that may have been updated.
func (x *expression) asksForMore() bool {
	return x.uses.object || x.uses.event || x.uses.previous != 0 || x.uses.session&^fixed.session != 0
}

// missesText is what is said of events that are left out by a rule, which hears of some
// types. Without its condition one that hears of created, or completed, would take what is
// not paid.
func (x *expression) missesText(m logic.Missed, hears func(t string) bool) string {
	text := fmt.Sprintf(missedOrders[m.Way], m.Of)
	pays := slices.Contains([]string{event.Paid, event.NoPaymentRequired, event.Fulfillable}, m.Type)
	if before, _, removes := strings.Cut(text, "remove the condition"); removes && pays && (hears(event.Created) || hears(event.Completed)) {
		text = before + "write `events: [fulfillable]`, without this condition"
	}
	if m.Type == event.Expired {
		text = strings.Replace(text, "order that is created and paid", "session that is created and expires", 1)
	}
	if m.Of == "event.revision" {
		text = strings.Replace(text, "which is empty", "which is 1", 1)
	}
	if m.Way != logic.SeenOpen && m.Way != logic.NotUpdated {
		return text
	}
	if m.Way == logic.SeenOpen && hears(event.Updated) {
		text = strings.Replace(text, "first seen; ", "first seen, and updated never for a change of status or payment_status; ", 1)
	}
	text += "write the `events` that are meant instead, such as completed, expired, paid or fulfillable"
	if once := x.demanded.Once(); len(once) > 0 {
		text, _, _ = strings.Cut(text, "write the")
		text += fmt.Sprintf("write `events: [%s]` instead", short(once))
	}
	if m.Way == logic.NotUpdated {
		return text + ", or ask as well for what is updated, as in changed(\"metadata\")"
	}
	return text + ", which come also for a session that is first seen so"
}

// neverMatches says whether a condition of the rule was said never to hold.
func (c *checkers) neverMatches() bool {
	return slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Rule == c.at && p.Code == CodeNeverMatches })
}
