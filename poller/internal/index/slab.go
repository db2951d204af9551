package index

import "math/bits"

// slabSize is how many entries are allocated together: 12 KB, a size in which
// the allocator wastes nothing.
const slabSize = 256

// slabs holds entries at addresses that stay. A slot is an entry's number.
type slabs struct {
	list  []*[slabSize]Entry // nil while nothing of it is used
	state []slabState
	open  []uint32 // slabs with room
}

type slabState struct {
	marks [slabSize / 64]uint64 // a bit for each entry that is marked
	used  uint16                // entries in use
	fresh uint16                // entries that were ever in use
	free  uint16                // 1 + the first entry of the free list, which goes on in entry.number
}

func (s *slabs) entry(slot uint32) *Entry { return &s.list[slot/slabSize][slot%slabSize] }

// take returns an entry to be overwritten.
func (s *slabs) take() (uint32, *Entry) {
	if len(s.open) == 0 {
		s.open = append(s.open, uint32(len(s.list)))
		s.list, s.state = append(s.list, nil), append(s.state, slabState{})
	}
	n := s.open[len(s.open)-1]
	if s.list[n] == nil {
		s.list[n] = new([slabSize]Entry)
	}
	state := &s.state[n]
	at := uint32(state.fresh)
	if state.free > 0 {
		at = uint32(state.free - 1)
		state.free = uint16(s.list[n][at].number)
	} else {
		state.fresh++
	}
	if state.used++; state.used == slabSize {
		s.open = s.open[:len(s.open)-1]
	}
	return n*slabSize + at, &s.list[n][at]
}

func (s *slabs) release(slot uint32) {
	n, at := slot/slabSize, slot%slabSize
	state := &s.state[n]
	if state.used == slabSize {
		s.open = append(s.open, n)
	}
	if state.used--; state.used == 0 {
		s.list[n], s.state[n] = nil, slabState{}
		return
	}
	s.list[n][at].number = uint64(state.free)
	state.free = uint16(at + 1)
}

// mark marks an entry, or takes its mark away. One that is released has none.
func (s *slabs) mark(slot uint32, to bool) {
	marks, bit := &s.state[slot/slabSize].marks[slot%slabSize/64], uint64(1)<<(slot%64)
	*marks &^= bit
	if to {
		*marks |= bit
	}
}

// marked visits the marked entries.
func (s *slabs) marked(yield func(uint32, *Entry) bool) {
	for n := range s.state {
		for i, marks := range s.state[n].marks {
			for ; marks != 0; marks &= marks - 1 {
				at := uint32(i*64 + bits.TrailingZeros64(marks))
				if !yield(uint32(n)*slabSize+at, &s.list[n][at]) {
					return
				}
			}
		}
	}
}
