//go:build unix

package state_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"checkout-notifier/state"
)

// Root restores, and the service runs as another user: it must be able to open the file.
func TestRestoreGivesTheFileToItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const service = 65532
	for name, missing := range map[string]bool{"a file that is there": false, "no file": true} {
		t.Run(name, func(t *testing.T) {
			cfg, backup := backedUp(t)
			owned := cfg.Path
			if missing {
				if err := os.Remove(cfg.Path); err != nil {
					t.Fatal(err)
				}
				owned = filepath.Dir(cfg.Path)
			}
			if err := os.Chown(owned, service, service); err != nil {
				t.Fatal(err)
			}
			if _, err := state.Restore(t.Context(), cfg, backup, start, agree); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(cfg.Path)
			if err != nil {
				t.Fatal(err)
			}
			if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != service || owner.Gid != service {
				t.Errorf("the restored file belongs to %d, the service runs as %d", owner.Uid, service)
			}
		})
	}
}
