package publish

import "net"

// strictDialer severs a connection at the first write that fails. The client
// throws away what it had gathered for such a write and goes on: a PONG for a
// later PING would then speak for messages that never left.
type strictDialer struct{ *net.Dialer }

// Dial implements nats.CustomDialer.
func (d strictDialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.Dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return strictConn{c}, nil
}

type strictConn struct{ net.Conn }

func (c strictConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Conn.Close() // the write's error says more
	}
	return n, err
}
