package poller_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What the oracle never draws it never judges.
func TestOracleDrawsTheWorldsThatWereFatal(t *testing.T) {
	const worlds = 300
	does := func(what string) func(*universe) bool {
		return func(u *universe) bool {
			return slices.ContainsFunc(u.spells, func(s spell) bool { return s.does == what })
		}
	}
	ours := func(ahead func(time.Duration) bool) func(*universe) bool {
		return func(u *universe) bool { return slices.ContainsFunc(u.own, ahead) }
	}
	minutes := func(d time.Duration) bool { return d.Abs() >= time.Minute && d.Abs() < 24*time.Hour }
	drawn := map[string]func(*universe) bool{
		"sessions that are older than 25 h": func(u *universe) bool {
			return slices.ContainsFunc(u.fates, func(f fate) bool { return f.born < -25*time.Hour })
		},
		"sessions that fail an answer": func(u *universe) bool {
			return slices.ContainsFunc(u.fates, func(f fate) bool { return f.mends > f.breaks })
		},
		"our clock ahead by minutes":          ours(func(d time.Duration) bool { return d > 0 && minutes(d) }),
		"our clock behind by minutes":         ours(func(d time.Duration) bool { return d < 0 && minutes(d) }),
		"our clock ahead by days":             ours(func(d time.Duration) bool { return d >= 24*time.Hour }),
		"our clock behind by days":            ours(func(d time.Duration) bool { return d <= -24*time.Hour }),
		"the clock of the API off by minutes": func(u *universe) bool { return u.skew != 0 && minutes(u.skew) },
		"the clock of the API ahead by days":  func(u *universe) bool { return u.skew >= 24*time.Hour },
		"the clock of the API behind by days": func(u *universe) bool { return u.skew <= -24*time.Hour },
	}
	for _, what := range append(slices.Clone(spells), lies) {
		drawn["an API that "+what] = does(what)
	}
	gen := rapid.Custom(drawUniverse)
	for seed := range worlds {
		u := gen.Example(seed)
		for what, is := range drawn {
			if is(u) {
				delete(drawn, what)
			}
		}
	}
	for what := range drawn {
		t.Errorf("none of %d worlds has %s", worlds, what)
	}
}
