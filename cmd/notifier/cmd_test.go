package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"checkout-notifier/admin"
	"checkout-notifier/broker"
	"checkout-notifier/broker/brokertest"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/state"
)

// run executes a command line in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &err})
	return code, out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{errors.New("anything"), exitFailure},
		{exit(exitUsage, errors.New("usage")), exitUsage},
		{&config.Problems{Errors: []config.Problem{{}}}, exitInvalid},
		{config.ErrNoFile, exitInvalid},
		{fmt.Errorf("opening: %w", state.ErrHeld), exitInvalid},
		{fmt.Errorf("starting: %w", broker.ErrHeld), exitInvalid},
		{fmt.Errorf("opening: %w", state.ErrDamaged), exitInvalid},
		{fmt.Errorf("opening: %w", state.ErrNewer), exitInvalid},
		{fmt.Errorf("%w: %w", poller.ErrUnreachable, state.ErrDiskFull), exitInvalid},
		{poller.ErrRebound, exitInvalid},
		{fmt.Errorf("account main: %w", poller.ErrUnreachable), exitUnreachable},
		{admin.ErrNotFound, exitNotFound},
		{errors.Join(nil, exit(exitNotFound, errors.New("no such thing"))), exitNotFound},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("exit code of %v = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestUnknownWordsAreUsage(t *testing.T) {
	for _, line := range []string{
		"bogus", "check bogus", "run --bogus", "config bogus", "completion bogus", "completion bash bogus", "help bogus", "help config bogus",
	} {
		if code, stdout, stderr := run(t, strings.Fields(line)...); code != exitUsage || stdout != "" || !strings.Contains(stderr, "bogus") {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
	for _, line := range []string{"help", "help config show", "completion", "completion zsh"} {
		if code, stdout, stderr := run(t, strings.Fields(line)...); code != exitOK || stdout == "" || stderr != "" {
			t.Errorf("%s: exit code %d, stderr %q", line, code, stderr)
		}
	}
}

// Every command tells mistakes as `check` does, on stderr where they are not
// what was asked for.
func TestMistakesAreToldByEveryCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := `accounts: [{name: Main, secret_key: sk_test_1}]
destinations: [{name: hook, type: http, url: "https://shop.example", secrets: []}]
rules:
  - {name: ship, when: session.amount_totl > 1, to: [hook]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := file + `:1:19: accounts[0].name "Main" must be 1 to 64 lower-case letters, digits and hyphens, did you mean "main"?
` + file + `:4:32: session has no field amount_totl, did you mean "amount_total"?
    session.amount_totl > 1
            ^
notifier: the configuration is invalid: 2 mistakes
`
	for _, line := range []string{"run", "run --once", "status", "health", "config show", "accounts list", "destinations resume hook"} {
		code, stdout, stderr := run(t, append(strings.Fields(line), "-c", file)...)
		if code != exitInvalid || stdout != "" {
			t.Errorf("%s: exit code %d, stdout %q", line, code, stdout)
		}
		if diff := cmp.Diff(want, stderr); diff != "" {
			t.Errorf("%s: stderr (-want +got):\n%s", line, diff)
		}
	}
}

// A value that a flag does not take is found before anything is done: there is
// neither a configuration nor a daemon here.
func TestUnknownValuesAreUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(config.FileVariable, "")
	for _, line := range []string{
		"status -o xml", "accounts list -o xml", "destinations list -o yaml", "version -o yaml", "config show -o xml", "init --for shop",
		"receive -o json", "receive --status 42", "forward --to http://127.0.0.1:1 --key sk_test_1 --format xml", "demo --duration -3s",
	} {
		if code, stdout, stderr := run(t, strings.Fields(line)...); code != exitUsage || stdout != "" || stderr == "" {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
}

// Whatever is in a flag stays what it is, and never becomes configuration.
func TestForwardTakesItsFlagsLiterally(t *testing.T) {
	o := forwardOptions{
		to: `https://shop.example/${HOME}/"hook"`, key: "sk_test_${x}", format: "stripe", interval: "5s",
		baseURL: "http://127.0.0.1:1", events: []string{"fulfillable"}, apiVersion: "2025-08-27.${basil}", omit: []string{"line_items", "url"},
	}
	source, err := forwardConfig(o, forwardSecret(o.key), "/tmp/${state}.db")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{Source: source, Name: "forward"})
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	if got := c.Destinations[0].URL.Reveal(); got != o.to {
		t.Errorf("url = %s, want %s", got, o.to)
	}
	if got := c.Accounts[0].SecretKey.Reveal(); got != o.key {
		t.Errorf("secret_key = %s, want %s", got, o.key)
	}
	if d := c.Destinations[0]; d.APIVersion != o.apiVersion || !slices.Equal(d.Omit, o.omit) {
		t.Errorf("api_version = %s, omit = %v", d.APIVersion, d.Omit)
	}
	if c.State.Path != "/tmp/${state}.db" {
		t.Errorf("state.path = %s", c.State.Path)
	}
}

