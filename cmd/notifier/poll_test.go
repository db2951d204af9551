package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/poller"
)

func TestMomentsAreReadAsWritten(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"7d": now.AddDate(0, 0, -7), "36h": now.Add(-36 * time.Hour), "0": now,
		"2026-11-20":                time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		"2026-11-20T10:00:00+02:00": time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := readMoment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-7d", "2026-11", "10:00", "7"} {
		if got, err := readMoment(text, now); err == nil {
			t.Errorf("%q = %v", text, got)
		}
	}
}

// Whoever reads it at night is told everything that the poller knows.
func TestPollStatusIsComplete(t *testing.T) {
	now := time.Now()
	var s poller.Status
	s.Account, s.Host, s.Mode, s.Passes, s.Requests = "main", "api.example", "live", 7, 900
	s.LastSuccess, s.LastPass, s.NextPass, s.NextDue = now.Add(-4*time.Second), event.Seconds(2*time.Second), now.Add(6*time.Second), now
	s.Low = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s.Chain.Pages, s.Chain.Slices, s.Chain.Took = 12, 4, event.Seconds(1200*time.Millisecond)
	s.Chain.From, s.Chain.To = s.Low.Add(time.Hour), s.Low
	s.Reconciled, s.ReconcileEvery, s.Reconciling = now.Add(-20*time.Minute), event.Seconds(time.Hour), true
	s.Drift, s.DriftLast, s.Held = 2, now.Add(-5*time.Minute), 1
	s.RequestsLastHour, s.Rate, s.RateLimit, s.Parallel, s.Concurrency = 360, 2.5, 5, 3, 4
	s.Bytes, s.Fallbacks, s.Waited, s.Waiting = 1_200_000, 1, event.Seconds(90*time.Second), 40
	s.Holes = []poller.Hole{
		{Below: "cs_8", BelowAt: s.Low, Since: now.Add(-time.Minute), Asked: now, Error: "the API answered with status 500: boom"},
		{Above: "cs_7", AboveAt: s.Low, BelowAt: s.Low.Add(-time.Second), Since: now.Add(-8 * time.Hour), Asked: now.Add(-12 * time.Minute), Next: now.Add(48 * time.Minute)},
		{Session: "cs_1", Since: now.Add(-8 * time.Hour), Asked: now.Add(-12 * time.Minute), Next: now.Add(48 * time.Minute)},
		{Session: "cs_2", Since: now.Add(-8 * time.Hour), Asked: now.Add(-12 * time.Minute), Next: now.Add(48 * time.Minute), Error: "no status"},
		{Session: "cs_777…", Above: "cs_7", Since: now.Add(-8 * time.Hour), Error: "too long"},
	}
	s.Oddities = []poller.Oddity{{Code: "order", Message: "the list is not in order", Detail: "it begins with cs_1", Count: 1, Last: now},
		{Code: "clock_skew", Message: "the clocks differ", Detail: "the API's is 15m0s behind this machine's, and is used", Count: 3, Last: now.Add(-4 * time.Second)}, {Code: "bad_page", Message: "strangers", Count: 2, Last: now.Add(-time.Hour)}}
	s.Tiers = []poller.Tier{{Name: "hot", Sessions: 5, Due: 1, OldestLook: now.Add(-9 * time.Second)}, {Name: "held"}}
	r := &report{Running: true, Accounts: []poller.Status{s}, Sessions: map[string]map[event.Watch]int{"main": {event.Watched: 5}}}
	items := pollStatuses(r)
	if lag := items[0].Lag; lag.Duration() < 6*time.Second || lag.Duration() > 8*time.Second {
		t.Errorf("lag = %v, want the age of the last complete pass's beginning", lag)
	}
	var out bytes.Buffer
	(&app{streams: streams{out: &out}}).printPollStatus(r, items)
	want := `main (api.example, live): ok, but the API cannot show 5 parts of the list
  last pass   4s ago, took 2s; next in 6s
  lag         6s behind the list
  low mark    2026-11-22T10:00:00Z (LOW)
  chain       12 pages in 4 slices, took 1.2s, 2026-11-22T10:00:00Z to 2026-11-22T11:00:00Z
  reconciled  20m ago, again in 39m; at work on it
  drift       2 sessions that only a reconciliation found, last 5m ago
  steps back  1 session with a change that may be an old answer of the API; it is announced once it is confirmed
  holes       5 parts of the list that the API cannot show; what has not been seen yet of the sessions there is announced once it can
  requests    360 in the last hour, 900 since the start
  rate        2.5/s now, limit 5/s; 3 of 4 at once
  answers     1.2 MB read, 1 page of an unusual form
  waited      1m for the rate limit
  backlog     40 due sessions left for the next pass
  next due    now

  TIER  SESSIONS  DUE  OLDEST LOOK
  hot   5         1    9s ago
  held  0         0    -
  hole: from the newest session down to cs_8 of 2026-11-22T10:00:00Z, found 1m ago, asked for 0s ago: the API answered with status 500: boom
  hole: from cs_7 of 2026-11-22T10:00:00Z down to 2026-11-22T09:59:59Z, found 8h00m ago, asked for 12m ago, again in 47m
  hole: session cs_1, shown last 8h00m ago, asked for 12m ago, again in 47m
  hole: session cs_2, which cannot be read, found 8h00m ago, asked for 12m ago, again in 47m: no status
  hole: session cs_777…, which cannot be read, found 8h00m ago: too long
  odd: the list is not in order (order, 1 time, last 0s ago): it begins with cs_1
  odd: the clocks differ (clock_skew, 3 times, last 4s ago): the API's is 15m0s behind this machine's, and is used
  odd: not in the last pass any more: strangers (bad_page, 2 times, last 1h00m ago)
`
	want = strings.Replace(want, "LOW", ago(s.Low), 1)
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What was over before an account began to fail does not look current while it fails.
func TestWhatIsOverStaysSoInAnOutage(t *testing.T) {
	now := time.Now()
	s := poller.Status{Error: "connection refused", LastSuccess: now.Add(-5 * time.Minute), LastPass: event.Seconds(2 * time.Second)}
	for since, over := range map[time.Duration]bool{6 * time.Minute: true, 5*time.Minute + time.Second: false, time.Minute: false} {
		text := oddityText(&s, &poller.Oddity{Code: "order", Message: "the list is not in order", Count: 1, Last: now.Add(-since)})
		if strings.HasPrefix(text, "not in the last pass any more: ") != over {
			t.Errorf("%s ago: %s", since, text)
		}
	}
}

// Who waits for a pass of an account that fails is told so, and then answered.
func TestWaitingForAPassIsExplained(t *testing.T) {
	told, asked := make(chan struct{}), 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pollPath {
			<-told
			_, _ = io.WriteString(w, `{"items": [{"account": "main"}]}`)
			return
		}
		if asked++; asked == 1 { // its first request still hangs
			_, _ = io.WriteString(w, `{"running": true, "accounts": [{"account": "main"}]}`)
			return
		}
		defer close(told)
		_, _ = io.WriteString(w, `{"running": true, "accounts": [
			{"account": "main", "error": "the key was refused"}, {"account": "well", "passes": 1}, {"account": "other", "error": "away"}]}`)
	}))
	defer server.Close()
	var stderr bytes.Buffer
	var answer struct {
		Items []poller.PassReport `json:"items"`
	}
	a := &app{streams: streams{err: &stderr}}
	err := a.await(t.Context(), &client{base: server.URL, http: *server.Client()}, time.Millisecond, []string{"main", "well"}, map[string]any{}, &answer)
	if err != nil || len(answer.Items) != 1 {
		t.Errorf("answered %v, %v", answer, err)
	}
	if said := stderr.String(); !strings.Contains(said, "main: failing") || !strings.Contains(said, "the key was refused") || strings.Count(said, "\n") != 1 {
		t.Errorf("told %q", said)
	}
}

