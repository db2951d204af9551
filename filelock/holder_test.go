package filelock_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"checkout-notifier/filelock"
)

// TestTheNoteNamesTheHolder where the kernel does not.
func TestTheNoteNamesTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notifier.db")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := filelock.Holder(file, path); got != "" {
		t.Errorf("without a note: %q", got)
	}
	note := filelock.WriteNote(path)
	if got, want := filelock.Holder(file, path), fmt.Sprintf(" (pid %d)", os.Getpid()); got != want {
		t.Errorf("holder %q, want %q", got, want)
	}
	if err := os.WriteFile(note, []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := filelock.Holder(file, path); got != "" {
		t.Errorf("with a spoilt note: %q", got)
	}
}