func TestForwardSaysWhatIsMissing(t *testing.T) {
	t.Setenv(keyVariable, "")
	if code, _, stderr := run(t, "forward"); code != exitUsage || !strings.Contains(stderr, "--to") {
		t.Errorf("without --to: %d %s", code, stderr)
	}
	if code, _, stderr := run(t, "forward", "--to", "http://localhost:1"); code != exitUsage || !strings.Contains(stderr, keyVariable) {
		t.Errorf("without a key: %d %s", code, stderr)
	}
}

// The store that takes no more writes ends the daemon, others do not.
func TestVaultNotesOnlyWhatIsFinal(t *testing.T) {
	v := newVault(nil)
	_ = v.note(state.ErrDiskFull)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.watch(ctx); err != nil {
		t.Errorf("a full disk ends the daemon: %v", err)
	}
	_ = v.note(fmt.Errorf("committing: %w", state.ErrUncertain))
	if err := v.watch(t.Context()); !errors.Is(err, state.ErrUncertain) {
		t.Errorf("watch = %v, want ErrUncertain", err)
	}
}

// A pass that a signal cut short is not a complete one.
func TestOnceInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the end of the request goes unnoticed
		interrupt()
		<-r.Context().Done()
	}))
	defer api.Close()
	source := writeConfig(t, filepath.Join(t.TempDir(), "notifier.db"), api.URL)
	var out, log bytes.Buffer
	code := execute(ctx, []string{"run", "--once", "-c", source}, streams{in: strings.NewReader(""), out: &out, err: &log})
	if code != exitFailure || !strings.Contains(log.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, log.String())
	}
}

// writeConfig makes a configuration with one account and one destination.
func writeConfig(t *testing.T, statePath, apiURL string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notifier.yaml")
	text := fmt.Sprintf(`version: 1
accounts: [{name: main, secret_key: sk_test_x, base_url: %q}]
state: {path: %q}
admin: {listen: "127.0.0.1:1"}
destinations: [{name: hook, type: http, url: "http://127.0.0.1:1/"}]
rules: [{name: all, events: [paid], to: [hook]}]
`, apiURL, statePath)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Damage that shows in reading ends the daemon too: there is nothing it could do.
func TestVaultNotesDamageInReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notifier.db")
	store, err := state.Open(t.Context(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	size, err := store.Size()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const metas = 2 * 4096
	_, err = file.WriteAt(make([]byte, size-metas), metas)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(*vault) error{
		"destinations": func(v *vault) error { _, err := v.Destinations(t.Context()); return err },
		"due": func(v *vault) error {
			_, _, err := v.Due(t.Context(), "hook", event.Look{Now: time.Now(), First: 1, Again: 1})
			return err
		},
		"snapshots": func(v *vault) error { _, err := v.Snapshots(t.Context(), "main", []string{"cs_1"}); return err },
		"account":   func(v *vault) error { _, _, err := v.Account(t.Context(), "main"); return err },
		"tracked":   func(v *vault) error { return v.Tracked(t.Context(), "main", func(*event.Tracked) error { return nil }) },
		"prune": func(v *vault) error {
			_, err := v.Prune(t.Context(), state.PrunePolicy{Before: time.Now()})
			return err
		},
	} {
		v := newVault(store)
		if err := read(v); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s = %v, want ErrDamaged", name, err)
			continue
		}
		if err := v.watch(t.Context()); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("after %s, watch = %v, want ErrDamaged", name, err)
		}
	}
}

