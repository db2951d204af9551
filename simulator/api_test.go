package simulator_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

func TestAuthorization(t *testing.T) {
	for name, tc := range map[string]struct {
		key  string
		auth func(*http.Request)
		want int
	}{
		"right key":        {testKey, func(r *http.Request) { r.SetBasicAuth(testKey, "") }, http.StatusOK},
		"no credentials":   {testKey, func(*http.Request) {}, http.StatusUnauthorized},
		"wrong key":        {testKey, func(r *http.Request) { r.SetBasicAuth("sk_test_other", "") }, http.StatusUnauthorized},
		"with a password":  {testKey, func(r *http.Request) { r.SetBasicAuth(testKey, "x") }, http.StatusUnauthorized},
		"bearer":           {testKey, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+testKey) }, http.StatusUnauthorized},
		"none configured":  {"", func(r *http.Request) { r.SetBasicAuth("", "") }, http.StatusUnauthorized},
		"unknown with key": {"sk_live_1", func(r *http.Request) { r.SetBasicAuth("sk_live_1", "") }, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			api := simulator.NewAPI(simulator.Config{SecretKey: tc.key})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, listURL, nil)
			tc.auth(r)
			rec := httptest.NewRecorder()
			api.ServeHTTP(rec, r)
			if rec.Code != tc.want {
				t.Fatalf("status %d, want %d", rec.Code, tc.want)
			}
			if tc.want != http.StatusUnauthorized {
				return
			}
			want := `{"error":{"type":"invalid_request_error","message":"invalid api key"}}`
			if got := readAll(t, rec.Result()); got != want {
				t.Errorf("body %s, want %s", got, want)
			}
		})
	}
}

func TestUnknownPathsAndCounters(t *testing.T) {
	w := setup(t)
	id := w.create(nil)
	w.get(id)
	w.get(id)
	w.list("", "")
	for target, want := range map[string]int{
		"/v1/checkout/sessions/cs_1": http.StatusNotFound,
		"/v1/charges":                http.StatusNotFound,
		listURL + "?limit=0":         http.StatusBadRequest,
	} {
		resp := w.do(http.MethodGet, target, "")
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", target, resp.StatusCode, want)
		}
		if e := errorOf(t, resp); e["type"] != "invalid_request_error" || e["message"] == "" {
			t.Errorf("%s: error %v", target, e)
		}
	}
	want := map[simulator.RequestKey]int{
		{Path: "/v1/checkout/sessions/{id}", Status: 200}: 2,
		{Path: "/v1/checkout/sessions/{id}", Status: 404}: 1,
		{Path: listURL, Status: 200}:                      1,
		{Path: listURL, Status: 400}:                      1,
		{Path: "/", Status: 404}:                          1,
	}
	if diff := cmp.Diff(want, w.api.Requests()); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestRunRefusesASecondOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := simulator.NewAPI(simulator.Config{SecretKey: testKey})
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { first <- api.Run(ctx) }()
		synctest.Wait()
		if err := api.Run(ctx); !errors.Is(err, simulator.ErrRunning) {
			t.Errorf("second Run: %v, want ErrRunning", err)
		}
		cancel()
		if err := <-first; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
}

// Every method and path at once: meant for the race detector.
func TestConcurrentUse(t *testing.T) {
	w := setup(t)
	ids := w.createMany(20)
	share := simulator.Share(0.2)
	set := simulator.Faults{Stale: share, StaleMS: 5000, NullFlip: share, RotateURL: share, Seconds: share,
		StringNumbers: share, DuplicateItem: share, ItemWithoutID: share, Late: 0.2, LateMS: 1000}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 25 {
				w.do(http.MethodGet, listURL, `{"limit":20}`)
				w.do(http.MethodGet, "/v1/checkout/sessions/"+ids[n%20], "")
				w.do(http.MethodPost, "/sim/sessions", "")
				w.do(http.MethodPost, "/sim/sessions/"+ids[n%20], `{"metadata":{"n":`+strconv.Itoa(i*100+n)+`}}`)
				w.do(http.MethodGet, "/sim/faults", "")
				if err := w.api.SetFaults(set); err != nil {
					t.Error(err)
				}
				w.clock.Advance(time.Millisecond)
				w.api.Requests()
				w.api.Struck()
			}
		})
	}
	group.Wait()
	all, err := w.api.Sessions()
	if err != nil || len(all) != 220 {
		t.Errorf("%d sessions, %v; want 220", len(all), err)
	}
	unique := map[string]bool{}
	for _, s := range all {
		unique[s.ID] = true
	}
	if len(unique) != len(all) {
		t.Errorf("%d ids for %d sessions", len(unique), len(all))
	}
}
