package poller

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
)

// entry is a session that the account knows, with what this process knows of it
// besides what is stored.
type entry struct {
	t      event.Tracked
	tried  time.Time
	ending bool

	scanHash uint64
	pass     uint32 // the last pass that was shown it
	misses   uint8  // passes in a row in which the API said that it does not exist
}

func (e *entry) created() time.Time                         { return e.t.Created }
func (e *entry) expiry() time.Time                          { return e.t.Expiry() }
func (e *entry) lookedAt() time.Time                        { return e.t.LookedAt }
func (e *entry) triedAt() time.Time                         { return e.tried }
func (e *entry) watch() event.Watch                         { return e.t.Watch }
func (e *entry) isHeld() bool                               { return e.t.Held }
func (e *entry) isEnding() bool                             { return e.ending }
func (e *entry) setLooked(t time.Time)                      { e.t.LookedAt = t }
func (e *entry) setTried(t time.Time)                       { e.tried = t }
func (e *entry) setEnding()                                 { e.ending = true }
func (e *entry) setWatch(w event.Watch)                     { e.t.Watch = w }
func (e *entry) giveUpAt(unpaidFor time.Duration) time.Time { return e.t.GiveUpAt(unpaidFor) }

// index is what an account knows, by id and in the order of the list. It may
// have forgotten settled sessions: what it does not know is looked up in the
// store before it counts as new.
type index struct {
	byID   map[string]*entry
	oldest []*entry // by created and id, once sorted
	sorted bool
}

func newIndex() *index { return &index{byID: make(map[string]*entry), sorted: true} }

func (x *index) len() int                { return len(x.oldest) }
func (x *index) get(id string) *entry    { return x.byID[id] }
func (x *index) find(id []byte) *entry   { return x.byID[string(id)] }
func (x *index) id(e *entry) string      { return e.t.ID }
func (x *index) status(e *entry) string  { return e.t.Status }
func (x *index) payment(e *entry) string { return e.t.PaymentStatus }
func (x *index) at(i int) *entry         { return x.byAge()[i] }

// put inserts or updates a row and returns its entry.
func (x *index) put(row *event.Tracked) *entry {
	e := x.byID[row.ID]
	if e == nil {
		e = &entry{}
		x.byID[row.ID] = e
		x.oldest = append(x.oldest, e)
		x.sorted = false
	}
	e.t = *row
	e.scanHash = row.ScanHash
	return e
}

// byAge sorts the entries if need be and returns them, oldest first.
func (x *index) byAge() []*entry {
	if !x.sorted {
		slices.SortFunc(x.oldest, func(a, b *entry) int {
			return compareAge(a.t.Created, a.t.ID, b.t.Created, b.t.ID)
		})
		x.sorted = true
	}
	return x.oldest
}

// compareAge is the order of the list: by creation time, ties by the number in
// the id, which is longer or greater for the later session.
func compareAge(created time.Time, id string, otherCreated time.Time, otherID string) int {
	if c := created.Compare(otherCreated); c != 0 {
		return c
	}
	if c := cmp.Compare(len(id), len(otherID)); c != 0 {
		return c
	}
	return strings.Compare(id, otherID)
}

// position is the entry's place in the order of age.
func (x *index) position(e *entry) int {
	at, _ := slices.BinarySearchFunc(x.byAge(), e, func(a, b *entry) int {
		return compareAge(a.t.Created, a.t.ID, b.t.Created, b.t.ID)
	})
	return at
}

// search returns the place of the first entry created at t or later.
func (x *index) search(t time.Time) int {
	at, _ := slices.BinarySearchFunc(x.byAge(), t, func(e *entry, t time.Time) int { return e.t.Created.Compare(t) })
	return at
}

// forget drops settled entries that were created before a time, so that memory
// is bounded by what the windows reach.
func (x *index) forget(before time.Time) {
	all := x.byAge()
	border := x.search(before)
	if border == 0 {
		return
	}
	kept := all[:0]
	for i, e := range all {
		if i < border && !e.t.Watch.Is(event.Watched) {
			delete(x.byID, e.t.ID)
			continue
		}
		kept = append(kept, e)
	}
	clear(all[len(kept):])
	x.oldest = kept
}
