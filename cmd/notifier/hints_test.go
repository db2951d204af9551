package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkout-notifier/config"
	"checkout-notifier/event"
)

// Whoever asks in a directory without a configuration is told so: the default address
// is perhaps not the one that was meant.
func TestNoDaemonAndNoConfiguration(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(config.FileVariable, "")
	a := &app{}
	c, loaded, err := a.client()
	if err != nil || loaded != nil {
		t.Skipf("this machine has a configuration, or none can be looked for: %v", err)
	}
	c.base = "http://127.0.0.1:1"
	err = c.call(t.Context(), "GET", "/api/v1/status", nil)
	if exitCode(err) != exitUnreachable || !strings.Contains(err.Error(), "the default address was asked, because there is no configuration file: neither -c nor") {
		t.Errorf("without a configuration: %v", err)
	}
	writeConfigHere(t, "s.db")
	if c, _, err = a.client(); err != nil {
		t.Fatal(err)
	}
	if err = c.call(t.Context(), "GET", "/api/v1/status", nil); exitCode(err) != exitUnreachable || strings.Contains(err.Error(), "default address") {
		t.Errorf("with a configuration: %v", err)
	}
}

// writeConfigHere writes ./notifier.yaml with a state file.
func writeConfigHere(t *testing.T, path string) {
	t.Helper()
	text := "version: 1\naccounts: [{name: main, secret_key: sk_test_1, base_url: 'http://127.0.0.1:1'}]\nadmin: {listen: '127.0.0.1:1'}\nstate: {path: " + path + "}\n"
	if err := os.WriteFile("notifier.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Messages name the state file to whoever is in another directory.
func TestTheStateFileIsNamedAbsolutely(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv(config.FileVariable, "")
	writeConfigHere(t, "./data/s.db")
	loaded, err := (&app{}).load(config.Options{})
	if err != nil || loaded.Config.State.Path != filepath.Join(dir, "data", "s.db") {
		t.Fatalf("state.path %+v, %v", loaded, err)
	}
	if code, _, stderr := run(t, "state", "verify"); code != exitNotFound || !strings.Contains(stderr, filepath.Join(dir, "data", "s.db")) {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// What is missing, or of another kind, is said with what to do.
func TestMistakesOnTheCommandLineSayWhatIsMeant(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(config.FileVariable, "")
	for line, says := range map[string]string{
		"deliveries retry":           "notifier deliveries retry needs ID..., and got 0 arguments",
		"destinations pause":         "notifier destinations pause needs NAME, and got 0 arguments",
		"destinations pause a b":     "notifier destinations pause needs NAME, and got 2 arguments",
		"delivery list":              `did you mean "deliveries"?`,
		"statu":                      `did you mean "status"?`,
		"status --json":              "did you mean -o json?",
		"status --jsonl":             "did you mean -o jsonl?",
		"replay cs_2 --to shop":      "--session cs_2 replays its events",
		"deliveries list --limit -1": "--limit must not be negative",
		"jobs list --limit -1":       "--limit must not be negative",
	} {
		if code, _, stderr := run(t, strings.Fields(line)...); code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d, stderr %q, want %q", line, code, stderr, says)
		}
	}
}

// The end of an incident must not look like another one.
func TestEventsThatCloseAnIncidentAreMarked(t *testing.T) {
	var out strings.Builder
	a := &app{streams: streams{out: &out}}
	var items []json.RawMessage
	for _, status := range []string{event.StatusFiring, event.StatusResolved} {
		e := systemEvent(t, event.DeliveryDead, "shop", map[string]any{"status": status})
		view := viewEvent(&e)
		if view.Status != status {
			t.Errorf("the status of an event that is %s is %q", status, view.Status)
		}
		items = append(items, marshalPlain(view))
	}
	if err := a.eventTable()(items); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if strings.Contains(lines[1], "resolved") || !strings.Contains(lines[2], "notifier.delivery.dead (resolved)") {
		t.Errorf("the table is\n%s", out.String())
	}
}
