package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

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
		settings: n, options: options, log: c.log.With("server", n.Server.URL()),
		users: make(map[*NATSPublisher]bool), waiting: make(map[*waiter]bool), handled: make(chan struct{}),
	}
	c.byKey[n] = conn
	return conn, nil
}

// ErrDenied is returned when the server refuses a publish for want of permission.
var ErrDenied = errors.New("permission denied by the NATS server")

var (
	errNotConnected = errors.New("not connected to NATS")
	errLost         = errors.New("the connection to NATS was lost before it answered")
)

// connection is one shared connection and what its server complains of.
type connection struct {
	settings NATS
	options  []nats.Option
	log      *slog.Logger

	dialing sync.Mutex // held while connecting, which may take its timeout

	mu      sync.Mutex // guards all below
	nc      *nats.Conn
	js      jetstream.JetStream
	closed  chan struct{} // of nc
	users   map[*NATSPublisher]bool
	waiting map[*waiter]bool
	replies error         // why no answer can come over this connection
	failed  error         // why the last attempt to connect again came to nothing
	lastErr error         // the last one that the handler was given
	handled chan struct{} // closed and replaced with each of them
}

// waiter is one message, or one question about a stream, that waits for the server.
type waiter struct {
	subject string // may have wildcards
	cancel  context.CancelCauseFunc
}

// open returns the connection, dialling it at first use, and again when the
// client gave it up: it closes for good on a complaint that it does not know.
func (c *connection) open(user *NATSPublisher) (*nats.Conn, jetstream.JetStream, error) {
	c.dialing.Lock()
	defer c.dialing.Unlock()
	c.mu.Lock()
	nc, js, failed := c.nc, c.js, c.failed
	c.users[user] = true
	c.mu.Unlock()
	if nc == nil || nc.IsClosed() {
		var err error
		if nc, js, err = c.dial(); err != nil {
			return nil, nil, err
		}
	}
	if nc.Status() != nats.CONNECTED {
		if err := cmp.Or(failed, nc.LastError()); err != nil {
			return nil, nil, fmt.Errorf("%w: %s", errNotConnected, reasonOf(err))
		}
		return nil, nil, errNotConnected
	}
	return nc, js, nil
}

func (c *connection) dial() (*nats.Conn, jetstream.JetStream, error) {
	closed := make(chan struct{})
	closing := sync.OnceFunc(func() { close(closed) })
	options := append([]nats.Option{}, c.options...)
	options = append(options,
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.complain(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.log.Warn("NATS connection lost", "error", reasonOf(err))
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.failed = err
		}),
		nats.ConnectHandler(func(*nats.Conn) { c.renewed("connected to NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { c.renewed("connected to NATS again") }),
		nats.ClosedHandler(func(*nats.Conn) { closing() }),
	)
	nc, err := nats.Connect(c.settings.Server.Reveal(), options...)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s", errNotConnected, reasonOf(err))
	}
	var js jetstream.JetStream
	if domain := c.settings.JetStreamDomain; domain != "" {
		js, err = jetstream.NewWithDomain(nc, domain)
	} else {
		js, err = jetstream.New(nc)
	}
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc, c.js, c.closed = nc, js, closed
	return nc, js, nil
}

// renewed forgets what an earlier connection was denied and why it was lost.
func (c *connection) renewed(text string) {
	c.log.Info(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies, c.failed = nil, nil
}

// The server's words for a denied permission.
var deniedWords = regexp.MustCompile(`(?i)Permissions Violation for (Publish|Subscription)(?: with Reply of| to) "([^"]*)"`)

// complain takes an error that the server sent besides its answers.
func (c *connection) complain(err error) {
	c.log.Warn("NATS", "error", reasonOf(err))
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := deniedWords.FindStringSubmatch(err.Error()); m != nil {
		c.denied(strings.EqualFold(m[1], "publish"), m[2])
	}
	c.lastErr = err
	close(c.handled)
	c.handled = make(chan struct{})
}

// denied ends the waits that a denial makes hopeless. The caller holds mu.
func (c *connection) denied(publish bool, subject string) {
	if !publish {
		c.replies = fmt.Errorf("%w: to subscribe to %s", ErrDenied, subject)
	}
	for w := range c.waiting {
		switch {
		case !publish:
			w.cancel(c.replies)
		case covers(w.subject, subject):
			w.cancel(fmt.Errorf("%w: to publish to %s", ErrDenied, subject))
		}
	}
}

// watch ties a context to the complaints about a subject. done ends it.
func (c *connection) watch(ctx context.Context, subject string) (watched context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &waiter{subject: subject, cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[w] = true
	return ctx, func() {
		c.mu.Lock()
		delete(c.waiting, w)
		c.mu.Unlock()
		cancel(nil)
	}
}

func (c *connection) deaf() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replies
}

// settle waits until the handler was given all that the server has complained
// of so far: it runs behind the connection.
func (c *connection) settle(ctx context.Context, nc *nats.Conn) {
	for {
		last := nc.LastError()
		if !errors.Is(last, nats.ErrPermissionViolation) {
			return
		}
		c.mu.Lock()
		given, next := c.lastErr == last, c.handled //nolint:errorlint // the very same one
		c.mu.Unlock()
		if given {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// release ends a user's use; the last one drains the connection.
func (c *connection) release(ctx context.Context, user *NATSPublisher) error {
	c.dialing.Lock()
	defer c.dialing.Unlock()
	c.mu.Lock()
	delete(c.users, user)
	nc, closed := c.nc, c.closed
	if nc == nil || len(c.users) > 0 {
		c.mu.Unlock()
		return nil
	}
	c.nc, c.js, c.closed, c.replies = nil, nil, nil, nil
	c.mu.Unlock()
	if err := nc.Drain(); err != nil {
		nc.Close() // it was not connected: there is nothing to hand over
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		nc.Close()
		return fmt.Errorf("draining NATS: %w", context.Cause(ctx))
	}
}
