package loglimit

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// EndsForNow is Ends for what may come and go: the kinds do not begin anew. What comes
// back within a pause is summed up at its end, and then told to be over if it is. Only
// what lasts for firstPause is told before that, and the end of it, or of another kind
// that was told meanwhile, at once.
func EndsForNow(keys ...string) slog.Attr { return slog.Any("", endsForNow(keys)) }

type endsForNow []string

// LogValue makes slog leave the mark out.
func (endsForNow) LogValue() slog.Value { return slog.GroupValue() }

// tide is what comes and goes: the kinds that end for now by the same line.
type tide struct {
	keys []string     // the begins of theirs
	told bool         // a line of them was written since their end was
	back time.Time    // when they came back, if nothing of that was written; zero: they did not
	over *slog.Record // tells the end of what was left out, as long as nothing follows
}

// endForNow ends the kinds whose keys begin so for now, and says whether the line that
// tells it is left out: nothing was written of what it ends.
func (s *kinds) endForNow(keys []string, r slog.Record) (held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.tides, func(t *tide) bool { return slices.Equal(t.keys, keys) })
	if i < 0 {
		i, s.tides = len(s.tides), append(s.tides, &tide{keys: keys, told: true})
	}
	t := s.tides[i]
	if !t.told && !t.back.IsZero() {
		over := r.Clone()
		t.back, t.over = time.Time{}, &over
		return true
	}
	for key, k := range s.byKey {
		if t.has(key) && k.missed > 0 {
			k.sumUp()
		}
	}
	t.told, t.back, t.over = false, time.Time{}, nil
	return false
}

// has says whether a kind belongs to what comes and goes.
func (t *tide) has(key string) bool {
	return slices.ContainsFunc(t.keys, func(begin string) bool { return strings.HasPrefix(key, begin) })
}

// comes notes a line, which may be written, and says whether what was left out is to be
// summed up: it has lasted.
func (t *tide) comes(written bool, now time.Time) (lasts bool) {
	if t.over = nil; !t.told && t.back.IsZero() {
		t.back = now
	}
	lasts = !t.told && !written && now.Sub(t.back) >= firstPause
	t.told = t.told || written || lasts
	return lasts
}
