package poller

import "time"

// WithClock returns options for a poller whose own clock is wrong.
func WithClock(o Options, now func() time.Time) Options {
	o.now = now
	return o
}
