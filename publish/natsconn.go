package publish

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Connections holds the NATS connections of a set of destinations: those with
// equal settings share one. It is safe for concurrent use, and connects when
// the first message is to be sent.
type Connections struct {
	log *slog.Logger

	mu    sync.Mutex // guards byKey
	byKey map[NATS]*connection
}

// NewConnections returns an empty set. log may be nil.
func NewConnections(log *slog.Logger) *Connections {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Connections{log: log, byKey: make(map[NATS]*connection)}
}

func (c *Connections) get(n NATS) (*connection, error) {
	options, err := natsOptions(n)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.byKey[n]; ok {
		return known, nil
	}
	conn := &connection{
		settings: n, options: options, log: c.log.With("server", n.Server.URL()), users: make(map[*NATSPublisher]bool),
	}
	c.byKey[n] = conn
	return conn, nil
}

// connection is one shared connection: the link of the day and who uses it.
type connection struct {
	settings NATS
	options  []nats.Option
	log      *slog.Logger
	link     atomic.Pointer[link] // nil: nobody uses it

	dialing sync.Mutex // held while the link changes, which may take its timeout

	mu    sync.Mutex // guards users
	users map[*NATSPublisher]bool
}

// use returns the link that a user has, whatever its state, or opens one.
func (c *connection) use(user *NATSPublisher) (*link, error) {
	if l := user.link.Load(); l != nil && !l.gone.Load() {
		return l, nil
	}
	return c.open(user)
}

// open returns the link if it is connected. It dials at first use, and again
// when the client gave it up: it closes for good on a complaint that it does
// not know.
func (c *connection) open(user *NATSPublisher) (*link, error) {
	c.dialing.Lock()
	defer c.dialing.Unlock()
	c.mu.Lock()
	c.users[user] = true
	c.mu.Unlock()
	l := c.link.Load()
	if l == nil || l.nc.IsClosed() {
		var err error
		if l, err = c.dial(); err != nil {
			return nil, err
		}
		c.link.Store(l)
	}
	if l.nc.Status() != nats.CONNECTED {
		return nil, l.why()
	}
	user.link.Store(l)
	return l, nil
}

func (c *connection) dial() (*link, error) {
	l := newLink(c.log, c.wake)
	nc, err := nats.Connect(c.settings.Server.Reveal(), append(l.handlers(), c.options...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errNotConnected, reasonOf(err))
	}
	l.nc = nc
	if domain := c.settings.JetStreamDomain; domain != "" {
		l.js, err = jetstream.NewWithDomain(nc, domain)
	} else {
		l.js, err = jetstream.New(nc)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	return l, nil
}

// wake tells the users that the connection has come up or back.
func (c *connection) wake() {
	var calls []func()
	c.mu.Lock()
	for user := range c.users {
		if f := user.ready.Load(); f != nil {
			calls = append(calls, *f)
		}
	}
	c.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// release ends a user's use; the last one drains the connection.
func (c *connection) release(ctx context.Context, user *NATSPublisher) error {
	c.dialing.Lock()
	defer c.dialing.Unlock()
	user.link.Store(nil)
	c.mu.Lock()
	delete(c.users, user)
	last := len(c.users) == 0
	c.mu.Unlock()
	l := c.link.Load()
	if l == nil || !last {
		return nil
	}
	c.link.Store(nil)
	go func() { // a server that does not read holds it up
		if err := l.nc.Drain(); err != nil {
			l.nc.Close() // it was not connected: there is nothing to hand over
		}
	}()
	select {
	case <-l.closed:
		return nil
	case <-ctx.Done():
		go l.nc.Close()
		return fmt.Errorf("draining NATS: %w", context.Cause(ctx))
	}
}
