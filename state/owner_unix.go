//go:build unix

package state

import (
	"os"
	"syscall"
)

// giveOwner gives the file at path the owner of the present state file, or of the
// directory where there is none. Only root can, and needs to.
func giveOwner(path string, present *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if present != nil {
		info, err = present.Stat()
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid)) // the owner may put a link there
}
