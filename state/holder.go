package state

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// notePath is where a process that writes says who it is, for systems whose
// kernel does not tell who holds a lock. The note counts only while the lock is
// held; one that a killed process left behind is overwritten by the next.
func notePath(path string) string { return path + ".pid" }

// writeNote returns "" when no note can be written: it is a convenience.
func writeNote(path string) string {
	note := notePath(path)
	if err := os.WriteFile(note, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return ""
	}
	return note
}

// holderOf names the process that holds the file, as " (pid N)"; "" when it
// cannot be known.
func holderOf(file *os.File, path string) string {
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
