package simulator

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// Traffic.Rate in carts per second: of an order that names none, and the most.
const (
	defaultRate = 1
	maxRate     = 10_000
)

// Traffic describes random carts. The same value yields the same carts with the
// same changes in the same order.
type Traffic struct {
	// Seed decides about kinds, moments and contents.
	Seed uint64
	// Rate is how many carts are created per second, on average.
	Rate float64
	// Duration ends the creation of carts; those that exist are lived to their
	// end. 0 is until the context ends.
	Duration time.Duration
	// Scale divides the times in the life of a cart; 0 means 1, with which all
	// but the longest lives are over within 30 s.
	Scale float64
}

// trafficJSON is Traffic on the wire; duration is a Go duration or seconds.
type trafficJSON struct {
	Seed     uint64  `json:"seed"`
	Rate     float64 `json:"rate_per_second"`
	Duration any     `json:"duration,omitempty"`
	Scale    float64 `json:"scale,omitempty"`
}

// MarshalJSON writes seed, rate_per_second, duration ("30s") and scale.
func (t Traffic) MarshalJSON() ([]byte, error) {
	wire := trafficJSON{Seed: t.Seed, Rate: t.Rate, Scale: t.Scale}
	if t.Duration != 0 {
		wire.Duration = t.Duration.String()
	}
	return json.Marshal(wire)
}

// UnmarshalJSON reads what MarshalJSON writes; unknown names are errors. Without
// a rate it is one cart per second; 0 stops the traffic.
func (t *Traffic) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	wire := trafficJSON{Rate: defaultRate}
	if err := dec.Decode(&wire); err != nil {
		return fmt.Errorf("reading traffic: %w", err)
	}
	*t = Traffic{Seed: wire.Seed, Rate: wire.Rate, Scale: wire.Scale}
	if wire.Duration == nil {
		return nil
	}
	d, err := toDuration(wire.Duration)
	t.Duration = d
	return err
}

func (t *Traffic) validate() error {
	switch {
	case !(t.Rate > 0 && t.Rate <= maxRate):
		return fmt.Errorf("%w rate_per_second %v: want more than 0 and at most %d", ErrInvalid, t.Rate, maxRate)
	case t.Duration < 0:
		return fmt.Errorf("%w duration %v: want 0 or more", ErrInvalid, t.Duration)
	case !(t.Scale >= 0 && t.Scale <= 1e6):
		return fmt.Errorf("%w scale %v: want 0 to 1000000", ErrInvalid, t.Scale)
	}
	return nil
}

// Run executes what POST /sim/traffic orders, one order at a time, until ctx
// ends; then it returns nil, and requests that Faults.Hang holds are answered.
// An API is complete without it but for these two things. A second Run at the
// same time is ErrRunning.
func (a *API) Run(ctx context.Context) error {
	done := make(chan struct{})
	a.mu.Lock()
	if a.done != nil {
		a.mu.Unlock()
		return ErrRunning
	}
	a.done = done
	a.mu.Unlock()
	stop := func() {}
	defer func() {
		stop()
		a.mu.Lock()
		a.done = nil
		a.mu.Unlock()
		close(done)
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-a.orders:
			stop()
			stop = a.startTraffic(ctx, t)
		}
	}
}

// OrderTraffic has Run run t in place of what it runs, as POST /sim/traffic does. It
// waits for Run to begin.
func (a *API) OrderTraffic(ctx context.Context, t Traffic) error {
	if err := t.validate(); err != nil {
		return err
	}
	select {
	case a.orders <- t:
	case <-ctx.Done():
	}
	return nil
}

// startTraffic runs t in the background and returns what ends it and waits.
func (a *API) startTraffic(ctx context.Context, t Traffic) (stop func()) {
	if t.Rate == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.RunTraffic(ctx, t); err != nil {
			a.log.Error("simulated traffic failed", "error", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// RunTraffic creates carts and leads them through their lives. It blocks until
// ctx ends or, when t has a Duration, until every planned change is made, and
// then returns nil; it needs no Run. Carts that somebody else changes in the
// meantime are left alone.
func (a *API) RunTraffic(ctx context.Context, t Traffic) error {
	if err := t.validate(); err != nil {
		return fmt.Errorf("starting traffic: %w", err)
	}
	run := newTrafficRun(t)
	start := time.Now()
	for len(run.agenda) > 0 {
		next := heap.Pop(&run.agenda).(action)
		if !sleepUntil(ctx, start.Add(next.due)) {
			return nil
		}
		if err := run.act(a, next); err != nil {
			return fmt.Errorf("running traffic: %w", err)
		}
	}
	return nil
}

// sleepUntil reports false if ctx ends first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	if ctx.Err() != nil {
		return false
	}
	wait := time.Until(t)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// trafficRun is one execution of a Traffic. Everything random is drawn when a
// cart arrives, and arrivals come in a fixed order.
type trafficRun struct {
	Traffic
	rng    *rand.Rand
	agenda agenda
	seq    int
	bag    []cartKind
	carts  int
}

// action is the arrival of the next cart if id is empty, else a step in the
// life of one.
type action struct {
	due  time.Duration // since the start
	seq  int           // breaks ties
	id   string
	step step
}

func newTrafficRun(t Traffic) *trafficRun {
	if t.Scale == 0 {
		t.Scale = 1
	}
	run := &trafficRun{Traffic: t, rng: rand.New(rand.NewPCG(t.Seed, streamTraffic))}
	run.plan(action{})
	return run
}

func (run *trafficRun) plan(a action) {
	run.seq++
	a.seq = run.seq
	heap.Push(&run.agenda, a)
}

// act executes one action and plans those that follow from it.
func (run *trafficRun) act(a *API, now action) error {
	if now.id != "" {
		return a.updateFrom(now.id, now.step.from, now.step.fields)
	}
	steps := run.nextCart(a.live)
	s, err := a.Create(steps[0].fields)
	if err != nil {
		return err
	}
	due := now.due
	for _, st := range steps[1:] {
		due += run.scaled(st.after)
		run.plan(action{due: due, id: s.ID, step: st})
	}
	arrival := now.due + time.Duration(run.rng.ExpFloat64()/run.Rate*float64(time.Second))
	if run.Duration == 0 || arrival < run.Duration {
		run.plan(action{due: arrival})
	}
	return nil
}

func (run *trafficRun) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / run.Scale)
}

// updateFrom is Update, unless the session has another status than expected.
func (a *API) updateFrom(id, status string, fields Fields) error {
	a.mu.Lock()
	a.settled()
	same := text(a.sessions.byID[id].last().fields["status"]) == status
	a.mu.Unlock()
	if !same {
		return nil
	}
	_, err := a.Update(id, fields)
	return err
}

// agenda is a heap of actions by time.
type agenda []action

func (g agenda) Len() int { return len(g) }
func (g agenda) Less(i, j int) bool {
	if g[i].due != g[j].due {
		return g[i].due < g[j].due
	}
	return g[i].seq < g[j].seq
}
func (g agenda) Swap(i, j int) { g[i], g[j] = g[j], g[i] }
func (g *agenda) Push(x any)   { *g = append(*g, x.(action)) }
func (g *agenda) Pop() any {
	last := (*g)[len(*g)-1]
	*g = (*g)[:len(*g)-1]
	return last
}
