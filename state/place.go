package state

import (
	"sync"

	"checkout-notifier/event"
)

// places remembers the sequences of deliveries that are about to be sent, so that
// no step has to look for them by their ids. It learns them from what is committed:
// a sequence is then never another delivery's.
type places struct {
	mu   sync.Mutex // guards what follows
	byID map[string]uint64
}

// mostPlaces bounds what is remembered; then it begins anew.
const mostPlaces = 10_000

func newPlaces() *places { return &places{byID: make(map[string]uint64)} }

func (p *places) note(id string, sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byID) >= mostPlaces {
		clear(p.byID)
	}
	p.byID[id] = sequence
}

func (p *places) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, id)
}

// find returns 0, which is no sequence, if it does not know.
func (p *places) find(id string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

// place finds a pending delivery without reading it.
func (b *batch) place(d *event.Delivery) (sequence uint64, err error) {
	sequence = b.places.find(d.ID)
	if sequence == 0 {
		sequence = lastSequence(b.get(bucketDeliveryIDs, []byte(d.ID)))
	}
	queue := b.tx.queue(d.Destination)
	if queue == nil || queue.Get(pendingKey(sequence)) == nil {
		return 0, errNotPending
	}
	return sequence, nil
}
