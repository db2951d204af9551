package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/simulator"
	"checkout-notifier/state"
)

// TestStateCommands runs the commands about the state file with a daemon that has
// it open, and without one.
func TestStateCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	w.awaitTold(hookPath, w.create(paid()), "created", "completed", "paid", "fulfillable")
	w.awaitDelivered(d, 4)
	w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")}
	w.configure()
	if err := errors.Join(os.WriteFile(filepath.Join(w.dir, "damaged.db"), []byte("damaged"), 0o600), os.Mkdir(filepath.Join(w.dir, "dir"), 0o700)); err != nil {
		t.Fatal(err)
	}
	try := func(args string, code int, stdout, stderr string) string {
		t.Helper()
		got, p := run(t, w.dir, nil, append(strings.Fields(args), "-c", w.configPath())...)
		if got != code || !regexp.MustCompile(stdout).MatchString(p.stdout.String()) || !regexp.MustCompile(stderr).MatchString(p.stderr.String()) {
			t.Errorf("%s: exit code %d, want %d, stdout %.200q, stderr %q", args, got, code, p.stdout, p.stderr)
		}
		return p.stdout.String()
	}
	both := func() {
		t.Helper()
		try("state backup copy.db", 0, `^/.*/copy\.db\n.* 1 session, 4 events, 4 deliveries \(0 pending, 0 dead letters\)`, `^$`)
		try("state verify copy.db", 0, `^copy\.db is sound`, `^$`)
		try("state backup copy.db", 2, `^$`, `--yes`)
		try("state backup copy.db --yes -o json", 0, `(?s)"path": "/.*/copy\.db".*"deliveries": 4`, `^$`)
		try("state backup dir -o jsonl", 0, `"path":"/.*/dir/notifier-[0-9a-f]+-\d{8}T\d{6}Z\.db"`, `^$`)
		piped := try("state backup -", 0, `.`, `notifier-[0-9a-f]+-\d{8}T\d{6}Z\.db, \d`)
		if err := os.WriteFile(filepath.Join(w.dir, "piped.db"), []byte(piped), 0o600); err != nil {
			t.Fatal(err)
		}
		try("state verify piped.db -o json", 0, `"sessions": 1,`, `^$`)
		try("state backup no/copy.db", 1, `^$`, `/no/copy\.db`)
		try("state backup no/", 2, `^$`, `there is no directory /.*/no`)
		try("state backup "+w.statePath()+" --yes", 2, `^$`, `the state file itself`)
		try("state verify damaged.db", 3, `^$`, `damaged\.db is damaged`)
		try("state verify nothing.db", 5, `^$`, `nothing\.db`)
		try("state backup a b", 2, `^$`, `.`)
		try("state verify", 0, `notifier\.db is sound`, ``)
		if err := os.Remove(filepath.Join(w.dir, "copy.db")); err != nil {
			t.Error(err)
		}
	}
	both()
	try("state restore piped.db --yes", 3, `^$`, `another notifier \(pid \d+\) holds .*stop it`)
	try("state compact", 3, `^$`, `another notifier`)
	try("state verify "+w.statePath(), 1, `^$`, `another notifier \(pid \d+\) holds`) // it may be sound
	d.stop()
	for _, name := range copies(t, filepath.Join(w.dir, "dir")) { // else the same second gives the same name
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
	both()
	try("state restore piped.db", 2, `^$`, `(?s)is sound.*is delivered again, with the ids that it had.*--yes`)
	try("state restore damaged.db --yes", 3, `^$`, `: damaged\.db is damaged`)
	try("state restore nothing.db --yes", 5, `^$`, `nothing\.db`)
	try("state restore "+w.statePath()+" --yes", 2, `^$`, `the state file itself`)
	if kept, _ := filepath.Glob(w.statePath() + ".replaced-*"); len(kept) > 0 {
		t.Errorf("a restore that was refused left %v", kept)
	}
	try("state restore piped.db --yes", 0, `(?s)^restored .*notifier\.db\nwhat was there is in .*\.replaced-\d{8}T\d{6}Z\n`, `account main: sessions read up to`)
	try("state compact -o json", 0, `"bytes_after": \d+`, `^$`)
	if err := os.RemoveAll(filepath.Dir(w.statePath())); err != nil {
		t.Fatal(err)
	}
	try("state verify", 5, `^$`, `there is no state file`)
	try("state backup copy.db", 4, `^$`, `there is no state file`)
	try("state compact", 5, `^$`, `there is no state file`)
	if _, err := os.Lstat(w.statePath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a state file was made: %v", err)
	}
}

