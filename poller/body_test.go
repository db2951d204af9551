package poller_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/simulator"
)

// withoutBody answers every request that has a body with a status.
func (w *world) withoutBody(status int) {
	w.answer = func(req *http.Request) (int, string) {
		if req.ContentLength > 0 {
			return status, `{"error":{"message":"a GET has no body"}}`
		}
		return 0, ""
	}
}

// queried fails the test unless the account is well and its parameters travel in the query.
func (w *world) queried(p *poller.Poller) {
	w.t.Helper()
	status := p.Status()[0]
	var oddities []string
	for _, odd := range status.Oddities {
		oddities = append(oddities, odd.Code)
	}
	if !status.Healthy || len(status.Holes) > 0 || !slices.Equal(oddities, []string{"body_refused"}) {
		w.t.Errorf("healthy %t (%s), oddities %v, holes %+v", status.Healthy, status.Error, oddities, status.Holes)
	}
	if slices.ContainsFunc(w.lines, func(line string) bool { return strings.Contains(line, "refused the key") }) {
		w.t.Errorf("the log says that the key is refused:\n%s", strings.Join(w.lines, ""))
	}
}

// An API that refuses every request with a body is polled all the same, from the first
// pass on and whatever its start.
func TestBodyIsRefusedFromTheStart(t *testing.T) {
	for _, start := range []string{poller.StartNow, poller.StartAll} {
		for _, status := range []int{400, 403, 405, 413} {
			t.Run(fmt.Sprint(start, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Start = start
					w.withoutBody(status)
					p := w.poller()
					w.create(paid())
					w.run(p, 15*time.Second)
					id := w.create(paid())
					w.run(p, 15*time.Second)
					w.expect(id, "created", "completed", "paid", "fulfillable")
					w.queried(p)
					t.Log(w.requests, "requests")
				})
			})
		}
	}
}

// An API before which a proxy begins to refuse every request with a body is polled all the
// same, also after a restart, by a single pass and with a filter, and at the same price.
func TestBodyIsRefusedFromNowOn(t *testing.T) {
	for _, params := range []string{wooshpay.ParamsBody, wooshpay.ParamsBoth} {
		for _, status := range []int{400, 403} {
			t.Run(fmt.Sprint(params, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.ListParams, w.cfg.Filter.Customer = params, "cus_1"
					mine := func() simulator.Fields {
						fields := paid()
						fields["customer"] = "cus_1"
						return fields
					}
					for range 150 {
						w.create(mine())
						time.Sleep(10 * time.Second)
					}
					p := w.poller()
					w.run(p, time.Minute)
					w.withoutBody(status)
					sell := func(run func()) {
						t.Helper()
						id, before := w.create(mine()), w.requests
						run()
						w.expect(id, "created", "completed", "paid", "fulfillable")
						w.queried(p)
						if n := w.requests - before; n > 40 {
							t.Errorf("%d requests in a minute", n)
						}
					}
					sell(func() { w.run(p, time.Minute) })
					p = w.poller()
					sell(func() { w.run(p, time.Minute) })
					p = w.poller()
					sell(func() {
						if err := p.RunOnce(t.Context()); err != nil {
							t.Error(err)
						}
					})
				})
			})
		}
	}
}

// A 403 that asks for patience is heeded; the question without a body follows it.
func TestBodyIsRefusedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(paid())
		p := w.poller()
		w.run(p, time.Minute)
		w.withoutBody(http.StatusForbidden)
		w.throttle = "60"
		id, before := w.create(paid()), w.requests
		w.run(p, 50*time.Second)
		if n := w.requests - before; n != 1 {
			t.Errorf("%d requests although the API asked to be left alone", n)
		}
		w.run(p, 3*time.Minute)
		w.expect(id, "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; !s.Healthy {
			t.Errorf("status %+v", s)
		}
	})
}

