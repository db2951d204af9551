package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/publish"
)

// page is what a log wrote. It is safe for concurrent use.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// recordCounter counts the records that contain a word on their way to a handler.
type recordCounter struct {
	slog.Handler
	word string
	n    *atomic.Int64
}

func (c recordCounter) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, c.word) {
		c.n.Add(1)
	}
	return c.Handler.Handle(ctx, r)
}

func (c recordCounter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return recordCounter{c.Handler.WithAttrs(attrs), c.word, c.n}
}

// A login that the server refuses again and again is said at once, and in the
// end with how often it was.
func TestRefusedLoginIsSaidAndThinnedOut(t *testing.T) {
	t.Parallel()
	user := func(password string) brokertest.Options {
		return brokertest.Options{Users: []brokertest.User{{Name: "u", Password: password}}}
	}
	first, second := brokertest.Start(t, user("before")), brokertest.Start(t, user("after"))
	url, move := movable(t, first.URL)
	said := &page{}
	limited := loglimit.New(slog.NewTextHandler(said, nil))
	tries := &atomic.Int64{}
	connections := publish.NewConnections(slog.New(recordCounter{limited, "NATS", tries}))
	d := natsDestination(strings.Replace(url, "nats://", "nats://u:before@", 1))
	d.JetStream = false
	p := newNATS(t, d, connections)
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("with the right password: %+v", r)
	}
	before := tries.Load()
	move(second.URL)
	first.Stop()
	eventually(t, "third try", func() bool { return tries.Load() >= before+4 }) // one says that the connection is lost
	if n := strings.Count(said.String(), "authorization violation"); n != 1 {
		t.Errorf("%d tries made %d lines:\n%s", tries.Load()-before, n, said)
	}
	loglimit.Flush(slog.New(limited))
	text := said.String()
	if n := strings.Count(text, "authorization violation"); n != 2 || !strings.Contains(text, "repeated=") {
		t.Errorf("after a flush the log says:\n%s", said)
	}
	if strings.Contains(text, "u:before") {
		t.Errorf("the log tells the password:\n%s", said)
	}
}

// What goes wrong again and again is in the log from the first time on, and
// never silent for longer than an hour.
func TestTroubleIsThinnedOutAndNeverSilent(t *testing.T) {
	for name, answer := range map[string]publish.Result{"refused": refused(500), "unreachable": unreachable(), "unavailable": gone()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to, said := newOutbox(), &receiver{}, &page{}
				to.reply(func(context.Context, int, publish.Message) publish.Result { return answer })
				for i := range 20 {
					o.put("shop", fmt.Sprint("cs_", i))
				}
				r, err := publish.NewRelay(o, []publish.Lane{{Destination: exact("shop"), Publisher: to}}, publish.Options{},
					slog.New(loglimit.New(slog.NewTextHandler(said, nil))))
				if err != nil {
					t.Fatal(err)
				}
				stop := run(t, r)
				defer stop()
				synctest.Wait()
				if !strings.Contains(said.String(), answer.Error) {
					t.Errorf("at first the log says:\n%s", said)
				}
				for range 12 {
					was := said.String()
					time.Sleep(time.Hour)
					lines := strings.Count(said.String()[len(was):], "\n")
					if lines == 0 || lines > 20 {
						t.Errorf("%d lines in an hour that is like the one before:\n%s", lines, said)
					}
				}
			})
		})
	}
}
