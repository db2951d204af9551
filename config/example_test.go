package config_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

const example = "../config.example.yaml"

func exampleEnvironment() []string {
	return []string{
		"WOOSHPAY_SECRET_KEY=" + testKey, "FULFILMENT_SECRET=" + signingSecret, "BACKOFFICE_SECRET=" + signingSecret,
		"BACKOFFICE_URL=https://office.example/hooks", "SLACK_WEBHOOK_URL=https://hooks.slack.example/x",
		"WAREHOUSE_URL=https://warehouse.example/hooks", "PAGERDUTY_ROUTING_KEY=abc", "ADMIN_TOKEN=abcdefghijklmnop",
	}
}

func TestExampleLoadsStrictly(t *testing.T) {
	loaded, err := config.Load(config.Options{Path: example, Environ: exampleEnvironment()})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) > 0 {
		t.Errorf("warnings:\n%s", lines(loaded.Warnings))
	}
}

// indices are left out when the keys of all elements of a list are compared.
var indices = regexp.MustCompile(`\[[0-9]+\]`)

func TestExampleShowsEveryKey(t *testing.T) {
	loaded, err := config.Load(config.Options{Path: example, Environ: exampleEnvironment()})
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	var all []string
	for _, s := range loaded.Settings() {
		path := indices.ReplaceAllString(s.Path, "")
		all = append(all, path)
		if s.Origin.Source == config.SourceFile && (!strings.HasPrefix(path, "destinations.") || s.Origin.Line > 60) {
			shown[path] = true
		}
	}
	for _, path := range all {
		inherits := strings.HasPrefix(path, "accounts.poll.") || shown["nats."+strings.TrimPrefix(path, "destinations.")]
		if !shown[path] && !inherits {
			t.Errorf("%s is not in the example", path)
		}
	}
}

// defaultsOf returns the values of a configuration that says as little as it can.
func defaultsOf(t *testing.T) map[string]string {
	t.Helper()
	loaded := load(t, minimal+`destinations:
  - {name: fulfilment, type: http, url: "https://shop.example/hooks"}
  - {name: bus, type: nats, subject: a}
rules: [{name: ship, to: [fulfilment, bus]}]
`, config.Options{})
	values := make(map[string]string)
	for _, s := range loaded.Settings() {
		text, err := yaml.Marshal(s.Value)
		if err != nil {
			t.Fatal(err)
		}
		path := s.Path
		path = strings.Replace(path, "destinations[1]", "destinations[bus]", 1)
		values[path] = string(text)
	}
	return values
}

// What the example shows as a default is one. Names, addresses, secrets and the
// rules are the reader's own.
func TestExampleShowsTheDefaults(t *testing.T) {
	source, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{Source: source, Name: "notifier.yaml", Environ: exampleEnvironment()})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Split(string(source), "\n")
	defaults := defaultsOf(t)
	own := regexp.MustCompile(`^(accounts\[0\]\.(name|secret_key)|destinations\[(0|bus)\]\.(name|url|secrets|headers|subject)|rules\[.*|admin\.tokens.*)$`)
	last := 0
	for i, d := range loaded.Config.Destinations {
		if d.Type == "nats" {
			last = i
		}
	}
	compared := 0
	for _, s := range loaded.Settings() {
		path := strings.Replace(s.Path, "destinations["+string(rune('0'+last))+"]", "destinations[bus]", 1)
		if s.Origin.Source != config.SourceFile || own.MatchString(path) {
			continue
		}
		want, ok := defaults[path]
		if !ok || strings.Contains(text[s.Origin.Line-1], "default:") {
			continue
		}
		compared++
		got, err := yaml.Marshal(s.Value)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("line %d shows %s as %swith the default %s", s.Origin.Line, path, got, want)
		}
	}
	if compared < 70 {
		t.Errorf("only %d values were compared", compared)
	}
}

func TestExampleExplainsEveryKey(t *testing.T) {
	source, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`^\s*(- )?([a-z_]+): +\S`)
	seen := make(map[string]bool)
	for i, line := range strings.Split(string(source), "\n") {
		m := key.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		obvious := m[2] == "name" || m[2] == "type" || m[2] == "to" || m[2] == "events" || m[2] == "format"
		if !seen[m[2]] && !obvious && !strings.Contains(line, " # ") {
			t.Errorf("line %d: %s is not explained", i+1, m[2])
		}
		seen[m[2]] = true
	}
}

func TestStarters(t *testing.T) {
	for _, kind := range append(config.StarterKinds(), "") {
		source, err := config.Starter(kind)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := config.Load(config.Options{Source: source, Name: "notifier.yaml", AllowMissingSecrets: true})
		if err != nil {
			t.Fatalf("%q: %v\n%s", kind, err, source)
		}
		if got := loaded.Config.Accounts[0].Start; got != "now" {
			t.Errorf("%q starts at %s", kind, got)
		}
		for _, d := range loaded.Config.Destinations {
			own, sent := loaded.Renderings(d.Name)
			renderer, err := publish.NewRenderer(d, own, "", sent...)
			if err != nil {
				t.Fatal(err)
			}
			if d.Type != publish.TypeNATS {
				continue
			}
			subject, err := renderer.Subject(publish.Message{Event: event.SampleEvent(event.Fulfillable)})
			if err != nil || subject != "checkout.main.fulfillable" {
				t.Errorf("%q publishes to %q, %v", kind, subject, err)
			}
		}
		service, err := config.Load(config.Options{Source: source, Name: "/etc/notifier.yaml", AllowMissingSecrets: true, Environ: environ("STATE_DIRECTORY=/var/lib/notifier")})
		if err != nil || service.Config.State.Path != "/var/lib/notifier/data/notifier.db" {
			t.Errorf("%q: the state of a service is at %v, %v", kind, service, err)
		}
		offered := bytes.ReplaceAll(source, []byte("\n  # - {"), []byte("\n  - {"))
		loaded, err = config.Load(config.Options{Source: offered, Name: "notifier.yaml", AllowMissingSecrets: true})
		if err != nil || len(loaded.Warnings) > 0 || !bytes.Contains(offered, []byte("on: system")) {
			t.Errorf("%q with what it offers: %v, %v\n%s", kind, err, loaded, offered)
		}
		if says := bytes.Contains(source, []byte("stripe-go\n    # and Stripe.net refuse an event")); says != (kind == "stripe") {
			t.Errorf("%q says that SDKs refuse other versions: %t", kind, says)
		}
		if len(loaded.Config.Rules) == 0 || len(loaded.Config.Destinations) == 0 || bytes.Count(source, []byte("\n")) > 40 {
			t.Errorf("%q is not a short, whole configuration:\n%s", kind, source)
		}
	}
	if _, err := config.Starter("strip"); err == nil || !strings.Contains(err.Error(), `use stripe, slack or nats`) {
		t.Errorf("an unknown kind: %v", err)
	}
}
