package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"checkout-notifier/event"
)

// Outbox is the store's side of the relay. An implementation is safe for use
// from several goroutines.
type Outbox interface {
	// Due returns deliveries of a destination that are due, each once, and of each kind as
	// many as look asks for: the newest ones first, the last due at the front, then the
	// others, the longest due at the front. next is when the next one becomes due (zero:
	// none is known). It fills in Delivery.Attempts with the highest number of any attempt
	// on record.
	Due(ctx context.Context, destination string, look event.Look) (jobs []event.Job, next time.Time, err error)
	// Pick returns the delivery that has waited longest for a destination, or with newest
	// the one that came last, due or not. It leaves out those for which skip returns true or
	// fits returns false, and those that wait for their subject.
	Pick(ctx context.Context, destination string, newest bool, skip func(*event.Delivery) bool, fits func(*event.Job) bool) (job event.Job, found bool, err error)
	// Offer allows commits to store new deliveries to a destination together with their
	// first attempts, at most slots of them until the next call. It returns those that were
	// stored so since the last call: their attempts are durable, have the number 1, and are
	// to be sent now, and resolved or withdrawn by Take. Neither Due nor Pick returns a
	// delivery that Offer has yet to return.
	Offer(destination string, slots int) (begun []event.Job)
	// BlockedSubjects returns at most limit subjects for which deliveries wait,
	// each once, behind after in an order that is fixed.
	BlockedSubjects(ctx context.Context, destination, after string, limit int) ([]string, error)
	// Take writes a step down, whole or not at all; nil means that it is durable. A
	// delivery that is accepted or dead releases the next parked one of its session;
	// Verdict.Release does so at its time.
	Take(ctx context.Context, step event.Step) (event.Stepped, error)
	// Hasten makes due now what waits for later, at most limit deliveries; fewer
	// means that none is left. A pause that it cuts short does not use up a step of the
	// delivery's retry schedule, unless it is the first.
	Hasten(ctx context.Context, destination string, now time.Time, limit int) (hastened int, err error)
	// SaveStanding stores a change of a destination's health that came of no attempt.
	SaveStanding(ctx context.Context, c event.StandingChange) error
	// Destinations returns what is remembered of each destination.
	Destinations(ctx context.Context) ([]event.DestinationState, error)
}

// Lane is a destination and the way to it.
type Lane struct {
	Destination Destination
	Publisher   Publisher
	Stake       event.Stake // what the destination is sent
}

// Options of a relay; the zero value is usable.
type Options struct {
	// Grace is how long attempts under way may take after a shutdown began; if
	// zero, 20 seconds.
	Grace time.Duration
	// Observer hears of every attempt that has a result; may be nil.
	Observer Observer
	// LongestProbePause bounds the pause between two probes of an open breaker; if
	// zero, five minutes.
	LongestProbePause time.Duration
	// Announce says who hears of one of the program's own events. Of an event about
	// a dead delivery whose status is event.StatusResolved it leaves out all but
	// those that close incidents with it. It may be nil,
	// and is called from several goroutines; what it returns is stored with what
	// the event is about, unless it has no event.
	Announce func(event.Event) event.Notice
}

// Observer hears of finished attempts, and of what the owner hears of
// destinations, after it is stored. It is called from several goroutines and must
// not block.
type Observer interface {
	Attempted(Observation)
	Told(event.Notice)
}

// Observation is one finished attempt.
type Observation struct {
	Destination string
	Delivery    event.Delivery // as the verdict leaves it
	Attempt     event.Attempt
	Dead        string        // why the delivery was buried, else ""
	NextTry     time.Time     // of a delivery that waits, or of its destination's breaker; zero if nobody knows
	Latency     time.Duration // since the delivery waits, to the result
}

// Relay moves due deliveries from the outbox to their destinations, one loop
// for each destination. Run or Drain may be called once at a time; the other
// methods at any time, from any goroutine.
type Relay struct {
	outbox Outbox
	lanes  []*lane
	byName map[string]*lane
	grace  time.Duration
}

const defaultGrace = 20 * time.Second

// NewRelay checks the schedules and prepares a lane for each destination.
// Nothing is sent, read or connected before Run or Drain.
func NewRelay(outbox Outbox, lanes []Lane, o Options, log *slog.Logger) (*Relay, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{outbox: outbox, byName: make(map[string]*lane), grace: cmp.Or(o.Grace, defaultGrace)}
	var problems []error
	for _, l := range lanes {
		name := l.Destination.Name
		if _, twice := r.byName[name]; twice {
			problems = append(problems, fmt.Errorf("destination %s: named twice", name))
			continue
		}
		if err := checkDelivery(l.Destination); err != nil {
			problems = append(problems, fmt.Errorf("destination %s: %w", name, err))
			continue
		}
		lane := newLane(l, outbox, o, r.Wake, log.With("destination", name))
		r.lanes = append(r.lanes, lane)
		r.byName[name] = lane
	}
	return r, errors.Join(problems...)
}

