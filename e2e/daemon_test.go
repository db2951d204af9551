package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/simulator"
)

// wantExit fails unless a run ended with a code and said all of the words.
func wantExit(t *testing.T, p *process, code, want int, words ...string) {
	t.Helper()
	if code != want {
		t.Errorf("exit code %d, want %d: %s", code, want, p.stderr)
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			t.Errorf("it did not say %q: %s", word, p.stderr)
		}
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	w := newWorld(t, func(simulator.Received) simulator.Response {
		if refuse.Load() {
			return simulator.Response{Status: 500}
		}
		return simulator.Response{}
	})
	w.destinations[0]["retry"] = object{"schedule": []string{"1ms", "1ms", "1h"}, "jitter": 0}
	code, p := w.once()
	wantExit(t, p, code, 0)
	id := w.create(paid())
	code, p = w.once()
	wantExit(t, p, code, 0)
	if got := w.told(hookPath)[id]; len(got) != 4 {
		t.Errorf("one pass told of %v", got)
	}
	refuse.Store(true)
	second := w.create(nil)
	code, p = w.once()
	wantExit(t, p, code, 1, "failed")
	refuse.Store(false)
	code, p = w.once()
	wantExit(t, p, code, 0)
	if got := w.told(hookPath)[second]; len(got) != 1 {
		t.Errorf("the next run told of %v", got)
	}
}

func TestOnceUnreachable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world)
		words  []string
	}{
		"wrong key": {func(w *world) { w.accounts[0]["secret_key"] = "sk_test_wrong" }, []string{"account main", "refused the key", "401"}},
		"nobody there": {func(w *world) { w.accounts[0]["base_url"] = "http://127.0.0.1:1" },
			[]string{"account main", "cannot be reached", "connection refused"}},
		"one of two": {func(w *world) {
			w.accounts = append(w.accounts, object{"name": "gone", "secret_key": apiKey, "base_url": "http://127.0.0.1:1"})
		}, []string{"account gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tc.change(w)
			code, p := w.once()
			wantExit(t, p, code, 4, tc.words...)
		})
	}
}

func TestUnreachableAccountIsReadyAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.accounts = append(w.accounts, object{"name": "other", "secret_key": "sk_test_wrong", "base_url": w.apiURL})
	d := w.daemon()
	id := w.create(nil)
	w.awaitTold(hookPath, id, "created")
	// One 401 may be chance: that the key is refused is known some questions later.
	eventually(t, 30*time.Second, func() error {
		s, err := d.status()
		if err != nil {
			return err
		}
		if a := s.Accounts[1]; a.Account != "other" || a.Healthy || !strings.Contains(a.Error, "refused the key") || !s.Ready || !s.Running {
			return fmt.Errorf("ready %t, running %t; the status says %+v", s.Ready, s.Running, a)
		}
		return nil
	})
	d.stop()
}

func TestInvalidConfiguration(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world)
		words  []string
	}{
		"unknown destination": {func(w *world) { w.rules[0]["to"] = []string{"hok"} }, []string{`"hok"`, "hook"}},
		"unknown key":         {func(w *world) { w.poll["intervall"] = "1s" }, []string{"intervall", "interval"}},
		"broken rule":         {func(w *world) { w.rules[0]["when"] = "session.amount_totl > 1" }, []string{"amount_totl", "amount_total"}},
		"broken template": {func(w *world) {
			w.destinations[0]["format"], w.destinations[0]["template"] = "template", "{{ .Sesion.id }}"
		}, []string{"template", "Sesion"}},
		"short secret": {func(w *world) { w.destinations[0]["secrets"] = []string{"whsec_c2hvcnQ="} }, []string{"secrets[0]", "24"}},
		"two mistakes": {func(w *world) {
			w.accounts[0]["start"], w.rest["admin"] = "yesterday", object{"listen": "nowhere"}
		}, []string{"accounts[0].start", "admin.listen"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tc.change(w)
			w.configure()
			code, p := run(t, w.dir, nil, "run", "-c", w.configPath())
			wantExit(t, p, code, 3, append(tc.words, "notifier.yaml:")...)
			if _, err := os.Stat(w.statePath()); err == nil {
				t.Error("a run with mistakes made a state file")
			}
		})
	}
}

