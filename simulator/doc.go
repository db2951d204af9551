// Package simulator pretends to be the two parties that the program talks to:
// [API] is a payment API with checkout sessions, [Receiver] a webhook endpoint.
//
// The API answers as the real one was observed to answer, odd shapes included,
// plays any of the faults in [Faults], and keeps the truth about every session
// for a test to compare with. The Receiver checks signatures with its own code
// and keeps every request. Both are plain [net/http.Handler] values, safe for
// concurrent use, and decide everything random from a seed.
//
// The package never imports another package of this module: what checks the
// program must be able to disagree with it. It writes no files, opens no
// sockets, and starts a goroutine only inside [API.Run].
package simulator
