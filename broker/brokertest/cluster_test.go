package brokertest

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A port that is given to every connection by chance may be taken while a server of the
// cluster is stopped, which then cannot start again.
func TestAStoppedServerFindsItsPortsFree(t *testing.T) {
	servers, again := Cluster(t)
	for i, s := range servers {
		at, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if port, err := strconv.Atoi(at.Port()); err != nil || port < lowestPort || port >= highestPort {
			t.Errorf("server %d is at %s", i, s.URL)
		}
	}
	servers[1].Stop()
	if now := again(1); now.URL != servers[1].URL {
		t.Errorf("it was at %s, and is at %s", servers[1].URL, now.URL)
	}
}

// Why a server does not start is told at once.
func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // of this test
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	began := time.Now()
	srv, err := begin(&server.Options{Host: "127.0.0.1", Port: taken.Addr().(*net.TCPAddr).Port, NoLog: true, NoSigs: true})
	if srv != nil {
		srv.Shutdown()
	}
	if err == nil || !strings.Contains(err.Error(), "in use") || time.Since(began) > readyLimit/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
