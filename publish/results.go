package publish

import (
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

// takeResults returns results as they are to be stored, with what the owner hears
// of them. The caller does not hold mu: it takes a look at the outbox.
func (l *lane) takeResults() []event.Verdict {
	list, told, refused := l.nextResults()
	for i := range list {
		list[i].Notices = append(list[i].Notices, l.notices(told[i], refused)...)
	}
	return list
}

// nextResults returns the verdicts and, by their places, what is new with some. refused
// is by how many those that were refused and wait become more with them.
func (l *lane) nextResults() (list []event.Verdict, told map[int][]news, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.results), stepSize)
	if l.health.stores.next > 0 {
		n = min(n, 1) // the last step failed: should it be for one of them, the others go on
	}
	list, told = make([]event.Verdict, n), make(map[int][]news)
	for i := range list {
		list[i] = l.results[i].verdict
		refused += l.results[i].refused
		if news := l.results[i].news; len(news) > 0 {
			told[i] = news
		}
	}
	l.results = slices.Delete(l.results, 0, n)
	// Three times as many as ended during a step may be begun before a slot is free
	// for them: the next step takes as long, and the senders must not run dry.
	l.early = max(n, l.early/2)
	return list, told, refused
}
