package poll_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// origin is when a run begins: ids of that day look as observed.
var origin = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// status is a session's status and payment_status together.
type status uint8

const (
	absent status = iota
	open
	unpaid // complete, not paid yet
	paid
	free // complete, no payment required
	expired
)

// session is one session's whole life, planned beforehand. Times are Unix
// milliseconds, 0 for never. At 64 bytes a million of them may stay.
type session struct {
	id       int64
	created  int64
	visible  int64 // from when the API shows it
	expires  int64
	complete int64
	settled  int64 // when it reached its end
	end      status
}

// at is what the session is at a time.
func (s *session) at(now int64) status {
	switch {
	case now < s.created:
		return absent
	case s.settled != 0 && now >= s.settled:
		return s.end
	case s.complete != 0 && now >= s.complete:
		return unpaid
	}
	return open
}

// shownCreated is the creation time as the API tells it: milliseconds, rounded
// to the nearest second.
func (s *session) shownCreated() int64 { return (s.created + 500) / 1000 * 1000 }

// The Snowflake epoch and shift of the observed ids.
const (
	idEpoch = 1288834974657
	idShift = 22
)

func appendID(b []byte, id int64) []byte {
	return strconv.AppendInt(append(b, "cs_"...), id, 10)
}

// plan draws the lives of all sessions, oldest first: those of the history
// before origin, and those of the run.
func plan(o options) []session {
	rng := rand.New(rand.NewPCG(o.seed, 1))
	var all []session
	for from := origin.Add(-o.history); from.Before(origin.Add(o.lasts())); from = from.Add(day) {
		for range o.sessions {
			born := from.Add(timeOfDay(rng))
			if born.Before(origin.Add(o.lasts())) {
				all = append(all, live(rng, born.UnixMilli()))
			}
		}
	}
	slices.SortFunc(all, func(a, b session) int { return cmp.Compare(a.id, b.id) })
	return slices.CompactFunc(all, func(a, b session) bool { return a.id == b.id })
}

const day = 24 * time.Hour

// timeOfDay follows a daily curve: at its peak nine times the traffic of its low.
func timeOfDay(rng *rand.Rand) time.Duration {
	for {
		share := rng.Float64()
		if rng.Float64()*1.8 < 1+0.8*math.Sin(2*math.Pi*share) {
			return time.Duration(share * float64(day))
		}
	}
}

// live draws one life: 60 % convert, 5 % are paid seconds after completion, 5 %
// hours after it or never, the others are abandoned and expire.
func live(rng *rand.Rand, born int64) session {
	s := session{
		id:      (born-idEpoch)<<idShift | rng.Int64N(1<<idShift),
		created: born, visible: born,
	}
	if rng.Float64() < 0.005 {
		s.visible += between(rng, 5*time.Second, 2*time.Minute)
	}
	lifetime := day
	if rng.Float64() < 0.2 {
		lifetime = 30 * time.Minute
	}
	s.expires = born + lifetime.Milliseconds()
	done := born + decided(rng, lifetime)
	switch kind := rng.Float64(); {
	case kind < 0.60:
		s.complete, s.settled, s.end = done, done, paid
		if rng.Float64() < 0.03 {
			s.end = free
		}
	case kind < 0.65:
		s.complete, s.settled, s.end = done, done+between(rng, 2*time.Second, 30*time.Second), paid
	case kind < 0.70:
		s.complete = done
		if rng.Float64() >= 0.2 {
			s.settled, s.end = done+between(rng, 4*time.Hour, 64*time.Hour), paid
		}
	default:
		s.settled, s.end = s.expires, expired
	}
	return s
}

// decided is how long a customer who buys takes: minutes, now and then hours.
func decided(rng *rand.Rand, lifetime time.Duration) int64 {
	most := lifetime - time.Second
	after := time.Duration(rng.ExpFloat64() * float64(3*time.Minute))
	if rng.Float64() < 0.1 || after > most {
		return between(rng, 10*time.Second, most)
	}
	return max(after, time.Second).Milliseconds()
}

func between(rng *rand.Rand, least, most time.Duration) int64 {
	return (least + time.Duration(rng.Int64N(int64(most-least)))).Milliseconds()
}
