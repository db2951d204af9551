package publish

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// idleLook is how often a lane looks at the outbox although nothing called it.
const idleLook = time.Minute

// storeFirst is how soon a store that fails is asked again, for the first time.
const storeFirst = 100 * time.Millisecond

// lane is one destination. Its loop alone talks to the outbox: it reads what is
// due, and writes down in one step what came of attempts and which ones begin.
// Senders make the attempts that were begun and leave their results to the loop.
type lane struct {
	dest         Destination
	stake        event.Stake
	publisher    Publisher
	outbox       Outbox
	observer     Observer
	announce     func(event.Event) event.Notice // may be nil
	longestPause time.Duration                  // between two probes of an open breaker
	others       func(destinations ...string)   // wakes other lanes
	log          *slog.Logger
	wake         chan struct{} // holds one call
	writing      chan struct{} // full while one decides what the owner hears and stores that, so that it is told in order
	senders      sync.WaitGroup

	// mu guards all below. It is never held during a call of the outbox, which calls
	// skip from inside a transaction.
	mu        sync.Mutex
	queue     queue
	begun     []task          // written down, and waiting for a free slot
	starting  int             // first attempts that are being written down, to begin
	leaving   []task          // begun, and about to be withdrawn
	overtaken []task          // begun, and to be withdrawn: their subject was blocked meanwhile
	early     int             // results of late steps: by it goes how many attempts may be begun before a slot is free
	sending   slots           // under way
	working   int             // senders
	results   []outcome       // that are not written down
	news      []news          // of the destination, that are not stored, in the order of what happened
	claimed   map[string]bool // deliveries in queue, begun, under way, or with a result that is not written down
	stopping  bool

	paging   map[string]string // incidents of which a delivery is begun, under way, or with a result that is not written down
	stalled  map[string]bool   // held followers that wait until the clock runs again
	passing  map[string]bool   // deliveries whose Overtook the attempt under way is the first to tell
	reuse    map[string]int    // number of the last attempt, if it found the destination unavailable
	tried    map[string]bool   // deliveries that were probes since the breaker opened, or since all were
	asked    []string          // deliveries that somebody wants to be tried at once
	subjects subjects
	clock    upClock
	pacer    pacer
	holds    bool // a later event of a session waits for one that was refused in this row
	window   int  // attempts at once while a destination that was left alone is tried; 0: as many as concurrency says
	standing event.Standing
	health   health
	tally    *tally // of a drain, else nil
}

// task is an attempt that is to be made.
type task struct {
	job      *event.Job
	attempt  event.Attempt
	late     bool // the delivery was refused or blocked before
	probe    bool // of an open breaker
	asked    bool // somebody wants it at once
	unblocks bool // it is the probe of a blocked subject
}

// outcome is the verdict on an attempt, with what the owner hears of the delivery.
type outcome struct {
	verdict event.Verdict
	news    []news
	refused int // by how many those that were refused and wait become more
}

// slots counts attempts.
type slots struct{ all, late int }

func (s *slots) add(t *task, by int) {
	s.all += by
	if t.late {
		s.late += by
	}
}

func newLane(l Lane, outbox Outbox, o Options, others func(...string), log *slog.Logger) *lane {
	lane := &lane{
		dest: l.Destination, stake: l.Stake, publisher: l.Publisher, outbox: outbox, observer: o.Observer, announce: o.Announce, longestPause: cmp.Or(o.LongestProbePause, breakLastLook),
		others: others, log: log, wake: make(chan struct{}, 1), writing: make(chan struct{}, 1),
	}
	if w, ok := l.Publisher.(Waker); ok {
		w.OnReady(lane.ready)
	}
	lane.reset()
	return lane
}

// reset forgets everything but what takeUp brings.
func (l *lane) reset() {
	l.queue = queue{unseen: true}
	l.begun, l.leaving, l.overtaken, l.results, l.news, l.starting, l.early, l.stopping = nil, nil, nil, nil, nil, 0, 0, false
	l.subjects.reset()
	l.claimed, l.stalled, l.passing = make(map[string]bool), make(map[string]bool), make(map[string]bool)
	l.paging = make(map[string]string)
	l.reuse, l.tried, l.asked = make(map[string]int), make(map[string]bool), nil
	l.health = health{}
	l.pacer, l.window, l.holds = newPacer(l.dest.RateLimit), 0, false
}

// takeUp goes on where the last process stopped. Whether the destination can be
// reached, and could be meanwhile, shows with the first contact, which may be far: a
// hold that waited for it would have no end. Of the time in between no more than
// order_hold counts, so that what was refused is not said to have waited for days.
func (l *lane) takeUp(stored event.DestinationState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
	now := time.Now()
	l.standing = stored.Standing.TakenUp(now, breakLastLook, retryAfterLimit)
	if stored.Pending > 0 {
		l.subjects.row = l.standing.Blocked
	}
	l.health.marks.wrote(&stored.Standing)
	l.clock = upClock{total: stored.UpClock}
	if l.standing.Paused.IsZero() && l.standing.Broken.IsZero() {
		from := event.Later(event.Later(stored.UpAt, l.standing.Throttled), now.Add(-l.dest.OrderHold))
		if stored.UpAt.IsZero() || from.After(now) {
			from = now
		}
		l.clock.assume(from)
		l.skipThrottled(now)
	}
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// ready lets the next probe be now, also that of an open breaker and those of
// blocked subjects.
func (l *lane) ready() {
	l.mu.Lock()
	l.health.probe = time.Time{}
	if l.broken() {
		l.standing.NextProbe = time.Now()
	}
	l.subjects.hurry(time.Now())
	l.mu.Unlock()
	l.poke()
}

// look makes the lane look at the outbox: something may have become due.
func (l *lane) look() {
	l.mu.Lock()
	l.queue.unseen = true
	l.mu.Unlock()
	l.poke()
}

// run takes turns until ctx ends, and then ends what is under way.
func (l *lane) run(ctx, send context.Context) {
	for ctx.Err() == nil {
		l.sleep(ctx, l.turn(send).wait)
	}
	if l.finish(send) == nil { // otherwise it has told the log
		l.markTrouble(send, time.Now(), true)
	}
}

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

// finish waits for what is under way and writes down what came of it, for as
// long as send lives. What was begun and not sent is withdrawn. An error means
// that not all was written down.
func (l *lane) finish(send context.Context) error {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.collect(time.Now())
	l.senders.Wait()
	for {
		done, err := l.writeLast(send)
		switch {
		case done:
			return nil
		case err == nil:
			continue
		}
		l.log.Error("what came of deliveries could not be stored before the end; it is tried again, and what cannot be stored is sent again after the next start", loglimit.Repeats("last"), slog.Any("error", err))
		l.storeFailed(time.Now())
		if send.Err() != nil || l.storeLost() {
			return err
		}
		l.sleep(send, storeFirst)
	}
}

// writeLast writes down what is left when a lane's work ends; done: nothing was.
func (l *lane) writeLast(send context.Context) (done bool, err error) {
	l.writing <- struct{}{}
	defer func() { <-l.writing }()
	l.tell(send)
	step, refused, err := l.takeResults(send)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	step.Withdrawn = l.withdraw()
	done = step.Empty() && len(l.news) == 0
	l.mu.Unlock()
	if done {
		return true, nil
	}
	return false, l.take(send, &step, nil, refused)
}
