package state_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"checkout-notifier/state"
)

// A disk that is nearly full is a reason to restore: there must be room for the copy,
// and not for what a backup leaves free.
func TestRestoreOnANearlyFullDisk(t *testing.T) {
	cfg, backup := backedUp(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	cfg.Path = filepath.Join(dir, "notifier.db")
	if err := os.WriteFile(cfg.Path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Restore(t.Context(), cfg, backup, start, agree); err != nil {
		t.Errorf("with 8 MB free: %v", err)
	}
}
