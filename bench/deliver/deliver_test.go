// Package deliver_test measures deliveries, from the store to the receiver and
// back, against what sending the same bytes costs at least. See bench/README.md.
package deliver_test

import (
	"flag"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"testing"
	"time"

	"checkout-notifier/event"
)

// What a run can be told.
var (
	deliveries = flag.Int("deliveries", 0, "deliveries of a measurement; 0: the short run of the tests")
	rounds     = flag.Int("rounds", 5, "how often each way is measured, in turns")
	profile    = flag.String("profile", "", "write the CPU that the notifier takes in the last round of 64 in flight to this file")
)

func size() (n, times int) {
	if *deliveries == 0 {
		return 200, 1
	}
	return *deliveries, *rounds
}

// measured is how long the runs of a way took.
type measured struct{ wall, cpu []time.Duration }

func (m *measured) measure(way func()) {
	runtime.GC() // every measurement begins with the same heap
	cpu, wall := cpuTime(), time.Now()
	way()
	m.cpu, m.wall = append(m.cpu, cpuTime()-cpu), append(m.wall, time.Since(wall))
}

// rate is the best of a way's runs, in deliveries a second.
func (m *measured) rate(n int) float64 { return float64(n) / slices.Min(m.wall).Seconds() }

func (m *measured) micros(n int) float64 {
	return float64(slices.Min(m.cpu).Microseconds()) / float64(n)
}

// TestHTTP measures what a local receiver is sent in a second.
func TestHTTP(t *testing.T) {
	n, times := size()
	o := newOutside(t)
	list := parcels(t, n)
	for _, c := range []struct {
		concurrency int
		commits     bool
		goal        float64
	}{{64, false, 0.55}, {8, true, 0.7}} {
		var bare, notified measured
		shop := newNotifier(t)
		shop.fill(t, page, "warm", time.Time{})
		shop.drain(t, page, callback("warm", o.url(pathAccept), c.concurrency))
		var before func(int) error
		if c.commits {
			floor := newNotifier(t)
			ids := floor.fill(t, n, "bare", time.Time{})
			before = func(i int) error {
				_, err := floor.store.Take(t.Context(), event.Step{Begun: []event.Begin{{
					Delivery: event.Delivery{ID: ids[i], Destination: "bare"},
					Attempt:  event.Attempt{DeliveryID: ids[i], N: 1, Started: time.Now()},
				}}})
				return err
			}
		}
		for round := range times {
			bare.measure(func() { post(t, o.url(pathAccept), list, c.concurrency, before) })
			shop.fill(t, n, "shop", time.Time{})
			stop := profiling(t, c.concurrency == 64 && round == times-1)
			notified.measure(func() { shop.drain(t, n, callback("shop", o.url(pathAccept), c.concurrency)) })
			stop()
		}
		t.Logf("%2d in flight: bare %.0f/s (%.0f us CPU), notifier %.0f/s (%.0f us CPU): %.2f (goal %.2f)", c.concurrency,
			bare.rate(n), bare.micros(n), notified.rate(n), notified.micros(n), notified.rate(n)/bare.rate(n), c.goal)
	}
}

// profiling writes a profile until what it returns is called, if it was asked for.
func profiling(t *testing.T, wanted bool) (stop func()) {
	if *profile == "" || !wanted {
		return func() {}
	}
	file, err := os.Create(*profile)
	if err != nil {
		t.Fatal(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		t.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // a profile that is cut off shows itself
	}
}
