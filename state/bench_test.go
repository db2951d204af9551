package state_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/event"
)

// realistic gives the snapshots and events of a page the size of the API's.
func realistic(tx *event.Tx) *event.Tx {
	object, _ := json.Marshal(map[string]string{"padding": strings.Repeat("x", 3500)})
	for i := range tx.Snapshots {
		tx.Snapshots[i].Object = object
	}
	for i := range tx.Events {
		tx.Events[i].Object = object
	}
	return tx
}

func BenchmarkCommitPageOf100(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		s := newStore(b)
		for i := 0; b.Loop(); i++ {
			commit(b, s, realistic(page(fmt.Sprint(i, "-"), 100, start.Add(time.Duration(i)*time.Minute), "shop")))
		}
	})
	b.Run("1-changed", func(b *testing.B) {
		s := newStore(b)
		base := realistic(page("a", 100, start, "shop"))
		commit(b, s, base)
		for i := 0; b.Loop(); i++ {
			e := newEvent(fmt.Sprint("evt_", i), base.Events[i%100].Session)
			e.Object = base.Events[0].Object
			base.Snapshots[i%100].Revision++
			commit(b, s, &event.Tx{
				Account: "main", Snapshots: base.Snapshots[i%100 : i%100+1],
				Events: []event.Event{e}, Deliveries: []event.Delivery{newDelivery(e, "shop", true, start)},
			})
		}
	})
}

func BenchmarkBeginAndResolve(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers, "-writers"), func(b *testing.B) {
			ctx := context.Background()
			s := newStore(b)
			var all []event.Delivery
			for i := 0; len(all) < b.N; i++ {
				tx := page(fmt.Sprint(i, "-"), 1000, start, "shop")
				tx.Snapshots = nil
				commit(b, s, tx)
				all = append(all, tx.Deliveries...)
			}
			b.ResetTimer()
			var group sync.WaitGroup
			var next atomic.Int64
			for range writers {
				group.Go(func() {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						a := event.Attempt{DeliveryID: all[i].ID, N: 1, Started: start}
						if err := s.Begin(ctx, a); err != nil {
							b.Error(err)
						}
						if err := s.Resolve(ctx, event.Verdict{Delivery: all[i], Attempt: &a, Accepted: true, At: start}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

func BenchmarkDueAmongNotDue(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newStore(b)
			commit(b, s, page("due", 16, start, "shop"))
			for i := 0; i < n; i += 1000 {
				tx := page(fmt.Sprint(i, "-"), min(n, 1000), start.Add(time.Hour), "shop")
				tx.Snapshots = nil
				commit(b, s, tx)
			}
			for b.Loop() {
				if jobs := due(b, s, "shop", start); len(jobs) != 16 {
					b.Fatalf("%d jobs", len(jobs))
				}
			}
		})
	}
}

// BenchmarkOpen is of a file of large events. What a start with a million sessions
// takes is told by BenchmarkOpenAMillion in poller/internal/index, which it fills.
func BenchmarkOpen(b *testing.B) {
	cfg := config(b)
	s := openStore(b, cfg)
	for i := range 200 {
		commit(b, s, realistic(page(fmt.Sprint(i, "-"), 100, start, "shop")))
	}
	size, err := s.Size()
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		openStore(b, cfg).Close()
	}
}
