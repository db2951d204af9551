package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Secrets of the tests. None of them may ever be printed.
const (
	testKey       = "sk_test_4f9c2a7be1d04c33"
	liveKey       = "sk_live_88aa77bb66cc55dd"
	signingSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
)

func environ(more ...string) []string {
	return append([]string{"KEY=" + testKey, "SECRET=" + signingSecret}, more...)
}

func lines(problems []config.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String())
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), filepath.Join("testdata", "bad")+"/", "")
}

func problemsOf(t *testing.T, err error) *config.Problems {
	t.Helper()
	var problems *config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("Load returned %T (%v), not *config.Problems", err, err)
	}
	return problems
}

// load loads a text and fails the test when it is refused.
func load(t *testing.T, source string, options config.Options) *config.Loaded {
	t.Helper()
	options.Source, options.Name = []byte(source), "test.yaml"
	if options.Environ == nil {
		options.Environ = environ()
	}
	loaded, err := config.Load(options)
	if err != nil {
		t.Fatalf("loading:\n%v", err)
	}
	return loaded
}

// refused loads a text that must be refused and returns the errors as lines.
func refused(t *testing.T, source string, options config.Options) string {
	t.Helper()
	options.Source, options.Name = []byte(source), "test.yaml"
	if options.Environ == nil {
		options.Environ = environ()
	}
	_, err := config.Load(options)
	if err == nil {
		t.Fatal("loaded without an error")
	}
	return lines(problemsOf(t, err).Errors)
}

// Every mistake has a file of its own, with what must be said about it beside it.
func TestMistakes(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "/nonexistent") // where contexts of the nats CLI are
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d files of mistakes: %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			_, err := config.Load(config.Options{Path: name, Environ: environ()})
			if err == nil {
				t.Fatal("loaded without an error")
			}
			problems := problemsOf(t, err)
			for _, p := range problems.Errors {
				if p.Line < 1 || p.Column < 1 || p.File == "" || p.Code == "" || p.Severity != config.SeverityError {
					t.Errorf("incomplete problem %+v", p)
				}
			}
			got := lines(problems.Errors)
			golden := strings.TrimSuffix(name, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			for _, hidden := range []string{testKey, signingSecret, "pk_test_abc", "c2tf", "s3cr3t"} {
				if bytes.Contains([]byte(err2text(problems)), []byte(hidden)) {
					t.Errorf("a message contains a secret:\n%s", got)
				}
			}
		})
	}
}

func err2text(problems *config.Problems) string {
	return problems.Error() + lines(problems.Warnings)
}
