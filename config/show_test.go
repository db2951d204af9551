package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"checkout-notifier/config"
)

// everySecret is a configuration with a secret wherever one can stand.
const everySecret = `accounts:
  - name: main
    secret_key: ${KEY}
    filter: {customer_email: hidden-9@shop.example}
nats:
  url: nats://hidden-1:hidden-2@127.0.0.1:4222,nats://127.0.0.1:4223
  token: hidden-3
destinations:
  - name: hook
    type: http
    url: https://shop.example/hidden-4?token=hidden-5
    secrets: ["${SECRET}"]
    headers: {X-Token: hidden-6}
    auth: {basic: {username: me, password: hidden-7}}
    proxy: http://me:hidden-8@proxy.example:3128
  - name: pager
    type: http
    url: https://events.example/hidden-10
    format: pagerduty
    routing_key: hidden-11
    auth: {bearer: hidden-12}
  - {name: bus, type: nats, subject: a}
rules:
  - {name: all, events: [paid], to: [hook, pager, bus]}
admin:
  tokens: [{name: ci, token: hidden-13-is-long-enough, role: viewer}]
heartbeat: {url: "https://ping.example/hidden-14"}
`

func TestSecretsAreNeverShown(t *testing.T) {
	loaded := load(t, everySecret, config.Options{})
	var printed bytes.Buffer
	for _, format := range []string{config.ShowYAML, config.ShowTable, config.ShowJSON, config.ShowLines} {
		if err := loaded.Show(&printed, format); err != nil {
			t.Fatal(err)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&printed, verb+"\n", loaded.Config)
		fmt.Fprintf(&printed, verb+"\n", loaded)
		fmt.Fprintf(&printed, verb+"\n", loaded.Config.Destinations)
		fmt.Fprintf(&printed, verb+"\n", loaded.Config.NATS)
	}
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("loaded", "config", loaded.Config)
	if err := json.NewEncoder(&printed).Encode(loaded.Config); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(&printed, lines(loaded.Warnings))
	for _, hidden := range []string{"hidden-", testKey, signingSecret} {
		if i := strings.Index(printed.String(), hidden); i >= 0 {
			t.Errorf("%q is printed: …%s", hidden, printed.String()[max(0, i-100):min(printed.Len(), i+60)])
		}
	}
	for _, shown := range []string{"https://shop.example/<redacted>", "nats://127.0.0.1:4223", `"<redacted>"`} {
		if !strings.Contains(printed.String(), shown) {
			t.Errorf("%q is not shown", shown)
		}
	}
}

// A secret in the wrong place is not repeated by the message about it.
func TestSecretsAreNotInMessages(t *testing.T) {
	for _, source := range []string{
		strings.ReplaceAll(everySecret, "type: http", "type: htttp"),
		strings.ReplaceAll(everySecret, "name: main", "name: "+testKey),
		strings.ReplaceAll(everySecret, "name: hook", "name: https://shop.example/hidden-1"),
		strings.ReplaceAll(everySecret, "https://", "hidden-1://"),
		strings.ReplaceAll(everySecret, "http://", "hidden-1\x01://"),
		strings.ReplaceAll(everySecret, "127.0.0.1:4222", "127.0.0.1:hidden-2"),
		minimal + "log: {level: \"${SECRET}\"}\n",
		minimal + "log: {level: \"${KEY}\"}\npoll: {interval: \"${KEY}\", rate_limit: \"${SECRET}\"}\n",
		minimal + signingSecret + ": 1\n",
		minimal + "rule_files: [\"" + signingSecret + "/[\"]\n",
		minimal + "destinations: [{name: a, type: http, url: [hidden-1]}]\n",
	} {
		got := refused(t, source, config.Options{})
		for _, hidden := range []string{"hidden-", testKey, signingSecret} {
			if strings.Contains(got, hidden) {
				t.Errorf("a message repeats %q:\n%s", hidden, got)
			}
		}
	}
	_, err := config.Load(config.Options{Source: []byte(minimal), Environ: environ("NOTIFIER_NATS_URL=http://me:hidden-1@x", "NOTIFIER_POLL_INTERVAL=hidden-2")})
	if err == nil || strings.Contains(err.Error(), "hidden-") {
		t.Errorf("from the environment: %v", err)
	}
}

// withCondition is everySecret with one more rule.
func withCondition(when string) string {
	return strings.Replace(everySecret, "rules:\n", "rules:\n  - {name: more, to: [hook], when: '"+when+"'}\n", 1)
}