// Without a daemon a file that none can run on is what is wrong, not the daemon.
func TestStatusOfADamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notifier.db")
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := writeConfig(t, path, "http://127.0.0.1:1")
	if code, _, stderr := run(t, "status", "-c", source); code != exitInvalid || !strings.Contains(stderr, "is damaged") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// A damaged file is replaced by a copy: the message names the newest one and the command.
func TestDamagedFileNamesTheNewestCopy(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "")
	dir := t.TempDir()
	path, copies := filepath.Join(dir, "notifier.db"), filepath.Join(dir, "copies")
	source := writeConfig(t, path, "http://127.0.0.1:1")
	t.Setenv("NOTIFIER_STATE_BACKUP_DIR", copies)
	names := []string{path, filepath.Join(copies, "notifier-5d0c3f7a-20261122T031500Z.db"), filepath.Join(copies, "notifier-5d0c3f7a-20261121T031500Z.db")}
	if err := os.Mkdir(copies, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(name, []byte("no database"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("notifier state restore %s -c %s\n", names[1], source)
	for _, command := range []string{"run", "status"} {
		if code, _, stderr := run(t, command, "-c", source); code != exitInvalid || !strings.Contains(stderr, "the newest copy in "+copies) || !strings.HasSuffix(stderr, want) {
			t.Errorf("%s: exit code %d: %s, want %s", command, code, stderr, want)
		}
	}
	if err := os.WriteFile(filepath.Join(copies, "notifier-0a1b2c3d-20261122T031500Z.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, stderr := run(t, "run", "-c", source); strings.Contains(stderr, "state restore "+copies) || !strings.Contains(stderr, "several notifiers") {
		t.Errorf("with the copies of two notifiers: %s", stderr)
	}
}

func TestOrphansAreShownWhileSomethingWaits(t *testing.T) {
	r := &report{Destinations: []destinationReport{{Name: "gone", Pending: 2}, {Name: "done"}}}
	r.merge(nil)
	if len(r.Destinations) != 1 || r.Destinations[0].Name != "gone" || r.Destinations[0].State != stateOrphaned {
		t.Errorf("destinations = %+v", r.Destinations)
	}
}

// Without a daemon the file and the configuration are looked at; acting needs
// the daemon.
func TestLookingWithoutADaemon(t *testing.T) {
	dir := t.TempDir()
	file, store := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "n.db")
	text := fmt.Sprintf(`accounts: [{name: main, secret_key: sk_test_1}]
destinations: [{name: hook, type: http, url: "https://shop.example", secrets: []}]
state: {path: %s}
admin: {listen: 127.0.0.1:1}
`, store)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(line string, code int, words ...string) {
		t.Helper()
		got, stdout, stderr := run(t, append(strings.Fields(line), "-c", file)...)
		if got != code {
			t.Errorf("%s: exit code %d, want %d: %s", line, got, code, stderr)
		}
		for _, word := range words {
			if !strings.Contains(stdout+stderr, word) {
				t.Errorf("%s does not say %q: %s%s", line, word, stdout, stderr)
			}
		}
	}
	check("status", exitUnreachable, "no daemon answers", "no state file")
	if err := os.WriteFile(store, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("status", exitInvalid, "no daemon answers", "damaged")
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(t.Context(), state.Config{Path: store}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	check("accounts list", exitUnreachable) // somebody has it, but does not answer
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check("destinations list -o jsonl", exitOK, `{"name":"hook","state":"unknown","pending":0`)
	check("status -o json", exitOK, `"running": false`, `"accounts": []`)
	check("accounts list -o json", exitOK, `"items": []`)
	check("destinations resume hook", exitUnreachable)
}

// Whatever else answers at the address, a daemon does not.
func TestStrangerAtTheAdminAddress(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing there": http.NotFound,
		"a page":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a method":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
	} {
		server := httptest.NewServer(handler)
		c := &client{base: server.URL, http: *server.Client()}
		err := c.call(t.Context(), http.MethodGet, "/api/v1/status", &report{})
		if !errors.Is(err, errNoDaemon) || exitCode(err) != exitUnreachable {
			t.Errorf("%s: exit code %d: %v", name, exitCode(err), err)
		}
		server.Close()
	}
}

// What is allowed to be missing cannot be tried out, and is no failure.
func TestOnlineCheckSkipsWhatIsIncomplete(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := `accounts: [{name: main, secret_key: "${NOT_SET_HERE}", base_url: "http://127.0.0.1:1"}]
nats: {password: "${NOT_SET_HERE}", user: u, url: "nats://127.0.0.1:1"}
destinations:
  - {name: hook, type: http, url: "${NOT_SET_HERE}"}
  - {name: bus, type: nats, subject: events}
rules: [{name: ship, events: [fulfillable], to: [hook, bus]}]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "check", "--online", "--allow-missing-secrets", "-c", file)
	want := `skip account main: it has values that are not set here
skip destination hook: it has values that are not set here
skip destination bus: it has values that are not set here
ok: 1 account, 2 destinations, 1 rule
note: no rule has on: system, so that nobody is told of dead letters, failing destinations and accounts (docs/alerts.md)
`
	if code != exitOK || stdout != want {
		t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
	}
}

// The online check connects as a delivery would: with the destination's CA,
// under network.refuse_private, and it posts nothing.
func TestOnlineCheckConnectsAsADeliveryDoes(t *testing.T) {
	hooks := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it asked for %s", r.URL) }))
	t.Cleanup(hooks.Close)
	hooks.Config.ErrorLog = log.New(io.Discard, "", 0)
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "c.yaml")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hooks.Certificate().Raw})
	text := fmt.Sprintf(`accounts: [{name: main, secret_key: "${NOT_SET_HERE}", base_url: "http://127.0.0.1:1"}]
destinations:
  - {name: good, type: http, url: "%[1]s/t0ken", tls: {ca: %[2]s}, allow_networks: [127.0.0.0/8]}
  - {name: untrusted, type: http, url: "%[1]s/t0ken", allow_networks: [127.0.0.0/8]}
  - {name: private, type: http, url: "%[1]s/t0ken", tls: {ca: %[2]s}}
  - {name: proxied, type: http, url: "%[1]s/t0ken", tls: {ca: %[2]s}, allow_networks: [127.0.0.0/8], proxy: "http://u:t0ken@127.0.0.1:1"}
network: {refuse_private: true}
rules: [{name: ship, events: [fulfillable], to: [good, untrusted, private, proxied]}]
`, hooks.URL, ca)
	for name, content := range map[string][]byte{ca: block, file: []byte(text)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := run(t, "check", "--online", "--allow-missing-secrets", "-c", file)
	if code != exitUnreachable {
		t.Errorf("exit code %d, stderr %s", code, stderr)
	}
	for _, want := range []string{
		"ok   destination good: reached\n", "FAIL destination untrusted: tls: failed to verify certificate: ", "FAIL destination private: address refused by network.refuse_private\n",
		"FAIL destination proxied: the proxy cannot be reached: connect: connection refused\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout+stderr, "t0ken") {
		t.Errorf("a secret is in:\n%s%s", stdout, stderr)
	}
}

// The online check reaches a server without changing its streams, and does not
// miss the one that only the daemon starts.
func TestOnlineCheckChangesNoStream(t *testing.T) {
	dir := t.TempDir()
	server, err := broker.New(broker.Config{Enabled: true, Listen: "127.0.0.1:0", StoreDir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	file := filepath.Join(dir, "c.yaml")
	text := fmt.Sprintf(`accounts: [{name: main, secret_key: "${NOT_SET_HERE}", base_url: "http://127.0.0.1:1"}]
nats: {embedded: {enabled: true, listen: "%s", store_dir: %s}}
destinations: [{name: bus, type: nats, subject: events, stream: {name: EVENTS, ensure: true, subjects: [events]}}]
rules: [{name: ship, events: [fulfillable], to: [bus]}]
`, strings.TrimPrefix(server.URL(), "nats://"), dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		code, stdout, stderr := run(t, "check", "--online", "--allow-missing-secrets", "-c", file)
		if code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
		}
	}
	check("ok   destination bus: reached")
	server.Stop()
	check("skip destination bus: its server runs inside the daemon")
	if streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*")); err != nil || len(streams) > 0 {
		t.Errorf("streams %v, error %v", streams, err)
	}
}

// A stream that never acknowledges is named before anything is sent to it.
func TestOnlineCheckNamesAStreamThatNeverAcknowledges(t *testing.T) {
	for name, c := range map[string]struct {
		stream, config string
		code           int
		says           string
	}{
		"mute":    {"MUTE", `{"name":"MUTE","subjects":["checkout.>"],"no_ack":true,"duplicate_window":10000000000}`, exitFailure, "FAIL destination bus: what is sent to checkout.*.* never counts as delivered: stream MUTE never acknowledges (no_ack)"},
		"another": {"ANOTHER", `{"name":"ANOTHER","subjects":["orders.>"],"no_ack":true}`, exitFailure, "FAIL destination bus: what is sent to checkout.main.fulfillable would not be taken: no stream takes the subject"},
	} {
		t.Run(name, func(t *testing.T) {
			server := brokertest.Start(t, brokertest.Options{}) // which cannot create a stream while it deletes its last one
			nc, err := nats.Connect(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			answer, err := nc.Request("$JS.API.STREAM.CREATE."+c.stream, []byte(c.config), 10*time.Second)
			if err != nil || strings.Contains(string(answer.Data), `"error"`) {
				t.Fatalf("%s, %v", answer.Data, err)
			}
			file := filepath.Join(t.TempDir(), "c.yaml")
			text := fmt.Sprintf(`accounts: [{name: main, secret_key: "${NOT_SET_HERE}", base_url: "http://127.0.0.1:1"}]
nats: {url: "%s"}
destinations: [{name: bus, type: nats, subject: "checkout.{{ .Account }}.{{ .Change }}"}]
rules: [{name: ship, events: [fulfillable], to: [bus]}]
`, server.URL)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := run(t, "check", "--online", "--allow-missing-secrets", "-c", file)
			if code != c.code || !strings.Contains(stdout, c.says) || (name == "mute") != strings.Contains(stderr, "not acknowledged: destination bus") {
				t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
			}
		})
	}
}

func TestNarratorTellsAmountsAsWritten(t *testing.T) {
	for object, want := range map[string]string{
		`{"amount_total":2600,"currency":"EUR"}`: "26.00 EUR",
		`{"amount_total":2600,"currency":"JPY"}`: "2600 JPY",
		`{"amount_total":null,"currency":"EUR"}`: "",
	} {
		if got := amount([]byte(object)); got != want {
			t.Errorf("amount(%s) = %q, want %q", object, got, want)
		}
	}
}
