// Package brokertest starts NATS servers for tests that need what the embedded
// broker does not offer: users with permissions, small limits.
//
// Every server is a real one, with JetStream unless told otherwise, on
// loopback, and stops with its test. The package is for tests alone.
package brokertest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyLimit is how long a server may take to accept connections.
const readyLimit = 20 * time.Second

// Options of a server; the zero value lets everybody in.
type Options struct {
	StoreDir    string // if empty, a directory of the test
	NoJetStream bool
	MaxPayload  int32 // if zero, the server's default
	Users       []User
}

// User may do what the lists of subjects allow; an empty list allows all.
type User struct {
	Name, Password     string
	Publish, Subscribe []string
}

// Server is a running server.
type Server struct {
	URL     string     // without credentials
	Stop    func()     // ends it before its test does
	Clients func() int // connected now
	// Limit changes the largest payload under way, of which the server tells
	// nobody who is connected.
	Limit func(maxPayload int32)
}

// Start returns when the server accepts connections, or fails the test.
func Start(t testing.TB, o Options) Server {
	t.Helper()
	options := &server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: !o.NoJetStream, StoreDir: o.StoreDir, MaxPayload: o.MaxPayload,
	}
	if o.StoreDir == "" {
		options.StoreDir = t.TempDir()
	}
	for _, u := range o.Users {
		options.Users = append(options.Users, &server.User{
			Username: u.Name, Password: u.Password,
			Permissions: &server.Permissions{Publish: allow(u.Publish), Subscribe: allow(u.Subscribe)},
		})
	}
	srv, err := server.NewServer(options)
	if err != nil {
		t.Fatalf("preparing a NATS server: %v", err)
	}
	go srv.Start()
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	t.Cleanup(stop)
	if !srv.ReadyForConnections(readyLimit) {
		t.Fatal("the NATS server did not become ready")
	}
	limit := func(maxPayload int32) {
		changed := options.Clone()
		changed.MaxPayload = maxPayload
		if err := srv.ReloadOptions(changed); err != nil {
			t.Errorf("reloading the NATS server: %v", err)
		}
	}
	return Server{URL: srv.ClientURL(), Stop: stop, Clients: srv.NumClients, Limit: limit}
}

func allow(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return nil
	}
	return &server.SubjectPermission{Allow: subjects}
}
