package poll_test

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// outcome is a row of figures of one algorithm.
type outcome struct {
	verdict
	name      string
	o         options
	passes    int
	broken    int // passes
	drift     int // sessions that only a reconciliation found
	crashes   int
	requests  int
	wall, cpu time.Duration
}

func (r *outcome) perSecond() float64 { return float64(r.requests) / r.o.lasts().Seconds() }

// figure is a line of the table. limit is what the notifier must keep to, 0 for
// nothing at all; negative when there is none.
type figure struct {
	name  string
	value func(*outcome) float64
	limit float64
	unit  string
}

func figures(o options) []figure {
	count := func(n func(*outcome) int) func(*outcome) float64 {
		return func(r *outcome) float64 { return float64(n(r)) }
	}
	delay := func(h func(*outcome) *histogram, share float64) func(*outcome) float64 {
		return func(r *outcome) float64 {
			if share == 1 {
				return h(r).max.Seconds()
			}
			return h(r).quantile(share).Seconds()
		}
	}
	changes := func(r *outcome) *histogram { return &r.Changes }
	finals := func(r *outcome) *histogram { return &r.Final }
	const none = -1
	perSecond := 1.2 // the goal is set for 10,000 sessions a day
	if o.sessions != 10_000 {
		perSecond = none
	}
	return []figure{
		{"sessions", count(func(r *outcome) int { return r.Seen }), none, "%.0f"},
		{"final states", count(func(r *outcome) int { return r.Finals }), none, "%.0f"},
		{"never seen", count(func(r *outcome) int { return r.NeverSeen }), 0, "%.0f"},
		{"final state missed", count(func(r *outcome) int { return r.Missed }), 0, "%.0f"},
		{"false", count(func(r *outcome) int { return r.False }), 0, "%.0f"},
		{"doubled", count(func(r *outcome) int { return r.Doubled }), 0, "%.0f"},
		{"out of order", count(func(r *outcome) int { return r.Disorder }), 0, "%.0f"},
		{"outside its times", count(func(r *outcome) int { return r.Undated }), 0, "%.0f"},
		{"final state after 20m", count(func(r *outcome) int { return r.Late }), none, "%.0f"},
		{"change p50 s", delay(changes, 0.5), o.interval.Seconds()/2 + 2, "%.1f"},
		{"change p99 s", delay(changes, 0.99), none, "%.1f"},
		{"change max s", delay(changes, 1), none, "%.1f"},
		{"final state p50 s", delay(finals, 0.5), o.interval.Seconds()/2 + 2, "%.1f"},
		{"final state p99 s", delay(finals, 0.99), none, "%.1f"},
		{"final state max s", delay(finals, 1), none, "%.1f"},
		{"drift", count(func(r *outcome) int { return r.drift }), 0, "%.0f"},
		{"passes", count(func(r *outcome) int { return r.passes }), none, "%.0f"},
		{"passes broken", count(func(r *outcome) int { return r.broken }), none, "%.0f"},
		{"crashes", count(func(r *outcome) int { return r.crashes }), none, "%.0f"},
		{"requests/pass", func(r *outcome) float64 { return float64(r.requests) / float64(max(r.passes, 1)) }, none, "%.1f"},
		{"requests/s", (*outcome).perSecond, perSecond, "%.2f"},
		{"CPU s", func(r *outcome) float64 { return r.cpu.Seconds() }, none, "%.1f"},
		{"wall s", func(r *outcome) float64 { return r.wall.Seconds() }, none, "%.1f"},
	}
}

// table prints one column for each algorithm, and the ratio of the notifier's
// figures to their limits.
func table(o options, rows []*outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%g days, %d sessions a day, every %s, unpaid for %s, seed %d\n", o.days, o.sessions, o.interval, o.unpaidFor, o.seed)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\tlimit\tratio\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t", r.name)
	}
	fmt.Fprintln(w)
	for _, f := range figures(o) {
		limit, ratio := "", ""
		if f.limit >= 0 {
			limit = fmt.Sprintf(f.unit, f.limit)
			if f.limit > 0 && rows[0].name == notifier {
				ratio = fmt.Sprintf("%.2f", f.value(rows[0])/f.limit)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t", f.name, limit, ratio)
		for _, r := range rows {
			fmt.Fprintf(w, f.unit+"\t", f.value(r))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	for _, r := range rows {
		if r.name == notifier {
			b.WriteString("\nnotifier, delay by change\n" + byKind(r))
		}
	}
	return b.String()
}

func byKind(r *outcome) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tevents\tp50 s\tp99 s\tmax s\t")
	for k, name := range []string{"created", "completed", "expired", "no_payment_required", "paid"} {
		h := &r.Kind[k]
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.1f\t\n", name, h.n, h.quantile(0.5).Seconds(), h.quantile(0.99).Seconds(), h.max.Seconds())
	}
	w.Flush()
	return b.String()
}
