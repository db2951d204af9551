package jobs

import (
	"context"
	"math"
	"time"
)

// Pace holds a job to its rate: so many deliveries a second, a few at once.
type Pace struct {
	Rate float64 // 0: as fast as it goes
	next time.Time
}

const (
	// MostAtOnce is how many deliveries go into one transaction.
	MostAtOnce = 500
	stepsEach  = 5 // a second, where the rate allows several at once
)

// AtOnce is how many go together.
func (p *Pace) AtOnce() int {
	if p.Rate == 0 {
		return MostAtOnce
	}
	return min(max(1, int(p.Rate/stepsEach)), MostAtOnce)
}

// Wait waits until n more may follow those that have gone.
func (p *Pace) Wait(ctx context.Context, n int) error {
	if p.Rate == 0 || n == 0 {
		return ctx.Err()
	}
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / p.Rate * float64(time.Second)))
	timer := time.NewTimer(time.Until(p.next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Takes is how long n of them take, in whole seconds.
func Takes(n int, rate float64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(math.Ceil(float64(n)/rate)) * time.Second
}
