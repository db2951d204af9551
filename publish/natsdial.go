package publish

import (
	"errors"
	"net"
	"sync"
	"time"
)

// strictDialer severs a connection at the first write that fails. The client
// throws away what it had gathered for such a write and goes on: a PONG for a
// later PING would then speak for messages that never left.
//
// It tells cause why nobody was reached, which the client keeps to itself, and who was.
type strictDialer struct {
	*net.Dialer
	cause *cause
}

// Dial implements nats.CustomDialer.
func (d strictDialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.Dialer.Dial(network, address)
	if err != nil {
		err = atServer{err, address}
		d.cause.set(err)
		return nil, err
	}
	d.cause.reached(address)
	return strictConn{c}, nil
}

// atServer is an error of one server of a cluster, which its address names.
type atServer struct {
	error
	address string
}

// Error implements error.
func (e atServer) Error() string { return e.address + ": " + reasonOf(e.error) }

type strictConn struct{ net.Conn }

func (c strictConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Conn.Close() // the write's error says more
	}
	return n, err
}

// causeWait bounds the wait for a handler of the client, which is called soon.
const causeWait = time.Second

// cause is why a link is not connected. The client calls the dialer under a lock of
// its own: while mu is held nothing else is called.
type cause struct {
	mu     sync.Mutex // guards all below
	err    error
	known  chan struct{} // closed when err is set
	server string        // address of the one that was reached last, which may have refused us then
}

func newCause() *cause { return &cause{known: make(chan struct{})} }

func (c *cause) reached(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = address
}

// address is that of the server that was reached last, "" if none was.
func (c *cause) address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

// at names the server that an error is of: the last one that was reached, unless the
// dialer has named another.
func (c *cause) at(err error) error {
	if named := (atServer{}); err == nil || errors.As(err, &named) {
		return err
	}
	return atServer{err, c.address()}
}

func (c *cause) set(err error) {
	err = c.at(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		close(c.known)
	}
	c.err = err
}

// forget is for a link that is connected: who waits for a cause gets none.
func (c *cause) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		close(c.known)
	}
	c.err, c.known = nil, make(chan struct{})
}

// get returns the cause, nil if none is known.
func (c *cause) get() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// wait returns the cause as soon as it is known, nil if the link is connected or
// closed before, or if it takes too long.
func (c *cause) wait(closed <-chan struct{}) error {
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	select {
	case <-known:
	case <-closed:
	case <-time.After(causeWait):
	}
	return c.get()
}
