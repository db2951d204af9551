package poller_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// unpaying takes payment_status out of the items of an answer.
func unpaying(body string) string {
	for _, value := range []string{"paid", "unpaid"} {
		body = strings.ReplaceAll(body, fmt.Sprintf(`,"payment_status":%q`, value), "")
	}
	return body
}

// What was paid before the start is not told because its first look lacked the
// payment_status, and what was paid after it is.
func TestPaymentStatusMissingAtFirstSight(t *testing.T) {
	for name, single := range map[string]bool{"in the list": false, "by id as well": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				l.add("cs_4", time.Now().Add(-time.Hour), "open", "unpaid")
				l.add("cs_3", time.Now().Add(-20*time.Hour), "open", "unpaid")
				l.add("cs_2", time.Now().Add(-24*time.Hour), "complete", "unpaid")
				l.add("cs_1", time.Now().Add(-25*time.Hour), "complete", "paid")
				lacks := true
				w.answer = func(req *http.Request) (int, string) {
					status, body := l.answer(req)
					if lacks && (single || isList(req)) {
						body = unpaying(body)
					}
					return status, body
				}
				p := w.poller()
				w.run(p, 15*time.Second)
				l.set("cs_3", time.Now().Add(-20*time.Hour), "complete", "paid") // while it lacks
				w.run(p, 10*time.Minute)
				lacks = false
				w.run(p, 20*time.Minute)
				w.expect("cs_1")
				w.expect("cs_3", "completed", "paid", "fulfillable")
				l.set("cs_4", time.Now().Add(-time.Hour), "complete", "paid")
				l.set("cs_2", time.Now().Add(-24*time.Hour), "complete", "paid")
				w.run(p, 20*time.Minute)
				w.expect("cs_1")
				w.expect("cs_2", "paid", "fulfillable")
				w.expect("cs_4", "completed", "paid", "fulfillable")
			})
		})
	}
}

// Somebody has to look at each session of which nothing tells whether it was paid before
// the account's start: all of them are named, and no others.
func TestPaymentBeforeTheStartIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		for i, as := range []string{"open unpaid", "complete paid", "complete paid", "complete unpaid", "expired unpaid"} {
			status, payment, _ := strings.Cut(as, " ")
			l.add(fmt.Sprintf("cs_%d", 9-i), time.Now().Add(-time.Duration(i+1)*time.Hour), status, payment)
		}
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			return status, unpaying(body)
		}
		p := w.poller()
		named := func() (list []poller.Oddity) {
			return slices.DeleteFunc(p.Status()[0].Oddities, func(o poller.Oddity) bool { return o.Code != "payment_before_start" })
		}
		w.run(p, time.Minute)
		l.set("cs_9", time.Now().Add(-time.Hour), "complete", "paid") // since the start
		w.run(p, 10*time.Minute)
		l.order("cs_10", "complete", "paid")
		w.run(p, time.Minute)
		if odd := named(); len(odd) > 0 {
			t.Errorf("named before anything is shown: %+v", odd)
		}
		w.answer = l.answer
		w.run(p, 30*time.Minute)
		odd := named()
		if len(odd) != 1 || odd[0].Detail != "cs_8, cs_7" || odd[0].Count != 1 || !strings.Contains(odd[0].Message, "by hand") {
			t.Errorf("named: %+v", odd)
		}
		w.expect("cs_8")
		w.expect("cs_7")
		w.expect("cs_9", "completed", "paid", "fulfillable")
		w.expect("cs_10", "created", "completed", "paid", "fulfillable")
	})
}

// A list that never shows payment_status is completed by what the API shows by id, and
// sessions that are open are not asked for.
func TestListWithoutPaymentStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		for i := range 30 {
			l.add(fmt.Sprintf("cs_%d", 100-i), time.Now().Add(-time.Duration(i)*time.Minute), "open", "unpaid")
		}
		alone := 0
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if isList(req) {
				return status, unpaying(body)
			}
			alone++
			return status, body
		}
		p := w.poller()
		w.run(p, time.Minute)
		if alone > 0 {
			t.Errorf("%d requests for open sessions", alone)
		}
		at := time.Now()
		l.set("cs_100", at, "complete", "paid")
		l.set("cs_99", at, "complete", "unpaid")
		l.order("cs_101", "complete", "paid")
		l.order("cs_102", "complete", "unpaid")
		w.run(p, time.Minute)
		w.expect("cs_100", "completed", "paid", "fulfillable")
		w.expect("cs_99", "completed")
		w.expect("cs_101", "created", "completed", "paid", "fulfillable")
		w.expect("cs_102", "created", "completed")
		l.set("cs_99", at, "complete", "paid")
		l.set("cs_102", at, "complete", "paid")
		w.run(p, time.Minute)
		w.expect("cs_99", "completed", "paid", "fulfillable")
		w.expect("cs_102", "created", "completed", "paid", "fulfillable")
		if odd := p.Status()[0].Oddities; !slices.ContainsFunc(odd, func(o poller.Oddity) bool { return o.Code == "payment_status_missing" }) {
			t.Errorf("odd: %+v", odd)
		}
	})
}

