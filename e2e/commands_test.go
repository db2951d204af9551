package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

func TestCommandsAskTheDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	id := w.create(paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	w.awaitDelivered(d, 4)
	w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")}
	w.configure()
	for _, tc := range []struct {
		args   string
		code   int
		stdout string
	}{
		{"health", 0, ""},
		{"health --ready", 0, ""},
		{"status", 0, `(?s)ready.*main +127\.0\.0\.1:\d+ +test .* ok\n.*hook +ok +0 +- +0 `},
		{"status -o json", 0, `"running": true`},
		{"status -o jsonl", 0, `^\{.*\}\n$`},
		{"accounts list", 0, `main +127\.0\.0\.1:\d+ +test +\d{4}-`},
		{"destinations list", 0, `hook +ok`},
		{"deliveries list", 0, `fulfillable`},
		{"deliveries list --session " + id, 0, `fulfillable`},
		{"deliveries list --session cs_none", 5, ``},
		{"deliveries get nope", 5, ``},
		{"deliveries get ../x", 2, ``},
		{"deadletters redrive --destination nope", 5, ``},
		{"deadletters redrive --destination No", 2, ``},
		{"deadletters purge --session cs_none", 5, ``},
		{"replay --account nope --to hook", 5, ``},
		{"replay --session cs_none --to hook", 5, ``},
		{"poll now --account nope", 5, ``},
		{"poll now --account No", 2, ``},
		{"destinations pause nope", 5, ``},
		{"destinations pause No", 2, ``},
		{"destinations test nope", 5, ``},
		{"jobs cancel job_none", 5, ``},
		{"events list", 0, `fulfillable`},
		{"jobs list", 0, `JOB`},
		{"audit list", 0, `TIME`},
		{"poll status", 0, `TIER`},
		{"accounts accept nobody", 5, ""},
		{"accounts accept main", 1, ""},
		{"accounts accept", 2, ""},
	} {
		code, p := run(t, w.dir, nil, append(strings.Fields(tc.args), "-c", w.configPath())...)
		if code != tc.code || !regexp.MustCompile(tc.stdout).MatchString(p.stdout.String()) {
			t.Errorf("%s: exit code %d, want %d, stdout %q, stderr %q", tc.args, code, tc.code, p.stdout, p.stderr)
		}
		if regexp.MustCompile(`[ \t]\n`).MatchString(p.stdout.String()) {
			t.Errorf("%s: blanks at the end of a line: %q", tc.args, p.stdout)
		}
	}
	d.stop()
	code, p := run(t, w.dir, nil, "status", "-c", w.configPath())
	// The file knows of passes, though not of each.
	silent := regexp.MustCompile(`(?s)no daemon is running.*\nmain +127\.0\.0\.1:\d+ +test +within the last \d+[sm]\d* .*\nhook +\w+ +0 +- +0 +\d+s ago\n`)
	if code != 0 || !silent.MatchString(p.stdout.String()) {
		t.Errorf("status without a daemon: exit code %d: %s%s", code, p.stdout, p.stderr)
	}
	if _, p := run(t, w.dir, nil, "accounts", "list", "-c", w.configPath()); !strings.Contains(p.stdout.String(), " within the last ") {
		t.Errorf("accounts list without a daemon: %s", p.stdout)
	}
}

func TestAdminServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rest["admin"] = object{"listen": "127.0.0.1:0", "base_path": "/notifier/", "tokens": []object{
		{"name": "look", "token": "viewer-token-of-the-test", "role": "viewer"}, {"name": "act", "token": "operator-token-of-the-test", "role": "operator"},
	}}
	d := w.daemon()
	if !strings.HasSuffix(d.admin, "/notifier") {
		t.Errorf("it says that it is served at %s", d.admin)
	}
	for _, tc := range []struct {
		method, path, token, host, origin string
		want                              int
	}{
		{"GET", "/-/healthy", "", "evil.example", "", 200},
		{"GET", "/-/ready", "", "", "http://evil.example", 200},
		{"GET", "/metrics", "", "evil.example", "", 200},
		{"GET", "/api/v1/status", "", "", "", 401},
		{"GET", "/api/v1/status", "wrong", "", "", 401},
		{"GET", "/api/v1/status", "viewer-token-of-the-test", "", "", 200},
		{"GET", "/api/v1/status", "viewer-token-of-the-test", "evil.example", "", 403},
		{"GET", "/api/v1/status", "viewer-token-of-the-test", "", "http://evil.example", 403},
		{"GET", "/api/v1/status", "viewer-token-of-the-test", "localhost:1", "", 200},
		{"POST", "/api/v1/accounts/main/accept", "viewer-token-of-the-test", "", "", 403},
		{"POST", "/api/v1/accounts/main/accept", "operator-token-of-the-test", "", "", 409},
		{"POST", "/api/v1/accounts/none/accept", "operator-token-of-the-test", "", "", 404},
		{"GET", "/api/v1/nothing", "viewer-token-of-the-test", "", "", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, d.admin+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.Host = tc.host; tc.token != "" {
			req.Header.Set("Authorization", "Bearer "+tc.token)
		}
		if tc.origin != "" {
			req.Header.Set("Origin", tc.origin)
		}
		if status, body, err := d.do(req); err != nil || status != tc.want {
			t.Errorf("%+v: status %d, error %v: %s", tc, status, err, body)
		}
	}
	d.stop()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	id := w.create(paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	w.awaitDelivered(d, 4)
	wanted := []string{
		`notifier_events_total{type="checkout.session.fulfillable"} 1`, `notifier_events_total{type="checkout.session.expired"} 0`,
		`notifier_rule_matches_total{rule="all"} 4`, `notifier_delivery_attempts_total{destination="hook",outcome="accepted"} 4`,
		`notifier_deliveries_pending{destination="hook"} 0`, `notifier_dead_letters{destination="hook"} 0`,
		`notifier_destination_up{destination="hook"} 1`, `notifier_sessions_tracked{account="main",state="settled"} 1`,
		`notifier_api_requests_total{account="main",code="200"}`, `notifier_poll_last_success_timestamp_seconds{account="main"}`,
		`notifier_delivery_latency_seconds_count{destination="hook"} 4`, `notifier_build_info{version=`, `notifier_store_size_bytes `,
		`notifier_drift_total{account="main"} 0`, `notifier_sessions_by_tier{account="main",tier="hot"} 0`, `notifier_oldest_look_seconds{account="main"} 0`,
		`notifier_steps_back_held{account="main"} 0`, `notifier_api_rate_limit{account="main"} 0`, `notifier_api_parallel{account="main"} `,
		`notifier_api_response_bytes_total{account="main"} `, `notifier_page_fallbacks_total{account="main"} `, `notifier_rate_limit_wait_seconds_total{account="main"} `,
	}
	eventually(t, patience, func() error { // an attempt is counted a moment after its result is kept
		_, metrics, err := d.get("/metrics")
		if err != nil {
			return err
		}
		for _, want := range wanted {
			if !strings.Contains(metrics, want) {
				return fmt.Errorf("the metrics have no %s", want)
			}
		}
		return nil
	})
	d.stop()
}

// TestFailedRuleIsShown lets a rule fail on every event: the others go on, and
// the status says which rule it is and why.
func TestFailedRuleIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rules = append(w.rules, object{"name": "broken", "when": `session.payment_method_types[99] == "card"`, "to": []string{"hook"}})
	d := w.daemon()
	w.awaitTold(hookPath, w.create(nil), "created")
	w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")}
	w.configure()
	_, p := run(t, w.dir, nil, "status", "-c", w.configPath())
	if !strings.Contains(p.stdout.String(), "rule \"broken\" failed 1 time and did not match") {
		t.Errorf("the status says %s", p.stdout)
	}
	d.stop()
}

func TestForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := start(t, w.dir, []string{"WOOSHPAY_SECRET_KEY=" + apiKey},
		"forward", "--to", w.hookURL+"/mine", "--base-url", w.apiURL, "--interval", "100ms", "--events", "fulfillable,expired")
	secret := regexp.MustCompile(`signing secret: (whsec_\S+)`)
	eventually(t, patience, func() error {
		if !secret.MatchString(p.stderr.String()) {
			return fmt.Errorf("it has not printed its signing secret: %s", p.stderr)
		}
		return p.alive()
	})
	receiver, err := simulator.NewReceiver(simulator.ReceiverConfig{Secrets: []string{secret.FindStringSubmatch(p.stderr.String())[1]}})
	if err != nil || receiver == nil {
		t.Errorf("the signing secret cannot be used: %v", err)
	}
	w.awaitForwarding(p)
	w.create(paid())
	eventually(t, patience, func() error {
		if got := w.receiver.Requests(); len(got) != 1 || got[0].Path != "/mine" {
			return fmt.Errorf("%d requests came", len(got))
		}
		return nil
	})
	var body object
	if err := json.Unmarshal(w.receiver.Requests()[0].Body, &body); err != nil || body["type"] != "checkout.session.fulfillable" {
		t.Errorf("it forwarded %v, error %v", body, err)
	}
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text := p.stdout.String() + p.stderr.String(); strings.Contains(text, apiKey) {
		t.Error("it printed the API key")
	}
}

// awaitForwarding waits for the end of the first pass, which fixes the start: what
// it shows is no news.
func (w *world) awaitForwarding(p *process) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		n := 0
		for _, times := range w.api.Requests() {
			n += times
		}
		if n < 5 { // a pass over an empty list takes one or two
			return fmt.Errorf("it has asked the API %d times: %s", n, p.stderr)
		}
		return p.alive()
	})
}

// TestForwardToAStripeHandler sends each order once: a handler of Stripe's events
// would ship at both of fulfillable and completed or paid. What the handler says
// is shown, without what would move the cursor.
func TestForwardToAStripeHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var lock sync.Mutex // guards bodies
	var bodies [][]byte
	handler := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Stripe-Signature") == "" {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		lock.Lock()
		defer lock.Unlock()
		bodies = append(bodies, body)
		fmt.Fprint(rw, "thanks\x1b[2J, buyer@shop.example "+strings.Repeat("x", 300)+"\nsecond line")
	}))
	t.Cleanup(handler.Close)
	p := start(t, w.dir, []string{"WOOSHPAY_SECRET_KEY=" + apiKey},
		"forward", "--to", handler.URL+"/stripe", "--base-url", w.apiURL, "--interval", "100ms", "--format", "stripe")
	w.awaitForwarding(p)
	if strings.Contains(p.stderr.String(), "warning:") {
		t.Errorf("it warns of what it does by itself: %s", p.stderr)
	}
	if !strings.Contains(p.stderr.String(), "note: --api-version is not set") {
		t.Errorf("it does not say that SDKs refuse the version: %s", p.stderr)
	}
	w.create(paid())
	late := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
	types := func(want int) map[string]int {
		got := make(map[string]int)
		eventually(t, patience, func() error {
			lock.Lock()
			defer lock.Unlock()
			clear(got)
			for _, body := range bodies {
				var e struct{ Type string }
				if err := json.Unmarshal(body, &e); err != nil {
					return err
				}
				got[e.Type]++
			}
			if len(bodies) < want {
				return fmt.Errorf("%d requests, want %d", len(bodies), want)
			}
			return nil
		})
		return got
	}
	types(1)
	eventually(t, patience, func() error {
		if !strings.Contains(p.stdout.String(), late) {
			return fmt.Errorf("it has not seen the unpaid one")
		}
		return nil
	})
	w.update(late, paid())
	types(2)
	w.create(simulator.Fields{"status": "expired"})
	want := map[string]int{"checkout.session.completed": 1, "checkout.session.async_payment_succeeded": 1, "checkout.session.expired": 1}
	if diff := cmp.Diff(want, types(3)); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	said := regexp.MustCompile(`accepted +fulfillable .* by handler in \S+: 200 thanks\[2J, \S+ x{20,}…\n`)
	eventually(t, patience, func() error {
		if !said.MatchString(p.stdout.String()) {
			return fmt.Errorf("it says %q", p.stdout.String())
		}
		return nil
	})
	if text := p.stdout.String(); strings.Contains(text, "\x1b[2J") || strings.Contains(text, "second line") || strings.Contains(text, "buyer@") {
		t.Errorf("it says %q", text)
	}
	p.stop()
}

