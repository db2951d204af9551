package index

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// At returns the i-th entry by age, the oldest first. What Put inserts moves the
// positions behind it once the next call of At, Position, Search or Forget has
// sorted it in.
func (x *Index) At(i int) *Entry {
	x.settle()
	return x.slabs.entry(x.order[i])
}

// Position returns an entry's place in the order of age.
func (x *Index) Position(e *Entry) int {
	x.settle()
	return sort.Search(len(x.order), func(i int) bool { return x.compare(x.slabs.entry(x.order[i]), e) >= 0 })
}

// firstBorn returns the first position of the sorted part that is not below a second.
func (x *Index) firstBorn(second int64) int {
	return sort.Search(len(x.order), func(i int) bool { return int64(x.slabs.entry(x.order[i]).born) >= second })
}

// compare is compareAge, without making ids where numbers will do.
func (x *Index) compare(a, b *Entry) int {
	if c := cmp.Compare(a.born, b.born); c != 0 {
		return c
	}
	if a.prefix == b.prefix && a.prefix != aside {
		return cmp.Compare(a.number, b.number)
	}
	return compareAge(a.Created(), x.ID(a), b.Created(), x.ID(b))
}

// settle sorts the tail and merges it into the order, from the end, where new
// sessions belong: a few of them do not touch the rest.
func (x *Index) settle() {
	if len(x.tail) == 0 {
		return
	}
	x.sort(x.tail)
	if len(x.order) == 0 {
		x.order, x.tail = x.tail, nil
		return
	}
	end, room := len(x.order), len(x.tail)
	x.order = append(x.order, x.tail...)
	for ; room > 0; room-- {
		slot := x.tail[room-1]
		from := x.behind(end, x.slabs.entry(slot))
		copy(x.order[from+room:], x.order[from:end])
		x.order[from+room-1] = slot
		end = from
	}
	x.tail = x.tail[:0]
	if cap(x.tail) > slabSize {
		x.tail = nil
	}
}

// behind returns where an entry belongs among the first end ones, searching
// from their end.
func (x *Index) behind(end int, e *Entry) int {
	above := func(i int) bool { return x.compare(x.slabs.entry(x.order[i]), e) > 0 }
	low, step := end, 1
	for low > 0 && above(low-1) {
		end = low - 1
		low = max(0, low-step)
		step *= 2
	}
	return low + sort.Search(end-low, func(i int) bool { return above(low + i) })
}

// sort sorts slots by age: by second, which needs no entry at hand, and then
// those of one second by id.
func (x *Index) sort(slots []uint32) {
	keys := make([]uint64, len(slots))
	for i, slot := range slots {
		keys[i] = uint64(x.slabs.entry(slot).born)<<32 | uint64(slot)
	}
	slices.Sort(keys)
	for i, k := range keys {
		slots[i] = uint32(k)
	}
	for from := 0; from < len(keys); {
		to := from + 1
		for to < len(keys) && keys[to]>>32 == keys[from]>>32 {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(slots[from:to], func(a, b uint32) int { return x.compare(x.slabs.entry(a), x.slabs.entry(b)) })
		}
		from = to
	}
}

// SetBack notes that all looks after a time were earlier than it seemed.
func (x *Index) SetBack(by time.Duration, after time.Time) {
	for i := range x.Len() {
		e := x.At(i)
		if looked := e.LookedAt(); looked.After(after) {
			e.SetLooked(looked.Add(-by))
		}
		if tried := e.TriedAt(); tried.After(after) {
			e.SetTried(tried.Add(-by))
		}
	}
}

// reorder moves an entry to another creation time, which the store never does.
func (x *Index) reorder(e *Entry, born uint32) {
	at := x.Position(e)
	slot := x.order[at]
	x.order = slices.Delete(x.order, at, at+1)
	e.born = born
	x.tail = append(x.tail, slot)
}
