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
