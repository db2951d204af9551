package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

// operate lets commands find a running daemon: where it listens is only known now.
func (w *world) operate(d *daemon) {
	w.t.Helper()
	w.rest["admin"] = object{"listen": strings.TrimPrefix(d.admin, "http://")}
	w.configure()
}

// command runs a command line and demands its exit code.
func (w *world) command(line string, want int) *process {
	w.t.Helper()
	code, p := run(w.t, w.dir, nil, append(strings.Fields(line), "-c", w.configPath())...)
	if code != want {
		w.t.Errorf("%s: exit code %d, want %d, stdout %q, stderr %q", line, code, want, p.stdout, p.stderr)
	}
	return p
}

// says runs a command line and demands its exit code and what it prints.
func (w *world) says(line string, want int, stdout, stderr string) {
	w.t.Helper()
	p := w.command(line, want)
	for pattern, text := range map[string]string{stdout: p.stdout.String(), stderr: p.stderr.String()} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			w.t.Errorf("%s: says %q, want %s", line, text, pattern)
		}
	}
}

func TestPollNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.poll["interval"] = "10m" // nothing but the command makes a second pass
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	id := w.create(paid())
	w.says("poll now", 0, `(?s)ACCOUNT .*\nmain +\S+ +[1-9]\d* +1 +4 +ok\n$`, `^$`)
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	w.says("poll now --account main -o json", 0, `"items": \[\s+\{\s+"account": "main"`, ``)
	w.says("poll now -o jsonl", 0, `^\{"account":"main",.*\}\n$`, ``)
	w.says("poll now --account main --account nobody", 5, `^$`, `there is no account "nobody"`)
	w.says("poll now main", 2, `^$`, `notifier poll now --help`)
	d.stop()
	w.says("poll now", 4, `^$`, `no daemon answers`)
}

// TestPollNowFails asks for a pass over an account that is stopped.
func TestPollNowFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for range 3 {
		w.create(simulator.Fields{"created": ago(time.Minute)})
	}
	if code, p := w.once(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
	w.swap.Store(simulator.NewAPI(simulator.Config{SecretKey: "sk_test_other", Seed: 99}))
	w.accounts[0]["secret_key"] = "sk_test_other"
	d := w.daemon()
	w.operate(d)
	w.says("poll now", 1, `main .* failed: .* other sessions .*notifier accounts accept main`, `1 of 1 passes could not be completed`)
	w.says("poll status", 0, `main .*: stopped: .*\n  last pass +within the last \d+s, .*; next `, ``)
	d.stop()
}

// TestPollNowOfAnAPIThatIsDown tells one that cannot be reached from one that fails.
func TestPollNowOfAnAPIThatIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var down atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		switch code := int(down.Load()); code {
		case 0:
			w.api.ServeHTTP(out, in)
		case -1:
			panic(http.ErrAbortHandler) // closes the connection without an answer
		default:
			out.WriteHeader(code)
		}
	}))
	t.Cleanup(api.Close)
	w.accounts[0]["base_url"] = api.URL
	w.poll["interval"] = "10m" // nothing but the command makes a second pass
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	down.Store(-1)
	w.says("poll now", 4, `main .* failed: the API cannot be reached: `, `1 of 1 passes could not be completed`)
	down.Store(0)
	w.says("poll now", 0, `ok\n$`, ``)
	down.Store(401)
	w.says("poll now", 1, `main .* failed: the API refused the key`, `1 of 1 passes could not be completed`)
	d.stop()
}

// TestPollNowDuringALongPause asks for a pass while the API asked for ten minutes
// of rest.
func TestPollNowDuringALongPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	w.faults(simulator.Faults{RateLimited: simulator.Always(), RetryAfterS: 600})
	w.says("poll now", 1, `main .* failed: the API asked for a pause \(Retry-After\), and is asked again in (10m0s|9m\d+s): .*429`, `1 of 1 passes could not be completed`)
	w.says("poll backfill --since 1h --dry-run", 1, `^$`, `account main: the API asked for a pause .* asked again in (10m0s|9m\d+s)`)
	w.says("poll status", 0, `^main \(.*\): failing for .*, next try in 9m as the API asked \(Retry-After\): .*429.*\n  last pass .*; next in 9m\n`, `^$`)
	w.says("poll status -o json", 0, `(?s)"next_try": "2.*"asked_to_wait": true.*"next_pass": "2`, `^$`)
	w.says("accounts list", 0, `next try in 9m`, `^$`)
	d.stop()
}

func TestPollStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rest["admin"] = object{"listen": "127.0.0.1:1"}
	w.configure()
	w.says("poll status", 4, `^$`, `no state file`)
	w.rest["admin"] = object{"listen": "127.0.0.1:0"}
	d := w.daemon()
	w.create(nil)
	w.awaitPass(d)
	w.operate(d)
	w.command("poll now", 0)
	w.says("poll status", 0, `(?s)^main \(127\.0\.0\.1:\d+, test\): ok\n`+
		`  last pass +\ds ago, took .*; next .*\n  lag .* behind the list\n  low mark +\d{4}-.*\n  chain .*\n  reconciled .*\n  drift +none\n  steps back +none\n  holes +none\n`+
		`  requests +\d+ in the last hour, \d+ since the start\n  rate +unlimited now, limit unlimited; .*at once\n.*  backlog +none\n  next due .*\n`+
		`\n  TIER +SESSIONS +DUE +OLDEST LOOK\n.*  hot +1 +\d `, `^$`)
	var list struct {
		Items []struct {
			Account string  `json:"account"`
			Running bool    `json:"running"`
			Lag     float64 `json:"lag_seconds"`
			Tiers   []struct {
				Name     string `json:"name"`
				Sessions int    `json:"sessions"`
			} `json:"tiers"`
			Sessions map[string]int `json:"sessions"`
		} `json:"items"`
	}
	p := w.command("poll status -o json", 0)
	if err := json.Unmarshal([]byte(p.stdout.String()), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %s", err, p.stdout)
	}
	if s := list.Items[0]; s.Account != "main" || !s.Running || s.Lag <= 0 || len(s.Tiers) < 5 || s.Sessions["watched"] != 1 {
		t.Errorf("status: %+v", s)
	}
	w.says("poll status -o jsonl", 0, `^\{"account":"main".*\}\n$`, ``)
	w.says("poll status -o xml", 2, `^$`, `table, json, jsonl`)
	d.stop()
	w.says("poll status", 0, `(?s)no daemon is running.*\nmain .*\n  low mark +\d{4}-.*\n  sessions +1 watched`, `^$`)
}

// TestBackfill finds a session that no pass has read: it lies below the windows.
func TestBackfill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.create(nil) // the first pass reads back from the newest session
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	created := time.Now().Add(-20 * 24 * time.Hour)
	id := w.create(simulator.Fields{"created": created.UTC().Format(time.RFC3339)})
	w.says("poll backfill --since 30d --dry-run", 0, `(?s)^ACCOUNT +SESSION +CREATED +EVENTS +SILENT\nmain +`+id+` +\d{4}-\S+ +created.* yes\n$`,
		`of which 1 new and 0 changed; 0 events would be announced, 1 session recorded silently; known already: 1, and what was recorded silently stays so; nothing was changed`)
	w.says("poll backfill --since 30d --dry-run --announce", 0, `main +`+id+` .* no\n$`, `[1-9] events? would be announced, 0 sessions`)
	w.says("poll backfill --since 30d --dry-run -o json", 0, `(?s)"dry_run": true,.*"found": \[\s+\{`, ``)
	w.says("poll backfill --since 30d --until 21d --dry-run -o json", 0, `"found": \[\]`, ``)
	w.says("poll backfill --since 30d --until 21d --dry-run -o jsonl", 0, `^\{"dry_run":true,.*"found":\[\]\}\n$`, ``)
	w.says("poll backfill --since 30d --dry-run -o jsonl", 0, `^\{"account":"main","session":"`+id+`".*\}\n$`, ``)
	w.says("poll backfill --since 30d", 0, `^job_\S+ done: .*, of which 1 new and 0 changed; 0 events announced, 1 session recorded silently; known already: 1, and what was recorded silently stays so\n$`, `Ctrl-C leaves it running`)
	w.says("poll backfill --since 30d", 0, `of which 0 new and 0 changed`, ``)
	if told := w.told(hookPath)[id]; told != nil {
		t.Errorf("it was announced: %v", told)
	}
	p := w.command("poll backfill --since 1h --detach", 0)
	job := strings.TrimSpace(p.stdout.String())
	eventually(t, patience, func() error {
		if p := w.command("jobs get "+job, 0); !strings.Contains(p.stdout.String(), "done") {
			return fmt.Errorf("the job is not done: %s", p.stdout)
		}
		return nil
	})
	w.says("jobs cancel "+job, 1, `^$`, `ended already`)
	w.says("jobs list --status done --kind backfill", 0, `(?s)^JOB .*\n(job_\S+ +backfill +done +local .*\n){3}$`, ``)
	w.says("jobs list -o jsonl", 0, `^(\{"id":"job_.*\}\n){3}$`, ``)
	w.says("jobs list -o jsonl --limit 2", 0, `^(\{"id":"job_.*\}\n){2}$`, ``)
	d.stop()
	w.says("jobs get "+job, 0, job+` +backfill +done`, `no daemon is running`)
	w.says("jobs get job_1", 5, `^$`, `job_1`)
}

