package cycle_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// report is what was measured, per session.
type report struct {
	sessions int
	order    []string
	cpu      map[string][]time.Duration
	wall     map[string][]time.Duration
	goals    []string
}

func newReport(sessions int) *report {
	return &report{sessions: sessions, cpu: make(map[string][]time.Duration), wall: make(map[string][]time.Duration)}
}

// measure notes what one run of a way takes.
func (r *report) measure(name string, way func()) {
	runtime.GC() // every measurement begins with the same heap
	cpu, wall := cpuTime(), time.Now()
	way()
	if r.cpu[name] == nil {
		r.order = append(r.order, name)
	}
	r.cpu[name] = append(r.cpu[name], cpuTime()-cpu)
	r.wall[name] = append(r.wall[name], time.Since(wall))
}

func least(list []time.Duration) time.Duration { return slices.Min(list) }

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func (r *report) goal(name, what string, best, usual, goal float64) {
	line := fmt.Sprintf("%-8s %-48s min %.2f  median %.2f", name, what, best, usual)
	if goal > 0 {
		line += fmt.Sprintf("  (goal %.1f)", goal)
	}
	r.goals = append(r.goals, line)
}

// compare is the CPU of a way by that of the limit of the same run.
func (r *report) compare(name, way, limit string, goal float64) {
	r.goal(name, way+" / ("+limit+")", ratio(least(r.cpu[way]), least(r.cpu[limit])), ratio(median(r.cpu[way]), median(r.cpu[limit])), goal)
}

// against is the CPU of a session by a figure of another day.
func (r *report) against(name, way string, figure time.Duration, goal float64) {
	all := figure * time.Duration(r.sessions)
	r.goal(name, fmt.Sprintf("%s / %s", way, figure), ratio(least(r.cpu[way]), all), ratio(median(r.cpu[way]), all), goal)
}

// bound is the share of the possible speed that a way reaches.
func (r *report) bound(name, way string, bound time.Duration, goal float64) {
	r.goal(name, "bound / "+way, ratio(bound, least(r.wall[way])), ratio(bound, median(r.wall[way])), goal)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func (r *report) print(t *testing.T) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d sessions\n%-16s %14s %14s %16s %10s\n", r.sessions, "", "CPU us/session", "median", "sessions/s best", "median")
	for _, name := range r.order {
		session := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(r.sessions) }
		speed := func(d time.Duration) float64 { return float64(r.sessions) / d.Seconds() }
		fmt.Fprintf(&b, "%-16s %14.2f %14.2f %16.0f %10.0f\n", name,
			session(least(r.cpu[name])), session(median(r.cpu[name])), speed(least(r.wall[name])), speed(median(r.wall[name])))
	}
	t.Logf("%s%s", b.String(), strings.Join(r.goals, "\n"))
}
