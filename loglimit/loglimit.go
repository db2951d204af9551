// Package loglimit keeps a log readable while something fails again and again:
// the first line of a kind is written at once, what repeats is summed up.
package loglimit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// firstPause passes between the first line of a kind and the first summary.
	// It doubles with every summary, up to longestPause.
	firstPause   = time.Minute
	longestPause = time.Hour
)

// Repeats marks a line that may be written again and again. Lines with the same
// key, from loggers with the same attributes, are of one kind. Handlers other
// than Handler write each of them, without the mark.
func Repeats(key string) slog.Attr { return slog.Any("", mark(key)) }

// Ends marks a line that tells the end of what lines of the kinds that begin with
// these keys told of, from loggers with the same attributes: what was left out of
// them is summed up before it, and they begin anew.
func Ends(keys ...string) slog.Attr { return slog.Any("", ends(keys)) }

type (
	mark string
	ends []string
)

// LogValue makes slog leave the mark out.
func (mark) LogValue() slog.Value { return slog.GroupValue() }

// LogValue makes slog leave the mark out.
func (ends) LogValue() slog.Value { return slog.GroupValue() }

// Handler writes lines that are not marked as they come. Of marked ones it
// writes the first of a kind; those that follow within a pause are counted, and
// the last of them is written at its end, as a summary with `repeated`, `within`
// and when it was, `last`. A kind
// that was quiet for a whole pause begins anew. It is safe for concurrent use.
type Handler struct {
	slog.Handler
	scope string // the attributes and groups of the logger
	kinds *kinds
}

// kinds is what all loggers made from one Handler share.
type kinds struct {
	mu    sync.Mutex // guards what follows
	byKey map[string]*kind
	tides []*tide
}

// kind is what is known of one kind of line during a pause.
type kind struct {
	pause  time.Duration
	since  time.Time // it began
	missed int       // lines since the last that was written
	last   slog.Record
	write  slog.Handler
	timer  *time.Timer
}

// New returns a Handler that writes to another one.
func New(to slog.Handler) *Handler {
	return &Handler{Handler: to, kinds: &kinds{byKey: make(map[string]*kind)}}
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	scope := h.scope
	for _, a := range attrs {
		scope += "\x00" + a.String()
	}
	return &Handler{Handler: h.Handler.WithAttrs(attrs), scope: scope, kinds: h.kinds}
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{Handler: h.Handler.WithGroup(name), scope: h.scope + "\x00" + name, kinds: h.kinds}
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	key, over, now := h.marks(&r)
	if (key != "" && h.kinds.hold(key, h.Handler, r)) || (now != nil && h.kinds.endForNow(now, r)) {
		return nil
	}
	for _, key := range over {
		h.kinds.end(key)
	}
	return h.Handler.Handle(ctx, r)
}

// marks returns what kind of line a record is, "" if it is not marked, and the
// begins of the kinds that it ends, or ends for now.
func (h *Handler) marks(r *slog.Record) (key string, over, now []string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() != slog.KindLogValuer {
			return true
		}
		switch m := a.Value.LogValuer().(type) {
		case mark:
			key = h.kind(string(m))
		case ends:
			for _, k := range m {
				over = append(over, h.kind(k))
			}
		case endsForNow:
			for _, k := range m {
				now = append(now, h.kind(k))
			}
		}
		return true
	})
	return key, over, now
}

func (h *Handler) kind(key string) string { return h.scope + "\x00\x00" + key }

// hold says whether a line is not to be written now.
func (s *kinds) hold(key string, write slog.Handler, r slog.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, now := s.byKey[key], time.Now()
	if k != nil {
		k.missed, k.last, k.write = k.missed+1, r.Clone(), write
	}
	for _, t := range s.tides {
		if t.has(key) && t.comes(k == nil, now) {
			k.sumUp()
		}
	}
	if k != nil {
		return true
	}
	k = &kind{pause: firstPause, since: now}
	k.timer = time.AfterFunc(k.pause, func() { s.pauseEnds(key, k) })
	s.byKey[key] = k
	return false
}

func (s *kinds) pauseEnds(key string, k *kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] != k {
		return // flushed
	}
	if k.missed == 0 {
		delete(s.byKey, key)
		return
	}
	s.sumUp(key)
	k.pause = min(2*k.pause, longestPause)
	k.timer.Reset(k.pause)
}

// end sums up the kinds whose keys begin so, and forgets them.
func (s *kinds) end(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.byKey {
		if strings.HasPrefix(key, prefix) {
			s.forget(key)
		}
	}
}

// sumUp sums up a kind, and tells that it is over if it is. The caller holds mu.
func (s *kinds) sumUp(key string) {
	k := s.byKey[key]
	k.sumUp()
	for _, t := range s.tides {
		switch {
		case !t.has(key):
		case t.over == nil:
			t.told = true
		default:
			k.writeLate(t.over.Clone())
		}
	}
}

// forget sums a kind up and lets it begin anew. The caller holds mu.
func (s *kinds) forget(key string) {
	k := s.byKey[key]
	k.timer.Stop()
	if k.missed > 0 {
		s.sumUp(key)
	}
	delete(s.byKey, key)
}

// sumUp writes what was left out. The caller holds mu.
func (k *kind) sumUp() {
	now := time.Now()
	k.last.Message += " (summary)"
	k.last.AddAttrs(slog.Int("repeated", k.missed), slog.String("within", now.Sub(k.since).Round(time.Second).String()))
	k.writeLate(k.last)
	k.missed, k.since = 0, now
}

// writeLate writes a line of some time ago.
func (k *kind) writeLate(r slog.Record) {
	r.AddAttrs(slog.Time("last", r.Time))
	r.Time = time.Now()
	_ = k.write.Handle(context.Background(), r) // a log that cannot be written has nobody to tell
}

// Flush writes what a logger with a Handler has left out so far, at the end of
// the process. Other loggers have left out nothing.
func Flush(log *slog.Logger) {
	h, ok := log.Handler().(*Handler)
	if !ok {
		return
	}
	h.kinds.mu.Lock()
	defer h.kinds.mu.Unlock()
	for key := range h.kinds.byKey {
		h.kinds.forget(key)
	}
}
