package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// prebuilt names the variable that points at a binary to test instead of one
// that is built here. It must not begin with NOTIFIER_, which the binary reads.
const prebuilt = "E2E_NOTIFIER"

// parallelTests is how many tests run at once: their worlds mostly wait.
const parallelTests = 8

// seedFlag decides about everything random in the test worlds.
var seedFlag = flag.Uint64("seed", 1, "seed of sessions, faults, traffic and moments to kill")

// binary is the program under test; TestMain sets it before any test runs. Tests
// ask program for it.
var binary string

// program returns the path of the binary. It looks at what the binary was built
// from, for the cache of test results: that knows the files which a test opened,
// not that it builds a program, and would answer for one that was changed.
func program(t *testing.T) string {
	t.Helper()
	if err := lookAtSources(); err != nil {
		t.Fatalf("looking at the sources: %v", err)
	}
	return binary
}

var lookAtSources = sync.OnceValue(func() error {
	return filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != ".." && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
})

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Println("end to end tests take minutes: left out with -short")
		return 0
	}
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(parallelTests)); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "notifier-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: making a place for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = build(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// build makes the binary once for all tests, with the race detector if the
// tests have it, unless a prebuilt one is named. It is called notifier in a
// directory of its own, so that scripts find it by that name.
func build(dir string) (string, error) {
	path := filepath.Join(dir, "notifier")
	if given := os.Getenv(prebuilt); given != "" {
		absolute, err := filepath.Abs(given)
		if err != nil {
			return "", fmt.Errorf("finding $%s: %w", prebuilt, err)
		}
		if err := os.Symlink(absolute, path); err != nil {
			return "", fmt.Errorf("linking $%s: %w", prebuilt, err)
		}
		return path, nil
	}
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../cmd/notifier")...).CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("building the binary: %w", err), errors.New(string(out)))
	}
	return path, nil
}
