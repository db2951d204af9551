package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"checkout-notifier/loglimit"
)

// readyStep is the grain of the wait for readiness.
const readyStep = 50 * time.Millisecond

// logger hands the server's lines to slog. What the server would end the
// process for goes to fatal instead, the first reason only.
type logger struct {
	log   *slog.Logger
	fatal chan error

	broken atomic.Pointer[error] // why a stream cannot be written; nil: they all can
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *logger) Warnf(format string, v ...any) {
	l.hear(format, v)
	l.log.Warn(line(format, v), loglimit.Repeats(format))
}
func (l *logger) Errorf(format string, v ...any) {
	l.hear(format, v)
	l.log.Error(line(format, v), loglimit.Repeats(format))
}
func (l *logger) Debugf(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *logger) Tracef(format string, v ...any) { l.log.Debug(line(format, v)) }

// hear keeps that something could not be written.
func (l *logger) hear(format string, v []any) {
	if err := writeFailure(line(format, v), v); err != nil {
		l.broken.CompareAndSwap(nil, &err)
	}
}

func (l *logger) Fatalf(format string, v ...any) {
	reason := errors.New(line(format, v))
	for _, value := range v {
		if err, ok := value.(error); ok {
			reason = addressError(err)
		}
	}
	select {
	case l.fatal <- reason:
	default:
	}
	l.log.Error(line(format, v))
}

func line(format string, v []any) string { return "nats: " + fmt.Sprintf(format, v...) }
