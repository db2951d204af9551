//go:build linux || darwin || freebsd

package state

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// space asks the file system that an open file is on.
func space(file *os.File) (free int64, err error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	closed := conn.Control(func(fd uintptr) { free, err = statfs(int(fd)) })
	if closed != nil {
		return 0, fs.ErrClosed
	}
	return free, err
}

func statfs(fd int) (free int64, err error) {
	var fs syscall.Statfs_t
	for {
		switch err = syscall.Fstatfs(fd, &fs); {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		}
		return int64(fs.Bavail) * int64(fs.Bsize), nil // their types differ between systems
	}
}
