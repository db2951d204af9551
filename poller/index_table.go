package poller

import "math/bits"

// table finds slots by the hash of their id: open addressing with linear
// probing, at most four fifths full. It is cut into segments that grow one by
// one, so that growing needs little memory besides and never takes long. A byte
// of each hash lies beside the slots, so that the entries of other ids are
// hardly ever touched.
type table struct {
	segments [segmentCount]segment
	hash     func(slot uint32) uint64
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

func (t *table) segment(hash uint64) *segment { return &t.segments[hash>>(64-segmentBits)] }

// tagOf and home use other bits of the hash than the choice of the segment does.
func tagOf(hash uint64) uint8 { return uint8(hash)%255 + 1 }

func (s *segment) home(hash uint64) int {
	high, _ := bits.Mul64(hash<<segmentBits, uint64(len(s.slots)))
	return int(high)
}

// probe walks over the slots whose ids may have a hash.
type probe struct {
	*segment
	at  int
	tag uint8
}

func (t *table) probe(hash uint64) probe {
	s := t.segment(hash)
	return probe{segment: s, at: s.home(hash), tag: tagOf(hash)}
}

func (p *probe) next() (uint32, bool) {
	for p.used > 0 {
		at := p.at
		p.at = (at + 1) % len(p.tags)
		switch p.tags[at] {
		case p.tag:
			return p.slots[at], true
		case 0:
			return 0, false
		}
	}
	return 0, false
}

// insert adds a slot that is not in the table.
func (t *table) insert(hash uint64, slot uint32) {
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

func (t *table) resize(s *segment, size int) {
	step := segmentFirst
	if size > segmentStep {
		step = segmentStep
	}
	size = size - size%step + step
	old := *s
	s.tags, s.slots = make([]uint8, size), make([]uint32, size)
	for i, tag := range old.tags {
		if tag != 0 {
			s.place(t.hash(old.slots[i]), old.slots[i])
		}
	}
}

// remove takes a slot out and moves those behind it to where a probe that stops
// at the gap finds them.
func (t *table) remove(hash uint64, slot uint32) {
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
		if s.distance(s.home(t.hash(s.slots[at])), at) >= s.distance(gap, at) {
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

// shrink makes segments as small as they can be.
func (t *table) shrink() {
	for i := range t.segments {
		s := &t.segments[i]
		if size := s.used * 5 / 4; size < len(s.slots)/2 {
			t.resize(s, size)
		}
	}
}
