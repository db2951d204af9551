package poller_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// counter counts the looks that are handed on.
type counter struct {
	*world
	looks int
}

func (c *counter) Handle(ctx context.Context, b poller.Batch) (poller.Handled, error) {
	c.looks += len(b.Looks)
	return c.world.Handle(ctx, b)
}

// TestOtherBytesAreLookedAtOnce: an item that says the same in other bytes is
// handed on, and then these bytes are known.
func TestOtherBytesAreLookedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const head, tail = `{"object":"list","has_more":false,"data":[`, `]}`
		const item = `{"id":"cs_1","created":1795341600,"status":"complete","payment_status":"paid"`
		shown := ""
		w.answer = func(*http.Request) (int, string) { return http.StatusOK, head + shown + tail }
		c := &counter{world: w}
		p, err := poller.New([]poller.Account{w.cfg}, w, c, poller.Options{
			Version: "test", Observer: nobody{}, Transport: w, Logger: slog.New(slog.NewTextHandler(testWriter{w}, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name, item string
			looks      int
		}{
			{"new", item + `,"url":"a"}`, 1},
			{"same", item + `,"url":"a"}`, 1},
			{"other url", item + `,"url":"b"}`, 1},
			{"other bytes", item + `,"url":null,"customer":""}`, 2},
			{"the same other bytes", item + `,"url":"c","customer":""}`, 2},
			{"not scannable", item + `,"url":1}`, 3},
			{"still not scannable", item + `,"url":1}`, 4},
		} {
			shown = step.item
			if err := p.RunOnce(t.Context()); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if c.looks != step.looks {
				t.Errorf("%s: %d looks were handed on, want %d", step.name, c.looks, step.looks)
			}
			time.Sleep(time.Minute)
		}
	})
}
