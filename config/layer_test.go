package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"checkout-notifier/config"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

const minimal = `accounts:
  - name: main
    secret_key: ${KEY}
`

func TestGoodFilesLoadWithoutAWord(t *testing.T) {
	for _, name := range []string{"minimal", "aliases", "included", "contract"} {
		t.Run(name, func(t *testing.T) {
			loaded, err := config.Load(config.Options{Path: filepath.Join("testdata/good", name+".yaml"), Environ: environ()})
			if err != nil {
				t.Fatal(err)
			}
			if len(loaded.Warnings) > 0 {
				t.Errorf("warnings:\n%s", lines(loaded.Warnings))
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, minimal, config.Options{}).Config
	want := config.Default()
	want.Accounts = []poller.Account{{
		Name: "main", SecretKey: testKey, Start: "now", ListParams: "body", Poll: poller.DefaultPoll(),
	}}
	if diff := cmp.Diff(want, c, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if c.NATS.Server != "nats://127.0.0.1:4222" || c.Log.Format != "auto" || c.ShutdownGrace != 20*time.Second || c.State.Retention != 30*24*time.Hour {
		t.Errorf("defaults are not those documented: %s, %+v, %s, %s", c.NATS.Server.URL(), c.Log, c.ShutdownGrace, c.State.Retention)
	}
}

func TestPrecedence(t *testing.T) {
	source := minimal + "poll: {interval: 20s, timeout: 7s}\nlog: {level: warn}\n"
	loaded := load(t, source, config.Options{
		Environ: environ("NOTIFIER_POLL_INTERVAL=30s", "NOTIFIER_LOG_LEVEL=error", "NOTIFIER_POLL_TUNING_PAGE_SIZE=50"),
		Flags:   map[string]string{"log.level": "debug", "poll.rate_limit": "2.5"},
	})
	for _, check := range []struct {
		path       string
		got, want  any
		wantOrigin string
	}{
		{"poll.unpaid_for", loaded.Config.Poll.UnpaidFor, 14 * 24 * time.Hour, "default"},
		{"poll.timeout", loaded.Config.Poll.Timeout, 7 * time.Second, "test.yaml:4"},
		{"poll.interval", loaded.Config.Poll.Interval, 30 * time.Second, "NOTIFIER_POLL_INTERVAL"},
		{"poll.tuning.page_size", loaded.Config.Poll.Tuning.PageSize, 50, "NOTIFIER_POLL_TUNING_PAGE_SIZE"},
		{"log.level", loaded.Config.Log.Level, "debug", "flag log.level"},
		{"accounts[0].poll.rate_limit", loaded.Config.Accounts[0].Poll.RateLimit, 2.5, "flag poll.rate_limit"},
		{"accounts[0].poll.interval", loaded.Config.Accounts[0].Poll.Interval, 30 * time.Second, "NOTIFIER_POLL_INTERVAL"},
	} {
		origin, ok := loaded.Origin(check.path)
		if check.got != check.want || !ok || origin.String() != check.wantOrigin {
			t.Errorf("%s is %v from %q (%v), want %v from %q", check.path, check.got, origin, ok, check.want, check.wantOrigin)
		}
	}
	if _, ok := loaded.Origin("poll.intervall"); ok {
		t.Error("a key that does not exist has an origin")
	}
}

func TestEnvironmentReplacesABadFileValue(t *testing.T) {
	loaded := load(t, minimal+"state: {path: \"${NO_SUCH}\"}\n", config.Options{
		Environ: environ("NOTIFIER_STATE_PATH=/tmp/x.db"), AllowMissingSecrets: true,
	})
	if loaded.Config.State.Path != "/tmp/x.db" || len(loaded.Missing) != 0 {
		t.Errorf("state.path is %q, missing %v", loaded.Config.State.Path, loaded.Missing)
	}
}

func TestAccountOverridesPollKeyByKey(t *testing.T) {
	loaded := load(t, `poll: {interval: 20s, tuning: {hot_age: 1h, page_size: 10}}
accounts:
  - name: a
    secret_key: ${KEY}
    poll: {timeout: 9s, tuning: {page_size: 20}}
  - name: b
    secret_key: ${KEY}
`, config.Options{})
	a, b := loaded.Config.Accounts[0].Poll, loaded.Config.Accounts[1].Poll
	want := poller.DefaultPoll()
	want.Interval, want.Tuning.HotAge, want.Tuning.PageSize = 20*time.Second, time.Hour, 10
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("without overrides (-want +got):\n%s", diff)
	}
	want.Timeout, want.Tuning.PageSize = 9*time.Second, 20
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("with overrides (-want +got):\n%s", diff)
	}
}

// natsContext makes a context of the nats CLI called prod.
func natsContext(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	directory := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "prod.json"), []byte(`{"url": "nats://p:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNATSDestinations(t *testing.T) {
	natsContext(t)
	loaded := load(t, minimal+`nats: {url: "nats://a:1,nats://b:2", user: me, password: "${SECRET}"}
destinations:
  - {name: inherits, type: nats, subject: a}
  - {name: other-server, type: nats, subject: a, url: nats://c:3}
  - {name: other-context, type: nats, subject: a, context: prod, tls_first: true}
  - {name: other-user, type: nats, subject: a, user: you}
  - {name: other-way, type: nats, subject: a, token: t}
`, config.Options{})
	var got []publish.NATS
	for _, d := range loaded.Config.Destinations {
		if d.URL != "" {
			t.Errorf("%s keeps a callback URL", d.Name)
		}
		got = append(got, d.NATS)
	}
	want := []publish.NATS{
		{Server: "nats://a:1,nats://b:2", User: "me", Password: signingSecret},
		{Server: "nats://c:3", User: "me", Password: signingSecret},
		{Context: "prod", TLSFirst: true},
		{Server: "nats://a:1,nats://b:2", User: "you", Password: signingSecret},
		{Server: "nats://a:1,nats://b:2", Token: "t"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b secret.String) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if origin, _ := loaded.Origin("destinations[0].user"); origin.String() != "test.yaml:4" {
		t.Errorf("an inherited key comes from %q", origin)
	}
	if origin, _ := loaded.Origin("destinations[2].user"); origin.Source != config.SourceDefault {
		t.Errorf("a key that the context replaces comes from %q", origin)
	}
}

func TestNATSAddress(t *testing.T) {
	natsContext(t)
	for _, test := range []struct{ section, want string }{
		{"{}", "nats://127.0.0.1:4222"},
		{"{context: prod}", ""},
		{"{context: prod, url: nats://c:3}", "nats://c:3"},
		{"{embedded: {enabled: true, listen: 127.0.0.1:5222}}", "nats://127.0.0.1:5222"},
		{"{embedded: {enabled: true, listen: 0.0.0.0:5222}}", "nats://127.0.0.1:5222"},
		{"{embedded: {enabled: true, listen: '[::1]:5222'}}", "nats://[::1]:5222"},
		{"{embedded: {enabled: true, listen: 127.0.0.1:0}}", "nats://127.0.0.1:4222"},
	} {
		loaded := load(t, minimal+"nats: "+test.section+"\ndestinations: [{name: bus, type: nats, subject: a}]\n", config.Options{})
		if got := loaded.Config.Destinations[0].NATS.Server.Reveal(); got != test.want {
			t.Errorf("nats: %s is reached at %q, want %q", test.section, got, test.want)
		}
	}
}

func TestDefaultsByType(t *testing.T) {
	loaded := load(t, minimal+`destinations:
  - {name: hook, type: http, url: "https://shop.example"}
  - {name: body, type: http, url: "https://shop.example", template: "{}"}
  - {name: bus, type: nats, subject: a}
`, config.Options{})
	hook, body, bus := loaded.Config.Destinations[0], loaded.Config.Destinations[1], loaded.Config.Destinations[2]
	if len(hook.Retry.Schedule) != 11 || hook.Timeout != 15*time.Second || !hook.Ordered || hook.Mode != "" {
		t.Errorf("http: %+v", hook)
	}
	if body.Format != publish.FormatTemplate {
		t.Errorf("a template without a format is sent as %s", body.Format)
	}
	if len(bus.Retry.Schedule) != 4 || !bus.JetStream || bus.Mode != publish.ModeBinary || bus.Stream.DuplicateWindow != time.Hour {
		t.Errorf("nats: %+v", bus)
	}
}

func TestMergeKeysAndOddScalars(t *testing.T) {
	loaded, err := config.Load(config.Options{Path: "testdata/good/aliases.yaml", Environ: environ("TRACE=abc")})
	if err != nil {
		t.Fatal(err)
	}
	two := loaded.Config.Accounts[1]
	if two.Name != "two" || two.SecretKey != testKey || two.Poll.Interval != 6*time.Second || two.Poll.Timeout != 20*time.Second {
		t.Errorf("merged account: %+v", two)
	}
	second := loaded.Config.Destinations[1]
	if second.Name != "second" || second.Headers["X.Trace.Id"].Reveal() != "abc" || second.Headers["on"].Reveal() != "yes" || len(second.Secrets) != 1 {
		t.Errorf("merged destination: %+v", second)
	}
	want := map[string]string{"severity": "page", "count": "5", "paged": "yes", "empty": ""}
	if diff := cmp.Diff(want, loaded.Config.Rules[0].Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestRuleFiles(t *testing.T) {
	loaded, err := config.Load(config.Options{Path: "testdata/good/included.yaml", Environ: environ()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rule := range loaded.Config.Rules {
		got = append(got, rule.Name)
		if rule.Enabled == (rule.Name == "a-two") {
			t.Errorf("%s: enabled is %v", rule.Name, rule.Enabled)
		}
	}
	if diff := cmp.Diff([]string{"ship", "a-one", "a-two", "b-one"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if origin, _ := loaded.Origin("rules[3].name"); !strings.HasSuffix(origin.String(), "rules.d/b.yaml:2") {
		t.Errorf("a rule of a file comes from %q", origin)
	}
	if len(loaded.Files) != 3 || !slices.Contains(loaded.Files, "testdata/good/rules.d/a.yaml") {
		t.Errorf("files to watch: %v", loaded.Files)
	}
}

func TestStateDirectory(t *testing.T) {
	at := func(source string) config.Config {
		return load(t, minimal+source, config.Options{Environ: environ("STATE_DIRECTORY=/var/lib/notifier:/other")}).Config
	}
	if c := at(""); c.State.Path != "/var/lib/notifier/data/notifier.db" || c.NATS.Embedded.StoreDir != "/var/lib/notifier/data/nats" {
		t.Errorf("defaults go to %s and %s", c.State.Path, c.NATS.Embedded.StoreDir)
	}
	if c := at("state: {path: /srv/n.db}\n"); c.State.Path != "/srv/n.db" {
		t.Errorf("an absolute path became %s", c.State.Path)
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	none := func(string) string { return "" }
	named := func(name string) string {
		if name == "NOTIFIER_CONFIG" {
			return "/from/environment.yaml"
		}
		return ""
	}
	if _, err := os.Stat("/etc/notifier/notifier.yaml"); err != nil {
		if got, err := config.Find("", none); err == nil || !strings.Contains(err.Error(), "notifier.yaml") {
			t.Errorf("without any file: %q, %v", got, err)
		}
	}
	if err := os.WriteFile("notifier.yaml", []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flag   string
		getenv func(string) string
		want   string
	}{{"", none, "notifier.yaml"}, {"", named, "/from/environment.yaml"}, {"flag.yaml", named, "flag.yaml"}} {
		if got, err := config.Find(test.flag, test.getenv); got != test.want || err != nil {
			t.Errorf("found %q, %v, want %q", got, err, test.want)
		}
	}
}
