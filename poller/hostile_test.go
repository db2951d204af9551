package poller_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// listing is an API that keeps its sessions in whatever order it is given them.
type listing struct {
	ids   []string
	items map[string]string // JSON by id; an id without one is not shown
}

func newListing() *listing { return &listing{items: make(map[string]string)} }

// add appends a session to the end of the list.
func (l *listing) add(id string, created time.Time, status, payment string) {
	l.ids = append(l.ids, id)
	l.set(id, created, status, payment)
}

func (l *listing) set(id string, created time.Time, status, payment string) {
	l.items[id] = fmt.Sprintf(`{"id":%q,"created":%d,"status":%q,"payment_status":%q}`, id, created.Unix(), status, payment)
}

// params are the list parameters that a request carries in its body.
func params(req *http.Request) (limit int, after string) {
	var p struct {
		Limit int    `json:"limit"`
		After string `json:"starting_after"`
	}
	if req.Body != nil {
		body, _ := io.ReadAll(req.Body)
		_ = json.Unmarshal(body, &p)
	}
	if p.Limit == 0 {
		p.Limit = 10 // the API's default
	}
	return p.Limit, p.After
}

func isList(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/list") }

func (l *listing) answer(req *http.Request) (status int, body string) {
	if !isList(req) {
		id := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
		if item, ok := l.items[id]; ok {
			return http.StatusOK, item
		}
		return http.StatusNotFound, `{"error":{"message":"no such session"}}`
	}
	limit, after := params(req)
	return http.StatusOK, l.page(limit, after)
}

func (l *listing) page(limit int, after string) string {
	at := 0
	if after != "" {
		at = slices.Index(l.ids, after) + 1
	}
	var shown []string
	more := false
	for _, id := range l.ids[at:] {
		item, ok := l.items[id]
		if !ok {
			continue
		}
		if more = len(shown) == limit; more {
			break
		}
		shown = append(shown, item)
	}
	return fmt.Sprintf(`{"object":"list","has_more":%t,"data":[%s]}`, more, strings.Join(shown, ","))
}

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

// A list in no order at all is read to its end, and is nobody else's.
func TestListWithoutOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 60 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(i*37%60)*time.Minute), "complete", "paid")
		}
		w.run(w.poller(), 15*time.Second)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// Old unpaid sessions may leave the list while the paid ones beside them, which
// the index has forgotten, stay: that is no other account.
func TestSessionsThatLeaveTheListAreNoOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 20
		for i := range 100 {
			payment := "paid"
			if i%3 == 0 {
				payment = "unpaid"
			}
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-60*time.Hour-time.Duration(i)*time.Minute), "complete", payment)
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		for i := 0; i < 100; i += 3 {
			delete(l.items, fmt.Sprintf("cs_%d", i))
		}
		w.run(p, time.Hour)
		if s := p.Status()[0]; s.Foreign != "" {
			t.Errorf("the account stopped: %s", s.Foreign)
		}
	})
}