// TestBackfillAnnounces what would be recorded silently, because it was asked to.
func TestBackfillAnnounces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.create(nil) // the first pass reads back from the newest session
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	id := w.create(simulator.Fields{"created": ago(20 * 24 * time.Hour), "status": "complete", "payment_status": "paid"})
	w.says("poll backfill --since 30d --announce --yes", 0, `of which 1 new and 0 changed; 4 events announced, 0 sessions recorded silently`, ``)
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	d.stop()
}

// TestMistakesInBackfills are found before anything is asked: there is no daemon.
func TestMistakesInBackfills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rest["admin"] = object{"listen": "127.0.0.1:1"}
	w.configure()
	for line, says := range map[string]string{
		"":                                     `--since is needed`,
		"--since yesterday":                    `--since takes how long ago .* not "yesterday"`,
		"--since 2999-01-01":                   `future`,
		"--since 1h --until 2h":                `--until must be later`,
		"--since 1h --until soon":              `--until takes`,
		"--since 1h --dry-run --detach":        `--dry-run starts no job`,
		"--since 1h more":                      `more`,
		"--since 2026-01-01 --until 2026-1-02": `--until takes`,
	} {
		w.says("poll backfill "+line, 2, `^$`, says)
	}
	w.says("poll backfill --since 1h", 4, `^$`, `no daemon answers`)
	w.says("poll backfill --since 1h --dry-run", 4, `^$`, `no daemon answers`)
	w.says("jobs cancel job_1", 4, `^$`, `no daemon answers`)
	w.says("jobs list", 4, `^$`, `no state file`)
	w.says("jobs list --status over", 2, `^$`, `running, done, failed, cancelled`)
}

// TestJobsSurviveTheDaemon kills the daemon while a backfill waits for an API
// that does not answer: the next one takes it up.
func TestJobsSurviveTheDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.poll["timeout"] = "1s"
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	w.says("poll backfill --since 1h --account nobody", 5, `^$`, `"nobody"`)
	w.faults(simulator.Faults{Hang: simulator.Always()})
	job := strings.TrimSpace(w.command("poll backfill --since 1h --detach", 0).stdout.String())
	w.says("poll backfill --since 2h", 1, `^$`, `409.*`+job)
	w.says("jobs list --status running", 0, job+` +backfill +running`, ``)
	d.kill()
	w.says("jobs list", 0, job+` +backfill +running`, `no daemon is running`)
	w.faults(simulator.Faults{})
	w.rest["admin"] = object{"listen": "127.0.0.1:0"}
	d = w.daemon()
	w.operate(d)
	eventually(t, patience, func() error {
		if p := w.command("jobs get -o json "+job, 0); !strings.Contains(p.stdout.String(), `"status": "done"`) || !strings.Contains(p.stdout.String(), `"restarts": 1`) {
			return fmt.Errorf("the job is not done: %s", p.stdout)
		}
		return nil
	})
	d.stop()
}

// TestBackfillIsLeftAndCancelled: Ctrl-C leaves the job running, cancel ends it.
func TestBackfillIsLeftAndCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.daemon()
	w.awaitPass(d)
	w.operate(d)
	w.faults(simulator.Faults{Hang: simulator.Always()})
	p := start(t, w.dir, nil, "poll", "backfill", "--since", "1h", "-c", w.configPath())
	eventually(t, patience, func() error {
		if !strings.Contains(p.stderr.String(), "Ctrl-C leaves it running") {
			return fmt.Errorf("it says %s", p.stderr)
		}
		return p.alive()
	})
	job := strings.Fields(p.stderr.String())[0]
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "notifier jobs cancel "+job+" ends it") {
		t.Errorf("after Ctrl-C: exit code %d: %s", code, p.stderr)
	}
	second := start(t, w.dir, nil, "poll", "now", "-c", w.configPath())
	w.says("jobs cancel "+job, 0, `^$`, `is cancelled`)
	w.says("jobs get "+job, 0, `cancelled`, ``)
	w.says("jobs cancel job_20260101-000000-000", 5, `^$`, `job_2026`)
	second.signal(syscall.SIGINT)
	if code := second.wait(); code != 1 {
		t.Errorf("poll now after Ctrl-C: exit code %d: %s", code, second.stderr)
	}
	w.faults(simulator.Faults{})
	d.stop()
}
