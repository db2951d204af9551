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

// Main runs the command line of the process and returns its exit code. The
// first signal ends the context, the second the process.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	// net/http writes there what a receiver sends out of turn, unasked and unmasked.
	log.SetOutput(io.Discard)
	return execute(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}
