package admin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/secret"
)

// operator is the side of the daemon that takes orders; it remembers the last.
type operator struct {
	asked  any
	actor  string
	broken error
}

func (o *operator) known(accounts []string) error {
	for _, name := range accounts {
		if name != "main" {
			return &admin.UnknownError{Kind: "account", Name: name}
		}
	}
	return o.broken
}

func (o *operator) PollNow(_ context.Context, accounts []string) (any, error) {
	o.asked = accounts
	return []map[string]any{{"account": "main", "requests": 1}}, o.known(accounts)
}

func (o *operator) PlanBackfill(_ context.Context, b admin.Backfill) (any, error) {
	o.asked = b
	return map[string]int{"pages": 3}, o.known(b.Accounts)
}

func (o *operator) StartBackfill(_ context.Context, b admin.Backfill, actor string) (string, any, error) {
	o.asked, o.actor = b, actor
	return "job_1", map[string]string{"id": "job_1"}, o.known(b.Accounts)
}

func (o *operator) JobFilters() (kinds, statuses []string) {
	return []string{"backfill"}, []string{"running", "done"}
}

func (o *operator) Jobs(_ context.Context, q admin.JobQuery) (any, string, error) {
	o.asked = q
	if q.Before == "stranger" {
		return nil, "", admin.ErrBadCursor
	}
	return []string{"job_2", "job_1"}, "job_1", nil
}

func (o *operator) Job(_ context.Context, id string) (any, error) {
	if id != "job_1" {
		return nil, fmt.Errorf("%w: %s", admin.ErrNotFound, id)
	}
	return map[string]string{"id": id}, nil
}

func (o *operator) CancelJob(ctx context.Context, id, actor string) (any, error) {
	o.actor = actor
	if id == "job_0" {
		return nil, fmt.Errorf("%w: it has ended", admin.ErrConflict)
	}
	return o.Job(ctx, id)
}

const jsonType = "application/json"

func poll(body string) request {
	return request{method: http.MethodPost, path: "/api/v1/poll", body: body, contentType: jsonType}
}

func TestPollNow(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	for body, want := range map[string][]string{"": nil, `{}`: nil, `{"accounts":null}`: nil, `{"accounts":["main"]}`: {"main"}} {
		r := poll(body)
		if body == "" {
			r.contentType = ""
		}
		status, answer, _ := ask(t, server, r)
		if status != 200 || answer != `{"items":[{"account":"main","requests":1}]}`+"\n" || !slices.Equal(d.asked.([]string), want) {
			t.Errorf("%s: %d %s, asked for %v", body, status, answer, d.asked)
		}
	}
	status, answer, _ := ask(t, server, poll(`{"accounts":["mian"]}`))
	if status != 400 || !strings.Contains(answer, `"unknown":"account"`) || !strings.Contains(answer, "mian") {
		t.Errorf("an unknown account: %d %s", status, answer)
	}
	for err, want := range map[error]struct {
		status int
		says   string
	}{
		admin.ErrStopping: {503, "is stopping"}, errors.New("a secret"): {500, "it could not be done: the log says why"}, errTold: {500, "it could not be done: no space left"},
	} {
		d.broken = err
		status, answer, _ := ask(t, server, poll(""))
		if status != want.status || !strings.Contains(answer, want.says) {
			t.Errorf("%v: %d %s", err, status, answer)
		}
	}
}

func TestBackfills(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.BasePath = "/n/"
	d := &daemon{}
	server := serve(t, cfg, d)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := poll(`{"accounts":["main"],"since":"2026-01-02T04:04:05+01:00","until":"2026-01-03T00:00:00Z","announce":true}`)
	r.path = "/n" + r.path
	status, answer, header := ask(t, server, r)
	want := admin.Backfill{Accounts: []string{"main"}, Since: since, Until: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), Announce: true}
	if status != 202 || header.Get("Location") != "/n/api/v1/jobs/job_1" || !strings.Contains(answer, "job_1") || !reflect.DeepEqual(d.asked, want) {
		t.Errorf("a backfill: %d %s, Location %q, asked for %+v", status, answer, header.Get("Location"), d.asked)
	}
	r.body = `{"since":"2026-01-02T03:04:05Z","dry_run":true}`
	status, answer, _ = ask(t, server, r)
	b := d.asked.(admin.Backfill)
	if status != 200 || answer != "{\"pages\":3}\n" || !b.Since.Equal(since) || time.Since(b.Until) > time.Minute {
		t.Errorf("a dry run: %d %s, asked for %+v", status, answer, b)
	}
	d.broken = fmt.Errorf("%w: HTTP 500", admin.ErrUpstream)
	if status, answer, _ = ask(t, server, r); status != 502 || !strings.Contains(answer, "HTTP 500") {
		t.Errorf("a dry run that the API does not let end: %d %s", status, answer)
	}
	d.broken = fmt.Errorf("%w: job_0 is at work", admin.ErrConflict)
	r.body = `{"since":"2026-01-02T03:04:05Z"}`
	if status, answer, _ = ask(t, server, r); status != 409 || !strings.Contains(answer, "job_0") {
		t.Errorf("a second backfill: %d %s", status, answer)
	}
}

