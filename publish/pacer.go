package publish

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowest is the lowest rate, in deliveries a second, to which 429s slow a destination
	// down: one that takes less says so by Retry-After.
	slowest = 0.5
	// restoreIn is how many deliveries must be accepted until a rate that was halved is
	// double again. forgetAfter is how long after the last 429 the limit goes, and within
	// which a second 429 brings it: one alone may be chance.
	restoreIn   = 15
	forgetAfter = 5 * time.Minute
	// oneBurst is how long refusals count as one: what was under way when the first
	// came met the same limit.
	oneBurst = time.Second
	// measureFor is over how long accepted deliveries are counted.
	measureFor = 10 * time.Second
)

// pacer holds the pace of a destination's attempts: that of its rate_limit, and
// less where the destination answers 429 again and again. Then the rate is half of
// what it took, and grows with what it accepts. The lane's mu guards it.
type pacer struct {
	limit   float64       // as configured, a second; 0: none
	limiter *rate.Limiter // nil: nothing waits

	slow     float64   // the present rate after a 429; 0: limit holds
	step     float64   // by which slow grows
	refused  time.Time // the last 429 of which none shortly before was known
	since    time.Time // accepted is counted
	accepted int
	before   float64 // accepted a second, until since
}

func newPacer(limit float64) pacer {
	p := pacer{limit: limit}
	p.set(limit)
	return p
}

// set makes a rate hold from now on; 0: none.
func (p *pacer) set(perSecond float64) {
	switch {
	case perSecond == 0:
		p.limiter = nil
	case p.limiter == nil:
		p.limiter = rate.NewLimiter(rate.Limit(perSecond), burst(perSecond))
	default:
		p.limiter.SetLimit(rate.Limit(perSecond))
		p.limiter.SetBurst(burst(perSecond))
	}
}

// burst lets requests that are begun together, as steps are, lose no tokens.
func burst(perSecond float64) int { return 1 + int(perSecond/50) }

// leave asks for leave to begin an attempt; a pause means that it is not given now.
func (p *pacer) leave(now time.Time) (pause time.Duration) {
	if p.slow > 0 && now.Sub(p.refused) >= forgetAfter {
		p.restore()
	}
	if p.limiter == nil {
		return 0
	}
	reserved := p.limiter.ReserveN(now, 1)
	if pause = reserved.DelayFrom(now); pause > 0 {
		reserved.CancelAt(now)
	}
	return pause
}

// take notes an accepted delivery.
func (p *pacer) take(now time.Time) {
	if now.Sub(p.since) >= measureFor {
		p.since, p.accepted, p.before = now, 0, p.took(now)
	}
	p.accepted++
	if p.slow == 0 {
		return
	}
	if p.slow += p.step; p.limit > 0 && p.slow >= p.limit {
		p.restore()
		return
	}
	p.set(p.slow)
}

// took is how many are accepted a second.
func (p *pacer) took(now time.Time) float64 {
	return float64(p.accepted) / max(1, now.Sub(p.since).Seconds())
}

// throttle notes a 429, and says whether the rate is cut for the first time in a
// while.
func (p *pacer) throttle(now time.Time) (first bool) {
	ago := now.Sub(p.refused)
	if ago < oneBurst {
		return false
	}
	p.refused = now
	if ago >= forgetAfter { // what it took until now is what it may get half of
		p.since, p.accepted, p.before = now, 0, max(p.took(now), p.before)
		return false
	}
	first = p.slow == 0
	took := max(p.took(now), p.before)
	if !first && (p.accepted == 0 || took > p.slow) { // nothing was sent in the pause that it asked for
		took = p.slow
	}
	p.slow = max(slowest, took/2)
	if p.limit > 0 {
		p.slow = min(p.slow, p.limit)
	}
	p.step, p.since, p.accepted, p.before = p.slow/restoreIn, now, 0, 0
	p.set(p.slow)
	return first
}

func (p *pacer) restore() {
	p.slow = 0
	p.set(p.limit)
}
