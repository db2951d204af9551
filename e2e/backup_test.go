package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"checkout-notifier/state"
)

// copies are the backups in a directory.
func copies(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "notifier-*.db"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestScheduledBackup: a daemon makes a copy when it has something to copy, says
// so, and the next one goes by what is there.
func TestScheduledBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	dir := filepath.Join(w.dir, "backups")
	w.rest["state"] = object{"path": w.statePath(), "backup": object{"dir": dir, "every": "24h", "keep": 2}}
	d := w.daemon()
	var status struct {
		Backup struct {
			File   string `json:"file"`
			Copies int    `json:"copies"`
			Next   string `json:"next"`
		} `json:"backup"`
	}
	eventually(t, patience, func() error {
		_, body, err := d.get("/api/v1/status")
		if err == nil {
			err = json.Unmarshal([]byte(body), &status)
		}
		if err == nil && status.Backup.Copies != 1 {
			err = fmt.Errorf("the status says %+v", status.Backup)
		}
		return err
	})
	made := copies(t, dir)
	if len(made) != 1 || made[0] != status.Backup.File || status.Backup.Next == "" {
		t.Fatalf("there are %v, the status says %+v", made, status.Backup)
	}
	if _, err := state.Check(t.Context(), made[0]); err != nil {
		t.Error(err)
	}
	_, metrics, err := d.get("/metrics")
	if err != nil || !strings.Contains(metrics, `notifier_backups_total{result="success"} 1`) {
		t.Errorf("the metrics do not count it: %v", err)
	}
	for _, name := range []string{"notifier_backup_last_success_timestamp_seconds", "notifier_backup_last_duration_seconds", "notifier_backup_last_size_bytes"} {
		if !regexp.MustCompile(`(?m)^` + name + ` [0-9.e+-]*[1-9]`).MatchString(metrics) {
			t.Errorf("the metrics do not tell %s", name)
		}
	}
	d.kill()
	if err := os.WriteFile(made[0]+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = w.daemon()
	w.awaitTold(hookPath, w.create(nil), "created")
	d.stop()
	if again := copies(t, dir); len(again) != 1 {
		t.Errorf("after a restart there are %v", again)
	}
	_, p := run(t, w.dir, nil, "status", "-c", w.configPath())
	if !strings.Contains(p.stdout.String(), "backup in "+dir+": last ") {
		t.Errorf("the status without a daemon says %s", p.stdout)
	}
}

// A directory that cannot be used is told of, and the rest goes on.
func TestBackupThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	dir := filepath.Join(w.dir, "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.rest["state"] = object{"path": w.statePath(), "backup": object{"dir": dir}}
	d := w.daemon()
	if _, err := d.awaitLine("a backup failed; earlier ones are kept, and it is tried again"); err != nil {
		t.Error(err)
	}
	w.awaitTold(hookPath, w.create(nil), "created")
	w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")}
	w.configure()
	_, p := run(t, w.dir, nil, "status", "-c", w.configPath())
	if !strings.Contains(p.stdout.String(), "FAILING") || !strings.Contains(p.stdout.String(), "not a directory") {
		t.Errorf("the status says %s", p.stdout)
	}
	d.stop()
}

func TestBackupThroughTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	w.awaitTold(hookPath, w.create(paid()), "created", "completed", "paid", "fulfillable")
	w.awaitDelivered(d, 4)
	status, body, err := d.get("/api/v1/state/backup")
	if err != nil || status != 200 {
		t.Fatalf("status %d, %v", status, err)
	}
	path := filepath.Join(w.dir, "copy.db")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := state.Check(context.Background(), path); err != nil || c.Deliveries != 4 || c.Pending != 0 {
		t.Errorf("the copy has %+v, %v", c, err)
	}
	if _, audit, err := d.get("/api/v1/audit?action=state.backup"); err != nil || !strings.Contains(audit, `"local"`) {
		t.Errorf("the audit log has %s, %v", audit, err)
	}
	if left, _ := filepath.Glob(w.statePath() + ".*"); len(left) != 1 { // the note of who has it
		t.Errorf("beside the state file: %v", left)
	}
	d.stop()
}
