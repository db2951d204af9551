package state_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// crashPage is how many sessions a page of the crash tests has.
const crashPage = 5

func crashTx(i int) *event.Tx {
	return page(fmt.Sprintf("page%06d-", i), crashPage, start, "shop", "bus")
}

// wholePages counts the pages that are there and fails if one is there in part.
func wholePages(s *state.Store) (int, error) {
	ctx := context.Background()
	for i := 0; ; i++ {
		tx := crashTx(i)
		found := 0
		for j := range tx.Events {
			_, ok, err := s.Event(ctx, tx.Events[j].ID)
			if err != nil {
				return 0, err
			}
			deliveries, err := s.EventDeliveries(ctx, tx.Events[j].ID)
			if err != nil {
				return 0, err
			}
			snapshots, err := s.Snapshots(ctx, "main", []string{tx.Snapshots[j].ID})
			if err != nil {
				return 0, err
			}
			if ok && len(deliveries) == 2 && len(snapshots) == 1 {
				found++
			} else if ok || len(deliveries) != 0 || len(snapshots) != 0 {
				return 0, fmt.Errorf("event %d of page %d is there in part", j, i)
			}
		}
		switch found {
		case crashPage:
		case 0:
			return i, nil
		default:
			return 0, fmt.Errorf("%d events of page %d are there", found, i)
		}
	}
}

// TestKilledAtAnyMoment kills a process that commits, again and again, the
// first times while it makes the file.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel() // it waits for the disk
	rounds := 25
	if testing.Short() || raceEnabled {
		rounds = 6
	}
	path := filepath.Join(t.TempDir(), "data", "notifier.db")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	durable := -1
	for round := range rounds {
		child, out := startChild(t, "commit", path, nil)
		if round < rounds/5 {
			killed := time.AfterFunc(time.Duration(random.IntN(30))*time.Millisecond, func() { child.Process.Kill() })
			defer killed.Stop()
		}
		acknowledged := random.IntN(20)
		for line, err := out.ReadString('\n'); err == nil; line, err = out.ReadString('\n') {
			n, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatalf("round %d: the child says %q", round, line)
			}
			durable = n
			if acknowledged--; acknowledged < 0 {
				// The next commit is under way now, or soon.
				time.AfterFunc(time.Duration(random.IntN(4000))*time.Microsecond, func() { child.Process.Kill() })
				acknowledged = 1 << 30
			}
		}
		_ = child.Wait() // killed
		pages, err := checkWhole(path, durable+1)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		durable = pages - 1 // the next process goes on from what is there
	}
	if durable < rounds {
		t.Errorf("only %d pages in %d rounds: the test tests nothing", durable, rounds)
	}
}

// checkWhole counts the pages: all that were acknowledged are there, and at most
// one more.
func checkWhole(path string, acknowledged int) (pages int, err error) {
	s, err := openChild(path)
	if err != nil {
		return 0, err
	}
	defer s.Close() // only read
	if err := s.Verify(context.Background()); err != nil {
		return 0, err
	}
	if pages, err = wholePages(s); err != nil {
		return 0, err
	}
	if pages != acknowledged && pages != acknowledged+1 {
		return 0, fmt.Errorf("%d pages are there, %d were acknowledged", pages, acknowledged)
	}
	for i := range pages {
		d := crashTx(i).Deliveries[0]
		if attempts, err := s.Attempts(context.Background(), d.ID); err != nil || len(attempts) != 1 {
			return 0, fmt.Errorf("page %d is there and %d attempts that began with it: %w", i, len(attempts), err)
		}
	}
	return pages, nil
}

func TestDiskFull(t *testing.T) {
	t.Run("limit", func(t *testing.T) { testDiskFull(t, "fill", nil) })
	t.Run("tmpfs", func(t *testing.T) {
		own := func(c *exec.Cmd) {
			c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			if syscall.Getuid() != 0 {
				c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
				c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: syscall.Getuid(), Size: 1}}
			}
		}
		if err := tryChild(own); err != nil {
			t.Skipf("no mounts here: %v", err)
		}
		testDiskFull(t, "mount", own)
		if said, err := runChild(t, "stolen", filepath.Join(t.TempDir(), "notifier.db"), own); err != nil {
			t.Errorf("%v, and said:\n%s", err, said)
		}
	})
}

func tryChild(prepare func(*exec.Cmd)) error {
	c := exec.Command("/bin/true")
	prepare(c)
	return c.Run()
}

func testDiskFull(t *testing.T, role string, prepare func(*exec.Cmd)) {
	path := filepath.Join(t.TempDir(), "notifier.db")
	said, err := runChild(t, role, path, prepare)
	if err != nil || !strings.Contains(said, "make room") {
		t.Errorf("%v, and said:\n%s", err, said)
	}
}
