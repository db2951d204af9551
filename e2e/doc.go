// Package e2e holds the end-to-end tests: the real binary as a child process,
// between a simulated API, verifying receivers and a real NATS server.
//
// It promises that what the tests accept was seen from outside, by HTTP, NATS,
// signals, exit codes and the state file, and that every event is held against
// the simulated API's own record of what happened. It never reaches into the
// running program, and holds no code that ships.
package e2e
