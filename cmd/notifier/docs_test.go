package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/event"
)

// What is written is checked: configurations load, commands and targets exist,
// links lead somewhere.

const projectRoot = "../.."

func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		names, err := filepath.Glob(filepath.Join(projectRoot, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	if len(texts) < 5 {
		t.Fatalf("found only %d documents", len(texts))
	}
	return texts
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```")

// blocks returns the fenced blocks of a language.
func blocks(text, language string) []string {
	var found []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

func TestDocumentedConfigurationsLoad(t *testing.T) {
	loaded := 0
	for name, text := range documents(t) {
		for _, block := range blocks(text, "yaml") {
			if !strings.HasPrefix(block, "version:") {
				continue
			}
			loaded++
			l, err := config.Load(config.Options{Source: []byte(block), Name: name, AllowMissingSecrets: true})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, w := range l.Warnings {
				t.Errorf("%s: %s", name, w)
			}
		}
	}
	if loaded == 0 {
		t.Error("no configuration found in the documents")
	}
}

// The README's mistake is made in the README's configuration, and told as it says.
func TestDocumentedMistakeIsReal(t *testing.T) {
	readme := documents(t)[filepath.Join(projectRoot, "README.md")]
	configuration := blocks(readme, "yaml")[0]
	mistaken := strings.Replace(configuration, "session.amount_total", "session.amount_totl", 1)
	_, want, found := strings.Cut(readme, "$ notifier check\n")
	want, _, ended := strings.Cut(want, "```")
	if mistaken == configuration || !found || !ended {
		t.Fatal("the README shows no mistake")
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("notifier.yaml", []byte(mistaken), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	root := newRoot(streams{out: &said, err: io.Discard})
	root.SetArgs([]string{"check", "--allow-missing-secrets"})
	if err := root.ExecuteContext(t.Context()); exitCode(err) != exitInvalid || said.String() != want {
		t.Errorf("check says\n%s\nthe README says\n%s (%v)", &said, want, err)
	}
}

var makeTarget = regexp.MustCompile(`(?m)^([a-z]+):`)

func TestDocumentedCommandsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(projectRoot, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := make(map[string]bool)
	for _, m := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	checked := 0
	for name, text := range documents(t) {
		for _, block := range blocks(text, "console") {
			for line := range strings.Lines(block) {
				command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
				if !ok {
					continue
				}
				for _, part := range strings.Split(command, "&&") {
					checked++
					if err := checkCommand(strings.Fields(part), targets); err != nil {
						t.Errorf("%s: %q: %v", name, command, err)
					}
				}
			}
		}
	}
	if checked < 5 {
		t.Errorf("only %d commands found in the documents", checked)
	}
}

// checkCommand parses a command line as the shell and cobra would, and runs nothing.
func checkCommand(words []string, targets map[string]bool) error {
	switch {
	case words[0] == "export":
		return nil
	case words[0] == "make":
		if !targets[words[1]] {
			return errors.New("no such target")
		}
		return nil
	case strings.HasPrefix(strings.Join(words, " "), "go run ./cmd/notifier "):
		words = words[2:]
	case words[0] != "notifier":
		return errors.New("not a command that this test knows")
	}
	for i, word := range words {
		if word == ">" || strings.HasPrefix(word, "#") {
			words = words[:i]
			break
		}
	}
	cmd, rest, err := newRoot(streams{out: io.Discard, err: io.Discard}).Find(words[1:])
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

var metricName = regexp.MustCompile(`\bnotifier_[a-z_]+[a-z]\b`)

func TestDocumentedMetricsExist(t *testing.T) {
	m := admin.NewMetrics("test", []string{"main"}, []string{"ship"}, []string{"shop"}, func(context.Context) (admin.Gauges, error) {
		return admin.Gauges{
			Sessions: map[string]map[event.Watch]int{"main": {}}, Polling: []admin.PollingGauges{{Account: "main"}},
			Destinations: []event.DestinationState{{Name: "shop"}}, Up: map[string]bool{"shop": true}, Blocked: map[string]int{"shop": 0}, Backup: &admin.BackupGauges{},
		}, nil
	})
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	checked := 0
	for name, text := range documents(t) {
		for _, metric := range metricName.FindAllString(text, -1) {
			checked++
			if !strings.Contains(recorder.Body.String(), "# TYPE "+metric+" ") {
				t.Errorf("%s names %s, which does not exist", name, metric)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d metrics found in the documents", checked)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

func TestLocalLinksLeadSomewhere(t *testing.T) {
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

var mailbox = regexp.MustCompile(`[\w.+-]+@[\w-]+\.\w+|mailto:`)

// Whoever finds a hole comes from the README to a way to report it that exists
// wherever the project is kept: no mailbox is promised.
func TestVulnerabilitiesCanBeReported(t *testing.T) {
	texts := documents(t)
	if !strings.Contains(texts[filepath.Join(projectRoot, "README.md")], "](SECURITY.md)") {
		t.Error("the README does not link to SECURITY.md")
	}
	policy := texts[filepath.Join(projectRoot, "SECURITY.md")]
	if !strings.Contains(policy, "Report a vulnerability") {
		t.Error("SECURITY.md does not say how to report a vulnerability")
	}
	if found := mailbox.FindString(policy); found != "" {
		t.Errorf("SECURITY.md names the address %s", found)
	}
}

func TestEveryCommandHasHelpAndAGroup(t *testing.T) {
	for _, c := range newRoot(streams{out: io.Discard, err: io.Discard}).Commands() {
		if c.Short == "" {
			t.Errorf("%s has no short help", c.Name())
		}
		if c.GroupID == "" {
			t.Errorf("%s is in no group", c.Name())
		}
	}
}

// The help of a command that does something shows how it is used, in lines that
// the shell and the command take.
func TestHelpHasExamples(t *testing.T) {
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if c.Name() == "completion" || c.Name() == "help" { // cobra's own, which say it in their own way
			return
		}
		for _, below := range c.Commands() {
			check(below)
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, "notifier "+strings.TrimPrefix(c.CommandPath(), "notifier ")) {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			if end := slices.IndexFunc(words, func(word string) bool { return word == "|" || word == "\\" }); end >= 0 {
				words = words[:end]
			}
			if words[0] != "notifier" {
				continue
			}
			if err := checkCommand(words, nil); err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			}
		}
	}
	check(newRoot(streams{out: io.Discard, err: io.Discard}))
}
