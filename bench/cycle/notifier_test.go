package cycle_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// The low-water mark minus overlap lies below the oldest session: every pass
// reads the whole list.
const configuration = `
version: 1
accounts:
  - {name: main, secret_key: sk_test_bench, base_url: 'http://%s', start: now}
poll:
  rate_limit: 0
  tuning: {overlap: 26h}
state: {path: %s}
nats: {url: '%s'}
destinations:
  - {name: bus, type: nats, subject: 'checkout.{{ .Account }}.{{ .Change }}', stream: {name: CHECKOUT, ensure: true}}
rules:
  - {name: ship, events: [fulfillable], when: 'session.metadata.tenant == "north"', to: [bus]}
  - {name: large, events: [completed, paid], when: session.amount_total >= 1000_00, to: [bus]}
  - {name: abandoned, events: [expired], when: session.amount_total >= 50_00, to: [bus]}
  - {name: odd, events: [unresolved, regressed], to: [bus]}
`

// notifier is all the stages as the daemon wires them.
type notifier struct {
	loaded *config.Loaded
	store  *state.Store
	relay  *publish.Relay
	stages *pipeline.Pipeline
}

func newNotifier(t *testing.T, o *outside) *notifier {
	t.Helper()
	text := fmt.Sprintf(configuration, o.api, filepath.Join(t.TempDir(), "notifier.db"), o.nats)
	loaded, err := config.Load(config.Options{Source: []byte(text), Name: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	n := &notifier{loaded: loaded}
	quiet := slog.New(slog.DiscardHandler)
	if n.store, err = state.Open(t.Context(), loaded.Config.State, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.store.Close() })
	destination := loaded.Config.Destinations[0]
	renderer, err := publish.NewRenderer(destination, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := publish.NewNATS(destination, renderer, publish.NewConnections(quiet))
	if err != nil {
		t.Fatal(err)
	}
	lanes := []publish.Lane{{Destination: destination, Publisher: publisher}}
	if n.relay, err = publish.NewRelay(n.store, lanes, publish.Options{}, quiet); err != nil {
		t.Fatal(err)
	}
	n.stages = pipeline.New(n.store, loaded.Rules, func(string) bool { return destination.Ordered }, n, quiet)
	n.deliver(t)
	return n
}

// deliver lets the relay work until the test ends.
func (n *notifier) deliver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var delivering sync.WaitGroup
	delivering.Go(func() {
		if err := n.relay.Run(ctx); err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); delivering.Wait() })
}

// poller returns one that has read what the store knows.
func (n *notifier) poller(t *testing.T, concurrency int) *poller.Poller {
	t.Helper()
	account := n.loaded.Config.Accounts[0]
	account.Poll.Tuning.Concurrency = concurrency
	p, err := poller.New([]poller.Account{account}, n.store, n.stages, poller.Options{
		Version: "bench", Observer: nobody{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		err = p.Check(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cycle makes one pass and waits until all that follows from it was delivered.
func (n *notifier) cycle(t *testing.T, p *poller.Poller) {
	t.Helper()
	if err := p.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		destinations, err := n.store.Destinations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(destinations) == 0 || destinations[0].Pending == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Committed implements pipeline.Observer as the daemon does.
func (n *notifier) Committed(_ []event.Event, deliveries []event.Delivery) {
	if len(deliveries) > 0 {
		n.relay.Wake(deliveries[0].Destination)
	}
}

// nobody hears what the daemon counts.
type nobody struct{}

func (nobody) APIRequest(string, string)           {}
func (nobody) Passed(string, time.Duration, error) {}
func (nobody) Fetched(string, int, bool)           {}
func (nobody) Waited(string, time.Duration)        {}
func (nobody) Drifted(string, int)                 {}
