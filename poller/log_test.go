package poller_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// says polls for a while, and returns what the log says meanwhile.
func (w *world) says(p *poller.Poller, d time.Duration) string {
	synctest.Wait() // summaries are written beside the passes
	before := len(w.lines)
	w.run(p, d)
	synctest.Wait()
	return strings.Join(w.lines[before:], "")
}

// An API that fails now and then is told of once, and then summed up; a true outage, and
// its end, at once all the same. What the API cannot show costs passes such a request, too.
func TestRequestsThatFailNowAndThenFillNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, time.Minute)
		requests := 0
		nowAndThen := func(*http.Request) (int, string) {
			if requests++; requests%7 == 0 {
				return http.StatusInternalServerError, "oh no"
			}
			return 0, ""
		}
		w.answer = nowAndThen
		text := ""
		for range 60 {
			w.create(paid())
			text += w.says(p, time.Minute)
		}
		failed, ended := strings.Count(text, "a request to the API failed"), strings.Count(text, "the API answers again")
		if failed < 3 || failed > 10 || ended < 3 || ended > 10 {
			t.Errorf("%d lines of failures and %d of their ends in an hour of %d requests:\n%s", failed, ended, requests, text)
		}

		w.answer = func(*http.Request) (int, string) { return http.StatusInternalServerError, "down" }
		if text := w.says(p, 30*time.Second); !strings.Contains(text, "was not completed") {
			t.Errorf("of the outage the log says\n%s", text)
		}
		w.answer = nowAndThen
		if text := w.says(p, 30*time.Second); strings.Count(text, "the API answers again") != 1 {
			t.Errorf("of its end the log says\n%s", text)
		}
	})
}
