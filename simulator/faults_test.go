package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

func TestRefusals(t *testing.T) {
	always := simulator.Always()
	for name, tc := range map[string]struct {
		faults simulator.Faults
		body   string
		status int
		header map[string]string
		text   string
	}{
		"429":           {simulator.Faults{RateLimited: always, RetryAfterS: 7}, "", 429, map[string]string{"Retry-After": "7"}, `"error"`},
		"429 default":   {simulator.Faults{RateLimited: always}, "", 429, map[string]string{"Retry-After": "1"}, `"error"`},
		"429 bare":      {simulator.Faults{RateLimitedBare: always}, "", 429, map[string]string{"Retry-After": ""}, `"error"`},
		"500":           {simulator.Faults{ServerError: always}, "", 500, map[string]string{"Content-Type": "text/html"}, "<html>"},
		"503":           {simulator.Faults{Unavailable: always}, "", 503, nil, `"api_error"`},
		"401":           {simulator.Faults{Unauthorized: always}, "", 401, nil, "invalid api key"},
		"403":           {simulator.Faults{Forbidden: always}, "", 403, nil, `"error"`},
		"302":           {simulator.Faults{Redirect: always}, "", 302, map[string]string{"Location": "https://elsewhere.invalid" + listURL}, ""},
		"302 elsewhere": {simulator.Faults{Redirect: always, RedirectTo: "/login"}, "", 302, map[string]string{"Location": "/login"}, ""},
		"GET body":      {simulator.Faults{RejectBody: always}, `{"limit":1}`, 400, nil, "must not have a body"},
		"no GET body":   {simulator.Faults{RejectBody: always}, "", 200, nil, `"data"`},
		"first of two":  {simulator.Faults{Forbidden: always, RateLimitedBare: always}, "", 429, nil, ""},
		"other scope":   {simulator.Faults{Scope: "get", Forbidden: always}, "", 200, nil, ""},
		"own scope":     {simulator.Faults{Scope: "list", Forbidden: always}, "", 403, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			w.create(nil)
			w.faults(tc.faults)
			resp := w.do(http.MethodGet, listURL, tc.body)
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
			for name, want := range tc.header {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if body := readAll(t, resp); !strings.Contains(body, tc.text) {
				t.Errorf("body %s, want %s in it", body, tc.text)
			}
		})
	}
}

func TestChances(t *testing.T) {
	statuses := func(chance simulator.Chance, n int) []int {
		w := setup(t)
		w.faults(simulator.Faults{Unavailable: chance})
		got := make([]int, n)
		for i := range got {
			got[i] = w.do(http.MethodGet, listURL, "").StatusCode
		}
		return got
	}
	if diff := cmp.Diff([]int{503, 503, 200, 200}, statuses(simulator.Times(2), 4)); diff != "" {
		t.Errorf("two times (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{200, 200, 503, 200}, statuses(simulator.Chance{Skip: 2, Count: 1}, 4)); diff != "" {
		t.Errorf("the third (-want +got):\n%s", diff)
	}
	half := statuses(simulator.Share(0.5), 400)
	struck := 0
	for _, s := range half {
		if s == 503 {
			struck++
		}
	}
	if struck < 150 || struck > 250 {
		t.Errorf("struck %d of 400 with probability 0.5", struck)
	}
	if diff := cmp.Diff(half, statuses(simulator.Share(0.5), 400)); diff != "" {
		t.Errorf("the same seed decides otherwise:\n%s", diff)
	}
}

func TestHang(t *testing.T) {
	held := func(t *testing.T, faults simulator.Faults, run bool, patience time.Duration) (time.Duration, int) {
		api := simulator.NewAPI(simulator.Config{SecretKey: testKey})
		if err := api.SetFaults(faults); err != nil {
			t.Fatal(err)
		}
		if run {
			life, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			go func() { _ = api.Run(life) }()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, listURL, nil)
		r.SetBasicAuth(testKey, "")
		start := time.Now()
		api.ServeHTTP(httptest.NewRecorder(), r)
		for key := range api.Requests() {
			return time.Since(start), key.Status
		}
		return 0, -1
	}
	for name, tc := range map[string]struct {
		ms     int
		run    bool
		after  time.Duration
		status int
	}{
		"until the client leaves": {0, false, time.Minute, 0},
		"for a time":              {2000, false, 2 * time.Second, 200},
		"until Run ends":          {0, true, 3 * time.Second, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				after, status := held(t, simulator.Faults{Hang: simulator.Always(), HangMS: tc.ms}, tc.run, time.Minute)
				if after != tc.after || status != tc.status {
					t.Errorf("held for %v, status %d; want %v, %d", after, status, tc.after, tc.status)
				}
			})
		})
	}
}

