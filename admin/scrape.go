package admin

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"checkout-notifier/event"
)

// scrape reads the gauges when they are asked for.
type scrape struct {
	read func(context.Context) (Gauges, error)
}

var (
	descTracked  = prometheus.NewDesc("notifier_sessions_tracked", "Sessions in the store by state.", []string{"account", "state"}, nil)
	descPending  = prometheus.NewDesc("notifier_deliveries_pending", "Deliveries that were not accepted yet.", []string{"destination"}, nil)
	descOldest   = prometheus.NewDesc("notifier_delivery_oldest_pending_seconds", "Age of the oldest delivery that was not accepted yet, due or not, 0 if there is none.", []string{"destination"}, nil)
	descDead     = prometheus.NewDesc("notifier_dead_letters", "Dead letters.", []string{"destination"}, nil)
	descUp       = prometheus.NewDesc("notifier_destination_up", "Whether the destination took what it was sent last: 0 while it fails, pauses or cannot be reached.", []string{"destination"}, nil)
	descBlocked  = prometheus.NewDesc("notifier_destination_blocked_subjects", "NATS subjects that the destination takes nothing for, 1000 if there are more.", []string{"destination"}, nil)
	descTiers    = prometheus.NewDesc("notifier_sessions_by_tier", "Sessions that are looked at again, by how often.", []string{"account", "tier"}, nil)
	descLook     = prometheus.NewDesc("notifier_oldest_look_seconds", "Age of the oldest look among the sessions that are looked at again, 0 if there are none.", []string{"account"}, nil)
	descRead     = prometheus.NewDesc("notifier_since_reconciliation_seconds", "Age of the last complete reconciliation, 0 if there was none.", []string{"account"}, nil)
	descHeld     = prometheus.NewDesc("notifier_steps_back_held", "Sessions with a step back, or a change soon after they were first seen, that is not believed until it is confirmed.", []string{"account"}, nil)
	descHoles    = prometheus.NewDesc("notifier_holes", "Parts of the list and known sessions that the API cannot show: they are passed over and asked for apart.", []string{"account"}, nil)
	descRate     = prometheus.NewDesc("notifier_api_rate_limit", "Requests per second that the account may make at present, 0 if unlimited.", []string{"account"}, nil)
	descParallel = prometheus.NewDesc("notifier_api_parallel", "Requests that the account may make at once at present.", []string{"account"}, nil)
	descInPlace  = prometheus.NewDesc("notifier_store_in_place", "Whether the store's file is at its path: 0 while it is removed or something else stands there.", nil, nil)
	descPutBack  = prometheus.NewDesc("notifier_store_put_back_total", "How often the store's file was taken away under the daemon, and its content saved again.", nil, nil)
	descCopied   = prometheus.NewDesc("notifier_backup_last_success_timestamp_seconds", "When the newest backup was made, 0 if there is none.", nil, nil)
	descCopying  = prometheus.NewDesc("notifier_backup_last_duration_seconds", "How long the last backup took to be made and verified, 0 if this process made none.", nil, nil)
	descCopySize = prometheus.NewDesc("notifier_backup_last_size_bytes", "Size of the newest backup.", nil, nil)
	descCopies   = prometheus.NewDesc("notifier_backup_copies", "Backups that are kept in state.backup.dir.", nil, nil)
	descBackups  = prometheus.NewDesc("notifier_backups_total", "Backups that this process made or failed to make, by result.", []string{"result"}, nil)
	descSize     = prometheus.NewDesc("notifier_store_size_bytes", "Size of the store's file.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descTracked, descTiers, descLook, descRead, descHeld, descHoles, descRate, descParallel, descPending, descOldest, descDead, descUp, descBlocked, descSize, descInPlace, descPutBack,
		descCopied, descCopying, descCopySize, descCopies, descBackups,
	} {
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
	for i := range g.Polling {
		sendPolling(send, &g.Polling[i])
	}
	for _, d := range g.Destinations {
		send(descPending, float64(d.Pending), d.Name)
		send(descDead, float64(d.Dead), d.Name)
		send(descOldest, age(d.OldestPending), d.Name)
	}
	for name, up := range g.Up {
		send(descUp, oneIf(up), name)
	}
	for name, subjects := range g.Blocked {
		send(descBlocked, float64(subjects), name)
	}
	send(descSize, float64(g.StoreBytes))
	send(descInPlace, oneIf(g.StoreInPlace))
	count := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	count(descPutBack, g.StorePutBack)
	if b := g.Backup; b != nil {
		last := 0.0
		if !b.Last.IsZero() {
			last = float64(b.Last.Unix())
		}
		send(descCopied, last)
		send(descCopying, b.Took.Seconds())
		send(descCopySize, float64(b.Bytes))
		send(descCopies, float64(b.Copies))
		count(descBackups, b.Made, "success")
		count(descBackups, b.Failed, "failure")
	}
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// tiers are those that have a series from the start.
var tiers = []string{"hot", "warm", "unpaid", "expiring", "held", "vanished"}

func sendPolling(send func(d *prometheus.Desc, value float64, labels ...string), p *PollingGauges) {
	for _, tier := range tiers {
		send(descTiers, float64(p.Tiers[tier]), p.Account, tier)
	}
	for tier, n := range p.Tiers {
		if !slices.Contains(tiers, tier) {
			send(descTiers, float64(n), p.Account, tier)
		}
	}
	send(descLook, age(p.OldestLook), p.Account)
	send(descRead, age(p.Reconciled), p.Account)
	send(descHeld, float64(p.Held), p.Account)
	send(descHoles, float64(p.Holes), p.Account)
	send(descRate, p.Rate, p.Account)
	send(descParallel, float64(p.Parallel), p.Account)
}

// age is how many seconds ago a time was; 0 if there is none.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t).Seconds(), 0)
}