// A part of an address is a condition, and the caret needs to stand below something.
func TestOnlyWhatIsSecretOrSomebodysIsMasked(t *testing.T) {
	for when, shown := range map[string]bool{
		`session.no endsWith "%@x.example"`: true, `session.no endsWith "@x.example"`: true, `session.no matches ".*@x.example"`: true,
		`session.no == "joe@x.example"`: false, `session.no == "sk_live_hidden"`: false, `session.no == "https://x.example/hidden"`: false,
	} {
		_, err := config.Load(config.Options{Source: []byte(withCondition(when)), Environ: environ()})
		var problems *config.Problems
		if !errors.As(err, &problems) {
			t.Fatalf("%s: %v", when, err)
		}
		got := problems.Errors[0].Snippet
		if strings.Contains(got, when) != shown || strings.Contains(got, "****") == shown {
			t.Errorf("%s is shown as %s", when, got)
		}
	}
}

// One long value does not push the origins of all others off the screen.
func TestShownTableIsNarrow(t *testing.T) {
	long := strings.Repeat("session.livemode && ", 20) + "session.livemode"
	loaded := load(t, withCondition(long), config.Options{})
	var shown bytes.Buffer
	if err := loaded.Show(&shown, config.ShowTable); err != nil {
		t.Fatal(err)
	}
	wide := 0
	for line := range strings.Lines(shown.String()) {
		if len(line) > 140 {
			wide++
			if !strings.Contains(line, long) {
				t.Errorf("it is %d columns wide: %s", len(line), line)
			}
		}
	}
	if wide != 1 {
		t.Errorf("%d lines are wide, want that of the long value", wide)
	}
}

// What `config show` prints as YAML is a configuration with the same values.
func TestShownYAMLLoads(t *testing.T) {
	loaded, err := config.Load(config.Options{Path: "testdata/good/aliases.yaml", Environ: environ()})
	if err != nil {
		t.Fatal(err)
	}
	values := func(l *config.Loaded) string {
		var b strings.Builder
		for _, s := range l.Settings() {
			fmt.Fprintf(&b, "%s=%v\n", s.Path, s.Value)
		}
		return b.String()
	}
	var shown bytes.Buffer
	if err := loaded.Show(&shown, config.ShowYAML); err != nil {
		t.Fatal(err)
	}
	readable := strings.NewReplacer(
		`secret_key: "<redacted>"`, "secret_key: "+testKey, `secrets: ["<redacted>"]`, `secrets: ["`+signingSecret+`"]`,
		"https://shop.example/<redacted>", "https://shop.example/hooks",
	).Replace(shown.String())
	again := load(t, readable, config.Options{})
	if before, after := values(loaded), values(again); before != after {
		t.Errorf("shown:\n%s\nbefore:\n%s\nafter:\n%s", shown.String(), before, after)
	}
}

func TestShowJSON(t *testing.T) {
	loaded := load(t, minimal, config.Options{Environ: environ("NOTIFIER_POLL_INTERVAL=30s")})
	var b bytes.Buffer
	if err := loaded.Show(&b, config.ShowJSON); err != nil {
		t.Fatal(err)
	}
	var settings []struct {
		Path   string
		Value  any
		Origin config.Origin
	}
	if err := json.Unmarshal(b.Bytes(), &settings); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range settings {
		if s.Path == "poll.interval" {
			found = s.Value == "30s" && s.Origin == config.Origin{Source: config.SourceEnvironment, Name: "NOTIFIER_POLL_INTERVAL"}
		}
	}
	if !found {
		t.Errorf("poll.interval is not shown as set:\n%s", b.String())
	}
	if err := loaded.Show(&b, "xml"); err == nil {
		t.Error("an unknown format is accepted")
	}
}

// What is shown as a file can be read as one: a destination shows no key that its
// type refuses.
func TestADestinationShowsTheKeysOfItsType(t *testing.T) {
	loaded := load(t, everySecret, config.Options{})
	shown := make(map[string]bool)
	for _, setting := range loaded.Settings() {
		shown[setting.Path] = true
	}
	for path, want := range map[string]bool{
		"destinations[0].retry.on_gone": true, "destinations[0].retry.final_statuses": true, "destinations[0].subject": false,
		"destinations[2].retry.on_gone": false, "destinations[2].retry.final_statuses": false, "destinations[2].timeout": false,
		"destinations[2].retry.schedule": true, "destinations[2].retry.jitter": true, "destinations[2].subject": true,
	} {
		if shown[path] != want {
			t.Errorf("%s is shown: %t", path, shown[path])
		}
	}
}
