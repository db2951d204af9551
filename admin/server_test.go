package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// errTold is a failure whose cause is told to whoever asked.
var errTold = errors.New("no space left")

// daemon is a daemon of which everything is known.
type daemon struct {
	sick     error
	waiting  string
	accepted string
	paused   bool
	operator
	clerk
}

func (d *daemon) Healthy(context.Context) error { return d.sick }
func (d *daemon) Ready() string                 { return d.waiting }
func (d *daemon) Cause(err error) string {
	if errors.Is(err, errTold) {
		return err.Error()
	}
	return ""
}
func (d *daemon) Status(context.Context) (any, error) { return map[string]int{"answer": 42}, nil }
func (d *daemon) AcceptAccount(_ context.Context, name, actor string) error {
	if name != "main" {
		return &admin.UnknownError{Kind: "account", Name: name}
	}
	d.accepted = actor
	return nil
}

func (d *daemon) PauseDestination(ctx context.Context, name, actor string) (bool, error) {
	return d.stand(ctx, name, actor, true)
}

func (d *daemon) ResumeDestination(ctx context.Context, name, actor string) (bool, error) {
	return d.stand(ctx, name, actor, false)
}

func (d *daemon) stand(ctx context.Context, name, actor string, paused bool) (changed bool, err error) {
	if err := d.AcceptAccount(ctx, name, actor); err != nil {
		return false, err
	}
	changed, d.paused = d.paused != paused, paused
	return changed, nil
}

func gauges(context.Context) (admin.Gauges, error) {
	return admin.Gauges{
		Sessions:     map[string]map[event.Watch]int{"main": {event.Watched: 3}},
		Destinations: []event.DestinationState{{Name: "shop", Pending: 2, Dead: 1, OldestPending: time.Now().Add(-time.Minute)}},
		Up:           map[string]bool{"shop": true}, Blocked: map[string]int{"shop": 2}, StoreBytes: 4096, StoreInPlace: true, StorePutBack: 2,
		Backup: &admin.BackupGauges{Last: time.Unix(1_764_000_000, 0), Took: 1500 * time.Millisecond, Bytes: 2048, Copies: 7, Made: 3, Failed: 1},
		Polling: []admin.PollingGauges{{
			Account: "main", Tiers: map[string]int{"hot": 2}, OldestLook: time.Now().Add(-time.Minute), Reconciled: time.Now().Add(-time.Hour), Held: 1, Rate: 2.5, Parallel: 4,
		}},
	}, nil
}

func serve(t *testing.T, cfg admin.Config, d *daemon) *httptest.Server {
	t.Helper()
	m := admin.NewMetrics("test", []string{"main"}, []string{"ship"}, []string{"shop"}, gauges)
	s := admin.New(cfg, d, m.Handler(), slog.New(slog.DiscardHandler))
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server
}

type request struct {
	method, path, host, origin, token string
	body, contentType                 string
}

func ask(t *testing.T, server *httptest.Server, r request) (status int, body string, header http.Header) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, server.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.host != "" {
		req.Host = r.host
	}
	if r.origin != "" {
		req.Header.Set("Origin", r.origin)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestProbes(t *testing.T) {
	d := &daemon{waiting: "the first pass is not finished"}
	server := serve(t, admin.DefaultConfig(), d)
	if status, _, _ := ask(t, server, request{path: "/-/healthy"}); status != 200 {
		t.Errorf("healthy = %d", status)
	}
	if status, body, _ := ask(t, server, request{path: "/-/ready"}); status != 503 || !strings.Contains(body, "first pass") {
		t.Errorf("ready = %d %s", status, body)
	}
	d.waiting, d.sick = "", errors.New("the store does not answer")
	if status, _, _ := ask(t, server, request{path: "/-/ready"}); status != 200 {
		t.Errorf("ready = %d", status)
	}
	if status, body, _ := ask(t, server, request{path: "/-/healthy"}); status != 503 || !strings.Contains(body, "store") {
		t.Errorf("healthy = %d %s", status, body)
	}
}

// No answer lets a browser do anything with it, and errors have one form, also
// outside the base path.
func TestEveryAnswerIsSecuredAndEveryErrorAProblem(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.BasePath = "/notifier"
	server := serve(t, cfg, &daemon{})
	for path, want := range map[string]int{
		"/notifier/-/healthy": 200, "/notifier/metrics": 200, "/notifier/api/v1/status": 200,
		"/notifier/api/v1/nothing": 404, "/-/nothing": 404, "/": 404,
	} {
		status, _, header := ask(t, server, request{path: path})
		if status != want || header.Get("Content-Security-Policy") != "default-src 'none'" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, headers %v", path, status, header)
		}
		if problem := header.Get("Content-Type") == "application/problem+json"; problem != (want == 404) {
			t.Errorf("%s: status %d as %s", path, status, header.Get("Content-Type"))
		}
	}
}