// A daemon elsewhere is asked at its address with the token of a file, and with no
// other: the configured token is for the configured daemon.
func TestTheDaemonToAskCanBeNamed(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		_, _ = io.WriteString(w, `{"running": true, "items": []}`)
	}))
	defer server.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "operator-token-of-the-test\n", "none": "\n", "two": "a b\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("NOTIFIER_CONFIG", writeConfig(t, dir+"/n.db", "http://127.0.0.1:1"))
	for _, tt := range []struct {
		line, path, token string
		code              int
	}{
		{"status --url " + server.URL, "/api/v1/status", "", exitOK},
		{"poll now --token-file token --url " + server.URL + "/notifier/", "/notifier/api/v1/poll", "Bearer operator-token-of-the-test", exitOK},
		{"health --url " + server.URL, "/-/healthy", "", exitOK},
		{"jobs list -o json --url " + server.URL + " --token-file token", "/api/v1/jobs", "Bearer operator-token-of-the-test", exitOK},
		{"status --url " + server.URL + " --token-file absent", "", "", exitUsage},
		{"status --token-file none", "", "", exitUsage},
		{"status --token-file two", "", "", exitUsage},
		{"status --url 127.0.0.1:8484", "", "", exitUsage},
		{"status --url http://me:secret@127.0.0.1:8484", "", "", exitUsage},
		{"events list --url http://127.0.0.1:1", "", "", exitUnreachable}, // and no file is read instead
	} {
		asked.Store(nil)
		code, stdout, stderr := run(t, strings.Fields(tt.line)...)
		path, token := "", ""
		if r := asked.Load(); r != nil {
			path, token = r.URL.Path, r.Header.Get("Authorization")
		}
		if code != tt.code || path != tt.path || token != tt.token || strings.Contains(stdout+stderr, "me:secret") {
			t.Errorf("%s: exit code %d, asked for %q with %q: %s%s", tt.line, code, path, token, stdout, stderr)
		}
	}
}

