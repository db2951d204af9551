package index

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// BenchmarkOpenAMillion is a start with a million tracked sessions: opening the
// file, and filling the index and sorting it, after which the first page can be
// compared. The page cache is warm, or was asked to forget the file. Where others
// use the machine the processor's time says more than the clock's.
func BenchmarkOpenAMillion(b *testing.B) {
	cfg := state.DefaultConfig()
	cfg.Path = filepath.Join(b.TempDir(), "notifier.db")
	buildMillion(b, cfg)
	for _, cache := range []string{"warm", "cold"} {
		b.Run(cache, func(b *testing.B) {
			var opened, ready, worked time.Duration
			for b.Loop() {
				if cache == "cold" {
					b.StopTimer()
					dropCache(b, cfg.Path)
					b.StartTimer()
				}
				began, beganCPU := time.Now(), cpuTime(b)
				s := openState(b, cfg)
				opened += time.Since(began)
				x := New()
				err := s.Tracked(b.Context(), "main", func(row *event.Tracked) error {
					x.Put(row)
					return nil
				})
				if err != nil || x.Len() != million || x.ID(x.At(x.Len()-1)) != wooshRow(million-1).ID {
					b.Fatalf("%d sessions, %v", x.Len(), err)
				}
				ready += time.Since(began)
				worked += cpuTime(b) - beganCPU
				b.StopTimer()
				closeState(b, s)
				b.StartTimer()
			}
			b.ReportMetric(opened.Seconds()/float64(b.N), "s-to-open")
			b.ReportMetric(ready.Seconds()/float64(b.N), "s-to-ready")
			b.ReportMetric(ready.Seconds()/float64(b.N)/2, "of-limit")
			b.ReportMetric(worked.Seconds()/float64(b.N), "cpu-s-to-ready")
		})
	}
}

// cpuTime is what the process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func openState(b *testing.B, cfg state.Config) *state.Store {
	b.Helper()
	s, err := state.Open(b.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func closeState(b *testing.B, s *state.Store) {
	b.Helper()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// buildMillion stores a million sessions, the oldest first, as a list grows.
func buildMillion(b *testing.B, cfg state.Config) {
	b.Helper()
	s := openState(b, cfg)
	defer closeState(b, s)
	object, err := json.Marshal(map[string]string{"padding": strings.Repeat("x", 290)}) // snapshots of 600 bytes
	if err != nil {
		b.Fatal(err)
	}
	const together = 5000
	for from := 0; from < million; from += together {
		tx := &event.Tx{Account: "main"}
		for i := range together {
			row := wooshRow(from + i)
			tx.Snapshots = append(tx.Snapshots, event.Snapshot{
				Account: "main", ID: row.ID, Created: row.Created, ExpiresAt: row.ExpiresAt, Status: row.Status, PaymentStatus: row.PaymentStatus,
				Mode: "payment", Object: object, Hash: row.ScanHash, Revision: 1, Counts: map[string]int{event.Created: 1}, Watch: row.Watch, LookedAt: row.LookedAt,
			})
		}
		if from == 0 {
			if size, err := json.Marshal(tx.Snapshots[0]); err != nil || len(size) < 550 || len(size) > 650 {
				b.Fatalf("a snapshot has %d bytes, %v", len(size), err)
			}
		}
		if err := s.Commit(context.Background(), tx); err != nil {
			b.Fatal(err)
		}
	}
	size, err := s.Size()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("the file has %d MB", size>>20)
}

// dropCache asks the kernel to forget a file that nobody has open.
func dropCache(b *testing.B, path string) {
	b.Helper()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	if err := file.Sync(); err != nil {
		b.Fatal(err)
	}
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, file.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 {
		b.Skipf("the page cache cannot be dropped: %v", errno)
	}
}
