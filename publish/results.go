package publish

import (
	"context"
	"slices"
	"time"

	"checkout-notifier/event"
)

// gatherFor is how long results are gathered before they are written down, as
// long as senders have enough to do: a commit for few costs as much as for many.
const gatherFor = 3 * time.Millisecond

// gather returns how long more results may be waited for.
func (l *lane) gather(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gathering(now)
}

func (l *lane) gathering(now time.Time) time.Duration {
	n := len(l.results)
	if n == 0 || n >= 2*l.dest.Concurrency || len(l.begun) < l.dest.Concurrency {
		return 0
	}
	return max(0, gatherFor-now.Sub(l.results[0].verdict.At))
}

// stepSize bounds the results that are written down at once, and with them how
// long others wait for the store.
const stepSize = 256

// takeResults returns a step with results, what they make void, and what the owner hears
// of the deliveries. refused is by how many those that were refused and wait become more
// with them. After an error they are there still. The caller does not hold mu: it takes a
// look at the outbox.
func (l *lane) takeResults(send context.Context) (step event.Step, refused int, err error) {
	l.mu.Lock()
	n := min(len(l.results), stepSize)
	if l.health.stores.next > 0 {
		n = min(n, 1) // the last step failed: should it be for one of them, the others go on
	}
	taken := slices.Clone(l.results[:n])
	l.results = slices.Delete(l.results, 0, n)
	// Three times as many as ended during a step may be begun before a slot is free
	// for them: the next step takes as long, and the senders must not run dry.
	l.early = max(n, l.early/2)
	l.mu.Unlock()
	for _, o := range taken {
		o.verdict.Notices = append(o.verdict.Notices, l.notices(o.news, 0)...)
		step.Resolved, refused = append(step.Resolved, o.verdict), refused+o.refused
	}
	n, err = l.void(send, &step)
	if err != nil {
		l.putBack(&step, nil, nil)
	}
	return step, refused - n, err
}
