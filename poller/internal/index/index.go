// Package index keeps the sessions that are known, by id and in the order of the list,
// a million of them in little memory. It knows neither accounts nor the API: its owner
// says what was stored, what a pass was shown and what may be forgotten.
package index

import (
	"cmp"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/hashtable"
)

// Index holds the known sessions, by id and in the order of the list. It may
// have forgotten settled ones: what it does not know is looked up in the
// store before it counts as new. It is not safe for concurrent use, reading included:
// its owner calls it, and reads and writes its entries, under one lock. An *Entry
// stays where it is until Forget drops it.
type Index struct {
	slabs  slabs
	table  hashtable.Table
	order  []uint32 // slots by age
	tail   []uint32 // slots that At, Position, Search and Forget sort in first
	ids    ids
	words  words
	seed   maphash.Seed
	salt   [2]uint64
	length int
}

// New returns an empty index.
func New() *Index {
	x := &Index{words: newWords(), seed: maphash.MakeSeed(), salt: [2]uint64{rand.Uint64(), rand.Uint64()}}
	x.table.Hash = func(slot uint32) uint64 { return x.hash(x.slabs.entry(slot)) }
	return x
}

// Len returns how many sessions are known.
func (x *Index) Len() int { return x.length }

// Get returns a session's entry, nil if it is not known.
func (x *Index) Get(id string) *Entry {
	_, e := lookUp(x, keyOf(x, id), id)
	return e
}

// Find is Get for an id in a buffer.
func (x *Index) Find(id []byte) *Entry {
	_, e := lookUp(x, keyOf(x, id), id)
	return e
}

func lookUp[T text](x *Index, k key, id T) (slot uint32, e *Entry) {
	if k.prefix == newPrefix {
		return 0, nil
	}
	p := x.table.Probe(k.hash)
	for slot, ok := p.Next(); ok; slot, ok = p.Next() {
		e := x.slabs.entry(slot)
		if e.prefix != k.prefix {
			continue
		}
		if (k.prefix == aside && x.ids.aside[e.number] == string(id)) || (k.prefix != aside && e.number == k.number) {
			return slot, e
		}
	}
	return 0, nil
}

// Put inserts a row or updates what is stored of it. What this process alone
// knows of the session stays. The row is not kept.
func (x *Index) Put(row *event.Tracked) *Entry {
	k := keyOf(x, row.ID)
	slot, e := lookUp(x, k, row.ID)
	born := floorSecond(row.Created)
	if e == nil {
		slot, e = x.insert(k, row.ID, born)
	} else if e.born != born {
		x.reorder(e, born)
	}
	e.ScanHash = row.ScanHash
	e.expires = ceilSecond(row.Expiry())
	e.giveUp = ceilSecond(row.GiveUpAt(0))
	e.statusWord, e.paymentWord = x.words.add(row.Status), x.words.add(row.PaymentStatus)
	e.setFlag(flagHeld, row.Held)
	e.SetLooked(row.LookedAt)
	x.watch(slot, e, row.Watch)
	return e
}

func (x *Index) insert(k key, id string, born uint32) (uint32, *Entry) {
	switch k.prefix {
	case newPrefix:
		k.prefix = x.ids.addPrefix(id[:k.head])
		k.hash = x.mix(k.prefix, k.number)
	case aside:
		k.number = x.ids.keep(id)
	}
	slot, e := x.slabs.take()
	*e = Entry{prefix: k.prefix, number: k.number, born: born}
	x.table.Insert(k.hash, slot)
	x.tail = append(x.tail, slot)
	x.length++
	return slot, e
}

// SetWatch sets whether a session is watched, if it is known.
func (x *Index) SetWatch(id string, w event.Watch) {
	if slot, e := lookUp(x, keyOf(x, id), id); e != nil {
		x.watch(slot, e, w)
	}
}

func (x *Index) watch(slot uint32, e *Entry, w event.Watch) {
	e.setWatch(w)
	x.slabs.mark(slot, x.IsRevisited(e))
}

