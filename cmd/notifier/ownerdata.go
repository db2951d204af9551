package main

import (
	"cmp"
	"fmt"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
)

// conditionEvent makes the event that tells of a condition's begin, of another cause of it,
// or of its end. Its id depends on when the condition began and on the causes that were
// told by then, so that none is told of twice.
func conditionEvent(eventType string, c event.Condition, now time.Time, data any) (event.Event, error) {
	e, err := event.NewSystem(eventType, c.Subject, c.Cause, c.Since, data)
	e.Time, e.OccurredBefore = now.UTC(), now.UTC()
	return e, err
}

// unseen is what an account that cannot be polled means for the shop.
func unseen(s *poller.Status) string {
	return cmp.Or(s.Unpolled(), "Until that is mended no new order is seen or shipped; nothing is lost, and what happens meanwhile is announced then") + "."
}

// titled is an account by its name and what it is: several notifiers may tell in one place.
func titled(s *poller.Status) string {
	return "Account " + s.Account + wooshpay.Unusual(s.Host, s.Mode)
}

func accountFailingEvent(c event.Condition, s *poller.Status, since, now time.Time) (event.Event, error) {
	summary, again := "", "It is tried again by itself; notifier poll now tries at once."
	if s.AskedToWait { // poll now does not
		again = "It is tried again by itself, " + nextTry(*s) + "."
	}
	switch {
	case s.Foreign != "":
		summary = fmt.Sprintf("%s is stopped: its key shows other sessions than before, and no order of it is seen or shipped. What to do: %s", titled(s), poller.WayOut(c.Subject))
	case s.Denied:
		summary = fmt.Sprintf("%s cannot be polled: the API refuses its key. %s Restart notifier after changing the key or its file. %s", titled(s), unseen(s), again)
	default:
		summary = fmt.Sprintf("%s has not been polled successfully for %s: %s. %s %s", titled(s), shortDuration(now.Sub(since)), event.Brief(c.Why), unseen(s), again)
	}
	c.Cause += " " + event.FormatTime(c.WellBefore) // one cause may be told again
	return conditionEvent(event.AccountFailing, c, now, event.AccountFailingData{
		Summary: summary, Account: c.Subject, Since: event.FormatTime(c.Since), Error: c.Why,
	})
}

func accountRecoveredEvent(c event.Condition, s *poller.Status, now time.Time) (event.Event, error) {
	down := now.Sub(c.Since)
	summary := "%s is polled again; it was not for %s."
	if c.Relapse {
		summary = "%s has been well for ten minutes; it had failed again soon after it was polled again, %s ago."
	}
	return conditionEvent(event.AccountRecovered, c, now, event.AccountRecoveredData{
		Summary: fmt.Sprintf(summary, titled(s), shortDuration(down)), Account: c.Subject, Since: event.FormatTime(c.Since), DownFor: event.FormatSpan(down),
	})
}

func lowSpaceEvent(c event.Condition, path string, free, size int64, now time.Time) (event.Event, error) {
	return conditionEvent(event.StoreLowSpace, c, now, event.StoreLowSpaceData{
		Summary: "The disk of the state file is nearly full: " + c.Why + ". Free some space: once it is full no order is seen or shipped until there is room; nothing is lost.", Path: path, FreeBytes: free, StoreBytes: size,
	})
}

// sizeText writes any size for people.
func sizeText(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
