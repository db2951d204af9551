package backup

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	lookEvery  = time.Second // how often the schedule looks whether a copy is due,
	findEvery  = time.Minute // and which copies there are
	firstRetry = time.Minute // the pause after a failure doubles from this
	lastRetry  = time.Hour   // to this, or to Every if that is less
)

// Maker makes copies of a store.
type Maker interface {
	// Backup makes a file with the present content, verified, whole or not at all.
	Backup(ctx context.Context, path string) error
	// RemoveUnfinished removes what was left of a copy whose maker was killed.
	RemoveUnfinished(ctx context.Context, path string) error
}

// Config is what a schedule is to do.
type Config struct {
	Dir   string // made if it is missing
	Every time.Duration
	Keep  int    // at least 1
	ID    string // of the store, lower-case hexadecimal
}

// Status is how a schedule is doing. Times are zero while there is nothing to tell.
type Status struct {
	Dir      string        `json:"dir"`
	Copies   int           `json:"copies"`
	Last     time.Time     `json:"last_success,omitzero"` // when the newest copy was made, by whichever process
	File     string        `json:"file,omitempty"`        // that copy
	Bytes    int64         `json:"bytes,omitempty"`       // its size
	Took     time.Duration `json:"-"`                     // to make and verify the last one; 0 if this process made none
	Next     time.Time     `json:"next,omitzero"`
	Error    string        `json:"error,omitempty"` // of the last attempt, if it failed
	Since    time.Time     `json:"failing_since,omitzero"`
	Failures int           `json:"failures_in_a_row,omitempty"`
	Made     int           `json:"-"` // copies that this process made,
	Failed   int           `json:"-"` // and attempts of it that failed
}

// Schedule makes the copies. One goroutine runs it; Status may be called from any.
type Schedule struct {
	cfg   Config
	maker Maker
	ready func() bool
	log   *slog.Logger
	next  time.Time // a copy is due
	found time.Time // which copies there are

	mu     sync.Mutex // guards status
	status Status
}

// New returns a schedule. Until ready says so no copy is made, because there may
// be nothing yet that is worth one.
func New(cfg Config, maker Maker, ready func() bool, log *slog.Logger) *Schedule {
	return &Schedule{cfg: cfg, maker: maker, ready: ready, log: log, status: Status{Dir: cfg.Dir}}
}

// Status returns how the schedule is doing.
func (s *Schedule) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run makes copies until the context ends.
func (s *Schedule) Run(ctx context.Context) error {
	s.plan(time.Now())
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.look(ctx, time.Now())
		}
	}
}

// look makes a copy if one is due.
func (s *Schedule) look(ctx context.Context, now time.Time) {
	due := !now.Before(s.next)
	if s.Status().Failures == 0 && (due || now.Sub(s.found) >= findEvery) {
		s.plan(now) // somebody else may have made a copy
	}
	if now.Before(s.next) || !s.ready() {
		return
	}
	began := time.Now()
	path, err := s.make(ctx, now)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.failed(now, err)
		return
	}
	took := time.Since(began)
	s.change(func(st *Status) {
		st.Error, st.Since, st.Failures = "", time.Time{}, 0
		st.Took, st.Made = took, st.Made+1
	})
	s.rotate(now)
	s.plan(now)
	st := s.Status()
	s.log.Info("backup made and verified", "file", path, "bytes", st.Bytes, "took", took.Round(time.Millisecond).String(), "copies", st.Copies, "next", st.Next)
}

func (s *Schedule) make(ctx context.Context, now time.Time) (path string, err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return "", fmt.Errorf("making the directory of the backups: %w", err)
	}
	_, partial, err := list(s.cfg.Dir, s.cfg.ID)
	if err != nil {
		return "", err
	}
	for _, left := range partial {
		_ = s.maker.RemoveUnfinished(ctx, left) // somebody may be at work on it; else the next time tries again
	}
	path = filepath.Join(s.cfg.Dir, Name(s.cfg.ID, now))
	return path, s.maker.Backup(ctx, path)
}

// failed puts the next attempt off, the longer the more often it failed. Copies
// that are there stay.
func (s *Schedule) failed(now time.Time, err error) {
	failures := s.Status().Failures
	pause := min(firstRetry<<min(failures, 10), lastRetry, s.cfg.Every)
	s.next = now.Add(pause)
	s.change(func(st *Status) {
		if st.Failures == 0 {
			st.Since = now.UTC()
		}
		st.Error, st.Next = err.Error(), s.next.UTC()
		st.Failures, st.Failed = st.Failures+1, st.Failed+1
	})
	s.log.Error("a backup failed; earlier ones are kept, and it is tried again", "dir", s.cfg.Dir, "error", err, "in", pause.String(), "in_a_row", failures+1)
}

// rotate removes what is beyond the copies that are kept. The newest one has just
// been verified.
func (s *Schedule) rotate(now time.Time) {
	copies, err := List(s.cfg.Dir, s.cfg.ID)
	for _, c := range surplus(copies, s.cfg.Keep, now) {
		if failed := os.Remove(c.Path); failed != nil && err == nil {
			err = failed
		}
	}
	if err != nil {
		s.log.Warn("backups beyond state.backup.keep could not be removed; the next backup tries again", "dir", s.cfg.Dir, "error", err)
	}
}

// plan finds out what is there, and when the next copy is due.
func (s *Schedule) plan(now time.Time) {
	s.next, s.found = now, now
	copies, err := List(s.cfg.Dir, s.cfg.ID)
	if err != nil {
		return // making the next one says why
	}
	last, found := newest(copies, now)
	if found {
		s.next = last.Made.Add(s.cfg.Every)
	}
	s.change(func(st *Status) {
		st.Copies, st.Next = len(copies), s.next.UTC()
		st.Last, st.File, st.Bytes = last.Made, last.Path, last.Bytes
	})
}

func (s *Schedule) change(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}