// A list of which nothing can be read is an answer all the same: the account
// starts, and what comes later is announced.
func TestListOfUnreadableItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		l.ids, l.items["bad"] = []string{"bad"}, `{"created":1795555555,"status":"open"}`
		if err := w.poller().RunOnce(t.Context()); err != nil {
			t.Errorf("a session without id fails the pass: %v", err)
		}
		time.Sleep(time.Minute)
		l.ids = nil
		l.add("cs_1", time.Now(), "complete", "paid")
		l.ids = append(l.ids, "bad")
		w.run(w.poller(), 15*time.Second)
		w.expect("cs_1", "created", "completed", "paid", "fulfillable")
	})
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
			switch limit, after := params(req); {
			case after == "cs_9" || strings.HasSuffix(req.URL.Path, "/cs_12"):
				return http.StatusInternalServerError, "<html>boom</html>"
			case isList(req):
				return http.StatusOK, l.page(limit, after)
			}
			return l.answer(req)
		}
		if err := w.poller().RunOnce(t.Context()); err == nil {
			t.Error("a pass with holes counts as complete")
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

// The last look before an expiry outlives the process that took it: a cron job
// tells an expiry by the clock as the daemon does.
func TestExpiryByTheClockAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		once := func() {
			t.Helper()
			if err := w.poller().RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		once()
		time.Sleep(time.Minute)
		id := w.create(open(simulator.Fields{"expires_in": "1h"}))
		once()
		time.Sleep(57 * time.Minute)
		once()
		time.Sleep(4 * time.Minute)
		once()
		w.expect(id, "created", "expired timer")
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
		if w.lines > 20 {
			t.Errorf("%d lines of log in an hour that is all alike", w.lines)
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

// One answer with a wrong Date does not put the next look at a session off.
func TestClockThatJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := w.create(open(simulator.Fields{"created": time.Now().Add(-3 * time.Hour).UTC().Format(time.RFC3339)}))
		w.create(paid()) // the head is far above it
		p := w.poller()
		w.run(p, 5*time.Second)
		time.Sleep(10 * time.Minute)
		w.faults(simulator.Faults{ClockSkewS: 3600})
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{})
		w.update(old, paid())
		w.run(p, 6*time.Minute)
		w.expect(old, "completed", "paid", "fulfillable")
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

// A router that knows no address for a while says nothing about sessions: the old
// ones, which no window reaches, stay watched.
func TestUnknownAddressesAreNoVanishedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := time.Now().Add(-60 * time.Hour).UTC().Format(time.RFC3339)
		id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid", "created": old})
		w.create(paid()) // the head is far above it
		p := w.poller()
		w.run(p, time.Minute)
		w.answer = func(*http.Request) (int, string) { return http.StatusNotFound, "404 page not found" }
		w.run(p, 2*time.Hour)
		w.answer = nil
		w.update(id, paid())
		w.run(p, 2*time.Hour)
		w.expect(id, "paid", "fulfillable")
	})
}

// Nor does an API that knows no session at all for a while.
func TestEmptyAPIIsNoVanishedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := time.Now().Add(-60 * time.Hour).UTC().Format(time.RFC3339)
		id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid", "created": old})
		for range 5 { // the head is far above it
			w.create(paid())
		}
		p := w.poller()
		w.run(p, time.Minute)
		full := w.api
		w.api = newAPI(t, testKey)
		w.run(p, 2*time.Hour)
		w.api = full
		w.update(id, paid())
		w.run(p, 2*time.Hour)
		w.expect(id, "paid", "fulfillable")
	})
}

// One answer with a wrong Date does not put off the next reconciliation either.
func TestClockThatJumpedWhileReconciling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, 5*time.Second)
		gone := w.create(open(nil))
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{Vanished: []string{gone}})
		w.run(p, 40*time.Minute)
		w.create(paid()) // the head is far above it
		w.faults(simulator.Faults{ClockSkewS: 12 * 3600, Vanished: []string{gone}})
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{})
		w.update(gone, paid())
		w.run(p, 65*time.Minute)
		w.expect(gone, "created", "completed", "paid", "fulfillable")
	})
}

// What only one pass reads is asked for again when some of it cannot be read.
func TestSpoiledItemsBelowEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 30 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(40+i)*time.Hour), "complete", "paid")
		}
		n := 0
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			switch n++; n { // the second page
			case 2:
				body = strings.Replace(body, `"id":"cs_12"`, `"id":null`, 1)
			case 3:
				body = strings.Replace(body, `"cs_15","created"`, `"cs_15","status":null,"created_at"`, 1)
			case 5: // the third
				body = strings.Replace(body, `"status":"complete"`, `"status":null`, 1)
			}
			return status, body
		}
		w.run(w.poller(), time.Minute)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
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

