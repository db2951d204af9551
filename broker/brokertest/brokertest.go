// Package brokertest starts NATS servers for tests that need what the embedded
// broker does not offer: users with permissions, small limits.
//
// Every server is a real one, with JetStream unless told otherwise, on
// loopback, and stops with its test. The package is for tests alone.
package brokertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyLimit is how long a server may take to accept connections, or a cluster to have a
// leader, on a machine that has much else to do. What ends a start is told at once.
const readyLimit = time.Minute

// lameDuck is how long a server that retires takes.
const lameDuck = 200 * time.Millisecond

// Options of a server; the zero value lets everybody in.
type Options struct {
	StoreDir      string // if empty, a directory of the test
	NoJetStream   bool
	MaxPayload    int32 // if zero, the server's default
	Users         []User
	Authorization string // or in the words of a server's configuration file
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
	// Allow replaces what the users may do under way; those who are connected
	// stay so.
	Allow func(users ...User)
	// Storage limits what the streams may hold on disk altogether, in bytes; -1
	// lifts the limit.
	Storage func(limit int64)
	// Retire ends the server as a lame duck: JetStream first, then the clients.
	Retire func()
}

// Start returns when the server accepts connections, or fails the test.
func Start(t testing.TB, o Options) Server {
	t.Helper()
	options := &server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: !o.NoJetStream, StoreDir: o.StoreDir, MaxPayload: o.MaxPayload,
		LameDuckDuration: lameDuck, LameDuckGracePeriod: lameDuck / 2,
	}
	if o.StoreDir == "" {
		options.StoreDir = t.TempDir()
	}
	options.Users = usersOf(o.Users)
	if o.Authorization != "" {
		var read server.Options
		if err := read.ProcessConfigString(o.Authorization); err != nil {
			t.Fatalf("reading the configuration of a NATS server: %v", err)
		}
		options.Users = read.Users
	}
	s, _ := serve(t, options)
	return s
}

// serve starts a server and stops it with the test.
func serve(t testing.TB, options *server.Options) (Server, *server.Server) {
	t.Helper()
	srv, err := begin(options)
	if srv == nil {
		t.Fatalf("preparing a NATS server: %v", err)
	}
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	t.Cleanup(stop)
	if err != nil {
		t.Fatalf("starting a NATS server: %v", err)
	}
	reload := func(change func(*server.Options)) {
		changed := options.Clone()
		change(changed)
		if err := srv.ReloadOptions(changed); err != nil {
			t.Errorf("reloading the NATS server: %v", err)
		}
	}
	return Server{
		URL: srv.ClientURL(), Stop: stop, Clients: srv.NumClients, Retire: srv.LameDuckShutdown,
		Limit: func(maxPayload int32) { reload(func(o *server.Options) { o.MaxPayload = maxPayload }) },
		Allow: func(users ...User) { reload(func(o *server.Options) { o.Users = usersOf(users) }) },
		Storage: func(limit int64) {
			limits := server.JetStreamAccountLimits{
				MaxMemory: -1, MaxStore: limit, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
			}
			if err := srv.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}); err != nil {
				t.Errorf("limiting the NATS server: %v", err)
			}
		},
	}, srv
}

// begin returns when a server accepts connections, or will not. It is nil if there is
// nothing to shut down.
func begin(options *server.Options) (*server.Server, error) {
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	why := make(obstacle, 1)
	srv.SetLoggerV2(why, false, false, false)
	go srv.Start()
	const look = 100 * time.Millisecond
	for deadline := time.Now().Add(readyLimit); !srv.ReadyForConnections(look); {
		select {
		case text := <-why:
			return srv, errors.New(text)
		default:
		}
		if time.Now().After(deadline) {
			return srv, errors.New("it is not ready in time")
		}
	}
	return srv, nil
}

// obstacle is a log that keeps what a server cannot start with: it tells nobody else.
type obstacle chan string

// Fatalf implements server.Logger.
func (o obstacle) Fatalf(format string, values ...any) {
	select {
	case o <- fmt.Sprintf(format, values...):
	default: // the first is enough
	}
}

// Noticef implements server.Logger.
func (obstacle) Noticef(string, ...any) {}

// Warnf implements server.Logger.
func (obstacle) Warnf(string, ...any) {}

// Errorf implements server.Logger.
func (obstacle) Errorf(string, ...any) {}

// Debugf implements server.Logger.
func (obstacle) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (obstacle) Tracef(string, ...any) {}

func usersOf(users []User) []*server.User {
	var all []*server.User
	for _, u := range users {
		all = append(all, &server.User{
			Username: u.Name, Password: u.Password,
			Permissions: &server.Permissions{Publish: allow(u.Publish), Subscribe: allow(u.Subscribe)},
		})
	}
	return all
}

func allow(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return nil
	}
	return &server.SubjectPermission{Allow: subjects}
}