func TestDemo(t *testing.T) {
	t.Parallel()
	code, p := run(t, t.TempDir(), nil, "demo", "--duration", "2s", "--seed", "3")
	wantExit(t, p, code, 0)
	summary := regexp.MustCompile(`orders shipped  (\d+) once, (\d+) missed, (\d+) doubled`).FindStringSubmatch(p.stdout.String())
	if summary == nil || summary[1] == "0" || summary[2] != "0" || summary[3] != "0" {
		t.Errorf("the demo's ledger: %v", summary)
	}
	if !strings.Contains(p.stdout.String(), ", 0 wrong") {
		t.Error("the demo tells of no verified signatures")
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(readme), "$ go run ./cmd/notifier demo")
	sample, _, _ = strings.Cut(sample, "```")
	shapes := demoShapes(p.stdout.String())
	for shape := range demoShapes(sample) {
		if !shapes[shape] {
			t.Errorf("the README shows a line that the demo does not print: %s", shape)
		}
	}
}

// demoShapes are the lines of a demo that begin with a time, or stand in its
// summary, without what differs from run to run.
func demoShapes(output string) map[string]bool {
	shapes := make(map[string]bool)
	for line := range strings.Lines(output) {
		if m := regexp.MustCompile(`^\d\d:\d\d:\d\d  (event|accepted) .* cs_\d+ |^  [a-zA-Z][a-zA-Z ]+   ?`).FindString(line); m != "" {
			m = regexp.MustCompile(`\d+`).ReplaceAllString(m, "N")
			shapes[regexp.MustCompile(` (\w+)( +)cs_`).ReplaceAllString(m, " TYPE cs_")] = true
		}
	}
	return shapes
}

// TestForwardWarnsAsCheckDoes asks for events at both of which a handler would ship.
func TestForwardWarnsAsCheckDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := start(t, w.dir, []string{"WOOSHPAY_SECRET_KEY=" + apiKey},
		"forward", "--to", "http://127.0.0.1:1/", "--base-url", w.apiURL, "--format", "stripe", "--events", "fulfillable,completed")
	w.awaitForwarding(p)
	if !regexp.MustCompile(`(?m)^warning: .*act twice`).MatchString(p.stderr.String()) {
		t.Errorf("it does not warn: %s", p.stderr)
	}
	p.stop()
}

// TestForeignSessions gives an account a key that shows other sessions: it
// stops, says so, and goes on when an operator accepts.
func TestForeignSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for range 3 {
		w.create(simulator.Fields{"created": ago(60e9)})
	}
	if code, p := w.once(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
	other := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_other", Seed: 99})
	create(t, other, simulator.Fields{"created": ago(90e9)})
	stranger := create(t, other, simulator.Fields{"created": ago(30e9)})
	w.swap.Store(other)
	w.accounts[0]["secret_key"] = "sk_test_other"
	// Whoever has no daemon is told how to get one for this.
	code, p := w.once()
	wantExit(t, p, code, 4, "accounts accept main", "start `notifier run`, accept meanwhile")
	code, p = run(t, w.dir, nil, "accounts", "accept", "main", "--yes", "-c", w.configPath())
	wantExit(t, p, code, 4, "no daemon answers", "start `notifier run`, accept meanwhile")
	d := w.daemon()
	s, err := d.status()
	if err != nil || s.Accounts[0].Foreign == "" {
		t.Fatalf("the status says %+v, error %v", s, err)
	}
	w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")}
	w.configure()
	code, p = run(t, w.dir, nil, "accounts", "accept", "main", "-c", w.configPath())
	wantExit(t, p, code, 2, "--yes")
	if s, err := d.status(); err != nil || s.Accounts[0].Foreign == "" {
		t.Errorf("it was accepted without a question: %+v, error %v", s, err)
	}
	if code, p := run(t, w.dir, nil, "accounts", "accept", "main", "--yes", "-c", w.configPath()); code != 0 {
		t.Errorf("accounts accept: exit code %d: %s", code, p.stderr)
	}
	w.awaitPass(d)
	fresh := create(t, other, simulator.Fields{})
	w.awaitTold(hookPath, fresh, "created")
	if got := w.told(hookPath); got[stranger] != nil || len(got) != 1 {
		t.Errorf("what existed was announced: %v", got)
	}
	if s, err := d.status(); err != nil || s.Accounts[0].Foreign != "" {
		t.Errorf("after the acceptance the status says %+v, error %v", s, err)
	}
	d.stop()
	code, p = w.once()
	wantExit(t, p, code, 0)
}
