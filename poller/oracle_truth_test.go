package poller_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// being is a session of the world, with its whole history.
type being struct {
	fate
	id   string
	when map[string]time.Duration // see whens
}

// condition is what a session is at one moment.
type condition struct {
	status, payment string
	noted           bool
}

// whens lists the times of a session's transitions by event type; those that never
// happen are left out.
func (b *fate) whens() map[string]time.Duration {
	times := map[string]time.Duration{"created": b.born}
	at := b.born + b.at
	if b.ends == abandoned || b.at >= b.lives {
		times["expired"] = b.born + b.lives
		return times
	}
	switch b.ends {
	case cancelled:
		times["expired"] = at
	case isFree:
		times["completed"], times["no_payment_required"], times["fulfillable"] = at, at, at
	case pays:
		times["completed"], times["paid"], times["fulfillable"] = at, at, at
	case paysLater:
		times["completed"], times["paid"], times["fulfillable"] = at, at+b.later, at+b.later
	case owes:
		times["completed"] = at
	}
	return times
}

// path lists what must have been told of a session up to a time.
func (b *being) path(now time.Duration) []string {
	var path []string
	for _, word := range []string{"created", "completed", "expired", "no_payment_required", "paid", "fulfillable"} {
		if b.happened(word, now) {
			path = append(path, word)
		}
	}
	return path
}

func (b *being) condition(now time.Duration) condition {
	c := condition{status: "open", payment: "unpaid", noted: b.noted > 0 && b.born+b.noted <= now}
	switch {
	case b.happened("completed", now):
		c.status = "complete"
	case b.happened("expired", now):
		c.status = "expired"
	}
	for _, word := range []string{"paid", "no_payment_required"} {
		if b.happened(word, now) {
			c.payment = word
		}
	}
	return c
}

func (b *being) happened(word string, now time.Duration) bool {
	at, happens := b.when[word]
	return happens && at <= now
}

// visible says whether the list shows the session at a time.
func (b *being) visible(now time.Duration) bool {
	return now >= b.born+b.lag && !b.hidden(now)
}

func (b *being) hidden(now time.Duration) bool {
	return now >= b.born+b.hides && now < b.born+b.back
}

// broken says whether the API fails over the session at a time.
func (b *being) broken(now time.Duration) bool {
	return now >= b.born+b.breaks && now < b.born+b.mends
}

// shownFrom is when a change of a time can be seen by everybody.
func (b *being) shownFrom(change time.Duration) time.Duration {
	change = max(change, b.born+b.lag)
	for b.hidden(change) || b.broken(change) {
		if b.hidden(change) {
			change = b.born + b.back
		} else {
			change = b.born + b.mends
		}
	}
	return change
}

func (b *being) String() string {
	text := b.id
	for _, word := range b.path(1 << 62) {
		text += fmt.Sprintf(" %s %s", word, b.when[word])
	}
	if b.noted > 0 {
		text += fmt.Sprintf(" noted %s", b.born+b.noted)
	}
	if b.lag > 0 {
		text += fmt.Sprintf(" shown %s", b.born+b.lag)
	}
	if b.back > b.hides {
		text += fmt.Sprintf(" hidden %s to %s", b.born+b.hides, b.born+b.back)
	}
	if b.mends > b.breaks {
		text += fmt.Sprintf(" broken %s to %s", b.born+b.breaks, b.born+b.mends)
	}
	return text
}

// beings lets the sessions of a universe be, newest first.
func (u *universe) beings() []*being {
	var all []*being
	for _, f := range u.fates {
		for n := range f.twins + 1 {
			one := f
			one.born = f.born.Truncate(time.Second) + f.born%time.Second*time.Duration(f.twins+1-n)/time.Duration(f.twins+1)
			all = append(all, &being{fate: one, when: one.whens()})
		}
	}
	slices.SortStableFunc(all, func(a, b *being) int { return cmp.Compare(b.born, a.born) })
	for i, b := range all {
		n := 2_031_282_752_532_728_640 + int64(b.born/time.Millisecond)<<22 + int64(len(all)-i)
		if u.randomIDs {
			n = 1_000_000_000_000_000_000 + int64(chance(u.seed, uint64(i))*1e18)
		}
		b.id = fmt.Sprint("cs_", n)
	}
	return all
}

// chance is a number of [0, 1) that depends on nothing but what it is drawn for.
func chance(seed uint64, of ...uint64) float64 {
	x := seed
	for _, n := range of {
		x = (x ^ n) + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return float64(x>>11) / (1 << 53)
}
