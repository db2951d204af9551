package state

import (
	"bytes"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
)

// Query chooses rows; empty members do not.
type Query struct {
	Destination, Account, Session string
	NotTo                         []string // destinations of deliveries that are left out
	Types                         []string // whole; any of them
	Rule                          string
	Event                         string // of deliveries: the id of theirs
	Job                           string // of deliveries: what made them pending last
	Status                        event.Status
	// Since and Until are about when an event was seen or a delivery made; ByEnd
	// makes them about when the delivery was finished.
	Since, Until time.Time
	ByEnd        bool
	// Failed chooses events on which Rule failed, or any rule where none is named;
	// without it Rule is one that matched.
	Failed bool

	// Before is where to go on: what an earlier call returned as next. 0 begins
	// with the newest.
	Before uint64
	Limit  int
}

// examineAtOnce bounds how many rows one call looks at, found or not. So many in
// a row that are too old, or too young, are taken for the end of what can match:
// rows are stored nearly, not quite, in order of time.
const examineAtOnce = 2000

func (q *Query) within(t time.Time) bool {
	return (q.Since.IsZero() || !t.Before(q.Since)) && (q.Until.IsZero() || !t.After(q.Until))
}

func (q *Query) ofType(eventType string) bool {
	return len(q.Types) == 0 || slices.Contains(q.Types, eventType)
}

// MatchDelivery says whether a delivery is chosen.
func (q *Query) MatchDelivery(d *event.Delivery) bool {
	at := d.Created
	if q.ByEnd {
		at = d.Finished
	}
	return (q.Destination == "" || d.Destination == q.Destination) &&
		!slices.Contains(q.NotTo, d.Destination) &&
		(q.Account == "" || d.Account == q.Account) &&
		(q.Session == "" || d.Session == q.Session) &&
		(q.Rule == "" || slices.Contains(d.Rules, q.Rule)) &&
		(q.Event == "" || d.EventID == q.Event) &&
		(q.Job == "" || d.Job == q.Job) &&
		(q.Status == "" || d.Status == q.Status) &&
		q.ofType(d.EventType) && q.within(at)
}

// MatchEvent says whether an event with these deliveries is chosen.
func (q *Query) MatchEvent(e *event.Event, deliveries []event.Delivery) bool {
	return q.matchEvent(e) && q.ruleMatched(deliveries)
}

// matchEvent says whether an event is chosen, but for the rules that matched.
func (q *Query) matchEvent(e *event.Event) bool {
	return (q.Account == "" || e.Account == q.Account) &&
		(q.Session == "" || e.Session == q.Session) &&
		(!q.Failed || q.failedOn(e)) &&
		q.ofType(e.Type) && q.within(e.Time)
}

func (q *Query) failedOn(e *event.Event) bool {
	return slices.ContainsFunc(e.RuleErrors, func(failed event.RuleError) bool { return q.Rule == "" || failed.Rule == q.Rule })
}

// ruleMatched says whether the rule in question matched an event: then it is
// named by one of its deliveries.
func (q *Query) ruleMatched(deliveries []event.Delivery) bool {
	return q.Rule == "" || q.Failed ||
		slices.ContainsFunc(deliveries, func(d event.Delivery) bool { return slices.Contains(d.Rules, q.Rule) })
}

// clockMargin is by how much clocks may differ: nothing is told of a session
// earlier than that before its creation.
const clockMargin = 24 * time.Hour

// narrow bounds a query of one session by the time of its creation, so that not
// all that was ever stored is looked through for it.
func (q *Query) narrow(tx *transaction) {
	if q.Session == "" || q.ByEnd {
		return
	}
	var first time.Time
	accounts := tx.Bucket(bucketAccounts).Cursor()
	for name, _ := accounts.First(); name != nil; name, _ = accounts.Next() {
		row := tx.Bucket(bucketIndex).Get(indexKey(string(name), q.Session))
		if row == nil {
			continue
		}
		t, err := decodeTracked(q.Session, row)
		if err != nil {
			return // whoever reads the index says so
		}
		if first.IsZero() || t.Created.Before(first) {
			first = t.Created
		}
	}
	if since := first.Add(-clockMargin); !first.IsZero() && since.After(q.Since) {
		q.Since = since
	}
}

// backward walks the rows of a bucket whose keys are a prefix and a sequence,
// the greatest first.
type backward struct {
	cursor *bolt.Cursor
	prefix []byte
	key    []byte
	row    []byte
}

func newBackward(rows *bolt.Bucket, prefix []byte, before uint64) *backward {
	if before == 0 {
		before = math.MaxUint64 // which is never given out
	}
	w := &backward{cursor: rows.Cursor(), prefix: prefix}
	if w.key, _ = w.cursor.Seek(appendSequence(bytes.Clone(prefix), before)); w.key == nil {
		w.key, w.row = w.cursor.Last()
	} else {
		w.key, w.row = w.cursor.Prev()
	}
	return w
}

// sequence is that of the present row, 0 at the end.
func (w *backward) sequence() uint64 {
	if len(w.key) != len(w.prefix)+sequenceSize || !bytes.HasPrefix(w.key, w.prefix) {
		return 0
	}
	return lastSequence(w.key)
}

func (w *backward) step() { w.key, w.row = w.cursor.Prev() }

// newest returns the walker whose row is the newest, nil if all are at the end.
func newest(walkers []*backward) *backward {
	var first *backward
	for _, w := range walkers {
		if n := w.sequence(); n > 0 && (first == nil || n > first.sequence()) {
			first = w
		}
	}
	return first
}

// walkers returns the walkers over the fewest rows that hold all that is chosen.
func (q *Query) walkers(tx *transaction) []*backward {
	switch {
	case q.Event != "":
		owner := tx.Bucket(bucketEventIDs).Get([]byte(q.Event))
		if owner == nil {
			return nil
		}
		return []*backward{newBackward(tx.Bucket(bucketFanOut), bytes.Clone(owner), q.Before)}
	case q.Status != event.StatusPending && q.Status != event.StatusDead:
		return []*backward{newBackward(tx.Bucket(bucketDeliveries), nil, q.Before)}
	case q.Destination != "":
		return q.walk(nil, tx, q.Destination)
	}
	var walkers []*backward
	c := tx.Bucket(bucketDestinations).Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		if slices.Contains(q.NotTo, string(name)) {
			continue
		}
		walkers = q.walk(walkers, tx, string(name))
	}
	return walkers
}

// walk adds the walker over what is pending for a destination, or dead.
func (q *Query) walk(walkers []*backward, tx *transaction, destination string) []*backward {
	if q.Status == event.StatusDead {
		return append(walkers, newBackward(tx.Bucket(bucketDead), appendText(nil, destination), q.Before))
	}
	if queue := tx.queue(destination); queue != nil {
		walkers = append(walkers, newBackward(queue.Bucket, []byte{kindPending}, q.Before))
	}
	return walkers
}
