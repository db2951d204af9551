package pacer

import "time"

// Hourly counts what happened within the last hour, by minutes.
type Hourly struct {
	minutes [60]struct {
		minute int64
		n      int
	}
}

// Add counts one.
func (h *Hourly) Add(now time.Time) {
	minute := now.Unix() / 60
	m := &h.minutes[minute%60]
	if m.minute != minute {
		m.minute, m.n = minute, 0
	}
	m.n++
}

// Sum is how many there were.
func (h *Hourly) Sum(now time.Time) (n int) {
	for _, m := range h.minutes {
		if now.Unix()/60-m.minute < 60 {
			n += m.n
		}
	}
	return n
}
