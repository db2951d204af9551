package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

type object = map[string]any

// Secrets of the test world; secrets_test.go looks for them where they must not be.
const (
	apiKey     = "sk_test_CanaryKey7Qx"
	hookSecret = "whsec_Q2FuYXJ5U2lnbmluZ1NlY3JldDEyMzQ1Njc4OTA="
	urlToken   = "CanaryUrlToken9Zk"
)

// world is everything around a daemon: the API, a receiver, and a place for the
// configuration and the state file, which outlive any daemon.
type world struct {
	t        *testing.T
	seed     uint64
	dir      string
	api      *simulator.API
	swap     atomic.Pointer[simulator.API] // answers in place of api, once set
	apiURL   string
	receiver *simulator.Receiver
	hookURL  string

	// The sections of the configuration, to be changed before configure.
	accounts, destinations, rules []object
	poll, rest                    object
}

// newWorld returns one with an account "main", a signed destination "hook" at
// the receiver, and a rule that sends everything there. respond may be nil.
func newWorld(t *testing.T, respond func(simulator.Received) simulator.Response) *world {
	t.Helper()
	w := &world{t: t, seed: seedOf(t), dir: t.TempDir()}
	w.api = simulator.NewAPI(simulator.Config{SecretKey: apiKey, Seed: w.seed})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		cmp.Or(w.swap.Load(), w.api).ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	w.apiURL = front.URL
	var err error
	w.receiver, err = simulator.NewReceiver(simulator.ReceiverConfig{Secrets: []string{hookSecret}, Respond: respond})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.receiver)
	t.Cleanup(server.Close)
	w.hookURL = server.URL
	w.accounts = []object{{"name": "main", "secret_key": apiKey, "base_url": w.apiURL}}
	w.destinations = []object{w.hook("hook", "/"+urlToken)}
	w.rules = []object{{"name": "all", "events": []string{"*"}, "to": []string{"hook"}}}
	w.poll = object{"interval": "100ms", "rate_limit": 0, "timeout": "5s"}
	w.rest = object{}
	return w
}

// hook is a signed HTTP destination at the receiver.
func (w *world) hook(name, path string) object {
	return object{
		"name": name, "type": "http", "url": w.hookURL + path, "secrets": []string{hookSecret},
		"timeout": "3s", "retry": object{"schedule": []string{"100ms", "200ms", "400ms", "800ms", "1s", "1s", "1s", "1s"}},
	}
}

func serveAPI(t *testing.T, key string, seed uint64) (*simulator.API, string) {
	t.Helper()
	api := simulator.NewAPI(simulator.Config{SecretKey: key, Seed: seed})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return api, server.URL
}

// seedOf is the seed of a test's world, printed when the test fails.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed: %d", *seedFlag)
		}
	})
	return *seedFlag
}

func (w *world) configPath() string { return filepath.Join(w.dir, "notifier.yaml") }
func (w *world) statePath() string  { return filepath.Join(w.dir, "state", "notifier.db") }

// configure writes the configuration. JSON is YAML.
func (w *world) configure() {
	w.t.Helper()
	document := object{
		"version": 1, "accounts": w.accounts, "poll": w.poll, "destinations": w.destinations, "rules": w.rules,
		"state": object{"path": w.statePath()}, "admin": object{"listen": "127.0.0.1:0"},
		"log": object{"format": "json", "level": "debug"}, "shutdown_grace": "5s",
	}
	for name, value := range w.rest {
		document[name] = value
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err == nil {
		err = os.WriteFile(w.configPath(), text, 0o600)
	}
	if err != nil {
		w.t.Fatalf("writing the configuration: %v", err)
	}
}

// daemon configures and starts a daemon and waits until it is ready.
func (w *world) daemon() *daemon {
	w.t.Helper()
	w.configure()
	d := w.launch()
	if err := d.listening(); err != nil {
		w.t.Fatal(err)
	}
	d.ready()
	return d
}

// launch starts a daemon with the configuration as it stands.
func (w *world) launch() *daemon {
	w.t.Helper()
	return &daemon{process: start(w.t, w.dir, nil, "run", "-c", w.configPath())}
}

// once makes one pass and returns the exit code.
func (w *world) once() (int, *process) {
	w.t.Helper()
	w.configure()
	return run(w.t, w.dir, nil, "run", "--once", "-c", w.configPath())
}

func (w *world) create(fields simulator.Fields) string {
	w.t.Helper()
	return create(w.t, w.api, fields)
}

func create(t *testing.T, api *simulator.API, fields simulator.Fields) string {
	t.Helper()
	s, err := api.Create(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func (w *world) update(id string, fields simulator.Fields) {
	w.t.Helper()
	if _, err := w.api.Update(id, fields); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) faults(f simulator.Faults) {
	w.t.Helper()
	if err := w.api.SetFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) truth() []simulator.Session {
	w.t.Helper()
	all, err := w.api.Sessions()
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// paid are the fields of a session that was just paid for.
func paid() simulator.Fields { return simulator.Fields{"status": "complete", "payment_status": "paid"} }

// ago is a creation time in the past.
func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

// told is every event that the receiver was told of at a path, repeats left
// out, as "type" in the order of arrival, by session.
func (w *world) told(path string) map[string][]string {
	w.t.Helper()
	types := make(map[string][]string)
	for _, r := range firstReceptions(w.receiver.Requests()) {
		if r.Path != path {
			continue
		}
		e, err := readEvent(r.Body)
		if err != nil {
			w.t.Fatalf("body of %s: %v", r.ID, err)
		}
		types[e.Subject] = append(types[e.Subject], e.short())
	}
	return types
}

// awaitTold waits until the receiver was told exactly of these types of a session.
func (w *world) awaitTold(path, id string, want ...string) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		if got := w.told(path)[id]; fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("session %s: told %v, want %v", id, got, want)
		}
		return nil
	})
}

// announced is the truth of the sessions that were created after the start:
// all but those that a test dates back.
func (w *world) announced() []simulator.Session {
	w.t.Helper()
	return slices.DeleteFunc(w.truth(), func(s simulator.Session) bool {
		return s.History[0].Time.Sub(s.Created) > time.Minute
	})
}

// awaitLedger waits until no cart can expire soon, everything that happened was
// told, and nothing is left to deliver.
func (w *world) awaitLedger(d *daemon, l *ledger) {
	w.t.Helper()
	eventually(w.t, 6*patience, func() error {
		if err := d.alive(); err != nil {
			return err
		}
		l.truth, l.requests = w.announced(), w.receiver.Requests()
		for i := range l.truth {
			if s := &l.truth[i]; s.Status == "open" && time.Until(s.ExpiresAt) < 2*time.Minute {
				return fmt.Errorf("session %s will expire in %v", s.ID, time.Until(s.ExpiresAt))
			}
		}
		if err := l.complete(); err != nil {
			return err
		}
		s, err := d.status()
		if err != nil {
			return err
		}
		if pending, dead := s.waiting(); pending+dead > 0 {
			return fmt.Errorf("%d deliveries pending, %d dead", pending, dead)
		}
		return nil
	})
}
