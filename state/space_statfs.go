//go:build linux || darwin || freebsd

package state

import (
	"errors"
	"syscall"
)

// space asks the file system that an open file is on.
func space(fd uintptr) (free int64, err error) {
	var fs syscall.Statfs_t
	for {
		switch err = syscall.Fstatfs(int(fd), &fs); {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		}
		return int64(fs.Bavail) * int64(fs.Bsize), nil // their types differ between systems
	}
}
