package event

import (
	"fmt"
	"slices"
	"time"
)

// A summary is read on a telephone at night: its first sentence says what is wrong, the next
// what that means for orders, the last what to do.

// mostBrief is how many characters of a reason a summary has: Slack shows 580 of all. The
// whole reason is beside it in the data.
const mostBrief = 200

// Brief is a reason as a summary has it.
func Brief(why string) string {
	if runes := []rune(why); len(runes) > mostBrief {
		why = string(runes[:mostBrief-1]) + "…"
	}
	return why
}

// Shipping are the types that goods may be shipped by.
func Shipping() []string { return []string{Fulfillable, Paid, Completed, NoPaymentRequired} }

// Died is the data that tells why a delivery became a dead letter. configured says that the
// configuration is the cause, which is read only when notifier starts.
func Died(d *Delivery, why string, configured bool) *DeliveryDeadData {
	means, once := d.Destination+" may not know of it", "the cause is mended"
	if configured {
		once = "the configuration is mended and notifier restarted"
	}
	if slices.Contains(Shipping(), d.EventType) {
		means = "an order may not be shipped"
	}
	return deathData(d, why, StatusFiring, fmt.Sprintf(
		"The delivery of %s of session %s to %s is dead: %s. It is not sent again by itself, so %s. Once %s: notifier deadletters redrive %s; to see all: notifier deadletters list --destination %[3]s.",
		Short(d.EventType), d.Session, d.Destination, Brief(why), means, once, d.ID))
}

// Revived is the data that tells what became of a former dead letter.
func Revived(d *Delivery, what string) *DeliveryDeadData {
	return deathData(d, d.Reason, StatusResolved, fmt.Sprintf("The delivery of %s of session %s to %s %s.", Short(d.EventType), d.Session, d.Destination, what))
}

func deathData(d *Delivery, why, status, summary string) *DeliveryDeadData {
	return &DeliveryDeadData{
		Summary: summary, Destination: d.Destination, Delivery: d.ID, Event: d.EventID, EventType: d.EventType, Account: d.Account, Session: d.Session,
		Rules: d.Rules, Reason: why, Attempts: d.Attempts, Status: status,
	}
}

// Fails tells that the destination of a name fails, and why. Whether notifier destinations
// resume does anything depends on what it waits for.
func (s *Standing) Fails(name string, now time.Time) (summary, why string) {
	often, pause := fmt.Sprintf("%d times in a row", s.Failures), ""
	if s.Failures == 1 {
		often = "once"
	}
	next := WaitsRefused(name)
	const waits = "What is for it waits, perhaps orders to be shipped. "
	const resume = "; once it is mended, notifier destinations resume %s tries at once."
	switch {
	case s.Throttled.After(now):
		pause = ", and it asked for a pause until " + FormatTime(s.Throttled)
		next = fmt.Sprintf(waits+"It is tried again by itself after that"+resume, name)
	case !s.Broken.IsZero():
		next = fmt.Sprintf(waits+"It is tried again by itself every 5 minutes or sooner"+resume, name)
	case s.Down.IsOpen():
		next = waits + "It goes on by itself once that is mended."
	}
	return fmt.Sprintf("Destination %s has failed %s: %s%s. %s", name, often, Brief(s.Why), pause, next), s.Why + pause
}

// WaitsRefused says what becomes of the deliveries that a destination has refused while it
// is sent others.
func WaitsRefused(name string) string {
	return fmt.Sprintf("What it refused waits, perhaps orders to be shipped, and is repeated on its schedule until it is accepted or a dead letter. "+
		"notifier deliveries list --destination %s --status pending shows it; once that is mended, notifier deliveries retry ID sends it at once.", name)
}
