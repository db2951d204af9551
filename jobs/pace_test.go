package jobs_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/jobs"
)

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for rate, n := range map[float64]int{0.5: 1, 4: 1, 50: 10, 1e6: 500, 0: 500} {
			p := &jobs.Pace{Rate: rate}
			if p.AtOnce() != n {
				t.Errorf("rate %v: %d at once, want %d", rate, p.AtOnce(), n)
			}
		}
		p, begun := &jobs.Pace{Rate: 50}, time.Now()
		for range 10 {
			time.Sleep(50 * time.Millisecond) // the work counts
			if err := p.Wait(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took < 2*time.Second || took > 2600*time.Millisecond {
			t.Errorf("100 at 50 a second took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.Wait(ctx, 10) == nil {
			t.Error("it waits although nobody does")
		}
	})
}
