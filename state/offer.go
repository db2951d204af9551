package state

import (
	"sync"

	"checkout-notifier/event"
)

// offers are the free slots of destinations that commits may use (see Offer), and the
// attempts that commits have begun for them. They are not stored: what was begun and not sent
// when the process died is an attempt without a result.
type offers struct {
	mu    sync.Mutex // guards all below
	slots map[string]int
	begun map[string][]event.Job // committed, by destination
	held  map[string]bool        // ids of deliveries, from before their commit until Offer returns them
}

func newOffers() *offers {
	return &offers{slots: make(map[string]int), begun: make(map[string][]event.Job), held: make(map[string]bool)}
}

// Offer allows commits to store new deliveries to a destination together with their first
// attempts, at most slots of them until the next call. That saves the relay a transaction of
// its own. It is done for deliveries that are due at once and wait for no earlier one of
// their session.
//
// Offer returns the deliveries that were stored so since the last call, in the order of
// commits, for the caller to send. Their attempts have the number 1, and Take resolves or
// withdraws them as it does others. Until Offer has returned a delivery, Due and Pick leave
// it out.
func (s *Store) Offer(destination string, slots int) (begun []event.Job) {
	o := s.offers
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slots[destination] = slots
	begun = o.begun[destination]
	delete(o.begun, destination)
	for i := range begun {
		delete(o.held, begun[i].Delivery.ID)
	}
	return begun
}

func (o *offers) free(destination string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.slots[destination]
}

// holdBack adds to what skip, which may be nil, names what Offer has yet to return.
func (o *offers) holdBack(skip func(deliveryID string) bool) func(string) bool {
	return func(id string) bool {
		o.mu.Lock()
		held := o.held[id]
		o.mu.Unlock()
		return held || skip != nil && skip(id)
	}
}

// committing comes before the commit of what a transaction has begun: a reader may
// see it earlier than the writer knows that it is on the disk.
func (o *offers) committing(jobs []event.Job) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range jobs {
		d := &jobs[i].Delivery
		o.held[d.ID] = true
		o.slots[d.Destination] = max(0, o.slots[d.Destination]-1)
	}
}

// committed comes after it.
func (o *offers) committed(jobs []event.Job, durable bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range jobs {
		d := &jobs[i].Delivery
		if durable {
			o.begun[d.Destination] = append(o.begun[d.Destination], jobs[i])
		} else {
			delete(o.held, d.ID)
		}
	}
}
