package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/event"
)

// choice is a flag that takes one of several words. Another one is a mistake in
// the command line, found before anything is done.
type choice struct {
	value   *string
	allowed []string
}

// String implements pflag.Value.
func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Set implements pflag.Value.
func (c choice) Set(word string) error {
	if !slices.Contains(c.allowed, word) {
		return fmt.Errorf("it takes %s%s", strings.Join(c.allowed, ", "), didYouMean(word, c.allowed))
	}
	*c.value = word
	return nil
}

// Type implements pflag.Value.
func (c choice) Type() string { return "string" }

// outputFlag adds -o to a command; the first format is the default.
func outputFlag(cmd *cobra.Command, output *string, formats ...string) {
	*output = formats[0]
	cmd.Flags().VarP(choice{output, formats}, "output", "o", strings.Join(formats, ", "))
	completeFlag(cmd, "output", func() []string { return formats })
}

// The formats of the commands that list.
const (
	asTable = "table"
	asJSON  = "json"
	asLines = "jsonl"
)

// show prints a document as JSON, or as a table by the given function.
func (a *app) show(output string, document any, table func()) error {
	if output == asTable {
		table()
		return nil
	}
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	if output == asJSON {
		encoder.SetIndent("", "  ")
	}
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// rows prints lines of tab-separated cells in columns.
func (a *app) rows(lines ...string) { writeRows(a.out, lines...) }

// writeRows does so without blanks at the ends of lines.
func writeRows(to io.Writer, lines ...string) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	_ = w.Flush() // to memory
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(to, strings.TrimRight(line, " \n"))
	}
}

// ago says how long ago a time was. A zero one is not known: neither the file nor
// a daemon that has just begun says that something never was.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := time.Since(t)
	if d < time.Minute {
		return fmt.Sprintf("%ds ago", int(max(d, 0).Seconds()))
	}
	return shortDuration(d) + " ago"
}

// lasting says for how long something has been so.
func lasting(since time.Time) string { return strings.TrimSuffix(ago(since), " ago") }

// in says how soon a time comes.
func in(t time.Time) string {
	switch d := time.Until(t); {
	case t.IsZero():
		return "-"
	case d <= 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("in %ds", int(d.Seconds()+0.5))
	default:
		return "in " + shortDuration(d)
	}
}

// shortDuration writes a duration with its largest unit or two.
func shortDuration(d time.Duration) string {
	switch {
	case d > 0 && d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// marshalPlain writes what was read from JSON, which cannot fail.
func marshalPlain(v any) json.RawMessage {
	text, _ := event.Marshal(v)
	return text
}
