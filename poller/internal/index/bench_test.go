package index

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"checkout-notifier/event"
)

// million is how many sessions the goals are about.
const million = 1_000_000

// wooshRow is a session with an id like the API's: they grow with time.
func wooshRow(i int) event.Tracked {
	created := somewhen.Add(time.Duration(i) * 80 * time.Millisecond)
	return event.Tracked{
		ID: string(wooshID(nil, i)), Created: created, ExpiresAt: created.Add(24 * time.Hour), LookedAt: created.Add(time.Hour),
		ScanHash: uint64(i) * 7919, Status: "open", PaymentStatus: "unpaid", Watch: event.Watched,
	}
}

func wooshID(buffer []byte, i int) []byte {
	return fmt.Appendf(buffer, "cs_%d", 2031282752732528640+uint64(i)*335_544_341)
}

func filled(n int) *Index {
	x := New()
	for i := range n {
		row := wooshRow(i)
		x.Put(&row)
	}
	return x
}

// scattered visits the numbers below a million in no order.
func scattered(i int) int { return i * 618_033 % million }

func BenchmarkIndex(b *testing.B) {
	x := filled(million)
	x.At(0)
	ids := make([][]byte, 1<<16)
	b.Run("find", func(b *testing.B) {
		for i := range ids {
			ids[i] = wooshID(nil, scattered(i))
		}
		for i := 0; b.Loop(); i++ {
			if x.Find(ids[i%len(ids)]) == nil {
				b.Fatal("not found")
			}
		}
	})
	b.Run("find-page", func(b *testing.B) { // a page's sessions are neighbours
		for i := range ids {
			ids[i] = wooshID(nil, i)
		}
		for i := 0; b.Loop(); i++ {
			if x.Find(ids[i%len(ids)]) == nil {
				b.Fatal("not found")
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		for i := range ids {
			ids[i] = wooshID(nil, million+scattered(i))
		}
		for i := 0; b.Loop(); i++ {
			if x.Find(ids[i%len(ids)]) != nil {
				b.Fatal("found")
			}
		}
	})
	b.Run("update", func(b *testing.B) {
		rows := make([]event.Tracked, 1<<16)
		for i := range rows {
			rows[i] = wooshRow(scattered(i))
		}
		for i := 0; b.Loop(); i++ {
			x.Put(&rows[i%len(rows)])
		}
	})
	next := million
	b.Run("insert-5-and-at", func(b *testing.B) {
		for b.Loop() {
			for range 5 {
				row := wooshRow(next)
				x.Put(&row)
				next++
			}
			x.At(x.Len() - 1)
		}
	})
}

func BenchmarkIndexInsert(b *testing.B) {
	x := New()
	for i := 0; b.Loop(); i++ {
		row := wooshRow(i)
		x.Put(&row)
	}
}

// BenchmarkIndexMemory tells what a session costs at sizes around a million, for
// the slack depends on when the parts grew last.
func BenchmarkIndexMemory(b *testing.B) {
	for _, n := range []int{800_000, million, 1_100_000, 1_250_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				x := filled(n)
				x.At(0)
				for i := range n / 100 { // what comes while it runs
					row := wooshRow(n + i)
					x.Put(&row)
					if i%100 == 0 {
						x.At(0)
					}
				}
				size := float64(heap()-before) / float64(x.Len())
				began := time.Now()
				runtime.GC()
				b.ReportMetric(float64(time.Since(began).Microseconds()), "µs/GC")
				b.ReportMetric(size, "B/session")
				b.ReportMetric(size/64, "of-limit")
				runtime.KeepAlive(x)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
