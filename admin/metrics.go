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
	Polling      []PollingGauges
	Destinations []event.DestinationState
	Up           map[string]bool // by destination
	Blocked      map[string]int  // subjects that it takes nothing for, by destination
	StoreBytes   int64
	StoreInPlace bool          // the file is at its path
	StorePutBack int           // how often it was taken away, and saved again
	Backup       *BackupGauges // nil if no copies are to be made
}

// BackupGauges is how the copies of the store are doing.
type BackupGauges struct {
	Last         time.Time     // the newest one; zero if there is none
	Took         time.Duration // the last one that this process made; 0 if it made none
	Bytes        int64
	Copies       int
	Made, Failed int // by this process
}

// PollingGauges is how an account's poller is doing.
type PollingGauges struct {
	Account    string
	Tiers      map[string]int // sessions that are looked at again, by tier
	OldestLook time.Time      // the oldest among these; zero if there are none
	Reconciled time.Time      // when the last complete reconciliation began; zero if there was none
	Held       int
	Holes      int     // parts of the list and sessions that the API cannot show
	Rate       float64 // requests per second at present, 0 = unlimited
	Parallel   int
}

// Metrics counts what the stages report. Its methods satisfy their observers
// and may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry

	lastSuccess *prometheus.GaugeVec
	passes      *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	drift       *prometheus.CounterVec
	bytes       *prometheus.CounterVec
	fallbacks   *prometheus.CounterVec
	waited      *prometheus.CounterVec
	lag         *prometheus.HistogramVec
	events      *prometheus.CounterVec
	matches     *prometheus.CounterVec
	ruleErrors  *prometheus.CounterVec
	suppressed  *prometheus.CounterVec
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
	m.drift = counter("drift_total", "Sessions that only a reconciliation found; the goal is none.", "account")
	m.bytes = counter("api_response_bytes_total", "Bytes of the API's answers.", "account")
	m.fallbacks = counter("page_fallbacks_total", "Pages of the list that were of an unusual form, and were read by the slower decoder.", "account")
	m.waited = counter("rate_limit_wait_seconds_total", "Time that requests waited for poll.rate_limit, or for what the API allows.", "account")
	m.lag = histogram("detection_lag_seconds", "From the last look at the old state to the look that showed the new one.", seconds, "account")
	m.events = counter("events_total", "Events by type.", "type")
	m.matches = counter("rule_matches_total", "Events that a rule sent to somebody.", "rule")
	m.ruleErrors = counter("rule_errors_total", "Evaluations of a rule that failed.", "rule")
	m.suppressed = counter("rule_suppressed_total", "Matches of a rule that led to no delivery, by reason.", "rule", "reason")
	m.attempts = counter("delivery_attempts_total", "Delivery attempts by destination and outcome.", "destination", "outcome")
	m.latency = histogram("delivery_latency_seconds", "From the commit of an event to its acceptance.", seconds, "destination")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(&scrape{read: gauges})

	for _, a := range accounts {
		m.lastSuccess.WithLabelValues(a)
		m.passes.WithLabelValues(a)
		m.lag.WithLabelValues(a)
		m.requests.WithLabelValues(a, "200")
		for _, v := range []*prometheus.CounterVec{m.drift, m.bytes, m.fallbacks, m.waited} {
			v.WithLabelValues(a)
		}
	}
	for _, t := range append(event.Types(), event.SystemTypes()...) {
		m.events.WithLabelValues(t)
	}
	for _, r := range ruleNames {
		m.matches.WithLabelValues(r)
		m.ruleErrors.WithLabelValues(r)
		m.suppressed.WithLabelValues(r, event.SuppressedSelf)
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

// Drifted counts sessions that only a reconciliation found.
func (m *Metrics) Drifted(account string, n int) { m.drift.WithLabelValues(account).Add(float64(n)) }

// Fetched counts an answer of the API; checked is one that the fast way of
// reading it could not take.
func (m *Metrics) Fetched(account string, bytes int, checked bool) {
	m.bytes.WithLabelValues(account).Add(float64(bytes))
	if checked {
		m.fallbacks.WithLabelValues(account).Inc()
	}
}

// Waited counts the time that a request waited for the rate limit.
func (m *Metrics) Waited(account string, d time.Duration) {
	m.waited.WithLabelValues(account).Add(d.Seconds())
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
		for _, s := range e.Suppressed {
			for _, rule := range s.Rules {
				m.suppressed.WithLabelValues(rule, s.Reason).Inc()
			}
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
