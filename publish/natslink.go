package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/loglimit"
)

// link is one client of a server, from dialling to closing, through as many
// reconnects as there are; with it, what waits for the server and what the
// server complains of.
type link struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	log      *slog.Logger
	cause    *cause
	closed   chan struct{}
	gone     atomic.Bool // closed
	retiring atomic.Bool // the server said that it is about to end

	mu      sync.Mutex // guards all below
	inbox   string     // where acknowledgements go, with its last dot; "" before one is heard
	heard   *nats.Subscription
	trial   *trial // of an inbox, under way
	waiting map[uint64]*waiter
	last    uint64 // token of the waiter that came last
	stream  outgoing
	core    outgoing
	lastErr error         // the last one that the handler was given
	handled chan struct{} // closed and replaced with each of them
	wake    func()
}

func newLink(log *slog.Logger, wake func()) *link {
	return &link{
		log: log, wake: wake, cause: newCause(), closed: make(chan struct{}),
		waiting: make(map[uint64]*waiter), handled: make(chan struct{}),
	}
}

// handlers are what the client calls: the dialer, and behind the connection the
// others, one at a time and in order.
func (l *link) handlers() []nats.Option {
	closing := sync.OnceFunc(func() {
		l.gone.Store(true)
		l.lost(nil)
		close(l.closed)
	})
	return []nats.Option{
		nats.SetCustomDialer(strictDialer{&net.Dialer{Timeout: natsConnectTimeout}, l.cause}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.complain(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				l.log.Warn("the connection to NATS was lost: what is for it waits, and it is connected to again by itself", loglimit.Repeats("lost"), l.address(), slog.String("error", reasonOf(err)))
			}
			l.lost(err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if !errors.Is(err, nats.ErrNoServers) { // the dialer knows why
				l.cause.set(err)
			}
		}),
		nats.ConnectHandler(func(*nats.Conn) { l.renewed("connected to NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { l.renewed("connected to NATS again") }),
		nats.LameDuckModeHandler(func(*nats.Conn) {
			l.retiring.Store(true)
			l.log.Warn("the NATS server is shutting down: what is for it waits, and it is connected to again by itself", l.address())
		}),
		nats.ClosedHandler(func(*nats.Conn) { closing() }),
	}
}

// renewed forgets why an earlier connection was lost.
func (l *link) renewed(text string) {
	l.log.Info(text, loglimit.Ends("lost"), l.address())
	l.retiring.Store(false)
	l.cause.forget()
	l.wake()
}

// why says why the link is not connected.
func (l *link) why() error { return l.because(errNotConnected) }

// because adds to an error why the link is not connected, or was not until just now.
// The client's last error says why a server that it had reached did not let it in.
func (l *link) because(err error) error {
	known := l.cause.get()
	if l.nc.Status() != nats.CONNECTED {
		known = l.cause.wait(l.closed)
		known = cmp.Or(l.cause.at(l.nc.LastError()), known)
	}
	return causedBy(err, known)
}

// lost ends the waits for acknowledgements: they went with the connection. why may
// be nil.
func (l *link) lost(why error) {
	if why != nil {
		l.cause.set(why)
	}
	err := causedBy(errLost, l.cause.at(why))
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, w := range l.waiting {
		if w.kind == waitAck {
			l.end(token, fate{err: err})
		}
	}
}

// named says in brackets which server is spoken with.
func (l *link) named() string { return " (server " + l.cause.address() + ")" }

// address is the same for the log.
func (l *link) address() slog.Attr { return slog.String("address", l.cause.address()) }

func causedBy(err, why error) error {
	if why == nil {
		return err
	}
	return fmt.Errorf("%w: %s", err, reasonOf(why))
}

// The server's words for a denied permission.
var deniedWords = regexp.MustCompile(`(?i)Permissions Violation for (Publish|Subscription)(?: with Reply of| to) "([^"]*)"`)

// complain takes an error that the server sent besides its answers.
func (l *link) complain(err error) {
	m := deniedWords.FindStringSubmatch(err.Error())
	if m == nil {
		l.log.Warn("the NATS server reports an error", loglimit.Repeats(reasonOf(err)), l.address(), slog.String("error", reasonOf(err)))
	} else {
		l.log.Warn("the NATS server does not permit this user something that a destination needs", loglimit.Repeats("denied "+m[1]), l.address(), slog.Any("error", ErrDenied), slog.String("to", strings.ToLower(m[1]))) // the subject may name a customer
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m != nil {
		l.denied(strings.EqualFold(m[1], "publish"), m[2])
	}
	l.lastErr = err
	close(l.handled)
	l.handled = make(chan struct{})
}

// denied ends the waits that a denial makes hopeless. The caller holds mu.
func (l *link) denied(publish bool, subject string) {
	inbox := !publish && l.inbox != "" && subject == l.inbox+"*"
	if inbox {
		l.inbox = ""
		_ = l.heard.Unsubscribe() // it brings nothing
	}
	for token, w := range l.waiting {
		switch {
		case inbox && w.kind == waitAck:
			l.end(token, fate{err: errDeniedReply})
		case publish && covers(w.subject, subject):
			l.end(token, fate{err: ErrDenied})
		case !publish && w.kind == waitDenial && (w.subject == subject || w.subject == streamQuestions):
			l.end(token, fate{err: errDeniedReply})
		}
	}
}

// settle waits until the handler was given all that the server has complained
// of so far: it runs behind the connection.
func (l *link) settle(ctx context.Context) {
	for {
		last := l.nc.LastError()
		if !errors.Is(last, nats.ErrPermissionViolation) {
			return
		}
		l.mu.Lock()
		given, next := l.lastErr == last, l.handled //nolint:errorlint // the very same one
		l.mu.Unlock()
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
