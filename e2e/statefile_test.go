package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// storeStatus is what the status says of the state file.
type storeStatus struct {
	Why     string `json:"why"`
	PutBack *struct {
		Times int    `json:"times"`
		To    string `json:"to"`
	} `json:"put_back"`
}

func (d *daemon) storeStatus() (storeStatus, error) {
	var document struct {
		Store storeStatus `json:"store"`
	}
	_, body, err := d.get("/api/v1/status")
	if err == nil {
		err = json.Unmarshal([]byte(body), &document)
	}
	return document.Store, err
}

// awaitPutBack waits until the daemon has saved its content, and says where.
func (d *daemon) awaitPutBack() (to string) {
	d.t.Helper()
	eventually(d.t, patience, func() error {
		s, err := d.storeStatus()
		if err != nil {
			return err
		}
		if s.PutBack == nil {
			return fmt.Errorf("the state file was not put back: %+v", s)
		}
		to = s.PutBack.To
		return nil
	})
	return to
}

// TestStateFileTakenAway takes the state file away under a daemon, kills that as
// kill -9 does once it has saved its content, and starts the next one: nothing is
// lost and nothing comes twice.
func TestStateFileTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(path string) error{
		"removed":               os.Remove,
		"its directory removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"moved":                 func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".other", []byte("other"), 0o600), os.Rename(path+".other", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			d := w.daemon()
			all := []string{"created", "completed", "paid", "fulfillable"}
			first := w.create(paid())
			w.awaitTold(hookPath, first, all...)
			w.awaitDelivered(d, 4)
			if err := take(w.statePath()); err != nil {
				t.Fatal(err)
			}
			second := w.create(paid()) // before the daemon has noticed, perhaps
			to := d.awaitPutBack()
			third := w.create(nil)
			w.awaitTold(hookPath, second, all...)
			w.awaitTold(hookPath, third, "created")
			w.awaitDelivered(d, 9)
			if status, body, err := d.get("/-/healthy"); err != nil || status != 200 {
				t.Errorf("/-/healthy answers %d %s, %v: whatever restarts an unhealthy process destroys what it holds", status, body, err)
			}
			_, metrics, err := d.get("/metrics")
			if err != nil || !strings.Contains(metrics, "notifier_store_put_back_total 1") {
				t.Errorf("the metrics do not count it: %v", err)
			}
			if name == "replaced" {
				if s, err := d.storeStatus(); err != nil || !strings.Contains(s.Why, to) {
					t.Errorf("the status says %+v, %v", s, err)
				}
				if !strings.Contains(metrics, "notifier_store_in_place 0") {
					t.Error("the metrics do not say that another file stands in the place of ours")
				}
			}
			code, p := run(t, w.dir, nil, "run", "-c", w.configPath())
			wantExit(t, p, code, 3, w.statePath(), fmt.Sprintf("another notifier (pid %d)", d.cmd.Process.Pid))
			d.kill()
			if name == "replaced" {
				code, p := w.once()
				wantExit(t, p, code, 3, w.statePath(), "damaged")
				if err := os.Rename(to, w.statePath()); err != nil {
					t.Fatal(err)
				}
			}
			d = w.daemon()
			w.update(third, paid())
			w.awaitTold(hookPath, third, all...)
			w.awaitDelivered(d, 12)
			d.stop()
			if got := len(w.receiver.Requests()); got != 12 {
				t.Errorf("%d requests for 12 deliveries", got)
			}
		})
	}
}

// A daemon that is stopped before it has noticed saves what it holds, too.
func TestStateFileTakenAwayAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	id := w.create(paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	w.awaitDelivered(d, 4)
	if err := os.Remove(w.statePath()); err != nil {
		t.Fatal(err)
	}
	d.stop()
	d = w.daemon()
	if _, body, err := d.get("/api/v1/events?type=fulfillable&session=" + id); err != nil || !strings.Contains(body, id) {
		t.Errorf("the next daemon knows nothing of what the last one did: %s, %v", body, err)
	}
	d.stop()
}

