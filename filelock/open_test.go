package filelock_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"checkout-notifier/filelock"
)

// TestAFileThatWasReplacedIsLetGo: its lock keeps nobody from the one that is there.
func TestAFileThatWasReplacedIsLetGo(t *testing.T) {
	if !filelock.Works {
		t.Skip("no file can be locked here")
	}
	path := filepath.Join(t.TempDir(), "notifier.db")
	first, _, err := filelock.Open(t.Context(), path, os.O_RDWR|os.O_CREATE, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, holder, err := filelock.Open(t.Context(), path, os.O_RDONLY, time.Now(), nil)
	if want := fmt.Sprintf(" (pid %d)", os.Getpid()); !errors.Is(err, filelock.ErrHeld) || holder != want {
		t.Errorf("held by %q, %v", holder, err)
	}
	if err := errors.Join(os.WriteFile(path+".other", nil, 0o600), os.Rename(path+".other", path)); err != nil {
		t.Fatal(err)
	}
	second, _, err := filelock.Open(t.Context(), path, os.O_RDWR, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for file, want := range map[*os.File]bool{first: false, second: true, nil: false} {
		if is, _ := filelock.IsAt(file, path); is != want {
			t.Errorf("%v at the path: %t, want %t", file, is, want)
		}
	}
}
