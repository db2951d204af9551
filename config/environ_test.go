package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		if name == "NOTIFIER_CONFIG" {
			t.Errorf("%s is a name that is ignored", name)
		}
	}
	variables := config.Variables()
	for _, v := range variables {
		if names[v.Name] != v.Key || v.Type == "" {
			t.Errorf("%+v", v)
		}
	}
	if len(variables) != len(names) {
		t.Errorf("%d variables and %d names", len(variables), len(names))
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
		"NOTIFIER_SERVICE_PORT_HTTP=80", "NOTIFIER_PORT=tcp://10.0.0.1:80", "NOTIFIER_PORT_80_TCP_ADDR=10.0.0.1", "NOTIFIER=1",
		// of the Services notifier-nats, notifier-x, notifier-poll and notifier-admin-2
		"NOTIFIER_NATS_PORT=tcp://10.96.3.7:4222", "NOTIFIER_NATS_SERVICE_HOST=10.96.3.7", "NOTIFIER_NATS_SERVICE_PORT=4222",
		"NOTIFIER_NATS_SERVICE_PORT_CLIENT=4222", "NOTIFIER_X_PORT_4222_TCP=tcp://10.96.3.7:4222", "NOTIFIER_X_PORT_4222_TCP_PROTO=tcp",
		"NOTIFIER_X_PORT_4222_TCP_PORT=4222", "NOTIFIER_X_PORT_4222_TCP_ADDR=10.96.3.7", "NOTIFIER_X_PORT_53_UDP_ADDR=10.96.3.7",
		"NOTIFIER_X_PORT_53_SCTP=sctp://10.96.3.7:53", "NOTIFIER_POLL_PORT=tcp://10.96.3.7:80", "NOTIFIER_ADMIN_2_SERVICE_HOST=10.96.3.8")})
	if len(quiet.Warnings) > 0 {
		t.Errorf("warnings:\n%s", lines(quiet.Warnings))
	}
	for _, name := range []string{"NOTIFIER_PORTS=1", "NOTIFIER_X_PORT_TCP=1", "NOTIFIER_X_PORT_80_HTTP=1", "NOTIFIER_X_SERVICE=1", "NOTIFIER_XPORT=1", "NOTIFIER_X_HOST=1",
		"NOTIFIER_NATS_PORTS=1", "NOTIFIER_POD_NAME=1", "NOTIFIER_NATS_HOST=1", "NOTIFIER_LOG_COLOUR=1", "NOTIFIER_POLL_SIZES=1"} {
		if loud := load(t, minimal, config.Options{Environ: environ(name)}); len(loud.Warnings) != 1 {
			t.Errorf("%s has no such form:\n%s", name, lines(loud.Warnings))
		}
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

// A variable of ours is never given up because Kubernetes has such names, and what
// a file asks for by name is the operator's.
func TestOwnVariablesThatLookLikeThoseOfKubernetes(t *testing.T) {
	loaded := load(t, minimal, config.Options{Environ: environ("NOTIFIER_NATS_URL=nats://10.96.3.7:4222", "NOTIFIER_NATS_PORT=tcp://10.96.3.7:4222")})
	if got := loaded.Config.NATS.Server.Reveal(); got != "nats://10.96.3.7:4222" {
		t.Errorf("nats.url is %q", got)
	}
	loaded = load(t, minimal+"nats: {url: 'nats://${NOTIFIER_NATS_SERVICE_HOST}:4222'}\n", config.Options{Environ: environ("NOTIFIER_NATS_SERVICE_HOST=10.96.3.9")})
	if got := loaded.Config.NATS.Server.Reveal(); got != "nats://10.96.3.9:4222" {
		t.Errorf("nats.url is %q", got)
	}
	// Keys of this form would work, but be hard to tell apart: there are none.
	kubernetes := regexp.MustCompile(`(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT|_PORT_[0-9]+_.*)$`)
	for name, path := range config.EnvNames() {
		if kubernetes.MatchString(name) {
			t.Errorf("%s, which sets %s, may come from Kubernetes as well", name, path)
		}
	}
}

// A secret that is not what it looks like is told when it is loaded, not by the
// receiver.
func TestSecretsThatCannotBeMeant(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{
		"bom": "\xef\xbb\xbftoken-1\n", "empty": "", "newline": "\n", "blank": " \t\r\n", "utf16": "\xff\xfet\x00", "good": "token-1\n",
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return "${file:" + filepath.Join(directory, name) + "}" }
	hook := func(keys string) string {
		return minimal + "destinations:\n  - {name: shop, type: http, url: \"https://shop.example/hooks\", secrets: [\"${SECRET}\"], " + keys + "}\n" + ship
	}
	const bom, empty, utf16 = " begins with a byte order mark (BOM): save it without one\n", " is empty\n", " is written in UTF-16: save it as UTF-8\n"
	secretFile := func(name string) string { return "the secret file " + filepath.Join(directory, name) }
	for source, want := range map[string]string{
		hook("auth: {bearer: \"" + file("bom") + "\"}"):                         "auth.bearer: " + secretFile("bom") + bom,
		hook("auth: {bearer: \"" + file("empty") + "\"}"):                       "auth.bearer: " + secretFile("empty") + empty,
		hook("auth: {bearer: \"" + file("newline") + "\"}"):                     "auth.bearer: " + secretFile("newline") + empty,
		hook("auth: {bearer: \"" + file("blank") + "\"}"):                       "auth.bearer: " + secretFile("blank") + empty,
		hook("auth: {bearer: \"" + file("utf16") + "\"}"):                       "auth.bearer: " + secretFile("utf16") + utf16,
		hook("auth: {basic: {username: a, password: \"" + file("bom") + "\"}}"): "auth.basic.password: " + secretFile("bom") + bom,
		hook("headers: {X-Key: \"" + file("empty") + "\"}"):                     "headers.X-Key: " + secretFile("empty") + empty,
		hook("tls: {ca: " + filepath.Join(directory, "bom") + "}"):              "tls.ca: the file" + bom,
		hook("tls: {ca: " + filepath.Join(directory, "empty") + "}"):            "tls.ca: the file" + empty,
		minimal + "nats: {creds: " + filepath.Join(directory, "empty") + "}\n":  "nats.creds: the file" + empty,
		minimal + "nats: {nkey: " + filepath.Join(directory, "bom") + "}\n":     "nats.nkey: the file" + bom,
		minimal + "nats: {user: a, password: \"" + file("bom") + "\"}\n":        "nats.password: " + secretFile("bom") + bom,
		"accounts: [{name: main, secret_key: \"" + file("bom") + "\"}]\n":       "secret_key: " + secretFile("bom") + bom,
		hook("auth: {bearer: \"${NOTHING}\"}"):                                  "auth.bearer: the environment variable NOTHING is empty: set it, or write ${NOTHING:-} if no value is meant\n",
		"accounts: [{name: main, secret_key: \"${NOTHING:-}\"}]\n":              "secret_key is empty, and a value is required\n",
	} {
		got := refused(t, source, config.Options{Environ: environ("NOTHING=")})
		if !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "test.yaml:") {
			t.Errorf("%sgot %swant %s", source, got, want)
		}
	}
	for keys, want := range map[string]string{"auth: {bearer: \"" + file("good") + "\"}": "token-1", "auth: {bearer: \"${NOTHING:-}\"}": ""} {
		loaded := load(t, hook(keys), config.Options{Environ: environ("NOTHING=")})
		if got := loaded.Config.Destinations[0].Auth.Bearer.Reveal(); got != want {
			t.Errorf("%s: %q", keys, got)
		}
	}
}

