package simulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

const testKey = "sk_test_key"

// noon is the moment at which most tests begin.
func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// clock is a settable time source.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: noon()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is an API with its clock and short ways to talk to it.
type world struct {
	*testing.T
	api   *simulator.API
	clock *clock
}

func setup(t *testing.T) *world {
	t.Helper()
	c := newClock()
	return &world{T: t, clock: c, api: simulator.NewAPI(simulator.Config{SecretKey: testKey, Now: c.Now, Seed: 7})}
}

// create adds a session and lets a second pass, so that order is creation.
func (w *world) create(fields simulator.Fields) string {
	w.Helper()
	s, err := w.api.Create(fields)
	if err != nil {
		w.Fatal(err)
	}
	w.clock.Advance(time.Second)
	return s.ID
}

func (w *world) createMany(n int) []string {
	w.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = w.create(nil)
	}
	return ids
}

func (w *world) update(id string, fields simulator.Fields) {
	w.Helper()
	if _, err := w.api.Update(id, fields); err != nil {
		w.Fatal(err)
	}
}

func (w *world) faults(f simulator.Faults) {
	w.Helper()
	if err := w.api.SetFaults(f); err != nil {
		w.Fatal(err)
	}
}

// do sends one request with the right key.
func (w *world) do(method, target, body string) *http.Response {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, target, strings.NewReader(body))
	r.SetBasicAuth(testKey, "")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec.Result()
}

// page is a decoded list answer.
type page struct {
	Object  string  `json:"object"`
	URL     *string `json:"url"`
	HasMore *bool   `json:"has_more"`
	Data    []any   `json:"data"`
}

func (p page) more() bool { return p.HasMore != nil && *p.HasMore }

// ids are the ids of the items, "?" for an item without one.
func (p page) ids() []string {
	ids := make([]string, len(p.Data))
	for i, item := range p.Data {
		object, _ := item.(map[string]any)
		if id, ok := object["id"].(string); ok {
			ids[i] = id
		} else {
			ids[i] = "?"
		}
	}
	return ids
}

func (p page) item(i int) map[string]any {
	object, _ := p.Data[i].(map[string]any)
	return object
}

const listURL = "/v1/checkout/sessions/list"

// list sends body as the JSON body and query as the query string.
func (w *world) list(query, body string) page {
	w.Helper()
	target := listURL
	if query != "" {
		target += "?" + query
	}
	resp := w.do(http.MethodGet, target, body)
	if resp.StatusCode != http.StatusOK {
		w.Fatalf("list %s %s: status %d: %s", query, body, resp.StatusCode, readAll(w.T, resp))
	}
	var p page
	decode(w.T, resp, &p)
	return p
}

// get fetches one session as a JSON object, numbers kept.
func (w *world) get(id string) map[string]any {
	w.Helper()
	resp := w.do(http.MethodGet, "/v1/checkout/sessions/"+id, "")
	if resp.StatusCode != http.StatusOK {
		w.Fatalf("get %s: status %d", id, resp.StatusCode)
	}
	var object map[string]any
	decode(w.T, resp, &object)
	return object
}

func (w *world) truth(id string) simulator.Session {
	w.Helper()
	all, err := w.api.Sessions()
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range all {
		if s.ID == id {
			return s
		}
	}
	w.Fatalf("no session %s", id)
	return simulator.Session{}
}

func decode(t *testing.T, resp *http.Response, into any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(readAll(t, resp)))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("decoding the answer: %v", err)
	}
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return string(bytes.TrimSpace(raw))
}

// errorOf is the error object of an answer.
func errorOf(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	var answer struct {
		Error map[string]any `json:"error"`
	}
	decode(t, resp, &answer)
	return answer.Error
}

// reversed returns ids newest first.
func reversed(ids []string) []string {
	out := make([]string, 0, len(ids))
	for i := len(ids) - 1; i >= 0; i-- {
		out = append(out, ids[i])
	}
	return out
}