// A session of the future says nothing about how far the list was read: what is
// created during a long pass stands above its begin, and is read by the next one.
func TestCreatedInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Timeout = time.Hour
		w.cfg.Poll.Tuning.PageSize = 10
		w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour // it would find them
		l.add("cs_9000", time.Now().Add(1000*time.Hour), "open", "unpaid")
		for i := range 200 {
			l.add(fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
		}
		w.answer = func(req *http.Request) (int, string) {
			time.Sleep(time.Minute)
			w.mu.Lock()
			defer w.mu.Unlock()
			return l.answer(req)
		}
		go func() {
			for i := range 25 {
				time.Sleep(time.Minute + time.Second)
				w.mu.Lock()
				id := fmt.Sprintf("cs_%d", 2000+i)
				l.set(id, time.Now(), "complete", "paid")
				l.ids = append([]string{"cs_9000", id}, l.ids[1:]...)
				w.mu.Unlock()
			}
		}()
		w.run(w.poller(), 50*time.Minute)
		for i := range 25 {
			w.expect(fmt.Sprintf("cs_%d", 2000+i), "created", "completed", "paid", "fulfillable")
		}
	})
}

// A watched session that the API cannot show in a readable form delays no other.
func TestUnreadableSessionDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = func(req *http.Request) (int, string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return l.answer(req)
		}
		l.add("cs_100", time.Now().Add(-2*time.Hour), "open", "unpaid")
		l.add("cs_99", time.Now().Add(-3*time.Hour), "open", "unpaid")
		p := w.poller()
		w.run(p, 15*time.Second)
		l.items["cs_99"] = `{"id":"cs_99","created":1,"status":{"oh":"no"}}`
		go func() {
			for i := range 100 {
				w.mu.Lock()
				id := fmt.Sprintf("cs_%d", 101+i)
				l.ids = append([]string{id}, l.ids...)
				l.set(id, time.Now(), "complete", "paid")
				w.mu.Unlock()
				time.Sleep(17 * time.Second)
				w.expect(id, "created", "completed", "paid", "fulfillable")
			}
		}()
		w.run(p, 30*time.Minute)
	})
}

// One creation time that makes no sense does not end the walk down the list,
// wherever on its page it stands.
func TestNonsenseCreatedEndsNoChain(t *testing.T) {
	for _, place := range []int{0, 5, 8, 9, 10} {
		t.Run(fmt.Sprint(place), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.answer = l.answer
				w.cfg.Poll.Tuning.PageSize = 10
				l.add("cs_100", time.Now(), "complete", "paid")
				p := w.poller()
				w.run(p, 15*time.Second)
				time.Sleep(30 * time.Hour)
				l.ids = nil
				for i := range 40 {
					created := time.Now().Add(-time.Duration(1+i*30) * time.Minute)
					if i == place {
						created = time.Unix(1, 0)
					}
					l.add(fmt.Sprintf("cs_%d", 9999-i), created, "complete", "paid")
				}
				l.ids = append(l.ids, "cs_100")
				w.run(p, 15*time.Second)
				for i, id := range l.ids[:40] {
					if i != place { // created before the account's start
						w.expect(id, "created", "completed", "paid", "fulfillable")
					}
				}
			})
		})
	}
}

// An API that does not say whether there are more pages may show fewer sessions
// on one than it did: it is asked until it shows no more.
func TestPagesThatShrinkWithoutHasMore(t *testing.T) {
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
		w.run(p, 2*time.Hour)
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

// A page of a list in no order may look ordered by chance: a few sessions that are
// new, where others stood, are no other account.
func TestAFewStrangersAreNoOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize = 3
		for i := range 20 {
			l.add(fmt.Sprintf("cs_%d", 100-i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
		}
		w.answer = l.answer
		p := w.poller()
		w.run(p, 5*time.Second)
		shuffled := newListing()
		for i := range 3 { // as new ones, of which the list shows these first
			shuffled.add(fmt.Sprintf("cs_%d", 200-i), time.Now().Add(-time.Duration(5*i)*time.Minute), "complete", "paid")
		}
		w.answer = shuffled.answer
		w.run(p, time.Second)
		w.answer = l.answer
		w.run(p, time.Minute)
		if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
			t.Errorf("the account is stopped: %s, %s", s.Foreign, s.Error)
		}
	})
}
