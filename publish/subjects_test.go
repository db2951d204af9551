package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// subjectBus is a receiver that takes nothing for some subjects. The subject of a
// message is what stands before the dash in its session, behind a prefix.
type subjectBus struct {
	receiver
	mu      sync.Mutex
	prefix  string
	blocked map[string]bool
}

func (b *subjectBus) Subject(m publish.Message) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name, own, found := strings.Cut(m.Delivery.Session, "/") // that of the delivery, or of its session
	if !found {
		name, own = m.Delivery.EventType, ""
	}
	return b.prefix + name + own, nil
}

func (b *subjectBus) block(subjects ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked = make(map[string]bool)
	for _, s := range subjects {
		b.blocked[s] = true
	}
}

func newSubjectBus(subjects ...string) *subjectBus {
	b := &subjectBus{}
	b.block(subjects...)
	b.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
		subject, _ := b.Subject(m)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.blocked[subject] {
			return blockedFor(subject)
		}
		return accepted()
	})
	return b
}

func blockedFor(subject string) publish.Result {
	return publish.Result{
		Outcome: event.OutcomeUnavailable, Contact: publish.ContactMade, Class: publish.ClassNATS,
		Error: "no stream takes the subject", Subject: subject, Unsent: true,
	}
}

func ofType(eventType string) func(*event.Delivery) {
	return func(d *event.Delivery) { d.EventType = eventType }
}

// deliveries that arrived, in order, without those that were not taken.
func (b *subjectBus) arrived() (ids []string) {
	for _, s := range b.sent() {
		if subject, _ := b.Subject(publish.Message{Delivery: s.delivery}); !b.blocked[subject] {
			ids = append(ids, s.delivery.ID)
		}
	}
	return ids
}

// What waits for one subject delays nothing else, is probed by the schedule, uses
// no slot, leaves few rows, and goes when the subject takes messages.
func TestABlockedSubjectDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("expired")
		var waiting []string
		for i := range 81 {
			waiting = append(waiting, o.put("bus", fmt.Sprint("cs_", i), ofType("expired")))
		}
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(40 * time.Second)
		paid := o.put("bus", "cs_paid", ofType("paid"))
		r.Wake("bus")
		synctest.Wait()
		if d := o.get(paid); d.Status != event.StatusAccepted {
			t.Fatalf("a payment waits for abandoned carts: %+v", d.Delivery)
		}
		s := r.Status()[0]
		if s.State != publish.StateWaiting || s.BlockedAll != 1 || len(s.Blocked) != 1 || s.Blocked[0].Subject != "expired" || !strings.Contains(s.Why, "takes nothing for expired: no stream") {
			t.Errorf("status %+v", s)
		}
		before := len(to.sent())
		time.Sleep(10 * time.Minute)
		if probes := len(to.sent()) - before; probes < 39 || probes > 41 {
			t.Errorf("%d probes in ten minutes", probes)
		}
		if n := o.rows(); n > 81 {
			t.Errorf("%d rows of attempts", n)
		}
		if types, data := told(o); !slices.Equal(types, []string{event.DestinationFailing}) || !strings.Contains(fmt.Sprint(data[0]["summary"]), "takes nothing for expired") {
			t.Errorf("the owner heard %v %v", types, data)
		}
		to.block()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		for _, id := range waiting {
			if d := o.get(id); d.Status != event.StatusAccepted || d.Slots != 0 || d.BlockedSubject != "" {
				t.Fatalf("in the end: %+v", d.Delivery)
			}
		}
		if s := r.Status()[0]; s.State != publish.StateOK || s.BlockedAll != 0 {
			t.Errorf("in the end: status %+v", s)
		}
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Errorf("in the end the owner heard %v", types)
		}
	})
}
