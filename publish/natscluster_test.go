package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
)

// TestNATSClusterWithoutALeader has a stream of three copies lose two of its
// servers amid a storm, and get them back.
func TestNATSClusterWithoutALeader(t *testing.T) {
	t.Parallel()
	servers, again := brokertest.Cluster(t)
	nc, err := nats.Connect(servers[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	kept := stream(t, nc, checkoutStream(func(c *jetstream.StreamConfig) { c.Replicas = brokertest.ClusterSize }))
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	d := natsDestination(strings.Join(urls, ","))
	d.Stream.Name, d.Stream.Ensure = "CHECKOUT", true
	s := &storm{publisher: newNATS(t, d, nil)}
	s.begin(t, 5*time.Millisecond)
	s.await(t, stormWorkers)
	info, err := kept.Info(t.Context())
	if err != nil || info.Config.Replicas != brokertest.ClusterSize {
		t.Errorf("the stream has %d copies, %v", info.Config.Replicas, err)
	}
	servers[1].Stop()
	servers[2].Stop()
	eventually(t, "outage", func() bool {
		m := message(event.Paid)
		m.Delivery.ID = stormID(0, 0) // which was accepted, or will be
		return s.publisher.Publish(t.Context(), m).Outcome == event.OutcomeUnavailable
	})
	s.awaitWord(t, "or it has no leader: is there a stream CHECKOUT?")
	again(1)
	again(2)
	s.end(t, servers[0].URL)
}
