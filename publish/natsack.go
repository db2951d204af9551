package publish

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// publishAcknowledged publishes a message and waits for a stream's word on it.
//
// It does what jetstream.PublishMsgAsync does, on one list of waiters with the
// server's denials: a lost connection, a denial and the caller's context end
// the wait at once and leave nothing behind.
func (l *link) publishAcknowledged(ctx context.Context, message *nats.Msg) (duplicate bool, err error) {
	w := newWaiter(waitAck, message.Subject)
	w.stream = message.Header.Get(jetstream.ExpectedStreamHeader)
	for {
		l.mu.Lock()
		if l.inbox != "" {
			break
		}
		l.mu.Unlock()
		if err := l.hear(ctx); err != nil {
			waiters.Put(w)
			return false, err
		}
	}
	l.list(w)
	message.Reply = l.inbox + strconv.FormatUint(w.token, 36)
	l.stream.add(parcel{token: w.token, message: message}, l.sendStream)
	l.mu.Unlock()
	f := l.await(ctx, w)
	return f.duplicate, f.err
}

// sendStream sends what has gathered, again and again until nothing has. It
// waits for no answer.
func (l *link) sendStream() {
	for {
		batch := l.take(&l.stream)
		if len(batch) == 0 {
			return
		}
		l.write(batch)
	}
}

// trial is an inbox that is tried, for all who need one.
type trial struct {
	done chan struct{}
	err  error // once done
}

// hear returns when there is an inbox, or why there is none.
func (l *link) hear(ctx context.Context) error {
	l.mu.Lock()
	t := l.trial
	if t == nil {
		t = &trial{done: make(chan struct{})}
		l.trial = t
		go func() {
			t.err = l.tryInbox()
			l.mu.Lock()
			l.trial = nil
			l.mu.Unlock()
			close(t.done)
		}()
	}
	l.mu.Unlock()
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tryInbox subscribes to an inbox and asks the server whether it may: a message
// whose acknowledgement nobody hears would be stored again and again.
func (l *link) tryInbox() error {
	if l.nc.Status() != nats.CONNECTED {
		return l.why()
	}
	inbox := l.nc.NewInbox() + "."
	w := newWaiter(waitDenial, inbox+"*")
	l.mu.Lock()
	l.list(w)
	l.mu.Unlock()
	heard, err := l.nc.Subscribe(w.subject, func(m *nats.Msg) { l.acknowledged(m, len(inbox)) })
	if err == nil {
		err = l.ping(context.Background())
	}
	if denied := l.forget(w); denied != nil {
		err = denied
	}
	if err != nil {
		if heard != nil {
			_ = heard.Unsubscribe() // it is the lesser of two errors
		}
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inbox, l.heard = inbox, heard
	return nil
}

// acknowledged takes an answer to a publish. The message's subscribers know the inbox
// too: what they answer does not end the wait for the stream.
func (l *link) acknowledged(m *nats.Msg, prefix int) {
	token, err := strconv.ParseUint(m.Subject[min(prefix, len(m.Subject)):], 36, 64)
	if err != nil {
		return
	}
	f, stream, ok := fateOf(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.waiting[token]
	if w == nil {
		return
	}
	if f.err == nil && w.stream != "" && w.stream != stream {
		ok = false // another stream answers a message that is not for it with an error
	}
	if !ok {
		w.others = true
		return
	}
	l.end(token, f)
}

// Of an answer that no subscriber gave.
const (
	headerStatus = "Status"
	noResponders = "503"
)

// fateOf reads the answer of a stream, which has its name and the message's sequence
// in it, or an error. Others' answers are not ok. Servers before 2.3 give errors no
// err_code.
func fateOf(m *nats.Msg) (f fate, stream string, ok bool) {
	if len(m.Data) == 0 && m.Header.Get(headerStatus) == noResponders {
		return fate{err: errNoStream}, "", true
	}
	var answer struct {
		Stream    string              `json:"stream"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(m.Data, &answer) != nil {
		return fate{}, "", false
	}
	if e := answer.Error; e != nil {
		return fate{err: e}, answer.Stream, e.Code > 0 && (e.ErrorCode > 0 || answer.Stream != "")
	}
	return fate{duplicate: answer.Duplicate}, answer.Stream, answer.Stream != "" && answer.Sequence > 0
}
