package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"checkout-notifier/filelock"
)

const (
	watchEvery   = time.Second // how often the watch looks
	watchPatient = time.Minute // the longest pause between two restarts in a row
	probeSize    = 1 << 20     // of the room that a restart is worth
)

// Status is how a server is doing.
type Status struct {
	Why   string    `json:"why,omitempty"`   // it takes no messages; "" if it does
	Since time.Time `json:"since,omitzero"`  // it takes none
	Lost  time.Time `json:"lost,omitzero"`   // when store_dir was last found taken away, with all that was acknowledged
	Dir   string    `json:"store_dir"`       // where the streams stand
	Times int       `json:"times,omitempty"` // how often it was taken away
}

// Status returns how the server is doing.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// watch heals what the server cannot by itself, until ctx ends: a stream that
// failed to write once takes nothing more until the server starts again, and one
// whose files were removed acknowledges what nobody will find.
func (s *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.look(ctx)
		}
	}
}

func (s *Server) look(ctx context.Context) {
	s.life.Lock()
	defer s.life.Unlock()
	var failure error
	if reason := s.logger.broken.Load(); reason != nil {
		failure = *reason
	}
	switch {
	case ctx.Err() != nil:
		return
	case s.lock == nil: // an earlier restart failed
	case !s.lock.inPlace(), !s.streamsInPlace():
		s.taken()
	case failure != nil:
		s.wait(failure)
		if s.room() != nil {
			return
		}
	default:
		return
	}
	if now := time.Now(); now.After(s.next) {
		s.restart(ctx, now)
	}
}

// taken says that the directory, or its lock, was removed or replaced.
func (s *Server) taken() {
	if s.streamsInPlace() {
		s.say("the lock file of nats.embedded.store_dir was removed while it is in use; the embedded NATS server starts again to take it anew, and its streams are kept: find out what removes it",
			"its lock file was removed")
		return
	}
	s.mu.Lock()
	first := s.status.Why == ""
	if first {
		s.status.Lost, s.status.Times = time.Now().UTC(), s.status.Times+1
	}
	s.mu.Unlock()
	s.say("nats.embedded.store_dir was removed or replaced while it is in use: ALL THAT ITS STREAMS HELD IS GONE, also what was acknowledged; the embedded NATS server starts again with what is there now. "+
		"Find out what removes it, and deliver again what was lost: notifier replay --since 7d --to DESTINATION", "it was removed while in use")
}

// wait says that nothing can be written.
func (s *Server) wait(failure error) {
	why := failure.Error()
	if noSpace(failure) {
		why = "no space left on nats.embedded.store_dir"
	}
	s.say("the embedded NATS server cannot write its streams and takes no messages: deliveries wait, nothing is lost, and it starts again by itself as soon as something can be written", why)
}

// say tells of a trouble once, and keeps it for the status.
func (s *Server) say(text, why string) {
	s.mu.Lock()
	first := s.status.Why == ""
	if first {
		s.status.Since = time.Now().UTC()
	}
	s.status.Why = why
	s.mu.Unlock()
	if first {
		s.log.Error(text, "store_dir", s.config.StoreDir, "error", why)
	}
}

// room says whether something can be written where the streams are.
func (s *Server) room() error {
	file, err := os.CreateTemp(s.config.StoreDir, "probe-*")
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, probeSize))
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name()))
}

// restart ends the server and starts it again, at the same address. Clients
// connect again by themselves. The caller holds life.
func (s *Server) restart(ctx context.Context, now time.Time) {
	if now.Sub(s.last) > 2*watchPatient {
		s.pause = watchEvery
	}
	s.last, s.next = now, now.Add(s.pause)
	s.pause = min(2*s.pause, watchPatient)
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	err := s.begin(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.mu.Lock()
		s.status.Why = "it could not be started again: " + err.Error()
		s.mu.Unlock()
		s.log.Error("the embedded NATS server could not be started again; it is tried again", "error", err, "in", time.Until(s.next).Round(time.Second).String())
	default:
		s.mu.Lock()
		since := s.status.Since
		s.status.Why, s.status.Since = "", time.Time{}
		s.mu.Unlock()
		s.log.Warn("the embedded NATS server was started again and takes messages", "store_dir", s.config.StoreDir, "after", time.Since(since).Round(time.Second).String())
	}
}

// begin takes the directory, unless it is ours, and starts the server in it. The
// caller holds life.
func (s *Server) begin(ctx context.Context) error {
	if s.lock != nil && !s.lock.inPlace() {
		s.lock.release()
		s.lock = nil
	}
	lock := s.lock
	if lock == nil {
		var err error
		if lock, err = lockDirectory(ctx, s.config.StoreDir, s.log); err != nil {
			return err
		}
	}
	if err := s.start(ctx); err != nil {
		lock.release()
		s.lock = nil
		return err
	}
	s.lock = lock
	s.streams, _ = os.Stat(filepath.Join(s.config.StoreDir, streamsName))
	return nil
}

// streamsInPlace says whether the streams are still those of the last start.
func (s *Server) streamsInPlace() bool {
	found, err := os.Stat(filepath.Join(s.config.StoreDir, streamsName))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	return s.streams == nil || os.SameFile(found, s.streams)
}

// inPlace says whether the lock is still the one that another process would find.
func (l *directoryLock) inPlace() bool {
	same, err := filelock.IsAt(l.file, l.file.Name())
	return same || !filelock.Works || err != nil && !errors.Is(err, os.ErrNotExist) // then nobody can tell
}

// noSpace says whether an error is that of a full disk; the server hands on some
// of them as text only.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), syscall.ENOSPC.Error())
}

// writeFailure returns the error of a line by which the server says that it could
// not write, after which a stream takes nothing more; nil for any other line.
func writeFailure(text string, v []any) error {
	for _, value := range v {
		if err, ok := value.(error); ok && (noSpace(err) || strings.Contains(strings.ToLower(text), "critical write error")) {
			return err
		}
	}
	if strings.Contains(text, syscall.ENOSPC.Error()) {
		return fmt.Errorf("%w", syscall.ENOSPC)
	}
	return nil
}