// checkDelivery checks the keys that the relay itself obeys.
func checkDelivery(d Destination) error {
	switch {
	case d.Concurrency < 1:
		return errors.New("concurrency: at least 1")
	case d.RateLimit < 0:
		return errors.New("rate_limit: not negative")
	case d.OrderHold < 0:
		return errors.New("order_hold: not negative")
	case d.Retry.Jitter < 0 || d.Retry.Jitter > 1:
		return errors.New("retry.jitter: between 0 and 1")
	case d.Type == TypeNATS && len(d.Retry.Schedule) == 0:
		return errors.New("retry.schedule: at least one slot, the last repeats for ever")
	}
	for _, pause := range d.Retry.Schedule {
		if pause <= 0 {
			return errors.New("retry.schedule: every slot is longer than 0")
		}
	}
	return nil
}

// Run relays until ctx is cancelled. Then no delivery is begun, those under way
// have Options.Grace to end, and connections are drained. It returns nil, or an
// error if the outbox could not be read at the start.
func (r *Relay) Run(ctx context.Context) error {
	return r.work(ctx, func(l *lane, send context.Context) { l.run(ctx, send) })
}

// Drain delivers what is due now and what becomes due by that, each at most
// once, and returns how many were accepted and how many were not. An error means
// that the outbox failed, and that the sums are too small.
func (r *Relay) Drain(ctx context.Context) (accepted, failed int, err error) {
	var mu sync.Mutex // guards the sums and problems
	var problems []error
	var busy sync.WaitGroup // lanes that may still tell of something
	busy.Add(len(r.lanes))
	err = r.work(ctx, func(l *lane, send context.Context) {
		a, f, err := l.drain(ctx, send, func() { busy.Done(); busy.Wait() })
		mu.Lock()
		defer mu.Unlock()
		accepted += a
		failed += f
		if err != nil {
			problems = append(problems, fmt.Errorf("delivering to %s: %w", l.dest.Name, err))
		}
	})
	return accepted, failed, errors.Join(append(problems, err)...)
}

// work runs every lane with a context for sending that outlives ctx by the
// grace, and closes the publishers afterwards.
func (r *Relay) work(ctx context.Context, do func(l *lane, send context.Context)) error {
	states, err := r.outbox.Destinations(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("reading how the destinations stand: %w", err)
	}
	stored := make(map[string]event.DestinationState, len(states))
	for _, s := range states {
		stored[s.Name] = s
	}
	for _, l := range r.lanes {
		l.takeUp(stored[l.dest.Name])
	}
	send, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(r.grace, cut)
		context.AfterFunc(send, func() { timer.Stop() })
	})
	defer stop()

	var lanes errgroup.Group
	for _, l := range r.lanes {
		lanes.Go(func() error {
			do(l, send)
			return nil
		})
	}
	_ = lanes.Wait() // lanes return no error
	r.close(send)
	return nil
}

// close closes the publishers that hold connections, all within the grace or
// what the attempts have left of it.
func (r *Relay) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.grace)
	defer cancel()
	for _, l := range r.lanes {
		c, ok := l.publisher.(Closer)
		if !ok {
			continue
		}
		if err := c.Close(ctx); err != nil {
			l.log.Warn("the connection to the destination could not be closed in order", "error", err)
		}
	}
}

// Wake makes the named destinations look at once at what is due. It is called
// after a commit and never blocks.
func (r *Relay) Wake(destinations ...string) {
	for _, name := range destinations {
		if l, ok := r.byName[name]; ok {
			l.look()
		}
	}
}

// ErrUnknownDestination is returned for a name that no lane has.
var ErrUnknownDestination = errors.New("there is no such destination")

// Pause stops a destination until Resume, over restarts. What waits is kept, and
// what is under way ends. changed is false if it stood still already.
func (r *Relay) Pause(ctx context.Context, destination, actor string) (changed bool, err error) {
	l, ok := r.byName[destination]
	if !ok {
		return false, fmt.Errorf("%w: %s", ErrUnknownDestination, destination)
	}
	return l.pause(ctx, actor)
}

// Resume lets a destination go on that was paused or stopped at a 410
// (on_gone: pause), and probes one whose breaker is open. What waits is due at
// once. One that was not paused need not wait for as long as it asked with a 429.
// changed is false if it was none of these.
func (r *Relay) Resume(ctx context.Context, destination, actor string) (changed bool, err error) {
	l, ok := r.byName[destination]
	if !ok {
		return false, fmt.Errorf("%w: %s", ErrUnknownDestination, destination)
	}
	return l.unpause(ctx, actor)
}

// Retry has a pending delivery tried at once, whatever an open breaker or the order
// of its session says; a pause is waited for.
func (r *Relay) Retry(destination, deliveryID string) error {
	l, ok := r.byName[destination]
	if !ok {
		return fmt.Errorf("%w: %s", ErrUnknownDestination, destination)
	}
	l.ask(deliveryID)
	return nil
}

// Lane returns a destination with the way to it.
func (r *Relay) Lane(destination string) (Lane, bool) {
	l, ok := r.byName[destination]
	if !ok {
		return Lane{}, false
	}
	return Lane{l.dest, l.publisher, l.stake}, true
}

// Status returns how each destination is doing, in the order of NewRelay.
func (r *Relay) Status() []DestinationStatus {
	now := time.Now()
	statuses := make([]DestinationStatus, len(r.lanes))
	for i, l := range r.lanes {
		statuses[i] = l.status(now)
	}
	return statuses
}
