// Package hashtable finds numbered slots by the hash of what they hold.
package hashtable

import "math/bits"

// Table finds slots by the hash of their id: open addressing with linear
// probing, at most four fifths full. It is cut into segments that grow one by
// one, so that growing needs little memory besides and never takes long. A byte
// of each hash lies beside the slots, so that the entries of other ids are
// hardly ever touched.
type Table struct {
	Hash     func(slot uint32) uint64 // of a slot in the table; set before the first one
	segments [segmentCount]segment
}

const (
	segmentBits  = 6
	segmentCount = 1 << segmentBits
	segmentFirst = 8       // slots
	segmentStep  = 2 << 10 // slots: sizes of large segments fill whole pages
)

type segment struct {
	tags  []uint8 // 0: nothing there
	slots []uint32
	used  int
}

func (t *Table) segment(hash uint64) *segment { return &t.segments[hash>>(64-segmentBits)] }

// tagOf and home use other bits of the hash than the choice of the segment does.
func tagOf(hash uint64) uint8 { return uint8(hash)%255 + 1 }

func (s *segment) home(hash uint64) int {
	high, _ := bits.Mul64(hash<<segmentBits, uint64(len(s.slots)))
	return int(high)
}

// Probe walks over the slots whose ids may have a hash.
type Probe struct {
	segment *segment
	at      int
	tag     uint8
}

// Probe begins a walk over the slots whose ids may have a hash.
func (t *Table) Probe(hash uint64) Probe {
	s := t.segment(hash)
	return Probe{segment: s, at: s.home(hash), tag: tagOf(hash)}
}

// Next returns the next slot, and whether there is one.
func (p *Probe) Next() (uint32, bool) {
	for p.segment.used > 0 {
		at := p.at
		p.at = (at + 1) % len(p.segment.tags)
		switch p.segment.tags[at] {
		case p.tag:
			return p.segment.slots[at], true
		case 0:
			return 0, false
		}
	}
	return 0, false
}

// Insert adds a slot that is not in the table.
func (t *Table) Insert(hash uint64, slot uint32) {
	s := t.segment(hash)
	if (s.used+1)*5 > len(s.slots)*4 {
		size := len(s.slots) * 5 / 4
		if size < 4*segmentStep {
			size = len(s.slots) * 2 // what is wasted is little
		}
		t.resize(s, size)
	}
	s.place(hash, slot)
	s.used++
}

func (s *segment) place(hash uint64, slot uint32) {
	at := s.home(hash)
	for s.tags[at] != 0 {
		at = (at + 1) % len(s.tags)
	}
	s.tags[at], s.slots[at] = tagOf(hash), slot
}

func (t *Table) resize(s *segment, size int) {
	step := segmentFirst
	if size > segmentStep {
		step = segmentStep
	}
	size = size - size%step + step
	old := *s
	s.tags, s.slots = make([]uint8, size), make([]uint32, size)
	for i, tag := range old.tags {
		if tag != 0 {
			s.place(t.Hash(old.slots[i]), old.slots[i])
		}
	}
}

// Remove takes a slot out and moves those behind it to where a probe that stops
// at the gap finds them.
func (t *Table) Remove(hash uint64, slot uint32) {
	s := t.segment(hash)
	gap := s.home(hash)
	for s.tags[gap] == 0 || s.slots[gap] != slot {
		gap = (gap + 1) % len(s.tags)
	}
	for at := gap; ; {
		at = (at + 1) % len(s.tags)
		if s.tags[at] == 0 {
			break
		}
		if s.distance(s.home(t.Hash(s.slots[at])), at) >= s.distance(gap, at) {
			s.tags[gap], s.slots[gap] = s.tags[at], s.slots[at]
			gap = at
		}
	}
	s.tags[gap] = 0
	s.used--
}

// distance is how many steps a probe takes from one place to another.
func (s *segment) distance(from, to int) int {
	return (to - from + len(s.tags)) % len(s.tags)
}

// Shrink makes segments as small as they can be.
func (t *Table) Shrink() {
	for i := range t.segments {
		s := &t.segments[i]
		if size := s.used * 5 / 4; size < len(s.slots)/2 {
			t.resize(s, size)
		}
	}
}