// A script sees by the exit code that something is not well, and stderr names it.
func TestStatusJudges(t *testing.T) {
	var answer atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer.Load().(string))
	}))
	defer server.Close()
	for _, tt := range []struct {
		report string
		code   int
		says   string
	}{
		{`"ready": true, "accounts": [{"account": "main", "passes": 3}], "destinations": [{"name": "shop", "state": "ok"}, {"name": "bus", "state": "paused", "paused_by": "ci"}]`, exitOK, ""},
		{`"ready": true, "destinations": [{"name": "shop", "state": "paused", "paused_by": "ci", "why": "paused by ci", "pending": 1}]`, exitFailure, "destination shop is paused, with 1 delivery waiting: paused by ci"},
		{`"ready": false, "waiting_for": "the first pass is not finished"`, exitFailure, "not ready: the first pass is not finished"},
		{`"ready": true, "accounts": [{"account": "main", "error": "status 500"}]`, exitFailure, "account main is failing for"},
		{`"ready": true, "accounts": [{"account": "main", "foreign": "other sessions"}]`, exitFailure, "account main is stopped"},
		{`"ready": true, "destinations": [{"name": "shop", "state": "failing", "why": "status 503"}]`, exitFailure, "destination shop is failing: status 503"},
		{`"ready": true, "destinations": [{"name": "shop", "state": "paused", "why": "answered 410"}]`, exitFailure, "destination shop is paused: answered 410"},
		{`"ready": true, "conditions": [{"kind": "rule", "subject": "ship", "why": "no such key"}]`, exitFailure, `rule "ship" is failing: no such key`},
		{`"ready": true, "store": {"why": "the file is gone"}`, exitFailure, "the file is gone"},
	} {
		answer.Store(`{"running": true, ` + tt.report + `}`)
		code, stdout, stderr := run(t, "status", "--exit-code", "--url", server.URL)
		if code != tt.code || !strings.Contains(stderr, tt.says) || (tt.says == "") != (stderr == "") || stdout == "" {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q", tt.report, code, stderr, stdout)
		}
		if code, _, stderr := run(t, "status", "--url", server.URL); code != exitOK || stderr != "" {
			t.Errorf("%s without --exit-code: %d, stderr %q", tt.report, code, stderr)
		}
	}
}

