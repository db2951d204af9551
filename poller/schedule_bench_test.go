package poller

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"checkout-notifier/event"
)

// What a pass does for every tracked session, shown or not, among a million.
func BenchmarkPassOverAMillion(b *testing.B) {
	a := newAccount(Account{Name: "main", Poll: DefaultPoll()}, nil, nil, nil, Options{Logger: slog.New(slog.DiscardHandler), now: time.Now})
	now := time.Now()
	for i := range 1_000_000 {
		created := now.Add(-time.Duration(i) * time.Second)
		row := event.Tracked{
			ID: fmt.Sprintf("cs_%d", 2031282752732528640-int64(i)), Created: created, ExpiresAt: now.Add(time.Hour),
			LookedAt: now, Status: "open", PaymentStatus: "unpaid",
		}
		if i%10 > 0 {
			row.Status, row.PaymentStatus, row.Watch = "complete", "paid", event.Settled
		}
		a.index.Put(&row)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now.number = 1
	for b.Loop() {
		a.due(now)
		a.publish(now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/session")
}
