package poller_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
)

// An API that refuses every request with a body is polled all the same, from the first
// pass on and whatever its start.
func TestBodyIsRefusedFromTheStart(t *testing.T) {
	for _, start := range []string{poller.StartNow, poller.StartAll} {
		for _, status := range []int{400, 405, 413} {
			t.Run(fmt.Sprint(start, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Start = start
					w.answer = func(req *http.Request) (int, string) {
						if req.ContentLength > 0 {
							return status, `{"error":{"message":"a GET has no body"}}`
						}
						return 0, ""
					}
					p := w.poller()
					w.create(paid())
					w.run(p, 15*time.Second)
					id := w.create(paid())
					w.run(p, 15*time.Second)
					w.expect(id, "created", "completed", "paid", "fulfillable")
					t.Log(w.requests, "requests")
				})
			})
		}
	}
}

// What to do about an API that refuses a body is named.
func TestProbeNamesTheQuery(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ContentLength > 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"object":"list","has_more":false,"data":[]}`))
	}))
	defer api.Close()
	account := poller.Account{Name: "main", SecretKey: testKey, BaseURL: api.URL, ListParams: wooshpay.ParamsBody, Poll: poller.DefaultPoll()}
	findings, _, err := poller.Probe(t.Context(), account, "test")
	if err != nil || len(findings) != 1 || findings[0].OK || !strings.Contains(findings[0].Remedy, "list_params: query") {
		t.Errorf("Probe = %+v, %v", findings, err)
	}
}