// TestAnOlderStateFileInThePlace: it is moved away under a daemon, and moved back when
// that has saved what it holds. Nobody begins with the old one while the daemon lives;
// later it is said where the newer one is, until that is put back.
func TestAnOlderStateFileInThePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	begin := func() *daemon {
		t.Helper()
		w.rest["admin"] = object{"listen": "127.0.0.1:0"}
		d := w.daemon()
		w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")} // for the commands
		w.configure()
		return d
	}
	d := begin()
	all, older := []string{"created", "completed", "paid", "fulfillable"}, filepath.Join(w.dir, "older.db")
	w.awaitTold(hookPath, w.create(paid()), all...)
	w.awaitDelivered(d, 4)
	if err := os.Rename(w.statePath(), older); err != nil {
		t.Fatal(err)
	}
	d.awaitPutBack()
	id := w.create(paid())
	w.awaitTold(hookPath, id, all...)
	w.awaitDelivered(d, 8)
	if err := os.Rename(older, w.statePath()); err != nil {
		t.Fatal(err)
	}
	var saved string
	eventually(t, patience, func() error {
		if saved = d.awaitPutBack(); saved == w.statePath() {
			return fmt.Errorf("it did not notice the other file")
		}
		return nil
	})
	config, err := os.ReadFile(w.configPath())
	other := strings.ReplaceAll(string(config), strings.TrimPrefix(d.admin, "http://"), "127.0.0.1:0")
	if err := errors.Join(err, os.WriteFile(filepath.Join(w.dir, "second.yaml"), []byte(other), 0o600)); err != nil {
		t.Fatal(err)
	}
	held := fmt.Sprintf("another notifier (pid %d) holds", d.cmd.Process.Pid)
	for _, tc := range []struct {
		line string
		code int
		said string
	}{
		{"run -c second.yaml", 3, held},
		{"status -c second.yaml", 4, held},
		{"state restore " + saved + " --yes", 3, held},
		{"state compact", 3, held},
		{"state verify", 0, " is sound"},
		{"state backup " + filepath.Join(w.dir, "copy.db"), 0, "8 events"},
		{"status --exit-code", 1, saved},
	} {
		code, p := run(t, w.dir, []string{"NOTIFIER_CONFIG=" + w.configPath()}, strings.Fields(tc.line)...)
		if code != tc.code || !strings.Contains(p.stdout.String()+p.stderr.String(), tc.said) {
			t.Errorf("%s: exit code %d, want %d and %q: %s%s", tc.line, code, tc.code, tc.said, p.stdout, p.stderr)
		}
	}
	d.kill()

	status := func(want int) string {
		t.Helper()
		code, p := run(t, w.dir, nil, "status", "--exit-code", "-c", w.configPath())
		wantExit(t, p, code, want)
		return p.stdout.String() + p.stderr.String()
	}
	if said := status(4); strings.Count(said, saved) != 1 {
		t.Errorf("without a daemon the status says %s", said)
	}
	d = begin()
	w.awaitDelivered(d, 12) // it knew nothing of the second session
	if said := status(1); strings.Count(said, saved) != 2 {
		t.Errorf("the status says %s", said)
	}
	d.stop()
	code, p := run(t, w.dir, nil, "state", "restore", saved, "--yes", "-c", w.configPath())
	wantExit(t, p, code, 0)
	if !strings.Contains(p.stdout.String(), ".restored-") {
		t.Errorf("restore says %s", p.stdout)
	}
	d = begin()
	if said := status(0); strings.Contains(said, "saved") {
		t.Errorf("after the restore the status says %s", said)
	}
	d.stop()
	if got := len(w.receiver.Requests()); got != 12 {
		t.Errorf("%d requests, want 8 and 4 that the older file did not know of", got)
	}
}