// Where the API answers questions without a body and does not read the query, or does so no
// better than those with one, the key is what it refuses.
func TestForbiddenKeyIsNoRefusedBody(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (int, string){
		"the query is ignored": func(req *http.Request) (int, string) {
			req.URL.RawQuery = ""
			return 0, ""
		},
		"the query is refused": func(*http.Request) (int, string) { return http.StatusBadRequest, "no query" },
		"an error":             func(*http.Request) (int, string) { return http.StatusInternalServerError, "boom" },
		"a page of HTML":       func(*http.Request) (int, string) { return http.StatusOK, "<html>" },
		"403":                  func(*http.Request) (int, string) { return http.StatusForbidden, "no such key" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 30 {
					w.create(paid())
					time.Sleep(time.Minute)
				}
				p := w.poller()
				w.run(p, time.Minute)
				w.answer = func(req *http.Request) (int, string) {
					if isList(req) && req.ContentLength > 0 {
						return http.StatusForbidden, "no such key"
					}
					return answer(req)
				}
				before := w.requests
				w.run(p, 50*time.Second)
				if status := p.Status()[0]; status.Healthy || !status.Denied || len(status.Oddities) > 0 || len(status.Holes) > 0 {
					t.Errorf("healthy %t, denied %t (%s), oddities %+v, holes %+v", status.Healthy, status.Denied, status.Error, status.Oddities, status.Holes)
				}
				if n := w.requests - before; n > 6 {
					t.Errorf("%d requests", n)
				}
				w.run(p, time.Hour)
				if n := w.requests - before; n > 40 {
					t.Errorf("%d requests in an hour", n)
				}
				w.answer = nil
				id := w.create(paid())
				w.run(p, 6*time.Minute)
				w.expect(id, "created", "completed", "paid", "fulfillable")
				if status := p.Status()[0]; !status.Healthy || len(status.Oddities) > 0 {
					t.Errorf("status %+v", status)
				}
			})
		})
	}
}

// A ban that ends while it is found out about refuses no body.
func TestForbiddenForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for most := range 8 {
			w := newWorld(t)
			w.create(paid())
			p := w.poller()
			w.run(p, time.Minute)
			refused := 0
			w.answer = func(*http.Request) (int, string) {
				if refused++; refused <= most {
					return http.StatusForbidden, "banned"
				}
				return 0, ""
			}
			w.run(p, 20*time.Minute)
			if s := p.Status()[0]; !s.Healthy || slices.ContainsFunc(s.Oddities, func(o poller.Oddity) bool { return o.Code == "body_refused" }) {
				t.Errorf("after %d answers healthy is %t (%s), the oddities are %+v", most, s.Healthy, s.Error, s.Oddities)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// Where the query is not read as a whole either, it is not gone back and forth for ever.
func TestBodyIsRefusedAndCursorsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		var ids []string
		for range 150 {
			ids = append(ids, w.create(open(nil)))
			time.Sleep(10 * time.Second)
		}
		w.answer = func(req *http.Request) (int, string) {
			if req.ContentLength > 0 {
				return http.StatusForbidden, "no body"
			}
			values := req.URL.Query()
			values.Del("starting_after")
			req.URL.RawQuery = values.Encode()
			return 0, ""
		}
		p := w.poller()
		w.run(p, 2*time.Minute)
		for _, id := range ids {
			w.expect(id, "created")
		}
		if s := p.Status()[0]; !s.Healthy || w.requests > 400 {
			t.Errorf("%d requests, healthy %t (%s), %+v", w.requests, s.Healthy, s.Error, s.Oddities)
		}
	})
}

// What to do about an API that refuses a body is named, unless it refuses more.
func TestProbeNamesTheQuery(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden} {
		for name, refuses := range map[string]func(body string) bool{
			"a body":           func(body string) bool { return body != "" },
			"everything":       func(string) bool { return true },
			"a page with more": func(body string) bool { return strings.Contains(body, `"limit":100`) },
		} {
			t.Run(fmt.Sprint(status, " for ", name), func(t *testing.T) {
				api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if body, _ := io.ReadAll(req.Body); refuses(string(body)) {
						w.WriteHeader(status)
						return
					}
					_, _ = w.Write([]byte(`{"object":"list","has_more":false,"data":[]}`))
				}))
				defer api.Close()
				account := poller.Account{Name: "main", SecretKey: testKey, BaseURL: api.URL, ListParams: wooshpay.ParamsBody, Poll: poller.DefaultPoll()}
				findings, _, err := poller.Probe(t.Context(), account, "test")
				found := len(findings) == 1 && !findings[0].OK && strings.Contains(findings[0].Remedy, "list_params: query")
				if found != (name == "a body") || (err != nil) != (name == "everything") {
					t.Errorf("Probe = %+v, %v", findings, err)
				}
			})
		}
	}
}
