// Package poll_test measures the poller against a simulated API on simulated
// time: days of sessions, failing requests, late sessions, lagging replicas and
// crashes, in minutes. See bench/README.md.
package poll_test

import (
	"context"
	"encoding/json"
	"flag"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// options are what a run can be told.
type options struct {
	days       float64
	sessions   int
	history    time.Duration
	interval   time.Duration
	unpaidFor  time.Duration
	retention  time.Duration
	crashEvery time.Duration
	calm       bool
	seed       uint64
	algorithms string
}

func (o *options) lasts() time.Duration { return time.Duration(o.days * float64(day)) }

var chosen = options{}

func init() {
	flag.Float64Var(&chosen.days, "days", 0.25, "simulated days")
	flag.IntVar(&chosen.sessions, "sessions", 2000, "sessions a day")
	flag.DurationVar(&chosen.history, "history", 3*day, "how long there were sessions before the run, in whole days")
	flag.DurationVar(&chosen.interval, "interval", 10*time.Second, "poll.interval")
	flag.DurationVar(&chosen.unpaidFor, "unpaid-for", 14*day, "poll.unpaid_for")
	flag.DurationVar(&chosen.retention, "retention", 30*day, "state.retention")
	flag.DurationVar(&chosen.crashEvery, "crash-every", 10*time.Minute, "time between crashes, 0 for none")
	flag.BoolVar(&chosen.calm, "calm", false, "no request fails and no replica lags")
	flag.Uint64Var(&chosen.seed, "seed", 1, "of the traffic and the faults")
	flag.StringVar(&chosen.algorithms, "algorithms", "notifier,scan-24h,rolling-60m,first-known,max-created", "what to run, comma separated")
}

// The notifier must tell everything once, whatever happens; the algorithms that
// it is compared with must be seen to miss something.
func TestSimulated(t *testing.T) {
	o := chosen
	sessions := plan(o)
	var rows []*outcome
	for _, name := range strings.Split(o.algorithms, ",") {
		t.Run(name, func(t *testing.T) {
			row := &outcome{name: name, o: o}
			wall, cpu := time.Now(), cpuTime()
			synctest.Test(t, func(t *testing.T) { row.simulate(t, sessions) })
			row.wall, row.cpu = time.Since(wall), cpuTime()-cpu
			rows = append(rows, row)
			row.judge(t)
		})
	}
	t.Log("\n" + table(o, rows))
}

// simulate runs one algorithm, in a bubble.
func (r *outcome) simulate(t *testing.T, sessions []session) {
	time.Sleep(time.Until(origin)) // the bubble's clock starts in 2000
	a := newAPI(r.o, sessions)
	c := newOracle(a, r.o)
	d := newDaemon(t, r.o, a, c)
	ctx, cancel := context.WithTimeout(t.Context(), r.o.lasts())
	defer cancel()
	p := newPlain(r.name, a, c)
	switch {
	case p != nil:
		go c.watch(ctx)
		p.run(ctx, r.o.interval)
		r.passes = p.passes
	case r.name == notifier:
		go d.watch(ctx)
		if err := d.run(ctx); err != nil {
			t.Fatalf("Run: %v", err)
		}
		r.passes, r.broken, r.crashes = int(d.passes.Load()), int(d.failed.Load()), d.crashes
		c.Doubled += int(d.repeated)
	default:
		t.Fatalf("there is no algorithm %q", r.name)
	}
	synctest.Wait()
	c.check(time.Now())
	r.requests, r.verdict = a.requests, c.verdict
}

// watch judges each minute what should have been told by then.
func (c *oracle) watch(ctx context.Context) {
	for wait(ctx, time.Minute) == nil {
		c.check(time.Now())
	}
}

func (d *daemon) watch(ctx context.Context) {
	for wait(ctx, time.Minute) == nil {
		d.mu.Lock()
		d.oracle.check(time.Now())
		d.mu.Unlock()
	}
}

// judge fails the notifier for anything wrong, and the others, but for the long
// scan, for nothing being wrong with them.
func (r *outcome) judge(t *testing.T) {
	if r.name == notifier {
		for _, e := range r.Examples {
			t.Error(e)
		}
		if r.faults() > 0 || r.Seen == 0 || r.Finals == 0 {
			t.Errorf("never seen %d, final state missed %d, false %d, doubled %d, out of order %d, outside its times %d, of %d sessions and %d final states",
				r.NeverSeen, r.Missed, r.False, r.Doubled, r.Disorder, r.Undated, r.Seen, r.Finals)
		}
		return
	}
	if r.Missed == 0 && r.Finals > 0 {
		t.Errorf("%s missed nothing: the oracle is blind", r.name)
	}
	if r.False+r.Doubled+r.Disorder > 0 {
		t.Errorf("%s is misjudged: %v", r.name, r.Examples)
	}
}

// nobody hears of events and observes nothing.
type nobody struct{}

func (nobody) Match(*event.Event, json.RawMessage, time.Time) rules.Result { return rules.Result{} }
func (nobody) ID() string                                                  { return "none" }
func (nobody) Committed([]event.Event, []event.Delivery)                   {}
