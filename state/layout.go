package state

import (
	"encoding/binary"
	"time"

	"checkout-notifier/event"
)

// schema is the version of the layout below. A file of a higher one is refused,
// one of a lower one is copied and migrated.
const schema = 4

// The buckets. In keys the length of a text stands before it, so that no text is taken
// for the beginning of a longer one; numbers and times are big-endian, so that the keys
// stand in their order.
var (
	bucketMeta     = []byte("meta")     // "schema" → number
	bucketAccounts = []byte("accounts") // account → JSON event.Account

	bucketSessions = []byte("sessions")       // account, created, id → JSON event.Snapshot: pages of the list are contiguous
	bucketIndex    = []byte("session_index")  // account, id → binary event.Tracked
	bucketCounts   = []byte("session_counts") // account, watch → number

	bucketEvents   = []byte("events")    // sequence → packed event.Event
	bucketEventIDs = []byte("event_ids") // id → sequence

	bucketDeliveries  = []byte("deliveries")       // sequence → sequence of the event, packed event.Delivery
	bucketDeliveryIDs = []byte("delivery_ids")     // id → sequence
	bucketFanOut      = []byte("event_deliveries") // sequence of the event, sequence of the delivery
	bucketAttempts    = []byte("attempts")         // sequence of the delivery, n → packed event.Attempt

	bucketQueues   = []byte("queues")   // destination → the bucket of what is pending for it, see queue.go
	bucketAccepted = []byte("accepted") // finished, sequence: accepted or purged
	bucketDead     = []byte("dead")     // destination, sequence → reason

	bucketDestinations = []byte("destinations") // destination → JSON event.DestinationState

	bucketAudit      = []byte("audit")      // sequence → JSON event.AuditEntry
	bucketConditions = []byte("conditions") // kind, subject → JSON event.Condition

	bucketJobs = []byte("jobs") // id → JSON of package jobs; made with the first job, so that files without it stay of this schema
)

func buckets() [][]byte {
	return [][]byte{
		bucketMeta, bucketAccounts, bucketSessions, bucketIndex, bucketCounts, bucketEvents, bucketEventIDs,
		bucketDeliveries, bucketDeliveryIDs, bucketFanOut, bucketAttempts, bucketQueues, bucketAccepted, bucketDead, bucketDestinations, bucketAudit, bucketConditions,
	}
}

var keySchema = []byte("schema")

// Sizes of the parts of keys.
const (
	sequenceSize = 8
	timeSize     = 12
	maxText      = 2048 // three texts and a time stay far below bbolt's limit for keys
)

// Fill percentages of buckets that grow at their end: near 1, with some room
// where rows grow later.
const (
	appendOnly    = 1.0
	appendAndGrow = 0.9
)

// The builders of keys make room for the whole of one: most need no memory but the
// caller's stack then.

// appendText adds a text of at most maxText bytes to a key.
func appendText(key []byte, text string) []byte {
	key = binary.BigEndian.AppendUint16(key, uint16(len(text)))
	return append(key, text...)
}

// cutText takes the first text off a key.
func cutText(key []byte) (text string, rest []byte, ok bool) {
	if len(key) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(key))
	if len(key) < 2+n {
		return "", nil, false
	}
	return string(key[2 : 2+n]), key[2+n:], true
}

func appendSequence(key []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(key, n) }

func sequenceKey(n uint64) []byte { return appendSequence(make([]byte, 0, sequenceSize), n) }

// lastSequence returns the sequence at the end of a key; 0, which is never
// given out, if the key is too short.
func lastSequence(key []byte) uint64 {
	if len(key) < sequenceSize {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-sequenceSize:])
}

// appendTime adds a time, to the nanosecond, whatever its year.
func appendTime(key []byte, t time.Time) []byte {
	key = binary.BigEndian.AppendUint64(key, uint64(t.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(key, uint32(t.Nanosecond()))
}

// readTime reads the first timeSize bytes of a key.
func readTime(key []byte) (time.Time, bool) {
	if len(key) < timeSize {
		return time.Time{}, false
	}
	seconds := int64(binary.BigEndian.Uint64(key) ^ 1<<63)
	nanoseconds := binary.BigEndian.Uint32(key[8:])
	if nanoseconds >= 1e9 {
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC(), true
}

// sessionKey orders the sessions of an account as the list does, to the
// millisecond, which is the API's precision.
func sessionKey(account string, created time.Time, id string) []byte {
	key := appendText(nil, account)
	key = binary.BigEndian.AppendUint64(key, uint64(created.UnixMilli())^1<<63)
	return append(key, id...)
}

// cutSessionKey takes a key of sessions apart, behind the account.
func cutSessionKey(rest []byte) (created time.Time, id string, ok bool) {
	if len(rest) < 8 {
		return time.Time{}, "", false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(rest) ^ 1<<63)).UTC(), string(rest[8:]), true
}

func indexKey(account, id string) []byte { return append(appendText(nil, account), id...) }

func countKey(account string, watch event.Watch) []byte {
	return append(appendText(nil, account), watch...)
}

func attemptKey(sequence uint64, n int) []byte {
	return binary.BigEndian.AppendUint32(appendSequence(make([]byte, 0, sequenceSize+4), sequence), uint32(n))
}

func destinationKey(destination string, sequence uint64) []byte {
	return appendSequence(appendText(nil, destination), sequence)
}

func conditionKey(kind, subject string) []byte { return appendText(appendText(nil, kind), subject) }

func acceptedKey(finished time.Time, sequence uint64) []byte {
	return appendSequence(appendTime(make([]byte, 0, timeSize+sequenceSize), finished), sequence)
}
