package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/config"
	"checkout-notifier/event"
)

// What cannot be meant is found before anything is looked for: there is neither a
// configuration nor a daemon here.
func TestRecordsAreAskedForRightly(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(config.FileVariable, "")
	for _, line := range []string{
		"deliveries list --status lost", "deliveries list --since yesterday", "deliveries list --type payed", "deliveries list --limit -1",
		"deliveries list --cursor x", "deliveries list extra", "deliveries get", "deliveries retry", "events list --since 1h --until 2h", "audit list --type paid",
		"deadletters redrive", "deadletters redrive dlv_1 --all", "deadletters purge --all --type paid", "deadletters purge --since never", "deadletters redrive --all --rate fast",
		"deadletters redrive --all --dry-run --detach", "replay", "replay --to shop", "replay --all", "replay evt_1 --failed --new-ids", "destinations test", "destinations test shop --type payed",
		"deadletters list -o xml", "replay --all --to shop -o yaml",
	} {
		if code, stdout, stderr := run(t, strings.Fields(line)...); code != exitUsage || stdout != "" || stderr == "" {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
}

// A misspelt type is answered with the one that was meant by every command that takes
// types, before a daemon is looked for.
func TestMisspeltTypes(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(config.FileVariable, "")
	for _, command := range []string{
		"destinations test shop --type", "deadletters redrive --type", "deadletters purge --type", "deadletters list --type", "deliveries list --type", "events list --type",
		"replay --to shop --type",
	} {
		for typed, meant := range map[string]string{
			"payed": "paid", "checkout.session.payed": "paid", "expird": "expired", "payment_succeeded": "paid", "checkout.sesion.paid": "paid", //nolint:misspell // which it is about
			"destination.recoverd": "destination.recovered", "notifier.delivery.daed": "delivery.dead",
		} {
			code, _, stderr := run(t, strings.Fields(command+" "+typed)...)
			if code != exitUsage || !strings.Contains(stderr, "type") || !strings.Contains(stderr, fmt.Sprintf("did you mean %q?", meant)) {
				t.Errorf("%s %s: exit code %d, %s", command, typed, code, stderr)
			}
		}
	}
}

// Without a daemon the file tells what the API would, and nothing can be done.
func TestRecordsWithoutADaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, dearWorks)
	events := o.happen(250)
	if _, err := o.RetryDelivery(t.Context(), event.DeliveryID(events[0].ID, "shop", ""), "", "ann"); err != nil {
		t.Fatal(err)
	}
	o.stop()
	file := writeConfig(t, path, "http://127.0.0.1:1")
	letter := event.DeliveryID(events[2].ID, "shop", "")
	for _, tt := range []struct {
		line string
		code int
		n    int // lines of output, -1: any
		says string
	}{
		{"deliveries list -o jsonl", exitOK, 100, `"attempts_made":1`},
		{"deliveries list -o jsonl --limit 0", exitOK, 250, ""},
		{"deliveries list --limit 101", exitOK, 102, "there are more"},
		{"deliveries list --status pending", exitOK, 2, "pending, orphaned"}, // the file names no shop
		{"deliveries list --status orphaned", exitOK, 2, "pending, orphaned"},
		{"deliveries list --status orphaned", exitOK, 2, "ABOUT"},                        // a session, or what an event of the program is about
		{"deliveries list --status orphaned --destination hook -o jsonl", exitOK, 0, ""}, // which the file names
		{"deliveries list --status pending -o jsonl", exitOK, 1, `"orphaned":true`},
		{"deadletters list -o jsonl --limit 0 --destination shop", exitOK, 124, `"status":"dead"`},
		{"deadletters list --session cs_2", exitOK, 2, "status 400 Bad Request"},
		{"deadletters list --destination shp", exitNotFound, 0, `there is no destination "shp"`},
		{"deliveries list --event evt_none", exitNotFound, 0, "there is no event"},
		{"events list -o jsonl --limit 0", exitOK, 250, `"rule_errors":[{"rule":"dear"`},
		{"events list --rule nobody", exitNotFound, 0, "there is no rule"},
		{"events get " + events[2].ID, exitOK, -1, letter},
		{"events get evt_none", exitNotFound, 0, "there is no "},
		{"deadletters get " + letter, exitOK, -1, "no b***@example.com"},
		{"deadletters get " + letter, exitOK, -1, "answer to attempt 1:\nx-request-id: req_7\n"},
		{"deadletters get " + event.DeliveryID(events[1].ID, "shop", ""), exitNotFound, 0, "there is no "},
		{"deadletters get " + events[1].ID, exitNotFound, 0, "for this id: notifier events get evt_"},
		{"deadletters get dlv_none", exitNotFound, 0, "for this id: notifier deliveries get dlv_none"},
		{"events get cs_2", exitNotFound, 0, "for this id: notifier events list --session cs_2"},
		// Types are taken short and whole, the program's own too.
		{"events list -o jsonl --limit 0 --type paid", exitOK, 250, ""},
		{"events list -o jsonl --limit 0 --type checkout.session.paid", exitOK, 250, ""},
		{"events list -o jsonl --type destination.recovered", exitOK, 0, ""},
		{"events list -o jsonl --type notifier.destination.recovered", exitOK, 0, ""},
		{"deliveries list -o jsonl --type notifier.delivery.dead", exitOK, 0, ""},
		{"events list -o jsonl --limit 0 --type expired,paid", exitOK, 250, ""},
		{"events list -o jsonl --limit 0 --type paid --type expired", exitOK, 250, ""},
		{"events list -o jsonl --limit 0 --type expired,destination.recovered", exitOK, 0, ""},
		{"deliveries list -o jsonl --type expired,paid --status pending", exitOK, 1, ""},
		{"deadletters list -o jsonl --limit 0 --type paid,expired --destination shop", exitOK, 124, ""},
		{"events list --type paid,paied", exitUsage, 0, `not "paied", did you mean "paid"?`},
		{"events list --type payed", exitUsage, 0, `not "payed", did you mean "paid"?`},
		{"events list --type checkout.session.succeeded", exitUsage, 0, `did you mean "paid"?`},
		{"replay --type payed --to shop", exitUsage, 0, `notifier: --type must be an event type (`},
		{"replay --type expired,payed --to shop", exitUsage, 0, `not "payed", did you mean "paid"?`},
		{"deliveries list --type checkout.session.fulfilable", exitUsage, 0, `not "checkout.session.fulfilable", did you mean "fulfillable"?`},
		{"deliveries list --status pendin", exitUsage, 0, `not "pendin", did you mean "pending"?`},
		{"events list --account mian", exitNotFound, 0, `there is no account "mian", did you mean "main"?`},
		{"events get " + events[2].ID, exitOK, -1, "rules     ship"},
		{"events get " + events[2].ID, exitOK, -1, "DESTINATION  RULES"},
		{"events get -o json " + events[2].ID, exitOK, -1, "\n  \"rules\": [\n    \"ship\"\n  ]"},
		{"jobs list --limit -1", exitUsage, 0, "--limit must not be negative"},
		{"events list --type paied", exitUsage, 0, "short or whole"},
		{"events list --type checkout.session.destination.recovered", exitUsage, 0, ""},
		// What there is not is told from what cannot be.
		{"events list --session cs_none", exitNotFound, 0, `there is no session "cs_none"`},
		{"deliveries list --session nope", exitNotFound, 0, `there is no session "nope"`},
		{"deadletters list --session nope", exitNotFound, 0, `there is no session "nope"`},
		{"events list --account nope", exitNotFound, 0, `there is no account "nope"`},
		{"deliveries list --rule nope", exitNotFound, 0, `there is no rule "nope"`},
		{"deliveries list --job job_none", exitNotFound, 0, `there is no job "job_none"`},
		{"deliveries get nope", exitNotFound, 0, "there is no "},
		{"jobs get nope", exitNotFound, 0, "nope"},
		{"deliveries list --destination Not/A/Name", exitUsage, 0, "is no name"},
		{"events list --account Main", exitUsage, 0, "is no name"},
		{"events list --session cs_1?", exitUsage, 0, "is no id"},
		{"deliveries get ../events", exitUsage, 0, "is no id"},
		{"jobs get job/1", exitUsage, 0, "is no id"},
		{"audit list", exitOK, 2, "ann  delivery.retry"},
		{"audit list -o json --actor bob", exitOK, -1, `"items": []`},
		{"deliveries retry " + letter, exitUnreachable, 0, "no daemon"},
		{"deadletters redrive --all", exitUnreachable, 0, "no daemon"},
		{"deadletters purge --all", exitUnreachable, 0, "no daemon"},
		{"replay --all --to hook", exitUnreachable, 0, "no daemon"},
		{"destinations test hook", exitUnreachable, 0, "no daemon"},
	} {
		code, stdout, stderr := run(t, append(strings.Fields(tt.line), "-c", file)...)
		if code != tt.code || (tt.n >= 0 && strings.Count(stdout, "\n") != tt.n) || !strings.Contains(stdout+stderr, tt.says) {
			t.Errorf("%s: exit code %d, %d lines: %.2000s%s", tt.line, code, strings.Count(stdout, "\n"), stdout, stderr)
		}
	}
	// The pages of -o json lead on.
	seen := make(map[string]bool)
	for cursor := ""; ; {
		args := []string{"deliveries", "list", "-o", "json", "--limit", "60", "-c", file}
		if cursor != "" {
			args = append(args, "--cursor", cursor)
		}
		_, stdout, stderr := run(t, args...)
		var page struct {
			Items []struct{ ID string }
			Next  *string
		}
		if err := json.Unmarshal([]byte(stdout), &page); err != nil {
			t.Fatalf("%v: %s%s", err, stdout, stderr)
		}
		for _, item := range page.Items {
			seen[item.ID] = true
		}
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	if len(seen) != 250 {
		t.Errorf("the pages have %d deliveries", len(seen))
	}
	for line, want := range map[string]string{
		"destinations test": "hook", "deadletters list --destination": "hook", "replay --to": "hook", "events list --rule": "all",
		"deadletters redrive": event.DeliveryID(events[248].ID, "shop", ""), "deliveries list --status": "purged",
	} {
		args := append(append([]string{"__complete", "-c", file}, strings.Fields(line)...), "")
		_, stdout, _ := run(t, args...)
		if !slices.Contains(strings.Split(stdout, "\n"), want) {
			t.Errorf("%s completes to %s", line, stdout)
		}
	}
}

func TestOnlyAYesIsOne(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "": false, "\n": false, "no\n": false, "yep\n": false} {
		var out bytes.Buffer
		if err := ask(t.Context(), strings.NewReader(answer), &out, "Redrive?"); (err == nil) != want || out.String() != "Redrive? [y/N] " {
			t.Errorf("%q: %v, %s", answer, err, out.String())
		}
	}
}

func TestProgressIsToldByTheReport(t *testing.T) {
	r := redeliveryReport{Total: 100, Done: 50, Rate: 2}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	if r.estimate(now); r.Remaining.Duration() != 25*time.Second || !r.ETA.Equal(now.Add(25*time.Second)) {
		t.Errorf("%+v", r)
	}
	for done, skipped := range map[int]int{95: 5, 101: 0} { // what was planned and changed meanwhile
		r.Done = done
		if got, _ := r.end(nil); got != (redeliveryReport{Total: 100, Done: done, Skipped: skipped, Rate: 2}) {
			t.Errorf("%+v", got)
		}
	}
	if got, err := r.end(errNoDaemon); got != r || err == nil {
		t.Errorf("%+v, %v", got, err)
	}
}
