package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/config"
)

func TestEnvironmentNames(t *testing.T) {
	names := config.EnvNames()
	for name, path := range map[string]string{
		"NOTIFIER_ADMIN_LISTEN":          "admin.listen",
		"NOTIFIER_POLL_INTERVAL":         "poll.interval",
		"NOTIFIER_POLL_TUNING_PAGE_SIZE": "poll.tuning.page_size",
		"NOTIFIER_NATS_URL":              "nats.url",
		"NOTIFIER_NATS_EMBEDDED_LISTEN":  "nats.embedded.listen",
		"NOTIFIER_STATE_BACKUP_DIR":      "state.backup.dir",
		"NOTIFIER_HEARTBEAT_URL":         "heartbeat.url",
		"NOTIFIER_SHUTDOWN_GRACE":        "shutdown_grace",
	} {
		if names[name] != path {
			t.Errorf("%s sets %q, want %q", name, names[name], path)
		}
	}
	paths := make(map[string]string)
	for name, path := range names {
		if other, taken := paths[path]; taken {
			t.Errorf("%s and %s set the same key", name, other)
		}
		paths[path] = name
		if name == "NOTIFIER_CONFIG" || strings.HasPrefix(name, "NOTIFIER_SERVICE_") || strings.HasPrefix(name, "NOTIFIER_PORT") {
			t.Errorf("%s is a name that is ignored", name)
		}
	}
	// A name is made from one path alone: every value outside a list has one.
	loaded := load(t, minimal, config.Options{})
	scalars := 0
	for _, s := range loaded.Settings() {
		if _, isList := s.Value.([]any); isList || strings.Contains(s.Path, "[") {
			continue
		}
		scalars++
		if paths[s.Path] == "" {
			t.Errorf("%s cannot be set from the environment", s.Path)
		}
	}
	if scalars != len(names) {
		t.Errorf("%d keys and %d names: two keys share a name", scalars, len(names))
	}
}

func TestEnvironmentMistakes(t *testing.T) {
	for variable, want := range map[string]string{
		"NOTIFIER_POL_INTERVAL=5s":       `NOTIFIER_POL_INTERVAL: unknown variable, did you mean "NOTIFIER_POLL_INTERVAL"?`,
		"NOTIFIER_POLL__INTERVAL=5s":     `NOTIFIER_POLL__INTERVAL: unknown variable, did you mean "NOTIFIER_POLL_INTERVAL"?`,
		"NOTIFIER_LOG_LEVLE=debug":       `NOTIFIER_LOG_LEVLE: unknown variable, did you mean "NOTIFIER_LOG_LEVEL"?`,
		"NOTIFIER_CONFG=/etc/x.yaml":     `NOTIFIER_CONFG: unknown variable, did you mean "NOTIFIER_CONFIG"?`,
		"NOTIFIER_POLL_INTERVAL=5":       `NOTIFIER_POLL_INTERVAL: poll.interval needs a unit, as in 30s, 10m or 7d`,
		"NOTIFIER_ADMIN_LISTEN=nonsense": `NOTIFIER_ADMIN_LISTEN: admin.listen must be host:port, such as 127.0.0.1:8484`,
		"NOTIFIER_LOG_LEVEL=loud":        `NOTIFIER_LOG_LEVEL: log.level must be debug, info, warn or error`,
	} {
		if got := strings.TrimSpace(refused(t, minimal, config.Options{Environ: environ(variable)})); got != want {
			t.Errorf("%s:\n got %s\nwant %s", variable, got, want)
		}
	}
}

func TestEnvironmentOfOthers(t *testing.T) {
	quiet := load(t, minimal, config.Options{Environ: environ("NOTIFIER_CONFIG=/x", "NOTIFIER_SERVICE_HOST=10.0.0.1",
		"NOTIFIER_SERVICE_PORT_HTTP=80", "NOTIFIER_PORT=tcp://10.0.0.1:80", "NOTIFIER_PORT_80_TCP_ADDR=10.0.0.1", "NOTIFIER=1")})
	if len(quiet.Warnings) > 0 {
		t.Errorf("warnings:\n%s", lines(quiet.Warnings))
	}
	own := load(t, "accounts: [{name: main, secret_key: '${NOTIFIER_SECRET_KEY}'}]\n", config.Options{Environ: []string{"NOTIFIER_SECRET_KEY=" + testKey}})
	if len(own.Warnings) > 0 {
		t.Errorf("a variable that the file asks for is warned of:\n%s", lines(own.Warnings))
	}
	loud := load(t, minimal, config.Options{Environ: environ("NOTIFIER_SOMETHING_ELSE=1", "NOTIFIER_ACCOUNTS_0_NAME=x", "NOTIFIER_RULES=x")})
	if len(loud.Warnings) != 3 || loud.Config.Accounts[0].Name != "main" || len(loud.Config.Rules) != 0 {
		t.Errorf("lists were touched, or a warning is missing:\n%s", lines(loud.Warnings))
	}
}

