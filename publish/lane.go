package publish

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"checkout-notifier/event"
)

// idleLook is how often a lane looks at the outbox although nothing called it.
const idleLook = time.Minute

// A store that fails is asked again at these intervals.
const (
	storeFirst = 100 * time.Millisecond
	storeLast  = 15 * time.Second
)

// lane is the loop of one destination.
type lane struct {
	dest      Destination
	publisher Publisher
	outbox    Outbox
	observer  Observer
	log       *slog.Logger
	limiter   *rate.Limiter // nil: unlimited
	wake      chan struct{} // holds one call

	// order is held while what is due is read and what must wait is parked; a
	// result is kept under its read side. So nothing is parked behind a delivery
	// whose release has just gone by.
	order sync.RWMutex
	tasks sync.WaitGroup // attempts under way

	mu       sync.Mutex // guards all below
	inFlight map[string]bool
	stalled  map[string]bool // held followers that wait until the clock runs again
	passing  map[string]bool // deliveries whose Overtook the attempt under way is the first to tell
	reuse    map[string]int  // number of the last attempt, if it found the destination unavailable
	clock    upClock
	health   health
	tally    *tally // of a drain, else nil
}

// tally counts what became of the deliveries of a drain.
type tally struct {
	seen             map[string]bool
	accepted, failed int
}

func newLane(l Lane, outbox Outbox, observer Observer, log *slog.Logger) *lane {
	lane := &lane{
		dest: l.Destination, publisher: l.Publisher, outbox: outbox, observer: observer, log: log,
		wake:     make(chan struct{}, 1),
		inFlight: make(map[string]bool), stalled: make(map[string]bool), passing: make(map[string]bool), reuse: make(map[string]int),
	}
	if l.Destination.RateLimit > 0 {
		lane.limiter = rate.NewLimiter(rate.Limit(l.Destination.RateLimit), 1)
	}
	return lane
}

// resume starts the up clock where the last process left it. Whether the
// destination can be reached shows with the first contact, which may be far: a
// hold that waited for it would have no end.
func (l *lane) resume(clock time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock = upClock{total: clock}
	l.clock.assume(time.Now())
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run looks, sends and sleeps until ctx ends and what is under way has ended.
func (l *lane) run(ctx, send context.Context) {
	defer l.tasks.Wait()
	for ctx.Err() == nil {
		p := l.pass(ctx, send)
		l.sleep(ctx, p.wait)
	}
}

// drain passes until nothing is due that it has not tried.
func (l *lane) drain(ctx, send context.Context) (accepted, failed int) {
	l.mu.Lock()
	l.tally = &tally{seen: make(map[string]bool)}
	l.mu.Unlock()
	for ctx.Err() == nil {
		p := l.pass(ctx, send)
		if p.looked == 0 && l.busy() == 0 {
			break
		}
		if p.looked == 0 || p.full {
			l.sleep(ctx, idleLook) // until an attempt ends
		}
	}
	l.tasks.Wait()
	left, _, err := l.outbox.Due(send, l.dest.Name, time.Now(), drainCount, drainCount, l.skip)
	if err != nil {
		l.log.Error("counting what is left", "error", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tally
	l.tally = nil
	return t.accepted, t.failed + len(left)
}

// drainCount bounds the count of what a drain could not even try.
const drainCount = 1000

func (l *lane) sleep(ctx context.Context, pause time.Duration) {
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-timer.C:
	}
}

func (l *lane) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inFlight)
}

// pass is one look of a lane at the outbox.
type pass struct {
	looked int           // deliveries that were due
	full   bool          // every slot is taken
	wait   time.Duration // until the next look, unless woken
}

// pass starts what is due and may be sent.
func (l *lane) pass(ctx, send context.Context) pass {
	now := time.Now()
	free, closed := l.capacity(now)
	if closed > 0 {
		return pass{wait: closed}
	}
	if free == 0 {
		return pass{full: true, wait: idleLook}
	}
	if p, ok := l.publisher.(Prober); ok {
		if err := p.Available(send); err != nil {
			return pass{wait: l.lost(err.Error(), now)}
		}
		l.found(now)
	}
	jobs, looked, next, err := l.take(send, now, free)
	if err != nil {
		l.log.Error("reading what is due", "error", err)
		return pass{wait: l.storeFailed(now)}
	}
	for i, job := range jobs {
		if !l.pace(ctx) {
			l.putBack(jobs[i:])
			return pass{looked: looked}
		}
		l.tasks.Go(func() { l.attempt(send, job) })
	}
	switch {
	case looked > 0:
		return pass{looked: looked, full: len(jobs) == free}
	case next.IsZero():
		return pass{wait: idleLook}
	}
	return pass{wait: min(max(next.Sub(now), time.Millisecond), idleLook)}
}

// take reads what is due and sorts out what must wait. What it returns counts
// as under way.
func (l *lane) take(ctx context.Context, now time.Time, limit int) (send []event.Job, looked int, next time.Time, err error) {
	l.order.Lock()
	defer l.order.Unlock()
	jobs, next, err := l.outbox.Due(ctx, l.dest.Name, now, limit, limit, l.skip)
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	jobs = jobs[:min(limit, len(jobs))]
	for _, job := range jobs {
		job, wait := l.decide(job, now)
		if wait != nil {
			if err = l.outbox.Resolve(ctx, *wait); err != nil {
				err = fmt.Errorf("parking delivery %s: %w", job.Delivery.ID, err)
				break
			}
			continue
		}
		if l.claim(job) {
			send = append(send, job)
		}
	}
	if len(send) > 0 {
		err = nil // what is claimed must be sent; the store will fail again if it must
	}
	return send, len(jobs), next, err
}

// claim counts a job as under way, unless it has to wait for the clock.
func (l *lane) claim(job event.Job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled[job.Delivery.ID] {
		return false
	}
	l.inFlight[job.Delivery.ID] = true
	if l.tally != nil {
		l.tally.seen[job.Delivery.ID] = true
	}
	return true
}

func (l *lane) putBack(jobs []event.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, job := range jobs {
		delete(l.inFlight, job.Delivery.ID)
		delete(l.passing, job.Delivery.ID)
		if l.tally != nil {
			delete(l.tally.seen, job.Delivery.ID)
		}
	}
}

func (l *lane) skip(deliveryID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight[deliveryID] || l.stalled[deliveryID] || (l.tally != nil && l.tally.seen[deliveryID])
}

// pace waits for the rate limiter. It says no when the lane was closed or
// stopped meanwhile.
func (l *lane) pace(ctx context.Context) bool {
	if l.limiter != nil && l.limiter.Wait(ctx) != nil {
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.closed(time.Now()) == 0
}

// capacity returns how many attempts may be started, and how long the lane
// stays closed.
func (l *lane) capacity(now time.Time) (free int, closed time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if closed = l.health.closed(now); closed > 0 {
		return 0, closed
	}
	slots := l.dest.Concurrency
	if l.health.down {
		slots = 1 // a probe
	}
	free = max(0, slots-len(l.inFlight))
	if l.limiter != nil {
		// What is taken waits for the limiter: not so much that it grows stale.
		free = min(free, 1+int(l.dest.RateLimit/4))
	}
	return free, 0
}
