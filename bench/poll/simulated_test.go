// Package poll_test measures the poller against a simulated API on simulated
// time: days of sessions, failing requests, late sessions, lagging replicas and
// crashes. See bench/README.md.
package poll_test

import (
	"cmp"
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
	rateLimit  float64
	unpaidFor  time.Duration
	retention  time.Duration
	crashEvery time.Duration
	calm       bool
	seed       uint64
	algorithms string
}

func (o *options) lasts() time.Duration { return time.Duration(o.days * float64(day)) }

var chosen options

func init() {
	flag.Float64Var(&chosen.days, "days", 0, "simulated days; 0: the short run of the tests, a few hours of little traffic")
	flag.IntVar(&chosen.sessions, "sessions", 10_000, "sessions a day")
	flag.DurationVar(&chosen.history, "history", 3*day, "how long there were sessions before the run, in whole days")
	flag.DurationVar(&chosen.interval, "interval", 10*time.Second, "poll.interval")
	flag.Float64Var(&chosen.rateLimit, "rate-limit", 5, "poll.rate_limit")
	flag.DurationVar(&chosen.unpaidFor, "unpaid-for", 14*day, "poll.unpaid_for")
	flag.DurationVar(&chosen.retention, "retention", 30*day, "state.retention")
	flag.DurationVar(&chosen.crashEvery, "crash-every", 10*time.Minute, "time between crashes on average, 0 for none")
	flag.BoolVar(&chosen.calm, "calm", false, "no request fails and no replica lags")
	flag.Uint64Var(&chosen.seed, "seed", 1, "of the traffic and the faults")
	flag.StringVar(&chosen.algorithms, "algorithms", "", "what to run, comma separated: "+strings.Join(algorithms(), ", ")+"; all in the short run, else the first two")
}

// complete fills in what the flags leave open. The short run must end within
// seconds under the race detector.
func (o options) complete() options {
	all := algorithms()
	if o.days > 0 {
		o.algorithms = cmp.Or(o.algorithms, strings.Join(all[:2], ","))
		return o
	}
	o.days, o.sessions, o.history, o.interval = 0.2, 300, 2*day, 30*time.Second
	o.algorithms = cmp.Or(o.algorithms, strings.Join(all, ","))
	return o
}

// The notifier must tell everything once, whatever happens; the algorithms that
// it is compared with must be seen to miss something.
func TestSimulated(t *testing.T) {
	o := chosen.complete()
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
	if len(rows) > 0 {
		t.Log("\n" + table(o, rows))
	}
}

// simulate runs one algorithm, in a bubble.
func (r *outcome) simulate(t *testing.T, sessions []session) {
	time.Sleep(time.Until(origin)) // the bubble's clock starts in 2000
	a := newAPI(r.o, sessions)
	c := newOracle(a, r.o)
	d := newDaemon(t, r.o, a, c)
	ctx, cancel := context.WithTimeout(t.Context(), r.o.lasts())
	defer cancel()
	go r.progress(ctx, t, a)
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
		r.drift = int(d.drift.Load())
		c.Doubled += int(d.repeated)
	default:
		t.Fatalf("there is no algorithm %q", r.name)
	}
	synctest.Wait()
	c.check(time.Now())
	r.requests, r.verdict = a.requests, c.verdict
}

// progress says each simulated day how far a run is.
func (r *outcome) progress(ctx context.Context, t *testing.T, a *api) {
	for n := 1; wait(ctx, day) == nil; n++ {
		a.mu.Lock()
		t.Logf("%s: day %d of %g, %d requests", r.name, n, r.o.days, a.requests)
		a.mu.Unlock()
	}
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

// judge fails the notifier for anything that is wrong, and the others for having
// missed nothing, but for the long scan, which only misses what takes long.
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
	if r.Missed == 0 && r.Finals > 0 && r.name != scan24h {
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
