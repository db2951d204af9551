package state

import (
	"time"

	"checkout-notifier/event"
)

// What is pending for a destination stands in a bucket of its own, so that no
// backlog of another one is rewritten with it: bbolt writes the whole path from a
// row to the root of its bucket. A short queue is stored inside the page of its
// neighbours. It stays when it is empty: there are as many as rows of bucketDestinations.
//
// A key begins with its kind. The kinds stand in the order of these bytes.
const (
	kindAgain   = 'a' // due, sequence → id: sent again, and not refused since
	kindBlocked = 'b' // subject, sequence: wait for that subject
	kindDue     = 'd' // due, sequence → id: new, and never refused so far
	kindOrder   = 'o' // account, session or subject, sequence: ordered ones
	kindPending = 'p' // sequence → since when: all
	kindRetry   = 'r' // due, sequence → id: refused or blocked before
)

// enqueue puts a row into the queue of a destination.
func (b *batch) enqueue(destination string, key, value []byte) error {
	if b.tx.queue(destination) == nil {
		if _, err := b.tx.Bucket(bucketQueues).CreateBucket([]byte(destination)); err != nil {
			return err
		}
	}
	return b.tx.queue(destination).Put(key, value)
}

// dequeue takes a row out of the queue of a destination.
func (b *batch) dequeue(destination string, key []byte) error {
	return b.tx.queue(destination).Delete(key)
}

func pendingKey(sequence uint64) []byte {
	return appendSequence(append(make([]byte, 0, 1+sequenceSize), kindPending), sequence)
}

// dueKinds are those of what waits for a time.
var dueKinds = [...]byte{kindRetry, kindDue, kindAgain}

// waiting is the kind of a delivery that is due at a time: new ones have one of their
// own, so that no number of others stands among them.
func waiting(d *event.Delivery) byte {
	switch {
	case d.Repeated():
		return kindRetry
	case d.SentAgain():
		return kindAgain
	}
	return kindDue
}

func dueKey(kind byte, due time.Time, sequence uint64) []byte {
	return appendSequence(appendTime(append(make([]byte, 0, 1+timeSize+sequenceSize), kind), due), sequence)
}

// readDue reads the due time in a key of one of dueKinds.
func readDue(key []byte) (time.Time, bool) {
	if len(key) == 0 {
		return time.Time{}, false
	}
	return readTime(key[1:])
}

func orderPrefix(d *event.Delivery) []byte {
	account, of := d.Group()
	key := make([]byte, 0, 1+2+len(account)+2+len(of)+sequenceSize)
	return appendText(appendText(append(key, kindOrder), account), of)
}

func orderKey(d *event.Delivery, sequence uint64) []byte {
	return appendSequence(orderPrefix(d), sequence)
}
