// Package latency tells, by how long requests took, for how long others are worth waiting for.
package latency

import "time"

const (
	// A request is given half as long again as any answer took of late, and least at least.
	least = 2 * time.Second
	// slowFor is for how long a slow answer is remembered at least, and twice as long at
	// most: what is asked for seldom may take longer than what is asked for all the time.
	slowFor = time.Hour
	// hungFor is for how long one late failure is remembered: what failed is asked for again
	// within an hour.
	hungFor = 2 * time.Hour
)

// Latency notes how long requests took. It is not safe for concurrent use.
type Latency struct {
	timeout    time.Duration
	took       time.Duration // what answers took at most since tookFrom
	tookBefore time.Duration // and in the time before
	tookFrom   time.Time
	hung       time.Time // when a request last failed later than Brief
	cutOff     bool      // one was, since TakeCutOff
}

// New returns one for requests of which none takes longer than a time.
func New(timeout time.Duration) *Latency { return &Latency{timeout: timeout} }

// Note notes how long a request took, of the time that it was given: one that was answered,
// or failed in a way that may be about what was asked for. A negative time says that it was
// not made. It says whether an answer was late: it took longer than others are waited for.
func (l *Latency) Note(took, within time.Duration, answered, failed bool) (late bool) {
	switch {
	case took < 0:
	case answered:
		late = took > l.Brief()
		if time.Since(l.tookFrom) >= slowFor {
			l.tookBefore, l.took, l.tookFrom = l.took, 0, time.Now()
		}
		l.took = max(l.took, took)
	case failed && took >= within && within < l.timeout: // the answer may be slow
		l.cutOff = true
		l.Hung()
	case failed && took >= l.Brief():
		l.Hung()
	}
	return late
}

// Hung notes that requests may fail late.
func (l *Latency) Hung() { l.hung = time.Now() }

// Hangs says whether one failed late a while ago.
func (l *Latency) Hangs() bool { return !l.hung.IsZero() && time.Since(l.hung) < hungFor }

// Brief is for how long an answer is waited for where late failures are expected.
func (l *Latency) Brief() time.Duration {
	return min(max(least, (l.Slowest()*3/2).Round(time.Second/10)), l.timeout)
}

// Slowest is how long the slowest answer of late took.
func (l *Latency) Slowest() time.Duration { return max(l.took, l.tookBefore) }

// TakeCutOff says whether a request was cut off since it was last called.
func (l *Latency) TakeCutOff() bool {
	cutOff := l.cutOff
	l.cutOff = false
	return cutOff
}
