package event

import (
	"slices"
	"time"
)

// Later is the later one of two times.
func Later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }

// Sooner is the sooner one of two times; the zero time is sooner than all others.
func Sooner(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{a, b}, time.Time.Compare) }
