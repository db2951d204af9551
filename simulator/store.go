package simulator

import (
	"cmp"
	"container/heap"
	"slices"
	"strconv"
	"strings"
	"time"
)

// snowflakeEpoch is the millisecond at which the id's clock stood at zero.
const snowflakeEpoch = 1288834974657

// record is one session with every state that it ever had.
type record struct {
	id       string
	num      uint64    // the digits of the id; breaks ties in the order
	versions []version // oldest first, never empty
	timedOut bool      // the expiry timer has fired, once in a life
}

// version is a session's state from a moment on. It is never changed after it
// was stored, so it may be read without the lock.
type version struct {
	at      time.Time
	created int64 // Unix ms, a whole second
	expires int64 // Unix ms, 0 without
	fields  map[string]any
	changed []string // top-level fields, sorted; empty at creation
	usual   *usual
}

func (r *record) last() version { return r.versions[len(r.versions)-1] }

// asOf returns the state that held at t; ok is false if there was none yet.
func (r *record) asOf(t time.Time) (version, bool) {
	for _, v := range slices.Backward(r.versions) {
		if !v.at.After(t) {
			return v, true
		}
	}
	return version{}, false
}

// compareRecords orders by creation, then by the id's number.
func compareRecords(a, b *record) int {
	return cmp.Or(
		cmp.Compare(a.last().created, b.last().created),
		cmp.Compare(a.num, b.num),
		cmp.Compare(a.id, b.id),
	)
}

// store holds all sessions. API.mu guards it.
type store struct {
	worker    uint64 // ten bits inside every id
	byID      map[string]*record
	order     []*record // ascending by compareRecords
	timers    timers
	lastNum   uint64
	heldUntil time.Time // nothing expired before it: the fault no_expiry held
}

func newStore(seed uint64) store {
	return store{worker: seed & 0x3ff, byID: map[string]*record{}}
}

// nextNum makes the number of a new id out of its creation time. Before the
// epoch, as under a fake clock, there is no such number: the ids stay unique
// but say nothing about the time.
func (s *store) nextNum(ms int64) uint64 {
	since := uint64(max(ms-snowflakeEpoch, 0))
	num := since<<22 | s.worker<<12
	if s.lastNum >= num && s.lastNum>>22 == since {
		num = s.lastNum + 1
	}
	for s.byID[sessionID(num)] != nil {
		num++
	}
	s.lastNum = num
	return num
}

func sessionID(num uint64) string { return "cs_" + strconv.FormatUint(num, 10) }

// numberOf returns the digits at the end of an id, 0 if there are none.
func numberOf(id string) uint64 {
	digits := id[strings.LastIndexByte(id, '_')+1:]
	num, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return num
}

// insert files a record under its present creation time.
func (s *store) insert(r *record) {
	s.byID[r.id] = r
	at, _ := slices.BinarySearchFunc(s.order, r, compareRecords)
	s.order = slices.Insert(s.order, at, r)
	s.arm(r)
}

// replace adds a new state to a record and keeps order and timers right.
func (s *store) replace(r *record, next version) {
	old := r.last()
	if next.created != old.created {
		at, _ := slices.BinarySearchFunc(s.order, r, compareRecords)
		s.order = slices.Delete(s.order, at, at+1)
		r.versions = append(r.versions, next)
		at, _ = slices.BinarySearchFunc(s.order, r, compareRecords)
		s.order = slices.Insert(s.order, at, r)
	} else {
		r.versions = append(r.versions, next)
	}
	if next.expires != old.expires {
		r.timedOut = false
		s.arm(r)
	}
}

// settle expires the open sessions whose time has come. It is called before
// every look and every change, so that no timer needs to run.
func (s *store) settle(now time.Time) {
	for len(s.timers) > 0 && s.timers[0].due <= now.UnixMilli() {
		due := heap.Pop(&s.timers).(timer)
		r, v := due.record, due.record.last()
		if r.timedOut || v.expires != due.due {
			continue
		}
		r.timedOut = true
		if text(v.fields["status"]) != "open" {
			continue
		}
		at := latest(time.UnixMilli(due.due), v.at, s.heldUntil)
		s.replace(r, v.with(at, map[string]any{"status": "expired"}))
	}
}

func (s *store) arm(r *record) {
	if due := r.last().expires; due != 0 {
		heap.Push(&s.timers, timer{due: due, record: r})
	}
}

func latest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

// timer is one entry of the expiry queue; it is void if the record's expiry
// has moved since.
type timer struct {
	due    int64 // Unix ms
	record *record
}

type timers []timer

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if t[i].due != t[j].due {
		return t[i].due < t[j].due
	}
	return t[i].record.num < t[j].record.num
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
