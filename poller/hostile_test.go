package poller_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// A request that is refused for once does not move the list parameters to a
// place in which the API ignores them.
func TestOneRefusalChangesNothing(t *testing.T) {
	for _, refusals := range []int{1, 3} {
		t.Run(fmt.Sprint(refusals), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.cfg.Start = poller.StartAll
				w.cfg.Poll.Tuning.PageSize = 10
				for i := range 45 {
					l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
				}
				w.answer = func(req *http.Request) (int, string) {
					if refusals > 0 {
						refusals--
						return http.StatusBadRequest, `{"error":{"message":"hiccup"}}`
					}
					return l.answer(req)
				}
				w.run(w.poller(), 15*time.Second)
				for _, id := range l.ids {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
			})
		})
	}
}

// An error in the clothes of a list is no list without sessions.
func TestErrorBesideEmptyData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(*http.Request) (int, string) {
			return http.StatusOK, `{"object":"list","data":[],"error":{"message":"invalid api key"}}`
		}
		if err := w.poller().RunOnce(t.Context()); err == nil || w.account != nil && !w.account.Start.IsZero() {
			t.Errorf("RunOnce = %v, account = %+v", err, w.account)
		}
	})
}

// A cursor that the API does not take is replaced by creation times.
func TestRefusedCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		var ids []string
		for range 55 {
			ids = append(ids, w.create(paid()))
			time.Sleep(5 * time.Second)
		}
		w.answer = func(req *http.Request) (int, string) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			if strings.Contains(string(body), "starting_after") {
				return http.StatusBadRequest, `{"error":{"message":"no such cursor"}}`
			}
			return 0, ""
		}
		w.run(w.poller(), 15*time.Second)
		for _, id := range ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// An empty page where more was promised is asked for again before it is
// believed to be the end.
func TestEmptyPageAgainstAPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 60 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(i)*24*time.Hour), "complete", "paid")
		}
		n := 0
		w.answer = func(req *http.Request) (int, string) {
			if n++; n%2 == 0 {
				return http.StatusOK, `{"object":"list","has_more":false,"data":[]}`
			}
			return l.answer(req)
		}
		w.run(w.poller(), 15*time.Second)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// A list that seems to end in its middle for a moment is not believed where
// no later pass reads.
func TestListThatEndsEarlyForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 60 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(i)*24*time.Hour), "complete", "paid")
		}
		began := time.Now()
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if time.Since(began) < 2*time.Second && !strings.Contains(body, `"cs_0"`) {
				return http.StatusOK, `{"object":"list","has_more":false,"data":[]}`
			}
			return status, body
		}
		w.run(w.poller(), 30*time.Second)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// What a pass reads beyond the window is read once more: an API that insisted on
// something wrong hides nothing for good, and costs no third reading.
func TestListThatEndsEarlyIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 30 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(i)*10*time.Hour), "complete", "paid")
		}
		began, deep := time.Now(), 0
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if time.Since(began) < 20*time.Second && !strings.Contains(body, `"cs_0"`) {
				return http.StatusOK, `{"object":"list","has_more":false,"data":[]}`
			}
			if strings.Contains(body, `"cs_28"`) && strings.Contains(body, `"cs_29"`) { // more than the question whether it is the last
				deep++
			}
			return status, body
		}
		p := w.poller()
		w.run(p, time.Minute)
		if _, known := w.snapshots["cs_29"]; known {
			t.Error("the list did not end early")
		}
		w.run(p, 65*time.Minute)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
		if s := p.Status()[0]; deep != 1 || s.Drift == 0 {
			t.Errorf("the oldest session was shown %d times, drift %d", deep, s.Drift)
		}
		w.run(p, 3*time.Hour)
		if deep != 1 {
			t.Errorf("the oldest session was shown %d times", deep)
		}
	})
}

// A page in the head that always fails does not keep older sessions from being
// looked at, nor does a session that cannot be asked for.
func TestWhatAlwaysFailsHidesNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 60 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-3*time.Hour-time.Duration(i)*time.Minute), "open", "unpaid")
		}
		w.answer = l.answer
		if err := w.poller().RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		delete(l.items, "cs_12")
		l.set("cs_45", time.Now().Add(-4*time.Hour-45*time.Minute), "complete", "paid")
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if (isList(req) && strings.Contains(body, `"cs_10"`)) || strings.HasSuffix(req.URL.Path, "/cs_12") {
				return http.StatusInternalServerError, "<html>boom</html>"
			}
			return status, body
		}
		p := w.poller()
		if err := p.RunOnce(t.Context()); err != nil {
			t.Errorf("what the API cannot show ends a pass: %v", err)
		}
		if holes := p.Status()[0].Holes; len(holes) != 1 || holes[0].Above != "cs_9" {
			t.Errorf("the holes are %+v", holes)
		}
		w.expect("cs_45", "completed", "paid", "fulfillable")
	})
}

