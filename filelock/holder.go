// Package filelock keeps two processes from one file, and names the one that has it.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ErrHeld is returned by Lock when another process keeps the file locked.
var ErrHeld = errors.New("the file is locked by another process")

// notePath is where a process that writes says who it is, for systems whose
// kernel does not tell who holds a lock. The note counts only while the lock is
// held; one that a killed process left behind is overwritten by the next.
func notePath(path string) string { return path + ".pid" }

// WriteNote notes this process, which holds the lock of the file at path, and
// returns where, to be removed by whoever lets the lock go; "" when no note can be written: it is a convenience.
func WriteNote(path string) string {
	note := notePath(path)
	if err := os.WriteFile(note, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return ""
	}
	return note
}

// Holder names the process that holds the file, as " (pid N)"; "" when it
// cannot be known.
func Holder(file *os.File, path string) string {
	pid := holderByKernel(file)
	if pid == 0 {
		note, err := os.ReadFile(notePath(path))
		if err != nil {
			return ""
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(string(note))); err != nil {
			return ""
		}
	}
	return fmt.Sprintf(" (pid %d)", pid)
}
