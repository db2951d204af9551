package wooshpay

// NewTransport is how a client reaches the network, over what NewConnections makes of it.
var (
	NewTransport   = newTransport
	NewConnections = newConnections
)
