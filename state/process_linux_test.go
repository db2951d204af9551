package state_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"checkout-notifier/state"
)

// TestPathsThatLeadNowhere: each is refused by name, and a pipe holds nobody up.
func TestPathsThatLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	pipe, loop, dangling := filepath.Join(dir, "pipe"), filepath.Join(dir, "loop"), filepath.Join(dir, "dangling")
	err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink(loop, loop), os.Symlink(filepath.Join(dir, "missing", "notifier.db"), dangling))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, loop, dangling, filepath.Join(dir, strings.Repeat("x", 300)), "/dev/null"} {
		wants(t, open(t.Context(), state.Config{Path: path}), state.ErrDirectory, path, "choose another state.path")
	}
	_, err = state.OpenReadOnly(t.Context(), state.Config{Path: pipe})
	wants(t, err, state.ErrDirectory, pipe)
}

// TestSizeOfARemovedFile: the status must answer whatever happens to the path.
func TestSizeOfARemovedFile(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	want, err := s.Size()
	if err := errors.Join(err, os.Remove(cfg.Path)); err != nil {
		t.Fatal(err)
	}
	if size, err := s.Size(); err != nil || size != want {
		t.Errorf("Size = %d, %v, want %d", size, err, want)
	}
}

func TestHeldFile(t *testing.T) {
	t.Parallel() // it waits for a held file
	cfg := config(t)
	openStore(t, cfg).Close()
	var stdin io.WriteCloser
	child, out := startChild(t, "hold", cfg.Path, func(c *exec.Cmd) { stdin, _ = c.StdinPipe() })
	if line, err := out.ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	began := time.Now()
	s, err := state.OpenReadOnly(t.Context(), cfg)
	if err == nil {
		s.Close()
	}
	wants(t, err, state.ErrHeld, "another notifier (pid "+strconv.Itoa(child.Process.Pid)+")", cfg.Path, "stop it or choose another state.path")
	if waited := time.Since(began); waited < 1500*time.Millisecond || waited > 9*time.Second {
		t.Errorf("waited %v", waited)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = open(ctx, cfg)
	wants(t, err, context.DeadlineExceeded)
	wants(t, err, state.ErrHeld, "another notifier (pid "+strconv.Itoa(child.Process.Pid)+")")
	// A writer outwaits one that lets go.
	opened := make(chan error, 1)
	go func() { opened <- open(t.Context(), cfg) }()
	stdin.Close()
	if err := <-opened; err != nil {
		t.Errorf("after it let go: %v", err)
	}
}

func TestReadOnlyPlaces(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} { // so that another user gets here
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "notifier.db")
	openStore(t, state.Config{Path: file}).Close()
	for mode, path := range map[os.FileMode]string{0o444: file, 0o555: filepath.Join(dir, "new.db"), 0o554: filepath.Join(dir, "sub", "new.db")} {
		if mode == 0o444 {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		said, err := runChild(t, "unprivileged", path, nil)
		if err != nil {
			t.Skipf("cannot give up root here: %v: %s", err, said)
		}
		want := "true false"
		if mode == 0o554 {
			want = "false true"
		}
		if !strings.HasPrefix(said, want) || !strings.Contains(said, path[:len(dir)]) || !strings.Contains(said, "choose another state.path") {
			t.Errorf("%s: %s", path, said)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