func TestSpoiltBodies(t *testing.T) {
	w := setup(t)
	w.createMany(3)
	server := httptest.NewServer(w.api)
	defer server.Close()
	for name, tc := range map[string]struct {
		faults  simulator.Faults
		readErr error
	}{
		"cut":       {simulator.Faults{CutBody: simulator.Always()}, io.ErrUnexpectedEOF},
		"invalid":   {simulator.Faults{InvalidJSON: simulator.Always()}, nil},
		"truncated": {simulator.Faults{TruncatedJSON: simulator.Always()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.faults(tc.faults)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+listURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth(testKey, "")
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusOK || !errors.Is(err, tc.readErr) {
				t.Errorf("status %d, read error %v; want 200, %v", resp.StatusCode, err, tc.readErr)
			}
			if len(body) == 0 || json.Valid(body) {
				t.Errorf("body should be something but not JSON: %s", body)
			}
		})
	}
}

func TestPagingFaults(t *testing.T) {
	always := simulator.Always()
	w := setup(t)
	ids := reversed(w.createMany(15)) // newest first
	window := fmt.Sprintf("limit=3&created[gte]=%d", noon().Add(13*time.Second).Unix())
	yes := true
	for name, tc := range map[string]struct {
		faults simulator.Faults
		query  string
		want   []string
		more   *bool
	}{
		"none":            {simulator.Faults{}, window, ids[:2], new(bool)},
		"repeat page":     {simulator.Faults{RepeatPage: always}, "limit=3&starting_after=" + ids[5], ids[:3], &yes},
		"ignore filters":  {simulator.Faults{IgnoreFilters: always}, window, ids[:3], &yes},
		"ignore limit":    {simulator.Faults{IgnoreLimit: always}, "limit=3", ids[:10], &yes},
		"ignore 0 limit":  {simulator.Faults{IgnoreLimit: always}, "limit=0", ids[:10], &yes},
		"ascending":       {simulator.Faults{Ascending: always}, "limit=2", []string{ids[14], ids[13]}, &yes},
		"ascending after": {simulator.Faults{Ascending: always}, "limit=2&starting_after=" + ids[13], []string{ids[12], ids[11]}, &yes},
		"ascending back":  {simulator.Faults{Ascending: always}, "limit=2&ending_before=" + ids[13], []string{ids[14]}, new(bool)},
		"empty page":      {simulator.Faults{EmptyPage: always}, "", []string{}, &yes},
		"has_more null":   {simulator.Faults{HasMoreNull: always}, "limit=1", ids[:1], nil},
		"has_more true":   {simulator.Faults{HasMoreTrue: always}, window, ids[:2], &yes},
		"get has no page": {simulator.Faults{Scope: "get", EmptyPage: always}, "limit=1", ids[:1], &yes},
		"vanished":        {simulator.Faults{Vanished: ids[:2]}, "limit=1", ids[2:3], &yes},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, api: w.api, clock: w.clock}
			w.faults(tc.faults)
			p := w.list(tc.query, "")
			if diff := cmp.Diff(tc.want, p.ids()); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.more, p.HasMore); diff != "" {
				t.Errorf("has_more (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChannelsAndUnits(t *testing.T) {
	w := setup(t)
	ids := reversed(w.createMany(4))
	s := noon().Unix()
	seconds, ms := fmt.Sprintf("created[gte]=%d", s+3), fmt.Sprintf("created[gte]=%d", (s+3)*1000)
	body := fmt.Sprintf(`{"created":{"gte":"%d"}}`, s+2)
	for name, tc := range map[string]struct {
		faults      simulator.Faults
		query, body string
		want        []string
	}{
		"both":                {simulator.Faults{Params: simulator.ParamsBoth}, seconds, body, ids[:2]},
		"query only":          {simulator.Faults{Params: simulator.ParamsQuery}, seconds, body, ids[:1]},
		"query only, no JSON": {simulator.Faults{Params: simulator.ParamsQuery}, "", "junk", ids},
		"body only":           {simulator.Faults{Params: simulator.ParamsBody}, seconds, "", ids},
		"body only, given":    {simulator.Faults{Params: simulator.ParamsBody}, "limit=1", body, ids[:2]},
		"seconds by seconds":  {simulator.Faults{FilterUnit: simulator.UnitSeconds}, seconds, "", ids[:1]},
		"ms by seconds":       {simulator.Faults{FilterUnit: simulator.UnitSeconds}, ms, "", []string{}},
		"ms by ms":            {simulator.Faults{FilterUnit: simulator.UnitMillis}, ms, "", ids[:1]},
		"seconds by ms":       {simulator.Faults{FilterUnit: simulator.UnitMillis}, seconds, "", ids},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, api: w.api, clock: w.clock}
			w.faults(tc.faults)
			if diff := cmp.Diff(tc.want, w.list(tc.query, tc.body).ids()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	w := setup(t)
	w.create(nil)
	set := `{"rate_limited":0.25,"server_error":{"count":2,"skip":1},"stale":true,"stale_ms":50,"late":0.1,"vanished":["cs_1"],"hang":null}`
	var got simulator.Faults
	decode(t, w.do(http.MethodPost, "/sim/faults", set), &got)
	want := simulator.Faults{RateLimited: simulator.Share(0.25), ServerError: simulator.Chance{Count: 2, Skip: 1},
		Stale: simulator.Always(), StaleMS: 50, Late: 0.1, Vanished: []string{"cs_1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the set as answered (-want +got):\n%s", diff)
	}
	for body, want := range map[string]string{
		`{"rate_limit":1}`:                      "rate_limited_bare",
		`{"rate_limited":3}`:                    "between 0 and 1",
		`{"rate_limited":"often"}`:              "want a probability",
		`{"rate_limited":{"times":3}}`:          "unknown field",
		`{"late":2}`:                            "between 0 and 1",
		`{"params":"header","stale_ms":-1}`:     "both, body, query",
		`{"hang_ms":1.5}`:                       "hang_ms",
		`{"scope":"all","filter_unit":"weeks"}`: "seconds, ms",
		`[]`:                                    "faults",
	} {
		resp := w.do(http.MethodPost, "/sim/faults", body)
		if message := fmt.Sprint(errorOf(t, resp)["message"]); resp.StatusCode != http.StatusBadRequest || !strings.Contains(message, want) {
			t.Errorf("%s: %d %s; want 400 with %q", body, resp.StatusCode, message, want)
		}
	}
	decode(t, w.do(http.MethodGet, "/sim/faults", ""), &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a bad set changed the present one:\n%s", diff)
	}
	w.do(http.MethodPost, "/sim/faults", "{}")
	if diff := cmp.Diff(simulator.Faults{}, w.api.Faults()); diff != "" {
		t.Errorf("an empty set should end all faults:\n%s", diff)
	}
	if err := w.api.SetFaults(simulator.Faults{Late: math.NaN()}); !errors.Is(err, simulator.ErrInvalid) {
		t.Errorf("SetFaults with NaN: %v, want ErrInvalid", err)
	}
}

func TestStruck(t *testing.T) {
	w := setup(t)
	id := w.create(nil)
	w.faults(simulator.Faults{Seconds: simulator.Times(2), EmptyPage: simulator.Always()})
	w.get(id)
	w.list("", "")
	w.get(id)
	if diff := cmp.Diff(map[string]int{"seconds": 2, "empty_page": 1}, w.api.Struck()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
