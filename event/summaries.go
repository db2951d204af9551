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

// Stake is what a destination is sent, and so what waits while it takes nothing. The zero
// value stands for what nobody knows.
type Stake struct {
	Orders   bool // types that goods may be shipped by, in a form that a program reads
	Messages bool // what people read: alerts, and all that is in the form of Slack or PagerDuty
	Others   bool // other types
}

// Add adds types of events that are sent; read says that they are in a form that people read.
func (s *Stake) Add(types []string, read bool) {
	for _, t := range types {
		switch {
		case read || IsSystemType(t):
			s.Messages = true
		case slices.Contains(Shipping(), t):
			s.Orders = true
		default:
			s.Others = true
		}
	}
}

// waits goes on after "what is for it waits".
func (s Stake) waits() string {
	switch {
	case s.onlyMessages():
		return ", and you are not told of it"
	case s.Messages && s.Orders:
		return ", perhaps orders to be shipped and alerts"
	case s.Messages:
		return ", perhaps alerts"
	case s.Orders || s == Stake{}:
		return ", perhaps orders to be shipped"
	}
	return ""
}

func (s Stake) onlyMessages() bool { return s == Stake{Messages: true} }

// Died is the data that tells why a delivery became a dead letter. configured says that the
// configuration is the cause, which is read only when notifier starts.
func Died(d *Delivery, stake Stake, why string, configured bool) *DeliveryDeadData {
	means, once := d.Destination+" may not know of it", "the cause is mended"
	if configured {
		once = "the configuration is mended and notifier restarted"
	}
	switch {
	case stake.onlyMessages():
		means = "you are not told of it"
	case slices.Contains(Shipping(), d.EventType):
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
func (s *Standing) Fails(name string, stake Stake, now time.Time) (summary, why string) {
	often, pause := fmt.Sprintf("%d times in a row", s.Failures), ""
	if s.Failures == 1 {
		often = "once"
	}
	next := waitsRefused(name, stake)
	waits, resume := "What is for it waits"+stake.waits()+". ", fmt.Sprintf("; once it is mended, notifier destinations resume %s tries at once.", name)
	switch {
	case s.Throttled.After(now):
		pause = ", and it asked for a pause until " + FormatTime(s.Throttled)
		next = waits + "It is tried again by itself after that" + resume
	case !s.Broken.IsZero():
		next = waits + "It is tried again by itself every 5 minutes or sooner" + resume
	case s.Down.IsOpen():
		next = waits + "It goes on by itself once that is mended."
	}
	return fmt.Sprintf("Destination %s has failed %s: %s%s. %s", name, often, Brief(s.Why), pause, next), s.Why + pause
}

// Refuses tells that the destination of a name takes some and refuses others: n deliveries
// that it refused wait (DestinationState.Refused), at least one of them refused again and
// again for so long.
func (s *Standing) Refuses(name string, stake Stake, n int, lasts time.Duration) (summary string) {
	refused := "1 delivery again and again"
	switch {
	case n >= MostRefused:
		refused = fmt.Sprintf("at least %d deliveries, one of them", MostRefused)
	case n > 1:
		refused = fmt.Sprintf("%d deliveries, one of them", n)
	}
	return fmt.Sprintf("Destination %s takes others, but has refused %s for %s, last: %s. %s",
		name, refused, FormatSpan(lasts), Brief(s.Refusal), waitsRefused(name, stake))
}

// waitsRefused says what becomes of the deliveries that a destination has refused while it
// is sent others.
func waitsRefused(name string, stake Stake) string {
	return fmt.Sprintf("What it refused waits%s; it is repeated on its schedule until it is accepted or a dead letter. "+
		"notifier deliveries list --destination %s --status pending shows it; once that is mended, notifier deliveries retry ID … sends it at once.", stake.waits(), name)
}

// Blocks tells that the destination of a name takes nothing for some subjects.
func Blocks(name string, stake Stake, why string) (summary string) {
	return fmt.Sprintf("Destination %s %s. What is for it waits%s; all else goes on. It is tried again by itself, and goes on once that is mended.", name, Brief(why), stake.waits())
}

// Stops tells that the destination of a name is paused.
func Stops(name string, stake Stake, why string) (summary string) {
	waits := stake.waits()
	if waits != "" {
		waits += ","
	}
	return fmt.Sprintf("Destination %s is %s. What is for it waits%s until somebody resumes it: notifier destinations resume %[1]s.", name, Brief(why), waits)
}