// What Retry-After asks for holds beyond the end of a pass.
func TestRetryAfterOutlivesThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Interval = time.Second
		var last time.Time
		w.throttle = "20"
		w.answer = func(*http.Request) (int, string) {
			if gap := time.Since(last); !last.IsZero() && gap < 20*time.Second {
				t.Errorf("asked again after %s", gap)
			}
			last = time.Now()
			return http.StatusTooManyRequests, "{}"
		}
		w.run(w.poller(), 10*time.Minute)
	})
}

// What stops every pass is said in fewer and fewer lines of the log.
func TestStoppedAccountIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(*http.Request) (int, string) {
			return http.StatusOK, `{"object":"list","has_more":true,"data":[{}]}`
		}
		w.run(w.poller(), time.Hour)
		if len(w.lines) > 20 {
			t.Errorf("%d lines of log in an hour that is all alike", len(w.lines))
		}
	})
}

// That the limit was honoured says nothing once the parameters travel elsewhere:
// ten sessions are then no short page.
func TestHonouredLimitIsForgottenWithThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize = 20
		for i := range 45 {
			l.add(fmt.Sprintf("old_%d", i), time.Now().Add(-time.Duration(i+1)*time.Minute), "complete", "paid")
		}
		refusals := 0
		w.answer = func(req *http.Request) (int, string) {
			if refusals > 0 {
				refusals--
				return http.StatusBadRequest, `{"error":{"message":"hiccup"}}`
			}
			status, body := l.answer(req)
			body = strings.NewReplacer(`"has_more":true`, `"has_more":null`, `"has_more":false`, `"has_more":null`).Replace(body)
			return status, body
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		old := l.ids
		l.ids, refusals = nil, 3
		var fresh []string
		for i := range 45 {
			fresh = append(fresh, fmt.Sprintf("new_%d", i))
			l.add(fresh[i], time.Now(), "complete", "paid")
		}
		l.ids = append(l.ids, old...)
		w.run(p, time.Minute)
		for _, id := range fresh {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// An API that refuses everything for a while is asked as list_params says again:
// it may take no parameters in the query.
func TestRefusedEverywhereForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		p := w.poller()
		w.answer = func(*http.Request) (int, string) {
			return http.StatusBadRequest, `{"error":{"message":"maintenance"}}`
		}
		w.run(p, time.Minute)
		w.answer = func(req *http.Request) (int, string) {
			if req.URL.RawQuery != "" {
				return http.StatusBadRequest, `{"error":{"message":"unknown parameter"}}`
			}
			return l.answer(req)
		}
		w.run(p, time.Minute)
		l.add("cs_1", time.Now(), "complete", "paid")
		w.run(p, time.Minute)
		w.expect("cs_1", "created", "completed", "paid", "fulfillable")
	})
}

// An account of which no pass is completed is not healthy, whatever single
// requests are answered, and says since when.
func TestFailingPassesAreNotHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(open(nil))
		p := w.poller()
		w.run(p, 25*time.Second)
		began := time.Now()
		w.answer = func(req *http.Request) (int, string) { // such as a wrong base_url
			return http.StatusNotFound, `{"error":{"message":"no such path"}}`
		}
		w.run(p, 10*time.Minute)
		s := p.Status()[0]
		if s.Healthy || s.Error == "" || s.ErrorSince.Sub(began) > time.Minute {
			t.Errorf("healthy = %t, error %q since %v, which began at %v", s.Healthy, s.Error, s.ErrorSince, began)
		}
		w.answer = nil
		w.run(p, 25*time.Second)
		if s := p.Status()[0]; !s.Healthy || s.Error != "" || !s.ErrorSince.IsZero() {
			t.Errorf("when all is well again: healthy = %t, error %q since %v", s.Healthy, s.Error, s.ErrorSince)
		}
	})
}

// An API that does not say whether there are more pages may show fewer sessions
// on one than it did: it is asked until it shows no more.
func TestPagesThatShrinkWithoutHasMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		most := 100
		unsaid := strings.NewReplacer(`"has_more":true`, `"has_more":null`, `"has_more":false`, `"has_more":null`)
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				return l.answer(req)
			}
			limit, after := params(req)
			return http.StatusOK, unsaid.Replace(l.page(min(limit, most), after))
		}
		for i := range 150 {
			l.add(fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-time.Duration(i)*time.Second), "complete", "paid")
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		time.Sleep(2 * time.Hour)
		most = 50
		before := l.ids
		l.ids = nil
		for i := range 120 {
			l.add(fmt.Sprintf("cs_%d", 2000-i), time.Now().Add(-time.Duration(i)*time.Second), "complete", "paid")
		}
		after := l.ids
		l.ids = append(l.ids, before...)
		w.run(p, 30*time.Minute)
		for _, id := range after {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// Nothing is recorded by a start that is not stored: after a crash there would be
// another one.
func TestStartIsStoredBeforeAnySession(t *testing.T) {
	for saves := range 5 {
		t.Run(fmt.Sprint(saves), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.failSaves = saves
				w.create(open(nil))
				w.failIf = func(poller.Look) bool {
					if w.account.Start.IsZero() {
						t.Error("a session is recorded before the start is stored")
					}
					return false
				}
				w.run(w.poller(), time.Minute)
			})
		})
	}
}
