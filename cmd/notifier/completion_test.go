package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
)

// words are what the shell is offered.
func words(t *testing.T, stdout string) []string {
	t.Helper()
	list := strings.Split(strings.TrimSpace(stdout), "\n")
	if last := list[len(list)-1]; !strings.HasPrefix(last, ":") {
		t.Errorf("the completion ends with %q", last)
	}
	return list[:len(list)-1]
}

// The shell is offered names: by the daemon, which knows what happened.
func TestNamesAreCompleted(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	events := o.happen(3)
	job, _, err := o.StartRedrive(t.Context(), admin.Redrive{Selection: admin.Selection{Session: "cs_0"}}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	o.await(job)
	file := o.serve()
	for line, want := range map[string]string{
		"destinations pause ": "shop", "destinations resume ": "shop", "destinations test ": "other", "deadletters list --destination ": "shop",
		"replay --to ": "other", "accounts accept ": "main", "poll now --account ": "main", "events list --account ": "main",
		"events list --rule ": "dear", "events list --type ": "destination.recovered", "replay --type ": "fulfillable",
		"destinations test shop --type ": "paid", "deliveries list --status ": "orphaned", "deliveries list --session ": "cs_2",
		"deliveries list --event ": events[1].ID, "replay ": events[1].ID, "events get ": events[2].ID,
		"deliveries retry ": event.DeliveryID(events[1].ID, "shop", ""), "deadletters redrive ": event.DeliveryID(events[2].ID, "shop", ""),
		"jobs get ": job, "deliveries list --job ": job, "jobs list --status ": "running", "init --for ": "stripe",
		"forward --format ": "stripe", "forward --events ": "fulfillable", "status -o ": "jsonl",
	} {
		args := append([]string{"__complete", "-c", file}, strings.Split(line, " ")...)
		_, stdout, _ := run(t, args...)
		if !slices.Contains(words(t, stdout), want) {
			t.Errorf("%q is completed to %q, without %s", line, stdout, want)
		}
	}
}

// Where nobody can be asked there are the names of the configuration, or none:
// at once, and without a word.
func TestCompletionIsQuietAndQuick(t *testing.T) {
	dir := t.TempDir()
	file := writeOfficeConfig(t, filepath.Join(dir, "none.db"), "true", "127.0.0.1:1")
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("accounts: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for _, tt := range []struct{ file, line, want string }{
		{file, "destinations pause", "shop,other"}, {file, "accounts accept", "main"}, {file, "jobs get", ""}, {file, "events get", ""},
		{broken, "destinations pause", ""}, {broken, "events list --rule", ""}, {filepath.Join(dir, "nowhere.yaml"), "accounts accept", ""},
		{file, "destinations pause shop", ""}, {file, "events list --session", ""},
	} {
		args := append(append([]string{"__complete", "-c", tt.file}, strings.Fields(tt.line)...), "")
		code, stdout, stderr := run(t, args...)
		if got := strings.Join(words(t, stdout), ","); code != exitOK || got != tt.want || strings.Contains(stderr, "notifier:") {
			t.Errorf("%s: exit code %d, %q, want %q, stderr %q", tt.line, code, got, tt.want, stderr)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

type noRequests struct{ t *testing.T }

func (n noRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("a request went to %s", r.URL)
	return nil, http.ErrServerClosed
}

// A configuration may be anybody's: no token leaves the machine because somebody
// pressed a key.
func TestCompletionAsksOnlyThisMachine(t *testing.T) {
	for base, here := range map[string]bool{
		"http://127.0.0.1:8484": true, "http://[::1]:8484/x": true, "http://localhost:8484": true,
		"http://192.0.2.1:8484": false, "http://shop.example": false, "http://127.0.0.1.shop.example": false, ":": false,
	} {
		c := &client{base: base, token: "token", onlyHere: true}
		if c.here() != here {
			t.Errorf("%s is here: %t", base, !here)
		}
		if !here {
			c.http.Transport = noRequests{t}
			if err := c.call(t.Context(), http.MethodGet, "/api/v1/status", nil); err == nil {
				t.Errorf("%s was asked", base)
			}
		}
	}
}