// What is not understood is not done.
func TestStrictBodies(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	for _, tt := range []struct {
		body string
		want int
		says string
	}{
		{`{"acounts":["main"]}`, 400, `unknown field \"acounts\"`},
		{`{"Accounts":["main"]}`, 400, `unknown field \"Accounts\"`},
		{`{"accounts":"main"}`, 400, "accounts must be a list"},
		{`{"accounts":[1]}`, 400, "accounts must be a list"},
		{`{"since":"7d"}`, 400, "since must be a time in RFC 3339"},
		{`{"since":""}`, 400, "since must be a time in RFC 3339"},
		{`{"since":"0001-01-01T00:00:00Z"}`, 400, "since must be a time in RFC 3339"},
		{`{"since":1767323045}`, 400, "since must be a time in RFC 3339"},
		{`{"since":"2999-01-01T00:00:00Z"}`, 400, "future"},
		{`{"since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"}`, 400, "until must be later"},
		{`{"since":"2026-01-02T00:00:00Z","dry_run":"yes"}`, 400, "dry_run must be true or false"},
		{`{"dry_run":true}`, 400, "needs since"},
		{`{"announce":false}`, 400, "needs since"},
		{`[]`, 400, "one JSON object"},
		{`null`, 400, "one JSON object"},
		{`{} {}`, 400, "one JSON object"},
		{`{`, 400, "one JSON object"},
		{`{"accounts":["` + strings.Repeat("a", 70_000) + `"]}`, 413, "larger than 64 KiB"},
	} {
		status, answer, header := ask(t, server, poll(tt.body))
		if status != tt.want || !strings.Contains(answer, tt.says) || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.60s: %d %s", tt.body, status, answer)
		}
	}
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		r := poll(`{}`)
		r.contentType = contentType
		if status, answer, _ := ask(t, server, r); status != 415 {
			t.Errorf("as %s: %d %s", contentType, status, answer)
		}
	}
	r := poll(`{"since":"2026-01-02T00:00:00Z"}`)
	r.path += "?dry_run=true"
	if status, answer, _ := ask(t, server, r); status != 400 || !strings.Contains(answer, "query") {
		t.Errorf("with a query: %d %s", status, answer)
	}
	if d.asked != nil {
		t.Errorf("something was done: %+v", d.asked)
	}
}

func TestJobs(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	status, answer, _ := ask(t, server, request{path: "/api/v1/jobs?limit=2&kind=backfill&status=running"})
	var page struct {
		Items []string
		Next  string
	}
	if err := json.Unmarshal([]byte(answer), &page); err != nil || status != 200 || len(page.Items) != 2 {
		t.Fatalf("%d %s", status, answer)
	}
	if want := (admin.JobQuery{Kind: "backfill", Status: "running", Limit: 2}); d.asked != want {
		t.Errorf("asked for %+v, want %+v", d.asked, want)
	}
	if status, _, _ := ask(t, server, request{path: "/api/v1/jobs?cursor=" + page.Next}); status != 200 || d.asked.(admin.JobQuery).Before != "job_1" {
		t.Errorf("the next page: %d, asked for %+v", status, d.asked)
	}
	stranger := base64.RawURLEncoding.EncodeToString([]byte("stranger"))
	for _, query := range []string{
		"limit=0", "limit=101", "limit=x", "limit=", "cursor=", "cursor=%21", "cursor=" + stranger,
		"kind=dig", "status=over", "status=", "colour=red", "limit=1&limit=2", "limit=%zz",
	} {
		if status, answer, _ := ask(t, server, request{path: "/api/v1/jobs?" + query}); status != 400 {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
	for path, want := range map[string]int{"/api/v1/jobs/job_1": 200, "/api/v1/jobs/job_9": 404} {
		if status, answer, _ := ask(t, server, request{path: path}); status != want {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	for id, want := range map[string]int{"job_1": 200, "job_9": 404, "job_0": 409} {
		if status, answer, _ := ask(t, server, request{method: http.MethodPost, path: "/api/v1/jobs/" + id + "/cancel"}); status != want {
			t.Errorf("cancelling %s: %d %s", id, status, answer)
		}
	}
	r := request{method: http.MethodPost, path: "/api/v1/jobs/job_1/cancel", body: `{"why":"x"}`, contentType: jsonType}
	if status, answer, _ := ask(t, server, r); status != 400 {
		t.Errorf("an unknown field: %d %s", status, answer)
	}
}

// Looking needs a viewer, acting an operator, by whose name it is done.
func TestOrdersNeedAnOperator(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Tokens = []admin.Token{
		{Name: "ci", Token: secret.String("viewer-token"), Role: admin.RoleViewer},
		{Name: "ops", Token: secret.String("operator-token"), Role: admin.RoleOperator},
	}
	d := &daemon{}
	server := serve(t, cfg, d)
	cancel := request{method: http.MethodPost, path: "/api/v1/jobs/job_1/cancel"}
	for _, tt := range []struct {
		request
		token string
		want  int
	}{
		{request{path: "/api/v1/jobs"}, "", 401},
		{request{path: "/api/v1/jobs"}, "viewer-token", 200},
		{request{path: "/api/v1/jobs/job_1"}, "viewer-token", 200},
		{poll(""), "", 401},
		{poll(""), "viewer-token", 403},
		{poll(""), "operator-token", 200},
		{cancel, "viewer-token", 403},
		{cancel, "operator-token", 200},
	} {
		tt.request.token = tt.token
		if status, body, _ := ask(t, server, tt.request); status != tt.want {
			t.Errorf("%+v = %d, want %d: %s", tt.request, status, tt.want, body)
		}
	}
	if d.actor != "ops" {
		t.Errorf("it was done in the name of %q", d.actor)
	}
}