// TestRestoredStore goes back to a copy: what happened since is found again, and
// the receiver sees nothing but ids that it knows.
func TestRestoredStore(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	w := newWorld(t, func(simulator.Received) simulator.Response {
		if refuse.Load() {
			return simulator.Response{Status: 503}
		}
		return simulator.Response{}
	})
	w.poll["tuning"] = object{"confirm_after": "1s"} // until then a change after the first sight is not believed
	d := w.daemon()
	all := []string{"created", "completed", "paid", "fulfillable"}
	settled, open := w.create(paid()), w.create(nil)
	w.awaitTold(hookPath, settled, all...)
	w.awaitTold(hookPath, open, "created")
	w.awaitDelivered(d, 5)
	refuse.Store(true)
	pending := w.create(nil)
	eventually(t, patience, func() error { // it was refused, and waits
		s, err := d.status()
		if n, _ := s.waiting(); err == nil && n != 1 {
			err = fmt.Errorf("%d deliveries wait", n)
		}
		return err
	})
	status, copied, err := d.get("/api/v1/state/backup")
	if err != nil || status != 200 {
		t.Fatalf("status %d, %v", status, err)
	}
	backup := filepath.Join(w.dir, "backup.db")
	if err := os.WriteFile(backup, []byte(copied), 0o600); err != nil {
		t.Fatal(err)
	}
	refuse.Store(false)
	late := w.create(nil)
	w.awaitTold(hookPath, late, "created")
	w.update(open, simulator.Fields{"metadata": map[string]any{"order": "7"}})
	w.awaitTold(hookPath, open, "created", "updated")
	for _, id := range []string{open, late, pending} {
		w.update(id, paid())
	}
	w.awaitTold(hookPath, open, "created", "updated", "completed", "paid", "fulfillable")
	w.awaitTold(hookPath, late, all...)
	w.awaitTold(hookPath, pending, all...)
	eventually(t, patience, func() error {
		s, err := d.status()
		if n, dead := s.waiting(); err == nil && n+dead > 0 {
			err = fmt.Errorf("%d deliveries wait, %d are dead", n, dead)
		}
		return err
	})
	d.stop()
	before := w.receiver.Requests()
	known := make(map[string]bool)
	for _, r := range before {
		known[r.ID] = true
	}

	code, p := run(t, w.dir, nil, "state", "restore", backup, "--yes", "-c", w.configPath())
	wantExit(t, p, code, 0)
	d = w.daemon()
	again := make(map[string]int)
	eventually(t, patience, func() error {
		clear(again)
		for _, r := range w.receiver.Requests()[len(before):] {
			again[r.ID]++
		}
		s, err := d.status()
		if err != nil {
			return err
		}
		if n, dead := s.waiting(); n+dead > 0 || len(again) < 11 { // 4 of late, 4 of pending, 3 of open
			return fmt.Errorf("%d came again, %d wait, %d are dead", len(again), n, dead)
		}
		return nil
	})
	fresh := w.create(nil)
	w.awaitTold(hookPath, fresh, "created")
	for id := range again {
		if !known[id] {
			t.Errorf("after the restore came %s, which the receiver does not know", id)
		}
	}
	if got := len(w.receiver.Requests()) - len(before); got != 12 {
		t.Errorf("%d requests came after the restore, want 11 repeats and one of the new session", got)
	}
	if _, body, err := d.get("/api/v1/events?session=" + late + "&type=fulfillable"); err != nil || !strings.Contains(body, late) {
		t.Errorf("the restored store has not found again what happened since: %s, %v", body, err)
	}
	d.stop()
}

// TestRestoreKilled kills a restore at any moment: there is a sound file at the
// path, the old one or the new one, and the next restore is not held up.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	w.awaitTold(hookPath, w.create(nil), "created")
	w.awaitDelivered(d, 1)
	_, copied, err := d.get("/api/v1/state/backup")
	backup := filepath.Join(w.dir, "backup.db")
	if err := errors.Join(err, os.WriteFile(backup, []byte(copied), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.awaitTold(hookPath, w.create(nil), "created")
	d.stop()
	rng := rand.New(rand.NewPCG(w.seed, 3))
	began := time.Now()
	code, p := run(t, w.dir, nil, "state", "restore", backup, "--yes", "-c", w.configPath())
	wantExit(t, p, code, 0)
	whole := time.Since(began)
	for range 15 {
		p := start(t, w.dir, nil, "state", "restore", backup, "--yes", "-c", w.configPath())
		timer := time.NewTimer(time.Duration(rng.Int64N(int64(whole))))
		select {
		case <-timer.C:
		case <-p.done:
		}
		p.kill()
		c, err := state.Check(t.Context(), w.statePath())
		if err != nil || c.Sessions < 1 {
			t.Fatalf("after a kill: %+v, %v", c, err)
		}
	}
	d = w.daemon()
	w.awaitTold(hookPath, w.create(nil), "created")
	d.stop()
	if left, _ := filepath.Glob(w.statePath() + ".restoring*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var c state.Contents
	_, p = run(t, w.dir, nil, "state", "verify", "-o", "json", "-c", w.configPath())
	if err := json.Unmarshal([]byte(p.stdout.String()), &c); err != nil || c.Sessions < 2 {
		t.Errorf("%s, %v", p.stdout, err)
	}
}
