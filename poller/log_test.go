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

// The log promises nothing that start: now does not keep: what is created until the first
// answer is not announced. From then on all of it is.
func TestTheLogOfAnAccountThatWasNeverPolled(t *testing.T) {
	for start, lost := range map[string]bool{poller.StartNow: true, poller.StartAll: false, "2020-01-01T00:00:00Z": false} {
		t.Run(start, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = start
				p := w.poller()
				fails := func(lost bool) {
					t.Helper()
					w.answer = func(*http.Request) (int, string) { return http.StatusBadGateway, "down" }
					text := w.says(p, time.Minute)
					if !strings.Contains(text, "a request to the API failed") || !strings.Contains(text, "was not completed") ||
						strings.Contains(text, "nothing is lost") == lost || strings.Contains(text, "never are"+poller.SetStart) != lost {
						t.Errorf("lost %t, and the log says\n%s", lost, text)
					}
					if s := p.Status()[0]; (s.Unpolled() != "") != lost {
						t.Errorf("lost %t, and the status says %+v", lost, s)
					}
				}
				fails(lost)
				w.answer = nil
				w.run(p, time.Minute)
				time.Sleep(time.Hour)
				fails(false)
				p = w.poller()
				fails(false) // after a restart
			})
		})
	}
}

// The first answer fixes the start, also if no pass is completed.
func TestAnAccountWhoseFirstPassFailsWasPolled(t *testing.T) {
	polled := 0
	for n := range 5 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.answer = func(*http.Request) (int, string) {
				if n--; n < 0 {
					return http.StatusBadGateway, "down"
				}
				return http.StatusOK, `{"object":"list","has_more":true,"data":[{"id":"cs_1","object":"checkout.session","created":1700000000,"status":"open","payment_status":"unpaid"}]}`
			}
			p := w.poller()
			text := w.says(p, 4*time.Second)
			s := p.Status()[0]
			if s.Passes > 0 || s.Error == "" || strings.Contains(text, "nothing is lost") == w.account.Start.IsZero() || (s.Unpolled() == "") == w.account.Start.IsZero() {
				t.Errorf("start %s, status %+v, and the log says\n%s", w.account.Start, s, text)
			}
			if !w.account.Start.IsZero() {
				polled++
			}
		})
	}
	if polled == 0 {
		t.Error("no start was fixed")
	}
}
