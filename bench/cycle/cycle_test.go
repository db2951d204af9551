// Package cycle_test measures whole polling cycles against what reading and
// taking apart the same pages costs at least. See bench/README.md.
package cycle_test

import (
	"flag"
	"testing"
	"time"
)

// What a run can be told.
var (
	sessions = flag.Int("sessions", 0, "sessions in the list; 0: the short run of the tests")
	rounds   = flag.Int("rounds", 5, "how often each way is measured, in turns")
	latency  = flag.Duration("latency", 20*time.Millisecond, "of the API, where a run is bound by it")
)

const (
	concurrency = 4
	// measuredCycle is the CPU of a session, of which one in a hundred has
	// changed, that the best of our prototypes needed on a quiet machine.
	measuredCycle = 12 * time.Microsecond
)

func size() (n, times int) {
	if *sessions == 0 {
		return 1000, 1
	}
	return *sessions, *rounds
}

// TestCycle measures CPU: cycles in which nothing changed, and cycles in which
// one session of a hundred did.
func TestCycle(t *testing.T) {
	n, times := size()
	o := newOutside(t, n)
	d := newNotifier(t, o)
	p := d.poller(t, concurrency)
	fetch, limit := newBare(o, concurrency, false), newBare(o, concurrency, true)
	least := newFloor(t, o, concurrency)
	report := newReport(n)
	report.measure("first pass", func() { d.cycle(t, p) })
	for round := range times {
		report.measure("fetch", func() { fetch.read(t, concurrency) })
		report.measure("fetch + scan", func() { limit.read(t, concurrency) })
		report.measure("unchanged", func() { d.cycle(t, p) })
		o.steer(t, "flipped", round+1)
		report.measure("1 % changed", func() { d.cycle(t, p) })
		report.measure("its floor", func() { least.cycle(t, round, concurrency) })
	}
	d.check(t, times*n/shares)
	report.compare("goal 2", "unchanged", "fetch + scan", 2)
	report.against("goal 3", "1 % changed", measuredCycle, 1.5)
	report.compare("", "1 % changed", "its floor", 0)
	report.print(t)
}

// TestLatency measures wall time where the API's latency rules.
func TestLatency(t *testing.T) {
	n, times := size()
	o := newOutside(t, n)
	d := newNotifier(t, o)
	d.cycle(t, d.poller(t, concurrency))
	o.steer(t, "latency", *latency)
	for _, concurrency := range []int{4, 16} {
		report := newReport(n)
		bare := newBare(o, concurrency, false)
		bound := time.Duration(n) * *latency / time.Duration(pageSize*concurrency)
		for range times {
			p := d.poller(t, concurrency)
			report.measure("bare", func() { bare.read(t, concurrency) })
			report.measure("notifier", func() { d.cycle(t, p) })
		}
		report.bound("goal 4", "notifier", bound, 0.8)
		report.bound("", "bare", bound, 0)
		t.Logf("%d pages at once, each %s away", concurrency, *latency)
		report.print(t)
	}
}

// check makes sure that what was measured is what was meant.
func (n *notifier) check(t *testing.T, changed int) {
	t.Helper()
	events, after := 0, uint64(0)
	for {
		page, err := n.store.Events(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		events, after = events+len(page), page[len(page)-1].Sequence
	}
	if events != eventsOfChange*changed {
		t.Fatalf("%d events of %d changes", events, changed)
	}
}