// Names that somebody else's DNS can point here, and foreign pages, get nothing
// but probes and metrics.
func TestForeignHostsAndOrigins(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Hosts = []string{"notifier.internal"}
	server := serve(t, cfg, &daemon{})
	tests := []struct {
		request
		want int
	}{
		{request{path: "/api/v1/status", host: "evil.example"}, 403},
		{request{path: "/api/v1/status", host: "evil.example:8484"}, 403},
		{request{path: "/api/v1/status", host: "127.0.0.1.evil.example"}, 403},
		{request{path: "/api/v1/status", host: "localhost:8484"}, 200},
		{request{path: "/api/v1/status", host: "[::1]:8484"}, 200},
		{request{path: "/api/v1/status", host: "10.1.2.3"}, 200},
		{request{path: "/api/v1/status", host: "Notifier.Internal:80"}, 200},
		{request{path: "/api/v1/status", host: "localhost", origin: "http://evil.example"}, 403},
		{request{path: "/api/v1/status", host: "localhost", origin: "null"}, 403},
		{request{path: "/api/v1/status", host: "localhost:1", origin: "http://localhost:1"}, 200},
		{request{path: "/-/healthy", host: "evil.example"}, 200},
		{request{path: "/-/ready", host: "evil.example"}, 200},
		{request{path: "/metrics", host: "evil.example"}, 200},
	}
	for _, tt := range tests {
		if status, body, _ := ask(t, server, tt.request); status != tt.want {
			t.Errorf("%+v = %d, want %d: %s", tt.request, status, tt.want, body)
		}
	}
}

func TestTokensAndRoles(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.MetricsPublic = false
	cfg.Tokens = []admin.Token{
		{Name: "ci", Token: secret.String("viewer-token"), Role: admin.RoleViewer},
		{Name: "ops", Token: secret.String("operator-token"), Role: admin.RoleOperator},
	}
	d := &daemon{}
	server := serve(t, cfg, d)
	accept := request{method: http.MethodPost, path: "/api/v1/accounts/main/accept"}
	tests := []struct {
		request
		token string
		want  int
	}{
		{request{path: "/api/v1/status"}, "", 401},
		{request{path: "/api/v1/status"}, "viewer-toke", 401},
		{request{path: "/api/v1/status"}, "viewer-token", 200},
		{request{path: "/metrics"}, "", 401},
		{request{path: "/metrics"}, "viewer-token", 200},
		{request{path: "/-/healthy"}, "", 200},
		{accept, "", 401},
		{accept, "viewer-token", 403},
		{accept, "operator-token", 200},
		{request{method: http.MethodPost, path: "/api/v1/accounts/other/accept"}, "operator-token", 404},
		{request{method: http.MethodPost, path: "/api/v1/destinations/main/resume"}, "viewer-token", 403},
		{request{method: http.MethodPost, path: "/api/v1/destinations/main/resume"}, "operator-token", 200},
		{request{method: http.MethodPost, path: "/api/v1/destinations/other/resume"}, "operator-token", 404},
	}
	for _, tt := range tests {
		tt.request.token = tt.token
		if status, body, _ := ask(t, server, tt.request); status != tt.want {
			t.Errorf("%+v = %d, want %d: %s", tt.request, status, tt.want, body)
		}
	}
	if d.accepted != "ops" {
		t.Errorf("the account was accepted by %q", d.accepted)
	}
}

