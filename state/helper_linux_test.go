package state_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// The test binary starts itself for what needs a process of its own. A role is
// the first word of the variable, a state file the second.
const roleVariable = "STATE_TEST_ROLE"

func TestMain(m *testing.M) {
	role, path, child := strings.Cut(os.Getenv(roleVariable), " ")
	if !child {
		if raceEnabled { // it makes them slow, and what one goroutine does it sees in a few
			if err := flag.Set("rapid.checks", "30"); err != nil {
				panic(err)
			}
		}
		os.Exit(m.Run())
	}
	roles := map[string]func(string) error{
		"commit": commitUntilKilled, "hold": holdFile, "fill": fillLimit, "mount": fillMount, "stolen": stolenOnFullDisk, "open": openOnly, "unprivileged": openUnprivileged,
	}
	if err := roles[role](path); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// startChild runs the test binary in a role and returns its output by lines.
func startChild(t *testing.T, role, path string, prepare func(*exec.Cmd)) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary)
	c.Env = append(os.Environ(), roleVariable+"="+role+" "+path)
	c.Stderr = os.Stderr
	if prepare != nil {
		prepare(c)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // over already, as a rule
		_ = c.Wait()         // its error is looked at elsewhere
	})
	return c, bufio.NewReader(out)
}

// runChild returns all that a child in a role says before it ends by itself.
func runChild(t *testing.T, role, path string, prepare func(*exec.Cmd)) (said string, err error) {
	t.Helper()
	c, out := startChild(t, role, path, prepare)
	all, readErr := io.ReadAll(out)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(all), c.Wait()
}

func openChild(path string) (*state.Store, error) {
	return state.Open(context.Background(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
}

// commitUntilKilled commits pages, each with the first attempt of one delivery, and
// says the number of each that is durable.
func commitUntilKilled(path string) error {
	s, err := openChild(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	events, err := s.Events(ctx, 0, 1<<30)
	if err != nil {
		return err
	}
	for i := len(events) / crashPage; ; i++ {
		s.Offer("shop", 1)
		if err := s.Commit(ctx, crashTx(i)); err != nil {
			return err
		}
		d := s.Offer("shop", 0)[0].Delivery
		a := event.Attempt{DeliveryID: d.ID, N: 1, Started: start}
		if err := s.Resolve(ctx, event.Verdict{Delivery: d, Attempt: &a, Accepted: true, At: start}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func holdFile(path string) error {
	s, err := openChild(path)
	if err != nil {
		return err
	}
	fmt.Println("held")
	if _, err := io.ReadAll(os.Stdin); err != nil {
		return err
	}
	return s.Close()
}

func openOnly(path string) error {
	s, err := openChild(path)
	if err != nil {
		return err
	}
	return s.Close()
}

// openUnprivileged gives up root, for which nothing is read-only.
func openUnprivileged(path string) error {
	const nobody = 65534
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	err := openOnly(path)
	fmt.Println(errors.Is(err, state.ErrReadOnly), errors.Is(err, state.ErrDirectory), err)
	return nil
}

// fillLimit fills up the largest file that this process may write.
func fillLimit(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		return err
	}
	return fillDisk(path, func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) })
}

// fillMount fills up a disk of one megabyte. It runs in a name space of its own.
func fillMount(path string) error {
	dir := filepath.Dir(path)
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	if err := fillDisk(path, func() error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m") }); err != nil {
		return err
	}
	// Now there is room for the root and one empty file.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,nr_inodes=2"); err != nil {
		return err
	}
	return startOnFullDisk(path)
}

// startOnFullDisk opens a store for which there is no room at all.
func startOnFullDisk(path string) error {
	for _, at := range []string{path, filepath.Join(path+".d", "notifier.db")} {
		if err := openOnly(at); !errors.Is(err, state.ErrDiskFull) || !strings.Contains(err.Error(), "start") {
			return fmt.Errorf("opening %s on a full disk: %w", at, err)
		}
	}
	return nil
}

// fillDisk commits until there is no room, makes room and goes on.
func fillDisk(path string, makeRoom func() error) error {
	s, err := openChild(path)
	if err != nil {
		return err
	}
	n, err := fillUp(s)
	if !errors.Is(err, state.ErrDiskFull) {
		return fmt.Errorf("after %d pages: %w", n, err)
	}
	fmt.Println("full:", err)
	for range 3 { // it stays full, and harmless
		if err := s.Commit(context.Background(), crashTx(n)); !errors.Is(err, state.ErrDiskFull) {
			return fmt.Errorf("still full: %w", err)
		}
	}
	if err := makeRoom(); err != nil {
		return err
	}
	for i := range 3 {
		if err := s.Commit(context.Background(), crashTx(n+i)); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
	}
	if err := errors.Join(s.Verify(context.Background()), s.Close()); err != nil {
		return err
	}
	return checkPages(path, n+3)
}

func fillUp(s *state.Store) (pages int, err error) {
	for pages = range 10_000 {
		if err := s.Commit(context.Background(), crashTx(pages)); err != nil {
			return pages, err
		}
	}
	return pages, errors.New("never full")
}

// checkPages makes sure that exactly the first n pages are there, whole.
func checkPages(path string, n int) error {
	s, err := openChild(path)
	if err != nil {
		return err
	}
	defer s.Close() // only read
	if err := s.Verify(context.Background()); err != nil {
		return err
	}
	got, err := wholePages(s)
	if err == nil && got != n {
		err = fmt.Errorf("%d pages are there instead of %d", got, n)
	}
	return err
}
