package index

import (
	"math"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// Entry is a session that is known, with what this process knows of it besides what
// is stored. It belongs to its Index and is read and changed under the same lock. It
// holds no pointers, so that the garbage collector does not visit a million of them.
// Times are seconds since 1970, which end in 2106; those outside are moved to the
// nearest one.
type Entry struct {
	number   uint64 // of the id; or its place among the ids that are kept aside
	ScanHash uint64 // of what was stored last: see event.Tracked

	born     uint32 // rounded down: part of the order, changed by the index only
	expires  uint32 // rounded up
	giveUp   uint32 // from when unpaidFor counts, rounded up
	looked   uint32
	tried    uint32
	Pass     uint32 // the last pass that was shown it
	lookedMS uint16

	Misses      uint8 // passes in a row in which the API said that it does not exist
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

func (e *Entry) setFlag(flag uint8, to bool) {
	e.flags &^= flag
	if to {
		e.flags |= flag
	}
}

// IsHeld says whether every look counts, changed or not.
func (e *Entry) IsHeld() bool { return e.flags&flagHeld != 0 }

// IsEnding says whether a look shortly before its expiry was handed on.
func (e *Entry) IsEnding() bool { return e.flags&flagEnding != 0 }

// SetEnding notes whether such a look was handed on.
func (e *Entry) SetEnding(to bool) { e.setFlag(flagEnding, to) }

// IsUnlisted says whether the API insisted on a list without the session.
func (e *Entry) IsUnlisted() bool { return e.flags&flagUnlisted != 0 }

// SetUnlisted notes whether it does.
func (e *Entry) SetUnlisted(to bool) { e.setFlag(flagUnlisted, to) }

// Setbacks is how many questions for the session alone were not answered in a
// row, while the API answered others.
func (e *Entry) Setbacks() int { return int(e.flags / firstSetback) }

// SetSetbacks notes how many there were; more than mostSetbacks count as that many.
func (e *Entry) SetSetbacks(n int) {
	e.flags = e.flags%firstSetback + uint8(min(n, mostSetbacks))*firstSetback
}

// Created returns the creation time, rounded down to a second.
func (e *Entry) Created() time.Time { return secondTime(e.born) }

// Expiry returns the end of the session's time, rounded up to a second.
func (e *Entry) Expiry() time.Time { return secondTime(e.expires) }

// LookedAt returns when the session was last looked at, zero if it never was.
func (e *Entry) LookedAt() time.Time { return knownTime(e.looked, e.lookedMS) }

// TriedAt returns when it was last asked for, to the second, zero if it never was.
func (e *Entry) TriedAt() time.Time { return knownTime(e.tried, 0) }

// SetTried notes when it was asked for; a time that TriedAt returned is kept as it is.
func (e *Entry) SetTried(t time.Time) { e.tried = floorSecond(t) }

// SetLooked keeps a time to the millisecond, rounded down: a look is never taken
// for later than it was.
func (e *Entry) SetLooked(t time.Time) {
	e.looked, e.lookedMS = floorSecond(t), 0
	if int64(e.looked) == t.Unix() {
		e.lookedMS = uint16(t.Nanosecond() / int(time.Millisecond))
	}
}

// GiveUpAt is event.Tracked.GiveUpAt, rounded up.
func (e *Entry) GiveUpAt(unpaidFor time.Duration) time.Time {
	return time.Unix(wholeSecond(secondTime(e.giveUp).Add(unpaidFor)), 0).UTC()
}

// watches are the states that an entry can be in. All that others have in common
// is that the session is not watched.
var watches = [...]event.Watch{"", event.Watched, event.Settled, event.GivenUp, event.Vanished, "other"}

func (e *Entry) watch() event.Watch { return watches[e.watchCode] }

// IsWatched says whether every change of the session is to be seen.
func (e *Entry) IsWatched() bool { return e.watch().Is(event.Watched) }

// IsVanished says whether the API no longer shows the session.
func (e *Entry) IsVanished() bool { return e.watch().Is(event.Vanished) }

func (e *Entry) setWatch(w event.Watch) {
	code := slices.Index(watches[:], w)
	if code < 0 {
		code = len(watches) - 1
	}
	e.watchCode = uint8(code)
}

// Listed says whether the list is expected to show the session, as far as the state
// that is stored and the denials tell; IsUnlisted is what the API says instead.
func (e *Entry) Listed() bool { return !e.IsVanished() && e.Misses == 0 }

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
