package publish

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// publish publishes a message of core NATS and returns when the server has
// answered a PING that was sent after it.
func (l *link) publish(ctx context.Context, message *nats.Msg) error {
	w := newWaiter(waitPong, message.Subject)
	l.mu.Lock()
	l.list(w)
	l.core.add(parcel{token: w.token, message: message}, l.sendCore)
	l.mu.Unlock()
	err := l.await(ctx, w).err
	if errors.Is(err, errNoAnswer) {
		return errNoPong
	}
	return err
}

// sendCore sends what has gathered, and behind it one PING for all of it, again
// and again until nothing has.
func (l *link) sendCore() {
	for {
		batch := l.take(&l.core)
		if len(batch) == 0 {
			return
		}
		reconnects := l.nc.Stats().Reconnects
		if l.write(batch) == 0 {
			continue
		}
		err := l.ping(context.Background()) // whoever's context ends does not wait for it
		if err == nil && l.nc.Stats().Reconnects != reconnects {
			err = errLost // the PONG may speak for the new connection, a message for the old
		}
		l.mu.Lock()
		for _, p := range batch {
			l.end(p.token, fate{err: err}) // a denial comes before the PONG: it has ended the wait
		}
		l.mu.Unlock()
	}
}

// ping returns when the server has answered a PING and the handler was given
// what the server complained of before.
func (l *link) ping(ctx context.Context) error {
	if l.nc.Status() != nats.CONNECTED {
		return l.because(errLost) // the client would keep the PING until it is connected again
	}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	err := l.nc.FlushWithContext(ctx)
	switch {
	case errors.Is(err, nats.ErrConnectionClosed): // or lost, and perhaps back again
		return l.because(errLost)
	case err != nil:
		return err
	}
	l.settle(ctx)
	return nil
}
