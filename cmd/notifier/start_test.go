package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// A start that is edited after it was fixed changes nothing, which somebody has to say.
func TestStartThatHasNoEffect(t *testing.T) {
	fixed := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		configured string
		account    event.Account
		want       string
	}{
		{"2026-11-01T00:00:00Z", event.Account{Start: fixed, StartFixed: true}, "2026-11-20T08:00:00Z"},
		{"2026-11-01T00:00:00Z", event.Account{Start: fixed}, "2026-11-20T08:00:00Z"}, // by the first answer of start: now
		{"2026-11-01T00:00:00Z", event.Account{StartFixed: true}, "all"},
		{poller.StartAll, event.Account{Start: fixed, StartFixed: true}, "2026-11-20T08:00:00Z"},

		{"2026-11-20T09:00:00+01:00", event.Account{Start: fixed, StartFixed: true}, ""},
		{poller.StartNow, event.Account{Start: fixed, StartFixed: true}, ""},
		{poller.StartAll, event.Account{StartFixed: true}, ""},
		{"2026-11-01T00:00:00Z", event.Account{}, ""},                                // of which nothing was read yet
		{"2026-11-01T00:00:00Z", event.Account{StartFixed: true, Restart: true}, ""}, // it begins anew
	} {
		if got := fixedStart(tt.configured, &tt.account); got != tt.want {
			t.Errorf("%s of %+v: %q, want %q", tt.configured, tt.account, got, tt.want)
		}
	}
}

func TestBackfillCountsWhatIsKnown(t *testing.T) {
	for want, r := range map[string]poller.BackfillReport{
		"1 page, 12 sessions, of which 0 new and 0 changed; 0 events announced, 0 sessions recorded silently; known already: 12, and what was recorded silently stays so": {Pages: 1, Sessions: 12},
		"1 page, 3 sessions, of which 2 new and 1 changed; 4 events announced, 0 sessions recorded silently":                                                              {Pages: 1, Sessions: 3, New: 2, Changed: 1, Events: 4},
		"1 page, 1 session, of which 1 new and 0 changed; 1 event announced, 0 sessions recorded silently; NOT READ, because the API cannot show it: from a down to b (1h0m0s); from c down to d (1s)": {
			Pages: 1, Sessions: 1, New: 1, Events: 1, Unread: []string{"from a down to b (1h0m0s)", "from c down to d (1s)"}},
	} {
		if got := reportText(&r, "announced"); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// It is said at the start of a daemon, with both values.
func TestEditedStartIsSaid(t *testing.T) {
	o := newOffice(t, t.TempDir()+"/n.db", "true")
	a := event.Account{Name: "main", Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), StartFixed: true}
	if err := o.store.SaveAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	o.log = slog.New(slog.NewTextHandler(&said, nil))
	o.cfg.Accounts[0].Start = "2019-01-01T00:00:00Z"
	if err := o.sayOrphaned(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "account=main start=2019-01-01T00:00:00Z fixed=2020-01-01T00:00:00Z") {
		t.Errorf("the log says %s", said.String())
	}
}

// A start in the future is a warning of check, and what may be meant a note behind it.
func TestStartInTheFuture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notifier.yaml")
	text := `version: 1
accounts: [{name: main, secret_key: sk_test_1, start: 2999-01-01T00:00:00Z}]
destinations:
  - {name: shop, type: http, url: "https://shop.example/hooks", format: stripe, secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
rules: [{name: ship, events: [fulfillable], to: [shop]}]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const warned, ok, noted = ":2:55: warning: accounts[0].start is in the future: ", "ok: 1 account", ":4:5: note: destinations[0].api_version is not set: "
	code, stdout, _ := run(t, "check", "-c", file)
	if places := []int{strings.Index(stdout, warned), strings.Index(stdout, ok), strings.Index(stdout, noted)}; code != 0 || places[0] < 0 || !slices.IsSorted(places) {
		t.Errorf("check ends with %d: %s", code, stdout)
	}
	if code, stdout, stderr := run(t, "check", "--strict", "-c", file); code == 0 || strings.Contains(stdout, ok) || !strings.Contains(stderr, "1 warning") {
		t.Errorf("check --strict ends with %d: %s%s", code, stdout, stderr)
	}
}
