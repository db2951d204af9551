package poller_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// A process that begins within a second after another one looks at everything anew: only
// answers to its own requests can overtake each other. Date tells the time to a second,
// so that the later process may take its looks for earlier ones.
func TestRestartWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		latency := time.Millisecond
		w.answer = func(*http.Request) (int, string) {
			time.Sleep(latency)
			return 0, ""
		}
		id := w.create(open(nil))
		pass := func() {
			t.Helper()
			if err := w.poller().RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		pass()
		latency = 50 * time.Millisecond
		w.update(id, paid())
		pass()
		w.expect(id, "created", "completed", "paid", "fulfillable")
	})
}