func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	code, p := run(t, w.dir, nil, "run", "-c", w.configPath())
	wantExit(t, p, code, 3, w.statePath(), fmt.Sprintf("pid %d", d.cmd.Process.Pid))
	id := w.create(nil)
	w.awaitTold(hookPath, id, "created") // the first one is not disturbed
	d.stop()
}

func TestAccountBoundToItsHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if code, p := w.once(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
	_, w.accounts[0]["base_url"] = serveAPI(t, apiKey, 9)
	code, p := w.once()
	wantExit(t, p, code, 3, `account "main"`, "another name")
}

// TestUnusableStateFile covers what Open of the state file can meet. Root may
// write to a read-only file, but not to the kernel's own directories.
func TestUnusableStateFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(path string) error
		path    string // "" for the usual one
		word    string
	}{
		"read-only":      {func(path string) error { return os.WriteFile(path, nil, 0o400) }, "", "cannot be written"},
		"no place":       {nil, "/sys/e2e-notifier.db", "cannot be written"},
		"damaged":        {func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("no database", 900)), 0o600) }, "", "damaged"},
		"empty":          {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "", "it is empty"},
		"a directory":    {func(path string) error { return os.Mkdir(path, 0o700) }, "", "is a directory"},
		"not made by us": {otherDatabase, "", "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "read-only" && os.Getuid() == 0 {
				t.Skip("root may write to it")
			}
			if name == "no place" && runtime.GOOS != "linux" {
				t.Skip("there is no /sys")
			}
			w := newWorld(t, nil)
			path := cmp.Or(tc.path, w.statePath())
			w.rest["state"] = object{"path": path}
			if tc.prepare != nil {
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), tc.prepare(path)); err != nil {
					t.Fatal(err)
				}
			}
			code, p := w.once()
			wantExit(t, p, code, 3, path, tc.word)
			if n := len(w.api.Requests()); n > 0 {
				t.Error("the API was asked although nothing can be remembered")
			}
		})
	}
}

// otherDatabase makes a sound bbolt file that is not notifier's.
func otherDatabase(path string) error {
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	return db.Close()
}

// TestOrderlyEnd stops a daemon while a delivery is in flight: it is finished,
// nothing new is sent, and the next daemon does not repeat it.
func TestOrderlyEnd(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 16)
	release := make(chan struct{})
	w := newWorld(t, func(simulator.Received) simulator.Response {
		arrived <- struct{}{}
		<-release
		return simulator.Response{}
	})
	w.destinations[0]["timeout"], w.rest["shutdown_grace"] = "1m", "1m" // neither ends what is in flight
	d := w.daemon()
	id := w.create(paid()) // four events, of which the first is sent
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Fatal("nothing was sent")
	}
	d.signal(syscall.SIGTERM)
	eventually(t, patience, func() error {
		status, body, err := d.get("/-/ready")
		if err == nil && status != http.StatusServiceUnavailable {
			err = fmt.Errorf("/-/ready answers %d while it stops: %s", status, body)
		}
		return err
	})
	close(release)
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := w.told(hookPath)[id]; len(got) != 1 {
		t.Errorf("after the signal it sent %v", got)
	}
	if _, err := d.awaitLine("stopped"); err != nil {
		t.Error(err)
	}
	d = w.daemon()
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	d.stop()
	if got := len(w.receiver.Requests()); got != 4 {
		t.Errorf("%d requests for 4 deliveries: what was in flight came twice", got)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(d *daemon){
		"the end has begun": func(d *daemon) {
			eventually(d.t, patience, func() error {
				status, _, err := d.get("/-/ready")
				if err == nil && status == http.StatusOK {
					err = fmt.Errorf("still ready")
				}
				return err
			})
		},
		"right behind the first": func(*daemon) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{}, 16)
			w := newWorld(t, func(simulator.Received) simulator.Response {
				arrived <- struct{}{}
				return simulator.Response{Delay: time.Minute}
			})
			w.destinations[0]["timeout"] = "1m"
			w.rest["shutdown_grace"] = "1m"
			d := w.daemon()
			w.create(nil)
			<-arrived
			d.signal(syscall.SIGINT)
			between(d)
			d.signal(syscall.SIGTERM) // SIGINT is ignored from here on where tests run in the background of a shell
			if code := d.wait(); code == 0 {
				t.Error("exit code 0 although it was cut off")
			}
		})
	}
}
