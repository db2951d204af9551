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
	event.Tracked
	pass   time.Time // the last pass that was shown it
	tried  time.Time // when it was last asked for, found or not
	misses int       // passes in a row in which the API said that it does not exist
	ending bool      // a look within warm_every of its expiry was handed on
}

// index is what an account knows, by id and in the order of the list. It may
// have forgotten settled sessions: what it does not know is looked up in the
// store before it counts as new. Only the account's own goroutine uses it.
type index struct {
	byID   map[string]*entry
	oldest []*entry // by created and id, once sorted
	sorted bool
}

func newIndex() *index { return &index{byID: make(map[string]*entry), sorted: true} }

func (x *index) get(id string) *entry { return x.byID[id] }

// put inserts or updates a row and returns its entry.
func (x *index) put(row event.Tracked) *entry {
	e := x.byID[row.ID]
	if e == nil {
		e = &entry{}
		x.byID[row.ID] = e
		x.oldest = append(x.oldest, e)
		x.sorted = false
	}
	e.Tracked = row
	return e
}

// byAge sorts the entries if need be and returns them, oldest first.
func (x *index) byAge() []*entry {
	if !x.sorted {
		slices.SortFunc(x.oldest, func(a, b *entry) int {
			return compareAge(a.Created, a.ID, b.Created, b.ID)
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

// newerNeighbour returns the id after which a list shows the session, "" if it
// is the newest known.
func (x *index) newerNeighbour(of *entry) string {
	all := x.byAge()
	at, _ := slices.BinarySearchFunc(all, of, func(a, b *entry) int {
		return compareAge(a.Created, a.ID, b.Created, b.ID)
	})
	for _, e := range all[min(at+1, len(all)):] {
		if !e.Watch.Is(event.Vanished) && e.misses == 0 {
			return e.ID
		}
	}
	return ""
}

// forget drops settled entries that were created before a time, so that memory
// is bounded by what the windows reach.
func (x *index) forget(before time.Time) {
	all := x.byAge()
	border, _ := slices.BinarySearchFunc(all, before, func(e *entry, t time.Time) int { return e.Created.Compare(t) })
	if border == 0 {
		return
	}
	kept := all[:0]
	for i, e := range all {
		if i < border && !e.Watch.Is(event.Watched) {
			delete(x.byID, e.ID)
			continue
		}
		kept = append(kept, e)
	}
	clear(all[len(kept):])
	x.oldest = kept
}
