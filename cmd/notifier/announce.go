package main

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/rules"
)

// announcer asks the rules who must hear of the program's own events. It is safe
// for concurrent use.
type announcer struct {
	rules   *rules.Set
	ordered func(destination string) bool
	closes  func(destination, ownRule string) bool // whether its messages open and close incidents
	log     *slog.Logger
	watch   *pipeline.RuleWatch // set before the first event

	mu       sync.Mutex         // guards what follows
	silenced map[string]bool    // destinations that the log has said are not told of themselves
	verdicts []pipeline.Verdict // that concern the rule watch, until it takes them
}

func newAnnouncer(set *rules.Set, ordered func(string) bool, closes func(destination, ownRule string) bool, log *slog.Logger) *announcer {
	return &announcer{rules: set, ordered: ordered, closes: closes, log: log, silenced: make(map[string]bool)}
}

// announce asks the rules who must hear of one of the program's own events. Of
// one that must not exist nothing is made: the notice has no event then, and is
// to be left out.
func (d *daemon) announce(e event.Event) event.Notice { return d.announcer.announce(e) }

// announce keeps trouble from feeding on itself: a destination is never told of
// its own failures, and the death of what told of trouble is no further event.
func (a *announcer) announce(e event.Event) event.Notice {
	resolved := false
	if e.Type == event.DeliveryDead {
		about := aboutDelivery(&e)
		if strings.HasPrefix(about.EventType, event.SystemPrefix) {
			return event.Notice{}
		}
		resolved = about.Status == event.StatusResolved
	}
	now := time.Now()
	result := a.rules.MatchSystem(&e, now)
	a.note(&e, result)
	e.RuleSet, e.RuleErrors = a.rules.ID(), result.Errors
	n := event.Notice{}
	for _, target := range result.Targets {
		if target.Destination == concerned(&e) {
			e.Suppressed = append(e.Suppressed, event.Suppression{
				Rules: target.Rules, Destination: target.Destination, Reason: event.SuppressedSelf,
			})
			others := slices.ContainsFunc(result.Targets, func(t rules.Target) bool { return t.Destination != target.Destination })
			a.silence(target, others)
			continue
		}
		if resolved && !a.closes(target.Destination, target.OwnRule) {
			continue
		}
		n.Deliveries = append(n.Deliveries, event.Delivery{
			ID: event.DeliveryID(e.ID, target.Destination, target.OwnRule), EventID: e.ID, EventType: e.Type, Subject: e.Subject,
			Destination: target.Destination, Rules: target.Rules, Labels: target.Labels, OwnRule: target.OwnRule,
			Ordered: a.ordered(target.Destination), Created: now, Status: event.StatusPending, Due: now,
		})
	}
	if resolved && len(n.Deliveries) == 0 {
		return event.Notice{} // there is no incident to close
	}
	n.Event = e
	return n
}

// aboutDelivery reads the data of an event about a dead delivery. Data that
// cannot be read is that of an ordinary one.
func aboutDelivery(e *event.Event) (data event.DeliveryDeadData) {
	if json.Unmarshal(e.System, &data) != nil {
		return event.DeliveryDeadData{}
	}
	return data
}

// concerned is the destination that an event is about, or "".
func concerned(e *event.Event) string {
	about := []string{event.DeliveryDead, event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused}
	if slices.Contains(about, e.Type) {
		return e.Subject
	}
	return ""
}

// silence says once of a destination that it is not told of itself, and whether
// others are.
func (a *announcer) silence(target rules.Target, others bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.silenced[target.Destination] {
		a.silenced[target.Destination] = true
		heard := "no other destination is told"
		if others {
			heard = "other destinations are told"
		}
		a.log.Info("a destination is not told of its own troubles: they are stored, and "+heard,
			"destination", target.Destination, "rules", strings.Join(target.Rules, ", "))
	}
}

// note keeps the verdict for the rule watch, which logs what failed: it is called
// while other transactions are under way, and cannot add to theirs.
func (a *announcer) note(e *event.Event, result rules.Result) {
	if a.watch == nil || !a.watch.Concerns(&result) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verdicts = append(a.verdicts, pipeline.Verdict{Event: e.ID, About: e.Subject, Result: result})
}

// tellOfRule makes the event that tells of a failing rule.
func (a *announcer) tellOfRule(c event.Condition) event.Notice {
	e, err := event.NewRuleFailing(c)
	if err != nil { // of data that has no JSON, which ours has
		a.log.Error("an event about notifier itself could not be made", "error", err)
		return event.Notice{}
	}
	return a.announce(e)
}

// take returns the verdicts that wait for the rule watch.
func (a *announcer) take() []pipeline.Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	verdicts := a.verdicts
	a.verdicts = nil
	return verdicts
}

// putBack returns verdicts whose count could not be committed.
func (a *announcer) putBack(verdicts []pipeline.Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verdicts = append(verdicts, a.verdicts...)
}