// Of many sessions whose payment_status was never told each is asked for in its turn.
func TestManySessionsWithoutPaymentStatus(t *testing.T) {
	for _, age := range []time.Duration{0, 2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.cfg.Poll.Interval = time.Minute // the youngest are asked for in every pass
			l := newListing()
			w.answer = l.answer
			l.add("cs_100", time.Now(), "complete", "paid")
			p := w.poller()
			w.run(p, 15*time.Second)
			for i := range 150 {
				l.order(fmt.Sprintf("cs_%d", 1000+i), "complete", "unpaid")
			}
			told := false
			w.answer = func(req *http.Request) (int, string) {
				status, body := l.answer(req)
				if isList(req) || !told {
					body = unpaying(body)
				}
				return status, body
			}
			w.run(p, age+time.Minute)
			w.expect("cs_1000", "created", "completed")
			for id, created := range l.created { // of all others nothing more is told
				if id == "cs_1000" {
					l.set(id, time.Unix(created, 0), "complete", "paid")
				}
			}
			told = true
			before := w.requests
			w.run(p, 2*w.cfg.Poll.Tuning.UnpaidEvery+time.Minute)
			w.expect("cs_1000", "created", "completed", "paid", "fulfillable")
			if n := w.requests - before; age > 0 && n > 750 { // the youngest are asked for in every pass
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Of a session that a page shows in two ways the API is asked by id; where it does not
// answer that, the later state counts, wherever it stands.
func TestSessionShownInTwoWays(t *testing.T) {
	for _, single := range []bool{true, false} {
		for _, staleFirst := range []bool{true, false} {
			t.Run(fmt.Sprint("by id ", single, ", the stale one first ", staleFirst), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					l := stall(1000, 4, time.Minute)
					item := func(id, status, payment string) string {
						return fmt.Sprintf(`{"id":%q,"created":%d,"status":%q,"payment_status":%q}`, id, time.Now().Unix(), status, payment)
					}
					w.answer = l.answer
					p := w.poller()
					w.run(p, 15*time.Second)
					one, two, three := item("cs_1001", "open", "unpaid"), item("cs_1001", "complete", "paid"), item("cs_1001", "complete", "unpaid")
					if !staleFirst {
						one, two = two, one
					}
					w.answer = func(req *http.Request) (int, string) {
						switch {
						case isList(req):
							return http.StatusOK, `{"object":"list","has_more":false,"data":[` + one + "," + two + "," + l.items["cs_1000"] + "]}"
						case !strings.HasSuffix(req.URL.Path, "/cs_1001"):
							return l.answer(req)
						case single:
							return http.StatusOK, three
						}
						return http.StatusNotFound, `{"error":{"message":"Unrecognized request URL"}}`
					}
					w.run(p, time.Minute)
					if single {
						w.expect("cs_1001", "created", "completed")
					} else {
						w.expect("cs_1001", "created", "completed", "paid", "fulfillable")
					}
				})
			})
		}
	}
}

// A byte order mark before the JSON says nothing.
func TestByteOrderMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := stall(1000, 4, time.Minute)
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.within(req)
			return status, "\ufeff" + body
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		l.order("cs_1001", "complete", "paid")
		w.run(p, 15*time.Second)
		w.expect("cs_1001", "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; !s.Healthy || len(s.Oddities) > 0 {
			t.Errorf("status = %+v", s)
		}
	})
}

// What may be JSON is never quoted: it may hold a customer's data.
func TestNoJSONIsQuoted(t *testing.T) {
	for _, body := range []string{
		"\ufeff \ufeff{\"email\":\"ann@shop.example\"", " \n[\"ann@shop.example\"", `"{\"email\":\"ann@shop.example\"}"`,
		`)]}',{"email":"ann@shop.example"}`, "\x00{\"email\":\"ann@shop.example\"",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.answer = func(*http.Request) (int, string) { return http.StatusOK, body }
			p := w.poller()
			w.run(p, time.Minute)
			if s := p.Status()[0]; s.Healthy || s.Error == "" || strings.Contains(s.Error, "ann") {
				t.Errorf("%q: %q", body, s.Error)
			}
		})
	}
}
