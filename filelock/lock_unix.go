//go:build unix && !solaris && !aix

package filelock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Works says that Lock keeps others out here; it is the lock that bbolt takes, too.
const Works = true

// lockEvery is the pause between two attempts to take the lock.
const lockEvery = 50 * time.Millisecond

// Lock takes the file's lock, shared or exclusive, at the latest at the
// deadline; then the error is ErrHeld, joined with that of ctx when ctx ended first.
// Closing the file releases the lock.
func Lock(ctx context.Context, file *os.File, shared bool, deadline time.Time) error {
	how := syscall.LOCK_EX | syscall.LOCK_NB
	if shared {
		how = syscall.LOCK_SH | syscall.LOCK_NB
	}
	for {
		err := syscall.Flock(int(file.Fd()), how)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case !time.Now().Before(deadline):
			return ErrHeld
		}
		timer := time.NewTimer(lockEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ErrHeld, ctx.Err())
		case <-timer.C:
		}
	}
}

// holderByKernel asks /proc/locks for the process that has the file locked; 0
// when it cannot be known.
func holderByKernel(file *os.File) (pid int) {
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close() // only read
	inode := fmt.Sprintf(":%d", stat.Ino)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || !strings.HasSuffix(fields[5], inode) {
			continue
		}
		if _, err := fmt.Sscan(fields[4], &pid); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