// The scheme of an Authorization header is a word without case.
// An act that changed nothing is no mistake, and says so.
func TestActsOnDestinationsSayWhetherTheyChangedAnything(t *testing.T) {
	server := serve(t, admin.DefaultConfig(), &daemon{})
	for _, act := range []struct{ verb, changed string }{
		{"resume", "false"}, {"pause", "true"}, {"pause", "false"}, {"resume", "true"}, {"resume", "false"},
	} {
		status, body, _ := ask(t, server, request{method: http.MethodPost, path: "/api/v1/destinations/main/" + act.verb})
		if want := `{"changed":` + act.changed + `,"name":"main"}` + "\n"; status != http.StatusOK || body != want {
			t.Errorf("%s: %d %s, want %s", act.verb, status, body, want)
		}
	}
}

func TestBearerInAnyCase(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Tokens = []admin.Token{{Name: "ci", Token: secret.String("viewer-token"), Role: admin.RoleViewer}}
	server := serve(t, cfg, &daemon{})
	for header, want := range map[string]int{
		"Bearer viewer-token": 200, "bearer viewer-token": 200, "Basic viewer-token": 401, "viewer-token": 401, "Bearer": 401,
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/status", nil)
		req.RequestURI = "" // it is sent, not handled
		req.Header.Set("Authorization", header)
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", header, resp.StatusCode, want)
		}
	}
}

func TestErrorsAreProblems(t *testing.T) {
	server := serve(t, admin.DefaultConfig(), &daemon{})
	status, body, header := ask(t, server, request{path: "/api/v1/nothing"})
	var problem struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatal(err)
	}
	if status != 404 || problem.Status != 404 || problem.Detail == "" || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer = %d %s %s", status, header.Get("Content-Type"), body)
	}
	if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy = %q", csp)
	}
}

// A path that has routes for other methods says which.
func TestWrongMethodsAreToldOfTheRightOnes(t *testing.T) {
	cfg := admin.DefaultConfig()
	for _, cfg.BasePath = range []string{"", "/n"} {
		server := serve(t, cfg, &daemon{})
		for _, tt := range []struct{ method, path, allow string }{
			{http.MethodGet, "/api/v1/poll", "POST"},
			{http.MethodPost, "/api/v1/deliveries", "GET, HEAD"},
			{http.MethodDelete, "/api/v1/destinations/shop/pause", "POST"},
			{http.MethodPost, "/metrics", "GET, HEAD"},
		} {
			status, body, header := ask(t, server, request{method: tt.method, path: cfg.BasePath + tt.path})
			if status != 405 || header.Get("Allow") != tt.allow || header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d, allowed %q: %s", tt.method, tt.path, status, header.Get("Allow"), body)
			}
		}
	}
}

func TestBasePath(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.BasePath = "/n/"
	open := serve(t, cfg, &daemon{})
	cfg.Tokens = []admin.Token{{Name: "look", Token: "viewer-token-of-the-test", Role: admin.RoleViewer}}
	guarded := serve(t, cfg, &daemon{})
	for path, want := range map[string][2]int{
		"/n/-/healthy": {200, 200}, "/n/-/ready": {200, 200}, "/n/metrics": {200, 200},
		// Whoever probes the process itself does not come through the proxy.
		"/-/healthy": {200, 200}, "/-/ready": {200, 200}, "/metrics": {200, 200},
		"/n/api/v1/status": {200, 401}, "/n//api/v1/status": {200, 401}, "/api/v1/status": {404, 401}, "/n/nothing": {404, 401},
	} {
		for i, server := range []*httptest.Server{open, guarded} {
			if status, body, _ := ask(t, server, request{path: path}); status != want[i] {
				t.Errorf("%s = %d, want %d: %s", path, status, want[i], body)
			}
		}
	}
	if _, body, _ := ask(t, open, request{path: "/api/v1/status"}); !strings.Contains(body, "admin.base_path is /n") {
		t.Errorf("outside the base path: %s", body)
	}
}

