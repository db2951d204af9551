package publish

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// kind tells what a waiter waits for.
type kind uint8

const (
	waitAck    kind = iota // a stream's acknowledgement
	waitPong               // the answer to a PING behind it
	waitDenial             // nothing but a denial
)

// waiter is one message, or one question about a stream, that waits for the
// server. Whoever takes it off the link's list fills in its fate.
type waiter struct {
	token   uint64 // of the link, never used again
	kind    kind
	subject string // may have wildcards
	stream  string // the one that may acknowledge, "" for any
	others  bool   // somebody else has answered; the link's mu guards it
	fate    chan fate
	timer   *time.Timer
}

// fate is what the server has made of a message.
type fate struct {
	duplicate bool
	err       error
}

var waiters = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &waiter{fate: make(chan fate, 1), timer: timer}
}}

func newWaiter(k kind, subject string) *waiter {
	w := waiters.Get().(*waiter)
	w.kind, w.subject, w.stream, w.others = k, subject, "", false
	return w
}

// list puts a waiter on the link's list. The caller holds mu.
func (l *link) list(w *waiter) {
	l.last++
	w.token = l.last
	l.waiting[w.token] = w
}

// end hands a waiter its fate, unless it has one or waits no more. The caller
// holds mu.
func (l *link) end(token uint64, f fate) {
	if w, ok := l.waiting[token]; ok {
		delete(l.waiting, token)
		w.fate <- f
	}
}

// await returns a waiter's fate, whatever it waits for, within ackTimeout. The
// waiter is another's afterwards.
func (l *link) await(ctx context.Context, w *waiter) fate {
	w.timer.Reset(ackTimeout)
	var f fate
	select {
	case f = <-w.fate:
		w.timer.Stop()
		waiters.Put(w)
		return f
	case <-w.timer.C:
		f.err = l.silence(w)
	case <-ctx.Done():
		w.timer.Stop()
		f.err = context.Cause(ctx)
	}
	_ = l.forget(w) // what came too late is for the next attempt to find
	return f
}

// silence says how a waiter was not answered.
func (l *link) silence(w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.others {
		return errOthers
	}
	return errNoAnswer
}

// forget takes a waiter off the list and returns what has become of it
// meanwhile. The waiter is another's afterwards.
func (l *link) forget(w *waiter) error {
	l.mu.Lock()
	delete(l.waiting, w.token)
	l.mu.Unlock()
	var f fate
	select {
	case f = <-w.fate:
	default:
	}
	waiters.Put(w)
	return f.err
}

// parcel is a message that is to be sent for a waiter.
type parcel struct {
	token   uint64
	message *nats.Msg
}

// outgoing gathers what many callers want to send, so that one goroutine writes
// it in one go: each for itself would have the client flush after each. The
// link's mu guards it.
type outgoing struct {
	parcels []parcel
	spare   []parcel // the memory of the batch before
	sending bool
}

// add adds a parcel and starts the sending unless it goes on.
func (o *outgoing) add(p parcel, send func()) {
	o.parcels = append(o.parcels, p)
	if !o.sending {
		o.sending = true
		go send()
	}
}

// take returns what has gathered and is still waited for, until the next take.
// With nothing the sending is over.
func (l *link) take(o *outgoing) []parcel {
	runtime.Gosched() // whoever was woken by the same answers may have more
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := o.parcels
	o.parcels, o.spare = o.spare[:0], batch
	batch = slices.DeleteFunc(batch, func(p parcel) bool { return l.waiting[p.token] == nil })
	o.sending = len(batch) > 0
	return batch
}

// write hands messages to the client and ends the waits for those that it does
// not take. It returns how many it took.
func (l *link) write(batch []parcel) (taken int) {
	for _, p := range batch {
		if err := l.nc.PublishMsg(p.message); err != nil {
			l.mu.Lock()
			l.end(p.token, fate{err: err})
			l.mu.Unlock()
			continue
		}
		taken++
	}
	return taken
}
