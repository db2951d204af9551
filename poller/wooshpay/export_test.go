package wooshpay

// NewTransport is how a client reaches the network.
var NewTransport = newTransport
