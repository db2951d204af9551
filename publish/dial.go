package publish

import (
	"context"
	"net"
	"sync"
	"time"
)

// dialer opens the connections of one transport and knows those that are open,
// so that all can be closed: the transport itself closes none of HTTP/2 while
// it winds up a stream, and would keep that one until it has been idle long
// enough.
type dialer struct {
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	deadline time.Duration // until a request gets the connection; 0: none

	mu     sync.Mutex
	open   map[*openConn]struct{}
	closed bool
}

// openConn is one that takes itself off the list when it is closed.
type openConn struct {
	net.Conn
	of *dialer
}

// Close implements net.Conn.
func (c *openConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// DialContext is that of the transport.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &openConn{raw, d}
	if d.deadline > 0 {
		err = c.SetDeadline(time.Now().Add(d.deadline))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || d.closed {
		_ = raw.Close()
		return nil, net.ErrClosed
	}
	d.open[c] = struct{}{}
	return c, nil
}

// close closes every connection, and those that are being opened.
func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	open := d.open
	d.open = nil
	d.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}
