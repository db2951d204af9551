package poller

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// at returns the i-th entry by age, the oldest first. What put inserts moves the
// positions behind it once the next call of at, position, search or forget has
// sorted it in.
func (x *index) at(i int) *entry {
	x.settle()
	return x.slabs.entry(x.order[i])
}

// position returns an entry's place in the order of age.
func (x *index) position(e *entry) int {
	x.settle()
	return sort.Search(len(x.order), func(i int) bool { return x.compare(x.slabs.entry(x.order[i]), e) >= 0 })
}

// firstBorn returns the first position of the sorted part that is not below a second.
func (x *index) firstBorn(second int64) int {
	return sort.Search(len(x.order), func(i int) bool { return int64(x.slabs.entry(x.order[i]).born) >= second })
}

// compare is compareAge, without making ids where numbers will do.
func (x *index) compare(a, b *entry) int {
	if c := cmp.Compare(a.born, b.born); c != 0 {
		return c
	}
	if a.prefix == b.prefix && a.prefix != aside {
		return cmp.Compare(a.number, b.number)
	}
	return compareAge(a.created(), x.id(a), b.created(), x.id(b))
}

// settle sorts the tail and merges it into the order, from the end, where new
// sessions belong: a few of them do not touch the rest.
func (x *index) settle() {
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
func (x *index) behind(end int, e *entry) int {
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
func (x *index) sort(slots []uint32) {
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

// setBack notes that all looks after a time were earlier than it seemed.
func (x *index) setBack(by time.Duration, after time.Time) {
	for i := range x.len() {
		e := x.at(i)
		if looked := e.lookedAt(); looked.After(after) {
			e.setLooked(looked.Add(-by))
		}
		if tried := e.triedAt(); tried.After(after) {
			e.setTried(tried.Add(-by))
		}
	}
}

// reorder moves an entry to another creation time, which the store never does.
func (x *index) reorder(e *entry, born uint32) {
	at := x.position(e)
	slot := x.order[at]
	x.order = slices.Delete(x.order, at, at+1)
	e.born = born
	x.tail = append(x.tail, slot)
}