// Relative paths are relative to the file that names them, wherever the program
// was started.
func TestRelativePaths(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{
		"etc/notifier.yaml": `accounts: [{name: main, secret_key: "${file:key}"}]
state: {path: data/n.db, backup: {dir: ../backup}}
nats: {creds: nats.creds, embedded: {store_dir: data/nats}}
destinations:
  - {name: shop, type: http, url: "https://shop.example/hooks", secrets: ["${SECRET}"], tls: {ca: tls/ca.pem}}
  - {name: bus, type: nats, subject: a}
  - {name: own, type: nats, subject: a, nkey: own.nk}
rules: [{name: ship, events: [paid], to: [shop, bus, own]}]
rule_files: [rules.d/*.yaml]
`,
		"etc/key": testKey, "etc/nats.creds": "x", "etc/own.nk": "x",
		"etc/rules.d/more.yaml": `rules: [{name: more, events: [paid], to: [shop], labels: {team: "${file:team}"}}]`, "etc/rules.d/team": "a",
	} {
		name = filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	etc := filepath.Join(directory, "etc")
	paths := func(environment ...string) []string {
		loaded, err := config.Load(config.Options{Path: filepath.Join(etc, "notifier.yaml"), Environ: environ(environment...), AllowMissingSecrets: true})
		if err != nil {
			t.Fatal(err)
		}
		c := loaded.Config
		if len(c.Rules) != 2 || c.Rules[1].Labels["team"] != "a" {
			t.Errorf("rules %+v", c.Rules)
		}
		return []string{c.State.Path, c.State.Backup.Dir, c.NATS.Embedded.StoreDir, c.NATS.Creds, c.Destinations[0].TLS.CA, c.Destinations[1].NATS.Creds,
			c.Destinations[2].NATS.NKey, c.Destinations[2].NATS.Creds}
	}
	read := []string{filepath.Join(etc, "nats.creds"), filepath.Join(etc, "tls/ca.pem"), filepath.Join(etc, "nats.creds"), filepath.Join(etc, "own.nk"), ""}
	for _, test := range []struct {
		environment string
		written     []string
	}{
		{"A=b", []string{filepath.Join(etc, "data/n.db"), filepath.Join(directory, "backup"), filepath.Join(etc, "data/nats")}},
		{"STATE_DIRECTORY=/var/lib/notifier", []string{"/var/lib/notifier/data/n.db", "/var/lib/backup", "/var/lib/notifier/data/nats"}},
		{"NOTIFIER_STATE_PATH=here.db", []string{"here.db", filepath.Join(directory, "backup"), filepath.Join(etc, "data/nats")}},
	} {
		if diff := cmp.Diff(append(test.written, read...), paths(test.environment)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.environment, diff)
		}
	}
	here := load(t, minimal+"state: {path: ./n.db}\n", config.Options{})
	if here.Config.State.Path != "./n.db" {
		t.Errorf("a file in the working directory: %s", here.Config.State.Path)
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
