package wooshpay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"checkout-notifier/poller/wooshpay"
)

const testKey = "sk_test_poller"

// answer is a transport that gives one answer.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
	asked  *http.Request
}

func (a *answer) RoundTrip(req *http.Request) (*http.Response, error) {
	a.asked = req
	if a.err != nil {
		return nil, a.err
	}
	header := a.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
}

func newClient(t testing.TB, transport http.RoundTripper) *wooshpay.Client {
	t.Helper()
	c, err := wooshpay.New(wooshpay.Options{
		BaseURL: "https://api.example/base", Key: testKey, ListParams: wooshpay.ParamsBody, Timeout: 30 * time.Second, Version: "1.0", Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestErrorsSayWhatHappened(t *testing.T) {
	retry := func(value string) http.Header {
		return http.Header{"Retry-After": {value}, "Date": {"Sun, 22 Nov 2026 10:00:00 GMT"}}
	}
	tests := []struct {
		name   string
		answer answer
		kind   wooshpay.Kind
		wait   time.Duration
		says   string
	}{
		{"throttled", answer{status: 429, header: retry("7")}, wooshpay.KindThrottled, 7 * time.Second, "slow down"},
		{"throttled until", answer{status: 429, header: retry("Sun, 22 Nov 2026 10:00:30 GMT")}, wooshpay.KindThrottled, 30 * time.Second, "slow down"},
		{"throttled for days", answer{status: 429, header: retry("864000")}, wooshpay.KindThrottled, 10 * time.Minute, "slow down"},
		{"throttled in the past", answer{status: 429, header: retry("Sun, 22 Nov 2026 09:00:00 GMT")}, wooshpay.KindThrottled, 0, "slow down"},
		{"denied", answer{status: 401, body: `{"error":{"message":"invalid api key sk_test_12345"}}`}, wooshpay.KindDenied, 0, "check secret_key"},
		{"forbidden", answer{status: 403}, wooshpay.KindDenied, 0, "check secret_key"},
		{"HTML", answer{status: 502, body: "<html><body>Bad gateway</body></html>"}, wooshpay.KindServer, 0, "<html>"},
		{"an error of its own", answer{status: 500}, wooshpay.KindServer, 0, "500"},
		{"request timeout", answer{status: 408}, wooshpay.KindServer, 0, "408"},
		{"flat message", answer{status: 400, body: `{"message":"limit is wrong"}`}, wooshpay.KindRefused, 0, "limit is wrong"},
		{"error as text", answer{status: 400, body: `{"error":"oops"}`}, wooshpay.KindRefused, 0, "oops"},
		{"not found", answer{status: 404, body: `{"error":{"code":"resource_missing"}}`}, wooshpay.KindNotFound, 0, "resource_missing"},
		{"redirect", answer{status: 302, header: http.Header{"Location": {"https://login.example/?token=t"}}}, wooshpay.KindRedirect, 0, "https://login.example"},
		{"no answer", answer{err: &url.Error{Op: "Get", URL: "https://api.example/?secret=s", Err: errors.New("connection reset")}}, wooshpay.KindNetwork, 0, "connection reset"},
		{"HTML for a list", answer{status: 200, body: "<html>login</html>"}, wooshpay.KindNonsense, 0, "<html>"},
		{"half a list", answer{status: 200, body: `{"object":"list","data":[{"id":"cs_1","customer_email":"a@b.example"`}, wooshpay.KindNonsense, 0, "cut off or malformed"},
		{"an error with status 200", answer{status: 200, body: `{"error":{"message":"temporary"}}`}, wooshpay.KindNonsense, 0, "temporary"},
		{"no data", answer{status: 200, body: `{}`}, wooshpay.KindNonsense, 0, "no data"},
		{"an error beside no rows", answer{status: 200, body: `{"code":500,"msg":"busy","data":[]}`}, wooshpay.KindNonsense, 0, "busy"},
		{"an error in words beside no rows", answer{status: 200, body: `{"data":[],"code":"SYSTEM_ERROR","message":"busy"}`}, wooshpay.KindNonsense, 0, "busy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, &tt.answer).List(t.Context(), wooshpay.Query{Limit: 100})
			var failure *wooshpay.Error
			if !errors.As(err, &failure) {
				t.Fatalf("error = %v, want an *Error", err)
			}
			if failure.Kind != tt.kind || failure.RetryAfter != tt.wait {
				t.Errorf("kind %s, wait %v; want %s, %v", failure.Kind, failure.RetryAfter, tt.kind, tt.wait)
			}
			if want := tt.answer.err != nil || tt.answer.status == 502; failure.Unreachable() != want {
				t.Errorf("unreachable: %t, want %t", failure.Unreachable(), want)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q does not say %q", err, tt.says)
			}
			for _, leak := range []string{testKey, "sk_test_12345", "token=t", "secret=s", "a@b.example"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("error %q gives %q away", err, leak)
				}
			}
		})
	}
}

func TestListReadsTheEnvelope(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name, body string
		sessions   int
		bad        int
		more       *bool
	}{
		{"plain", `{"object":"list","has_more":true,"data":[{"id":"cs_1","created":1773130522}]}`, 1, 0, &yes},
		{"has_more as text", `{"object":"list","has_more":"false","data":[]}`, 0, 0, &no},
		{"has_more null", `{"object":"list","has_more":null,"url":null,"data":[]}`, 0, 0, nil},
		{"no has_more", `{"data":[{"id":"cs_1","created":1773130522}]}`, 1, 0, nil},
		{"data null", `{"object":"list","has_more":false,"data":null}`, 0, 0, &no},
		{"a list with a code", `{"object":"list","code":7,"has_more":false,"data":[]}`, 0, 0, &no},
		{"a code of success", `{"code":"200","msg":"success","data":[]}`, 0, 0, nil},
		{"sessions with a code", `{"code":7,"data":[{"id":"cs_1","created":1773130522}]}`, 1, 0, nil},
		{"bad items", `{"object":"list","has_more":false,"data":[7,null,{"created":1},{"id":"cs_1","created":1773130522},{"id":"cs_1","created":1773130522}]}`, 1, 3, &no},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, err := newClient(t, &answer{status: 200, body: tt.body}).List(t.Context(), wooshpay.Query{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Items) != tt.sessions || len(page.Bad) != tt.bad {
				t.Errorf("%d sessions, %d bad (%v)", len(page.Items), len(page.Bad), page.Bad)
			}
			if (page.HasMore == nil) != (tt.more == nil) || (tt.more != nil && *page.HasMore != *tt.more) {
				t.Errorf("has_more = %v, want %v", page.HasMore, tt.more)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	a := &answer{status: 200, body: `{"object":"list","data":[]}`}
	if _, err := newClient(t, a).List(t.Context(), wooshpay.Query{Limit: 50, StartingAfter: "cs_9", CreatedGTE: time.Unix(1773130522, 0)}); err != nil {
		t.Fatal(err)
	}
	if got, want := a.asked.URL.String(), "https://api.example/base/v1/checkout/sessions/list"; got != want {
		t.Errorf("URL = %s, want %s", got, want)
	}
	if user, password, ok := a.asked.BasicAuth(); !ok || user != testKey || password != "" {
		t.Errorf("Basic auth = %q %q %v", user, password, ok)
	}
	if got := a.asked.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control = %q: a proxy may answer with a list of minutes ago", got)
	}
	body, err := io.ReadAll(a.asked.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"created":{"gte":"1773130522"},"limit":50,"starting_after":"cs_9"}`; string(body) != want {
		t.Errorf("body = %s, want %s", body, want)
	}
}

// An id is escaped once, whatever it is made of and wherever it travels.
func TestIDsAreEscapedOnce(t *testing.T) {
	for _, id := range []string{"cs_1", "cs/1?a=b&c", "cs 100%25", "cs_ü", "../list"} {
		a := &answer{status: 200, body: fmt.Sprintf(`{"id":%q,"created":1773130522,"status":"open"}`, id)}
		if _, _, err := newClient(t, a).Get(t.Context(), id); err != nil {
			t.Errorf("Get(%q): %v", id, err)
		}
		if got, want := a.asked.URL.String(), "https://api.example/base/v1/checkout/sessions/"+url.PathEscape(id); got != want {
			t.Errorf("URL = %s, want %s", got, want)
		}
		a = &answer{status: 200, body: `{"object":"list","data":[]}`}
		c, err := wooshpay.New(wooshpay.Options{BaseURL: "https://api.example", Key: testKey, ListParams: wooshpay.ParamsBoth, Version: "1.0", Transport: a})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.List(t.Context(), wooshpay.Query{Limit: 1, StartingAfter: id}); err != nil {
			t.Fatal(err)
		}
		var params struct {
			After string `json:"starting_after"`
		}
		if err := json.NewDecoder(a.asked.Body).Decode(&params); err != nil || params.After != id {
			t.Errorf("the body asks for what comes after %q (%v), want %q", params.After, err, id)
		}
		query, err := url.ParseQuery(a.asked.URL.RawQuery)
		if got := query.Get("starting_after"); err != nil || got != id {
			t.Errorf("the query asks for what comes after %q (%v), want %q", got, err, id)
		}
	}
}

// Whatever comes instead of a page, the client says so or reads it, and an item
// that was read can be told by its id.
func FuzzList(f *testing.F) {
	f.Add([]byte(`{"object":"list","has_more":true,"data":[{"id":"cs_1","created":1773130522,"status":"open"}]}`))
	f.Add([]byte(`{"data":[{"id":1,"created":"2026-11-22T10:00:00Z"},[],{}]}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := newClient(t, &answer{status: 200, body: string(bytes.Clone(body))}).List(t.Context(), wooshpay.Query{Limit: 100})
		if err != nil {
			return
		}
		if len(page.Items)+len(page.Bad)+page.Repeated != page.Total {
			t.Fatalf("%d items are %d sessions, %d bad and %d repeated", page.Total, len(page.Items), len(page.Bad), page.Repeated)
		}
		seen := make(map[string]bool)
		for _, s := range page.Items {
			if len(s.ID) == 0 || seen[string(s.ID)] || s.Created == 0 {
				t.Fatalf("a session without its own id or time: %+v", s)
			}
			seen[string(s.ID)] = true
		}
	})
}
