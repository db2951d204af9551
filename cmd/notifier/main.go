// Command notifier watches checkout sessions and tells others what happens to them.
//
// This package parses, wires, starts and stops; it decides nothing about
// sessions. Data goes to stdout, everything else to stderr, and the exit code
// says what kind of end it was.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // rules name time zones, also on an image without them
)

func main() { os.Exit(Main()) }

// Main runs the command line of the process and returns its exit code.
func Main() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, cancel)
	// net/http writes there what a receiver sends out of turn, unasked and unmasked.
	log.SetOutput(io.Discard)
	return execute(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}

// obey begins an orderly end at the first signal, and leaves the second to the
// system, which ends the process.
func obey(signals chan os.Signal, cancel context.CancelFunc) {
	<-signals
	signal.Stop(signals) // whoever sees that the end has begun may send the second
	cancel()
	select {
	case second := <-signals: // it was close behind
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Signal(second) // it was sent before, so it can be sent
		}
	default:
	}
}
