package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"checkout-notifier/event"
)

// Gauges is what is read from the daemon when metrics are scraped.
type Gauges struct {
	Sessions     map[string]map[event.Watch]int // by account
	Destinations []event.DestinationState
	Up           map[string]bool // by destination
	StoreBytes   int64
}

// Metrics counts what the stages report. Its methods satisfy their observers
// and may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry

	lastSuccess *prometheus.GaugeVec
	passes      *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	lag         *prometheus.HistogramVec
	events      *prometheus.CounterVec
	matches     *prometheus.CounterVec
	ruleErrors  *prometheus.CounterVec
	attempts    *prometheus.CounterVec
	latency     *prometheus.HistogramVec
}

// NewMetrics returns metrics with a series for every configured account, rule
// and destination, so that a rate starts at zero rather than at nothing.
func NewMetrics(version string, accounts, ruleNames, destinations []string, gauges func(context.Context) (Gauges, error)) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "notifier_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "notifier_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "notifier_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	seconds := []float64{.01, .03, .1, .3, 1, 3, 10, 30, 60, 300, 1800, 7200, 86400}

	gauge("build_info", "The version that is running.", "version").WithLabelValues(version).Set(1)
	gauge("config_last_reload_successful", "Whether the configuration was loaded at the last attempt.").WithLabelValues().Set(1)
	m.lastSuccess = gauge("poll_last_success_timestamp_seconds", "When the account's last complete pass ended.", "account")
	m.passes = histogram("poll_duration_seconds", "How long passes take.", seconds, "account")
	m.requests = counter("api_requests_total", "API requests by account and status code, or the kind of failure.", "account", "code")
	m.lag = histogram("detection_lag_seconds", "From the last look at the old state to the look that showed the new one.", seconds, "account")
	m.events = counter("events_total", "Events by type.", "type")
	m.matches = counter("rule_matches_total", "Events that a rule sent to somebody.", "rule")
	m.ruleErrors = counter("rule_errors_total", "Evaluations of a rule that failed.", "rule")
	m.attempts = counter("delivery_attempts_total", "Delivery attempts by destination and outcome.", "destination", "outcome")
	m.latency = histogram("delivery_latency_seconds", "From the commit of an event to its acceptance.", seconds, "destination")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(&scrape{read: gauges})

	for _, a := range accounts {
		m.lastSuccess.WithLabelValues(a)
		m.passes.WithLabelValues(a)
		m.lag.WithLabelValues(a)
		m.requests.WithLabelValues(a, "200")
	}
	for _, t := range event.Types() {
		m.events.WithLabelValues(t)
	}
	for _, r := range ruleNames {
		m.matches.WithLabelValues(r)
		m.ruleErrors.WithLabelValues(r)
	}
	for _, d := range destinations {
		m.latency.WithLabelValues(d)
		for _, o := range []event.Outcome{event.OutcomeAccepted, event.OutcomeRefused, event.OutcomeUnavailable} {
			m.attempts.WithLabelValues(d, string(o))
		}
	}
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// APIRequest counts a request to the API.
func (m *Metrics) APIRequest(account, code string) { m.requests.WithLabelValues(account, code).Inc() }

// Passed counts a pass.
func (m *Metrics) Passed(account string, took time.Duration, err error) {
	m.passes.WithLabelValues(account).Observe(took.Seconds())
	if err == nil {
		m.lastSuccess.WithLabelValues(account).SetToCurrentTime()
	}
}

// Committed counts events and the rules that matched them.
func (m *Metrics) Committed(events []event.Event, deliveries []event.Delivery) {
	for i := range events {
		e := &events[i]
		m.events.WithLabelValues(e.Type).Inc()
		if !e.OccurredAfter.IsZero() {
			m.lag.WithLabelValues(e.Account).Observe(e.OccurredBefore.Sub(e.OccurredAfter).Seconds())
		}
		for _, failed := range e.RuleErrors {
			m.ruleErrors.WithLabelValues(failed.Rule).Inc()
		}
	}
	counted := make(map[[2]string]bool)
	for i := range deliveries {
		for _, rule := range deliveries[i].Rules {
			if key := [2]string{deliveries[i].EventID, rule}; !counted[key] {
				counted[key] = true
				m.matches.WithLabelValues(rule).Inc()
			}
		}
	}
}

// Attempted counts a delivery attempt. latency is from the event's commit.
func (m *Metrics) Attempted(destination string, outcome event.Outcome, latency time.Duration) {
	m.attempts.WithLabelValues(destination, string(outcome)).Inc()
	if outcome == event.OutcomeAccepted {
		m.latency.WithLabelValues(destination).Observe(latency.Seconds())
	}
}

// scrape reads the gauges when they are asked for.
type scrape struct {
	read func(context.Context) (Gauges, error)
}

var (
	descTracked = prometheus.NewDesc("notifier_sessions_tracked", "Sessions in the store by state.", []string{"account", "state"}, nil)
	descPending = prometheus.NewDesc("notifier_deliveries_pending", "Deliveries that were not accepted yet.", []string{"destination"}, nil)
	descOldest  = prometheus.NewDesc("notifier_delivery_oldest_pending_seconds", "Age of the oldest delivery that is due, 0 if none is.", []string{"destination"}, nil)
	descDead    = prometheus.NewDesc("notifier_dead_letters", "Dead letters.", []string{"destination"}, nil)
	descUp      = prometheus.NewDesc("notifier_destination_up", "Whether the destination took what it was sent last: 0 while it fails, pauses or cannot be reached.", []string{"destination"}, nil)
	descSize    = prometheus.NewDesc("notifier_store_size_bytes", "Size of the store's file.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descTracked, descPending, descOldest, descDead, descUp, descSize} {
		ch <- d
	}
}

const scrapeTimeout = 5 * time.Second

// Collect implements prometheus.Collector.
func (s *scrape) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	g, err := s.read(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descSize, err)
		return
	}
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for account, states := range g.Sessions {
		for _, w := range []event.Watch{event.Watched, event.Settled, event.GivenUp, event.Vanished} {
			send(descTracked, float64(states[w]), account, string(w))
		}
	}
	for _, d := range g.Destinations {
		send(descPending, float64(d.Pending), d.Name)
		send(descDead, float64(d.Dead), d.Name)
		age := 0.0
		if !d.OldestPending.IsZero() {
			age = max(time.Since(d.OldestPending).Seconds(), 0)
		}
		send(descOldest, age, d.Name)
	}
	for name, up := range g.Up {
		value := 0.0
		if up {
			value = 1
		}
		send(descUp, value, name)
	}
	send(descSize, float64(g.StoreBytes))
}
