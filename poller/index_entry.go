package poller

import (
	"math"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// entry is a session that the account knows, with what this process knows of it
// besides what is stored. It holds no pointers, so that the garbage collector
// does not visit a million of them. Times are seconds since 1970, which end in
// 2106; those outside are moved to the nearest one.
type entry struct {
	number   uint64 // of the id; or its place among the ids that are kept aside
	scanHash uint64

	born     uint32 // rounded down: part of the order, changed by the index only
	expires  uint32 // rounded up
	giveUp   uint32 // from when unpaidFor counts, rounded up
	looked   uint32
	tried    uint32
	pass     uint32 // the last pass that was shown it
	lookedMS uint16

	misses      uint8 // passes in a row in which the API said that it does not exist
	flags       uint8
	watchCode   uint8
	statusWord  uint8
	paymentWord uint8
	prefix      uint8 // of the id
}

const (
	flagHeld     = 1 << iota // every look counts, changed or not
	flagEnding               // a look within warm_every of its expiry was handed on
	flagUnlisted             // the API insisted on a list without it

	firstSetback = 1 << 4 // the upper half of the flags counts setbacks
	mostSetbacks = 15
)

func (e *entry) setFlag(flag uint8, to bool) {
	e.flags &^= flag
	if to {
		e.flags |= flag
	}
}

func (e *entry) isHeld() bool      { return e.flags&flagHeld != 0 }
func (e *entry) isEnding() bool    { return e.flags&flagEnding != 0 }
func (e *entry) setEnding(to bool) { e.setFlag(flagEnding, to) }

func (e *entry) isUnlisted() bool    { return e.flags&flagUnlisted != 0 }
func (e *entry) setUnlisted(to bool) { e.setFlag(flagUnlisted, to) }

// setbacks is how many questions for the session alone were not answered in a
// row, while the API answered others.
func (e *entry) setbacks() int { return int(e.flags / firstSetback) }

func (e *entry) setSetbacks(n int) {
	e.flags = e.flags%firstSetback + uint8(min(n, mostSetbacks))*firstSetback
}

func (e *entry) created() time.Time   { return secondTime(e.born) }
func (e *entry) expiry() time.Time    { return secondTime(e.expires) }
func (e *entry) triedAt() time.Time   { return knownTime(e.tried, 0) }
func (e *entry) lookedAt() time.Time  { return knownTime(e.looked, e.lookedMS) }
func (e *entry) setTried(t time.Time) { e.tried = floorSecond(t) }

// setLooked keeps a time to the millisecond, rounded down: a look is never taken
// for later than it was.
func (e *entry) setLooked(t time.Time) {
	e.looked, e.lookedMS = floorSecond(t), 0
	if int64(e.looked) == t.Unix() {
		e.lookedMS = uint16(t.Nanosecond() / int(time.Millisecond))
	}
}

// giveUpAt is event.Tracked.GiveUpAt, rounded up.
func (e *entry) giveUpAt(unpaidFor time.Duration) time.Time {
	return time.Unix(wholeSecond(secondTime(e.giveUp).Add(unpaidFor)), 0).UTC()
}

// watches are the states that an entry can be in. All that others have in common
// is that the session is not watched.
var watches = [...]event.Watch{"", event.Watched, event.Settled, event.GivenUp, event.Vanished, "other"}

func (e *entry) watch() event.Watch { return watches[e.watchCode] }

func (e *entry) isWatched() bool { return e.watch().Is(event.Watched) }

func (e *entry) isVanished() bool { return e.watch().Is(event.Vanished) }

func (e *entry) setWatch(w event.Watch) {
	code := slices.Index(watches[:], w)
	if code < 0 {
		code = len(watches) - 1
	}
	e.watchCode = uint8(code)
}

// listed says whether the list is expected to show the session, as far as the state
// that is stored and the denials tell; isUnlisted is what the API says instead.
func (e *entry) listed() bool { return !e.isVanished() && e.misses == 0 }

// isSettled says whether a state is one after which nothing more is expected.
func isSettled(status, payment string) bool {
	return status == checkout.StatusExpired ||
		(status == checkout.StatusComplete && (payment == checkout.PaymentPaid || payment == checkout.PaymentNotRequired))
}

func secondTime(s uint32) time.Time { return time.Unix(int64(s), 0).UTC() }

// knownTime reads a time of which zero says that there is none.
func knownTime(s uint32, ms uint16) time.Time {
	if s == 0 && ms == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), int64(ms)*int64(time.Millisecond)).UTC()
}

func floorSecond(t time.Time) uint32 { return clampSecond(t.Unix()) }
func ceilSecond(t time.Time) uint32  { return clampSecond(wholeSecond(t)) }

func clampSecond(s int64) uint32 { return uint32(min(max(s, 0), math.MaxUint32)) }

// wholeSecond is the first second that does not begin before a time.
func wholeSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// maxWords bounds the different values of status and payment_status.
const maxWords = math.MaxUint8

// words are the values of status and payment_status that occur. They are never
// forgotten: the API has a handful.
type words struct{ list []string }

// newWords knows those that decisions depend on, so that they always find room.
// The first one stands for whatever does not.
func newWords() words {
	return words{list: []string{"\xff", "", checkout.StatusOpen, checkout.StatusComplete, checkout.StatusExpired}}
}

func (w *words) add(word string) uint8 {
	if i := slices.Index(w.list, word); i >= 0 {
		return uint8(i)
	}
	if len(w.list) > maxWords {
		return 0
	}
	w.list = append(w.list, word)
	return uint8(len(w.list) - 1)
}
