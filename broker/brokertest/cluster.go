package brokertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ClusterSize is how many servers a cluster has: one of them may be missing.
const ClusterSize = 3

// Cluster starts servers that keep streams together, and returns when they have
// a leader. again starts one that was stopped, with its files.
func Cluster(t testing.TB) (servers []Server, again func(i int) Server) {
	t.Helper()
	// They must know of each other before they start: the ports are looked for first.
	all := make([]*server.Options, ClusterSize)
	var routes []*url.URL
	for i := range all {
		client, port := freePort(t), freePort(t)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		all[i] = &server.Options{
			ServerName: fmt.Sprintf("test-%d", i), Host: "127.0.0.1", Port: client, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port, NoAdvertise: true},
		}
	}
	running := make([]*server.Server, ClusterSize)
	for i, options := range all {
		options.Routes = routes
		var s Server
		s, running[i] = serve(t, options)
		servers = append(servers, s)
	}
	for deadline := time.Now().Add(readyLimit); !led(running); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the NATS servers did not agree on a leader")
		}
	}
	return servers, func(i int) Server {
		t.Helper()
		s, _ := serve(t, all[i])
		return s
	}
}

// The ports that a system gives to whoever asks for any, as every connection does, are
// higher: they begin at 32768 with Linux.
const lowestPort, highestPort = 10_000, 32_000

// freePort returns a port that nobody is given by chance, so that a server which is
// stopped finds its ports free when it starts again, whatever connects meanwhile.
func freePort(t testing.TB) int {
	t.Helper()
	for range highestPort - lowestPort {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // it is closed at once
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// led says whether all servers follow a leader, which knows them all.
func led(servers []*server.Server) bool {
	known := 0
	for _, s := range servers {
		if !s.JetStreamIsCurrent() {
			return false
		}
		known += len(s.JetStreamClusterPeers()) // none but of the leader
	}
	return known == len(servers)
}