// Whoever finds an account stopped need not look for what to do in the log.
func TestStoppedAccountSaysWhatToDo(t *testing.T) {
	var answer atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer.Load().(string))
	}))
	defer server.Close()
	answer.Store(`{"running": true, "ready": true, "accounts": [{"account": "main", "foreign": "other sessions"}]}`)
	for _, command := range []string{"status", "status --exit-code", "accounts list", "poll status"} {
		_, stdout, stderr := run(t, append(strings.Fields(command), "--url", server.URL)...)
		for _, says := range []string{"stopped: other sessions", "put the right secret_key back", "notifier accounts accept main"} {
			if !strings.Contains(stdout, says) || (strings.Contains(command, "exit") && !strings.Contains(stderr, says)) {
				t.Errorf("%s: without %q: %q, %q", command, says, stdout, stderr)
			}
		}
	}
}

// An account that fails says when its next try is, and who asked for the pause.
func TestStateOfAnAccountTellsTheNextTry(t *testing.T) {
	now := time.Now()
	failing := poller.Status{Error: "status 429", ErrorSince: now.Add(-time.Minute)}
	for want, change := range map[string]func(*poller.Status){
		"failing for 1m, being tried: status 429":                                                               func(*poller.Status) {},
		"failing for 1m, next try in 9m: status 429":                                                            func(s *poller.Status) { s.NextTry = now.Add(10 * time.Minute) },
		"failing for 1m, next try in 9m as the API asked (Retry-After): status 429":                             func(s *poller.Status) { s.NextTry, s.AskedToWait = now.Add(10*time.Minute), true },
		"failing for 1m, next try in 9m (at once after a correction at the API: notifier poll now): status 429": func(s *poller.Status) { s.NextTry, s.Denied = now.Add(10*time.Minute), true },
		"waiting, next try in 9m as the API asked (Retry-After)":                                                func(s *poller.Status) { s.NextTry, s.AskedToWait, s.Error = now.Add(10*time.Minute), true, "" },
		"failing for 1m, being tried: status 429. The account was never polled: no order is seen or shipped, and with start: now those that are created until the first answer never are; to have them announced, set its start to a time and restart notifier": func(s *poller.Status) { s.Configured = poller.StartNow },
	} {
		s := failing
		change(&s)
		if got := accountState(&report{Running: true}, s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Two backfills of one account would meet.
func TestBackfillsConflict(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`{"accounts":["main"]}`, `{"accounts":["main","other"]}`, true},
		{`{"accounts":["main"]}`, `{"accounts":["other"]}`, false},
		{`{"accounts":[]}`, `{"accounts":["other"]}`, true},
		{`{}`, `{}`, true},
	} {
		if got := conflictingBackfills(json.RawMessage(tt.a), json.RawMessage(tt.b)); got != tt.want {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
	}
}

// A request does not outlive the daemon's work, and is told why.
func TestOrdersEndWithTheDaemon(t *testing.T) {
	d := &daemon{stopped: make(chan struct{})}
	ctx, cancel := d.whileWorking(t.Context())
	defer cancel()
	close(d.stopped)
	<-ctx.Done()
	if err := whyEnded(ctx, ctx.Err()); !errors.Is(err, admin.ErrStopping) {
		t.Errorf("the daemon stopped: %v", err)
	}
	d = &daemon{stopped: make(chan struct{})}
	asked, leave := context.WithCancel(t.Context())
	ctx, cancel = d.whileWorking(asked)
	defer cancel()
	leave()
	<-ctx.Done()
	if err := whyEnded(ctx, ctx.Err()); !errors.Is(err, context.Canceled) {
		t.Errorf("the client left: %v", err)
	}
}

func TestFlagsAreCompleted(t *testing.T) {
	source := writeConfig(t, t.TempDir()+"/n.db", "http://127.0.0.1:1")
	for line, want := range map[string]string{
		"poll now --account ":      "main\n",
		"poll now -o ":             "table\njson\njsonl\n",
		"jobs list --status ":      "running\ndone\nfailed\ncancelled\n",
		"poll backfill --since ":   "1h\n24h\n7d\n30d\n",
		"jobs cancel ":             "",
		"poll backfill --account ": "main\n",
	} {
		t.Setenv("NOTIFIER_CONFIG", source)
		words := append([]string{"__complete"}, strings.Split(line, " ")...)
		if _, stdout, _ := run(t, words...); !strings.HasPrefix(stdout, want) || !strings.Contains(stdout, ":4") {
			t.Errorf("%s: %q", line, stdout)
		}
	}
}
