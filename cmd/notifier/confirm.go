package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// exitInterrupted is the exit code of a command that was interrupted while it
// asked, as shells have it: 128 and the number of SIGINT.
const exitInterrupted = 130

// yesFlag adds --yes to a command that does what cannot be undone.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do it without asking; needed where there is no terminal to ask on")
}

// confirm is nil if what cannot be undone is wanted: it was said on the command
// line, or is said now. Nobody can be asked without a terminal.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	switch {
	case yes:
		return nil
	case !a.canAsk():
		return exit(exitUsage, fmt.Errorf("this cannot be undone, and there is no terminal to ask on: repeat it with --yes (%s)", question))
	}
	return ask(ctx, a.in, a.err, question)
}

func (a *app) canAsk() bool { return isTerminal(a.in) && isTerminal(a.err) }

// ask is nil for a yes. It returns at once when the context ends, and leaves the
// read of the answer behind.
func ask(ctx context.Context, in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(in).ReadString('\n') // no answer is a no
		answers <- answer
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return exit(exitInterrupted, errors.New("interrupted; nothing was changed"))
	case answer := <-answers:
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return nil
		}
		return exit(exitFailure, errors.New("nothing was changed"))
	}
}