func TestMetrics(t *testing.T) {
	m := admin.NewMetrics("test", []string{"main"}, []string{"ship"}, []string{"shop"}, gauges)
	m.APIRequest("main", "429")
	m.Passed("main", time.Second, nil)
	m.Drifted("main", 2)
	m.Fetched("main", 1000, false)
	m.Fetched("main", 24, true)
	m.Waited("main", 1500*time.Millisecond)
	m.Committed([]event.Event{{ID: "e", Type: event.Paid, Account: "main", RuleErrors: []event.RuleError{{Rule: "ship"}},
		Suppressed: []event.Suppression{{Rules: []string{"ship"}, Destination: "shop", Reason: event.SuppressedSelf}}}},
		[]event.Delivery{{EventID: "e", Rules: []string{"ship"}}, {EventID: "e", Rules: []string{"ship"}}})
	m.Attempted("shop", event.OutcomeAccepted, time.Second)
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text := recorder.Body.String()
	for _, want := range []string{
		`notifier_build_info{version="test"} 1`,
		`notifier_api_requests_total{account="main",code="429"} 1`,
		`notifier_events_total{type="checkout.session.paid"} 1`,
		`notifier_events_total{type="checkout.session.expired"} 0`,
		`notifier_rule_matches_total{rule="ship"} 1`, // one event, however many deliveries
		`notifier_rule_errors_total{rule="ship"} 1`,
		`notifier_rule_suppressed_total{reason="self",rule="ship"} 1`,
		`notifier_events_total{type="notifier.account.failing"} 0`,
		`notifier_delivery_attempts_total{destination="shop",outcome="accepted"} 1`,
		`notifier_delivery_attempts_total{destination="shop",outcome="refused"} 0`,
		`notifier_deliveries_pending{destination="shop"} 2`,
		`notifier_dead_letters{destination="shop"} 1`,
		`notifier_destination_up{destination="shop"} 1`, `notifier_destination_blocked_subjects{destination="shop"} 2`, "notifier_store_in_place 1", "notifier_store_put_back_total 2",
		"notifier_backup_last_success_timestamp_seconds 1.764e+09", "notifier_backup_last_duration_seconds 1.5", "notifier_backup_last_size_bytes 2048",
		"notifier_backup_copies 7", `notifier_backups_total{result="success"} 3`, `notifier_backups_total{result="failure"} 1`,
		`notifier_sessions_tracked{account="main",state="watched"} 3`,
		`notifier_store_size_bytes 4096`,
		`notifier_drift_total{account="main"} 2`,
		`notifier_api_response_bytes_total{account="main"} 1024`,
		`notifier_page_fallbacks_total{account="main"} 1`,
		`notifier_rate_limit_wait_seconds_total{account="main"} 1.5`,
		`notifier_sessions_by_tier{account="main",tier="hot"} 2`,
		`notifier_sessions_by_tier{account="main",tier="expiring"} 0`,
		`notifier_oldest_look_seconds{account="main"} 60`,
		`notifier_since_reconciliation_seconds{account="main"} 3600`,
		`notifier_steps_back_held{account="main"} 1`,
		`notifier_api_rate_limit{account="main"} 2.5`,
		`notifier_api_parallel{account="main"} 4`,
		`notifier_poll_last_success_timestamp_seconds{account="main"} 1.`,
		`notifier_delivery_oldest_pending_seconds{destination="shop"} 60`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "notifier_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// A rate starts at zero rather than at nothing.
func TestSeriesOfAccountsExistFromTheStart(t *testing.T) {
	m := admin.NewMetrics("test", []string{"main"}, nil, nil, func(context.Context) (admin.Gauges, error) {
		return admin.Gauges{Polling: []admin.PollingGauges{{Account: "main", Holes: 3}}}, nil
	})
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`notifier_drift_total{account="main"} 0`, `notifier_api_response_bytes_total{account="main"} 0`,
		`notifier_page_fallbacks_total{account="main"} 0`, `notifier_rate_limit_wait_seconds_total{account="main"} 0`,
		`notifier_sessions_by_tier{account="main",tier="held"} 0`, `notifier_oldest_look_seconds{account="main"} 0`,
		`notifier_sessions_by_tier{account="main",tier="vanished"} 0`, `notifier_holes{account="main"} 3`,
	} {
		if !strings.Contains(recorder.Body.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	l, err := admin.Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = l.Addr().String()
	if _, err := admin.Listen(t.Context(), cfg); !errors.Is(err, admin.ErrListen) {
		t.Errorf("a taken address: %v, want ErrListen", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := admin.New(cfg, &daemon{}, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}