func TestFlags(t *testing.T) {
	got := refused(t, minimal, config.Options{Flags: map[string]string{"poll.intervall": "5s", "rules.0.when": "x", "poll.timeout": "x"}})
	want := `flag poll.intervall: unknown key, did you mean "poll.interval"?
flag poll.timeout: poll.timeout must be a duration such as 200ms, 15s, 1h30m or 7d
flag rules.0.when: lists can only be set in the file
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestExpansion(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{"key": testKey + "\n", "crlf": testKey + "\r\n", "two": testKey + "\n\n"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func(text string) string {
		return load(t, "accounts: [{name: main, base_url: http://127.0.0.1:1, secret_key: '"+text+"'}]\n",
			config.Options{Environ: environ("EMPTY=", "BRACES=${KEY}")}).Config.Accounts[0].SecretKey.Reveal()
	}
	for text, want := range map[string]string{
		"${KEY}":                         testKey,
		"a${KEY}b${KEY}c":                "a" + testKey + "b" + testKey + "c",
		"${UNSET:-fallback}":             "fallback",
		"${EMPTY:-fallback}":             "fallback",
		"${KEY:-fallback}":               testKey,
		"${UNSET:-}x":                    "x",
		"x$${KEY}":                       "x${KEY}",
		"a$b$":                           "a$b$",
		"x${BRACES}":                     "x${KEY}", // expanded once
		"${file:" + directory + "/key}":  testKey,
		"${file:" + directory + "/crlf}": testKey,
	} {
		if got := key(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	loaded := load(t, minimal+`poll: {interval: "${SECONDS_}s", tuning: {page_size: "${SIZE}"}}
admin: {pprof: "${PPROF}"}
`, config.Options{Environ: environ("SECONDS_=7", "SIZE=42", "PPROF=true")})
	if p := loaded.Config.Poll; p.Interval != 7*time.Second || p.Tuning.PageSize != 42 || !loaded.Config.Admin.PProf {
		t.Errorf("expanded numbers: %+v", p)
	}
}

// A device or a log in the place of a file must not fill the memory.
func TestFilesAreBounded(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 17<<20); err != nil {
		t.Fatal(err)
	}
	got := refused(t, "accounts: [{name: main, secret_key: '${file:"+huge+"}'}]\n", config.Options{})
	if !strings.Contains(got, "reading the secret file "+huge+": it is larger than 16 MiB") {
		t.Errorf("got %s", got)
	}
	if _, err := config.Load(config.Options{Path: huge}); err == nil || !strings.Contains(err.Error(), "it is larger than 16 MiB") {
		t.Errorf("the configuration: %v", err)
	}
}

func TestExpressionsAndTemplatesAreNotExpanded(t *testing.T) {
	loaded := load(t, minimal+`destinations:
  - {name: hook, type: http, url: "https://shop.example", template: '{"a": "${KEY}"}'}
  - {name: bus, type: nats, subject: 'a.${KEY}.$b'}
rules:
  - name: all
    when: session.id != "${KEY}"
    to: [hook, bus]
    template: '"$${KEY}"'
`, config.Options{})
	c := loaded.Config
	for got, want := range map[string]string{
		c.Destinations[0].Template: `{"a": "${KEY}"}`,
		c.Destinations[1].Subject:  `a.${KEY}.$b`,
		c.Rules[0].When:            `session.id != "${KEY}"`,
		c.Rules[0].Template:        `"$${KEY}"`,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAllowMissingSecrets(t *testing.T) {
	source := `accounts:
  - {name: main, secret_key: "${KEY}"}
destinations:
  - name: hook
    type: http
    url: https://shop.example/${TOKEN}
    secrets: ["${file:/nonexistent/secret}"]
    tls: {ca: /nonexistent/ca.pem}
rules:
  - {name: ship, events: [fulfillable], to: [hook]}
`
	loaded := load(t, source, config.Options{Environ: []string{"A=b"}, AllowMissingSecrets: true})
	want := []string{"accounts[0].secret_key", "destinations[0].secrets[0]", "destinations[0].url"}
	if !slices.Equal(loaded.Missing, want) || len(loaded.Warnings) > 0 {
		t.Errorf("missing %v, warnings:\n%s", loaded.Missing, lines(loaded.Warnings))
	}
	got := refused(t, source, config.Options{Environ: []string{"A=b"}})
	if n := strings.Count(got, "\n"); n != 4 {
		t.Errorf("%d problems, want 4:\n%s", n, got)
	}
}

// Durations survive being written and read, whatever they are.
func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "200ms": 200 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour,
		"1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour,
	} {
		if got, err := config.ParseDuration(text); got != want || err != nil {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "d", "1d-2h", "1w", "99999999999d", "36500d1s", "1e3s", "NaN", "infd"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(36500*24*time.Hour)).Draw(t, "d"))
		if whole := rapid.Bool().Draw(t, "whole"); whole {
			d = d.Truncate(time.Hour)
		}
		if got, err := config.ParseDuration(config.FormatDuration(d)); got != d || err != nil {
			t.Fatalf("%v is written %s and read as %v, %v", d, config.FormatDuration(d), got, err)
		}
	})
}

// Every single slip of the finger in a variable's name is an error that names
// the right one.
func TestMistypedVariables(t *testing.T) {
	names := slices.Sorted(maps.Keys(config.EnvNames()))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		at := rapid.IntRange(len("NOTIFIER_"), len(name)-1).Draw(t, "at")
		typo := name[:at] + "X" + name[at:]
		_, err := config.Load(config.Options{Source: []byte(minimal), Environ: []string{"KEY=" + testKey, typo + "=1"}})
		if err == nil || !strings.Contains(err.Error(), typo+": unknown variable, did you mean \"NOTIFIER_") {
			t.Fatalf("%s: %v", typo, err)
		}
	})
}
