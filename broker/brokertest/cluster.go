package brokertest

import (
	"fmt"
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
	// They must know of each other before they start: the ports are looked for
	// first, and are free as long as nobody else takes them meanwhile.
	all := make([]*server.Options, ClusterSize)
	var routes []*url.URL
	for i := range all {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		all[i] = &server.Options{
			ServerName: fmt.Sprintf("test-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
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
