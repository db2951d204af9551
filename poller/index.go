package poller

import (
	"cmp"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/hashtable"
)

// index is what an account knows, by id and in the order of the list. It may
// have forgotten settled sessions: what it does not know is looked up in the
// store before it counts as new. It is used under its owner's lock. An *entry
// stays where it is until forget drops it.
type index struct {
	slabs  slabs
	table  hashtable.Table
	order  []uint32 // slots by age
	tail   []uint32 // slots that at, position, search and forget sort in first
	ids    ids
	words  words
	seed   maphash.Seed
	salt   [2]uint64
	length int
}

func newIndex() *index {
	x := &index{words: newWords(), seed: maphash.MakeSeed(), salt: [2]uint64{rand.Uint64(), rand.Uint64()}}
	x.table.Hash = func(slot uint32) uint64 { return x.hash(x.slabs.entry(slot)) }
	return x
}

func (x *index) len() int { return x.length }

// get returns a session's entry, nil if it is not known.
func (x *index) get(id string) *entry {
	_, e := lookUp(x, keyOf(x, id), id)
	return e
}

// find is get for an id in a buffer.
func (x *index) find(id []byte) *entry {
	_, e := lookUp(x, keyOf(x, id), id)
	return e
}

func lookUp[T text](x *index, k key, id T) (slot uint32, e *entry) {
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

// put inserts a row or updates what is stored of it. What this process alone
// knows of the session stays. The row is not kept.
func (x *index) put(row *event.Tracked) *entry {
	k := keyOf(x, row.ID)
	slot, e := lookUp(x, k, row.ID)
	born := floorSecond(row.Created)
	if e == nil {
		slot, e = x.insert(k, row.ID, born)
	} else if e.born != born {
		x.reorder(e, born)
	}
	e.scanHash = row.ScanHash
	e.expires = ceilSecond(row.Expiry())
	e.giveUp = ceilSecond(row.GiveUpAt(0))
	e.statusWord, e.paymentWord = x.words.add(row.Status), x.words.add(row.PaymentStatus)
	e.setFlag(flagHeld, row.Held)
	e.setLooked(row.LookedAt)
	x.watch(slot, e, row.Watch)
	return e
}

func (x *index) insert(k key, id string, born uint32) (uint32, *entry) {
	switch k.prefix {
	case newPrefix:
		k.prefix = x.ids.addPrefix(id[:k.head])
		k.hash = x.mix(k.prefix, k.number)
	case aside:
		k.number = x.ids.keep(id)
	}
	slot, e := x.slabs.take()
	*e = entry{prefix: k.prefix, number: k.number, born: born}
	x.table.Insert(k.hash, slot)
	x.tail = append(x.tail, slot)
	x.length++
	return slot, e
}

// setWatch sets whether a session is watched, if it is known.
func (x *index) setWatch(id string, w event.Watch) {
	if slot, e := lookUp(x, keyOf(x, id), id); e != nil {
		x.watch(slot, e, w)
	}
}

func (x *index) watch(slot uint32, e *entry, w event.Watch) {
	e.setWatch(w)
	x.slabs.mark(slot, x.isRevisited(e))
}

// isRevisited says whether passes ask for the session: one that can still change,
// shown or vanished, or whose step back awaits confirmation.
func (x *index) isRevisited(e *entry) bool {
	if e.isVanished() {
		return !isSettled(x.status(e), x.payment(e))
	}
	return e.isWatched() || e.isHeld()
}

// revisited visits the slots of the sessions that passes look at again, in no
// order. The others, usually most, cost nothing.
func (x *index) revisited() iter.Seq2[uint32, *entry] { return x.slabs.marked }

// newestFirst returns the entries of slots in the order of the list. It may
// reorder slots.
func (x *index) newestFirst(slots []uint32) []*entry {
	x.sort(slots)
	entries := make([]*entry, len(slots))
	for i, slot := range slots {
		entries[len(slots)-1-i] = x.slabs.entry(slot)
	}
	return entries
}

// search returns the first position of a session that was created at t or later.
func (x *index) search(t time.Time) int {
	x.settle()
	return x.firstBorn(wholeSecond(t))
}

// forget drops sessions that were created in a second before that of a time and
// are not looked at again, so that memory is bounded by what the windows reach.
func (x *index) forget(before time.Time) {
	x.settle()
	border := x.firstBorn(before.Unix())
	kept := 0
	for _, slot := range x.order[:border] {
		if e := x.slabs.entry(slot); x.isRevisited(e) {
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

func (x *index) drop(slot uint32, e *entry) {
	x.table.Remove(x.hash(e), slot)
	if e.prefix == aside {
		x.ids.release(e.number)
	}
	x.slabs.release(slot)
	x.length--
}

// shrink lets go of memory that a much longer index needed.
func (x *index) shrink() {
	if cap(x.order) > 2*len(x.order)+slabSize {
		x.order = append(make([]uint32, 0, len(x.order)), x.order...)
		x.table.Shrink()
	}
}

// status returns the status that is stored, payment the payment status. Beyond
// maxWords different ones the rest read as a word that no answer contains: such
// a session always looks changed, which is dearer and never wrong.
func (x *index) status(e *entry) string  { return x.words.list[e.statusWord] }
func (x *index) payment(e *entry) string { return x.words.list[e.paymentWord] }

// compareAge is the order of the list: by creation time, ties by the number in
// the id, which is longer or greater for the later session.
func compareAge(created time.Time, id string, otherCreated time.Time, otherID string) int {
	return cmp.Or(created.Compare(otherCreated), cmp.Compare(len(id), len(otherID)), strings.Compare(id, otherID))
}

// newerNeighbour returns the id after which a list shows the session, "" if it
// is the newest known.
func (x *index) newerNeighbour(of *entry) string {
	return x.listedFrom(x.position(of) + 1)
}

// listedFrom returns the id of the oldest session from a position on that a list shows.
func (x *index) listedFrom(from int) string {
	for i := from; i < x.len(); i++ {
		if e := x.at(i); e.listed() {
			return x.id(e)
		}
	}
	return ""
}
