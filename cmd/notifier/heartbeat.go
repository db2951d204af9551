package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"checkout-notifier/broker"
	"checkout-notifier/event"
	"checkout-notifier/heartbeat"
	"checkout-notifier/publish"
)

// heartbeatText says for people how the heartbeat is doing.
func heartbeatText(r *heartbeat.Report) string {
	switch r.State {
	case heartbeat.Stopped:
		return "is not sent: " + r.Why
	case heartbeat.Waiting:
		return "waits for the first complete pass of " + cmp.Or(r.Why, "every account")
	}
	text := "sent, last " + ago(r.Last)
	if r.Error != "" {
		text = fmt.Sprintf("does not arrive, last %s: %s", ago(r.Last), r.Error)
	}
	if r.Why != "" {
		text += "; the next is withheld: " + r.Why
	}
	return text
}

// ill says why not everything is well; waiting, which accounts have not finished
// their first pass.
func (d *daemon) ill() (why, waiting string) {
	if err := d.store.failure(); err != nil {
		return "the store cannot be written: " + err.Error(), ""
	}
	if err := d.store.InPlace(); err != nil {
		return err.Error(), ""
	}
	if why := d.backupReport().trouble(); why != "" {
		return why, ""
	}
	if d.broker != nil {
		state := d.broker.Status()
		if why := embeddedTrouble(&state); why != "" {
			return why, ""
		}
	}
	for _, c := range d.owner.open() {
		return conditionText(c), ""
	}
	for _, s := range d.relay.Status() {
		if why := destinationTrouble(&s); why != "" {
			return fmt.Sprintf("destination %s %s", s.Name, why), ""
		}
	}
	var accounts []string
	for _, s := range d.poller.Status() {
		if s.Passes == 0 {
			accounts = append(accounts, s.Account)
		}
	}
	return "", strings.Join(accounts, ", ")
}

// embeddedTrouble says what is wrong with the embedded server, "" if nothing is.
// What its streams lost stays said until somebody starts the daemon again: nobody
// else knows of it.
func embeddedTrouble(s *broker.Status) string {
	switch {
	case s == nil:
	case s.Why != "":
		return fmt.Sprintf("the embedded NATS server takes no messages since %s: %s (%s)", s.Since.Format(time.RFC3339), s.Why, s.Dir)
	case !s.Lost.IsZero():
		return fmt.Sprintf("the embedded NATS server lost what its streams held: %s was removed while in use, last found so at %s; "+
			"deliver it again (notifier replay --since 7d --to DESTINATION), then restart notifier to end this message", s.Dir, s.Lost.Format(time.RFC3339))
	}
	return ""
}

// destinationTrouble says what is wrong with a destination of which the owner was
// told that it fails, or that has stopped by itself; "" if nothing is. One that
// somebody paused is as it was meant to be.
func destinationTrouble(s *publish.DestinationStatus) string {
	switch {
	case s.State == publish.StatePaused && s.PausedBy == "":
		return "has " + s.Why
	case s.State == publish.StatePaused:
		return ""
	case s.Told:
		return "fails: " + s.Why
	}
	return ""
}

// conditionText says for people what is wrong.
func conditionText(c event.Condition) string {
	switch c.Kind {
	case event.ConditionStore:
		return "the disk of the state file is nearly full: " + c.Why
	case event.ConditionRule:
		return fmt.Sprintf("rule %q is failing: %s", c.Subject, c.Why)
	default:
		return fmt.Sprintf("%s %s is failing: %s", c.Kind, c.Subject, c.Reason())
	}
}
