package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// widestHelp is how many columns help may take: a terminal of the usual width beside
// something else.
const widestHelp = 100

func TestHelpFitsOnATerminal(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())[1:]
		code, stdout, stderr := run(t, append(words, "--help")...)
		if code != exitOK || stderr != "" {
			t.Errorf("%s: exit code %d: %s", c.CommandPath(), code, stderr)
		}
		for line := range strings.Lines(stdout) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > widestHelp {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	root := newRoot(streams{})
	root.InitDefaultCompletionCmd()
	walk(root)
}