// IsRevisited says whether passes ask for the session: one that can still change,
// shown or vanished, or whose step back awaits confirmation.
func (x *Index) IsRevisited(e *Entry) bool {
	if e.IsVanished() {
		return !isSettled(x.Status(e), x.Payment(e))
	}
	return e.IsWatched() || e.IsHeld()
}

// Revisited visits the slots of the sessions that passes look at again, in no
// order. The others, usually most, cost nothing.
func (x *Index) Revisited() iter.Seq2[uint32, *Entry] { return x.slabs.marked }

// NewestFirst returns the entries of slots in the order of the list. It may
// reorder slots.
func (x *Index) NewestFirst(slots []uint32) []*Entry {
	x.sort(slots)
	entries := make([]*Entry, len(slots))
	for i, slot := range slots {
		entries[len(slots)-1-i] = x.slabs.entry(slot)
	}
	return entries
}

// Search returns the first position of a session that was created at t or later.
func (x *Index) Search(t time.Time) int {
	x.settle()
	return x.firstBorn(wholeSecond(t))
}

// Forget drops sessions that were created in a second before that of a time and
// are not looked at again, so that memory is bounded by what the windows reach.
func (x *Index) Forget(before time.Time) {
	x.settle()
	border := x.firstBorn(before.Unix())
	kept := 0
	for _, slot := range x.order[:border] {
		if e := x.slabs.entry(slot); x.IsRevisited(e) {
			x.order[kept] = slot
			kept++
		} else {
			x.drop(slot, e)
		}
	}
	if kept == border {
		return
	}
	x.order = x.order[:kept+copy(x.order[kept:], x.order[border:])]
	x.shrink()
}

func (x *Index) drop(slot uint32, e *Entry) {
	x.table.Remove(x.hash(e), slot)
	if e.prefix == aside {
		x.ids.release(e.number)
	}
	x.slabs.release(slot)
	x.length--
}

// shrink lets go of memory that a much longer index needed.
func (x *Index) shrink() {
	if cap(x.order) > 2*len(x.order)+slabSize {
		x.order = append(make([]uint32, 0, len(x.order)), x.order...)
		x.table.Shrink()
	}
}

// Status returns the status that is stored, Payment the payment status. Beyond
// maxWords different ones the rest read as a word that no answer contains: such
// a session always looks changed, which is dearer and never wrong.
func (x *Index) Status(e *Entry) string { return x.words.list[e.statusWord] }

// Payment returns the payment status that is stored; see Status.
func (x *Index) Payment(e *Entry) string { return x.words.list[e.paymentWord] }

// compareAge is the order of the list: by creation time, ties by the number in
// the id, which is longer or greater for the later session.
func compareAge(created time.Time, id string, otherCreated time.Time, otherID string) int {
	return cmp.Or(created.Compare(otherCreated), cmp.Compare(len(id), len(otherID)), strings.Compare(id, otherID))
}

// NewerNeighbour returns the id after which a list shows the session, "" if it
// is the newest known.
func (x *Index) NewerNeighbour(of *Entry) string {
	return x.ListedFrom(x.Position(of) + 1)
}

// ListedFrom returns the id of the oldest session from a position on that a list shows.
func (x *Index) ListedFrom(from int) string {
	for i := from; i < x.Len(); i++ {
		if e := x.At(i); e.Listed() {
			return x.ID(e)
		}
	}
	return ""
}

// Room returns how many sessions, up to a limit, a page may show that begins below a
// position, so that it ends with the first of the given ones; one at least.
func (x *Index) Room(position, limit int, last []*Entry) int {
	if len(last) == 0 {
		return limit
	}
	n := 0
	for i := position - 1; i >= 0 && n < limit; i-- {
		e := x.At(i)
		if e.Listed() {
			n++
		}
		if slices.Contains(last, e) {
			return max(n, 1)
		}
	}
	return limit
}
