package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"checkout-notifier/simulator"
)

// operatorsWorld has a receiver that refuses for good what comes to the hook
// until it is mended, a second destination that takes everything, and tokens.
func operatorsWorld(t *testing.T) (w *world, mended *atomic.Bool) {
	t.Helper()
	mended = new(atomic.Bool)
	w = newWorld(t, func(r simulator.Received) simulator.Response {
		if r.Path != "/other" && !mended.Load() {
			return simulator.Response{Status: http.StatusBadRequest, Body: []byte("no such shop, ask b@shop.example")}
		}
		return simulator.Response{}
	})
	retry := object{"schedule": []string{"100ms"}, "final_statuses": []int{400}}
	w.destinations[0]["retry"] = retry
	w.destinations = append(w.destinations, w.hook("other", "/other"))
	w.rest["admin"] = object{"listen": "127.0.0.1:0", "tokens": []object{{"name": "ops", "token": "operator-token-of-the-test", "role": "operator"}}}
	return w, mended
}

// asks runs a command line with the token, and demands its exit code.
func (w *world) asks(d *daemon, want int, line string) *process {
	w.t.Helper()
	admin, _ := w.rest["admin"].(object)
	admin["listen"] = strings.TrimPrefix(d.admin, "http://")
	w.configure()
	return w.command(line, want)
}

// lines reads what a command wrote by -o jsonl.
func lines(t *testing.T, p *process) (items []object) {
	t.Helper()
	for line := range strings.Lines(p.stdout.String()) {
		var item object
		if err := json.Unmarshal([]byte(line), &item); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		items = append(items, item)
	}
	return items
}

// came is how often each id came to a path.
func (w *world) came(path string) map[string]int {
	ids := make(map[string]int)
	for _, r := range w.receiver.Requests() {
		if r.Path == path {
			ids[r.ID]++
		}
	}
	return ids
}

// TestDeadLettersAreMended goes the way of an operator whose receiver refused
// everything: look, mend, redrive.
func TestDeadLettersAreMended(t *testing.T) {
	t.Parallel()
	w, mended := operatorsWorld(t)
	d := w.daemon()
	id := w.create(paid())
	w.awaitLetters(d, 4)
	letters := lines(t, w.asks(d, 0, "deadletters list -o jsonl --destination hook --since 1h --session "+id))
	if len(letters) != 4 || letters[3]["event_type"] != "checkout.session.created" || letters[0]["status"] != "dead" {
		t.Fatalf("dead letters: %v", letters)
	}
	first, _ := letters[3]["id"].(string)
	p := w.asks(d, 0, "deadletters get "+first)
	for _, want := range []string{"refused", "400", "status", "no such shop, ask <redacted>"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("deadletters get does not say %q: %s", want, p.stdout)
		}
	}
	w.asks(d, 5, "deadletters get dlv_none")
	w.asks(d, 5, "deadletters redrive dlv_none --yes")
	w.asks(d, 5, "deadletters list --destination hok")
	w.asks(d, 2, "deadletters redrive")
	w.asks(d, 1, "destinations test hook")
	p = w.asks(d, 0, "deadletters redrive --all --dry-run --rate 2")
	if !strings.Contains(p.stdout.String(), "hook         4") || !strings.Contains(p.stderr.String(), "about 2s at 2 a second") {
		t.Errorf("the plan: %s%s", p.stdout, p.stderr)
	}

	mended.Store(true)
	p = w.asks(d, 0, "destinations test hook --type fulfillable")
	if !strings.Contains(p.stdout.String(), "204 No Content") {
		t.Errorf("destinations test: %s", p.stdout)
	}
	if p := w.asks(d, 2, "deadletters redrive "+first); !strings.Contains(p.stderr.String(), "--yes") {
		t.Errorf("a redrive that nobody was asked about: %s", p.stderr)
	}
	w.asks(d, 0, "deadletters redrive "+first+" --yes -o json")
	w.asks(d, 0, "deadletters redrive --all --yes")
	eventually(t, patience, func() error {
		if got := lines(t, w.asks(d, 0, "deliveries list --status accepted --destination hook -o jsonl")); len(got) != 4 {
			return fmt.Errorf("%d are accepted", len(got))
		}
		return nil
	})
	for _, output := range []string{"json", "jsonl"} { // with nothing to do as well
		var plan object
		p := w.asks(d, 0, "deadletters redrive --all --yes -o "+output)
		if err := json.Unmarshal([]byte(p.stdout.String()), &plan); err != nil || plan["deliveries"] != 0.0 {
			t.Errorf("nothing to do: %v, %s%s", err, p.stdout, p.stderr)
		}
	}
	for _, letter := range letters { // refused once, accepted once, by the same id
		if n := w.came("/" + urlToken)[fmt.Sprint(letter["id"])]; n != 2 {
			t.Errorf("%v came %d times", letter["id"], n)
		}
	}
	p = w.asks(d, 0, "deliveries get "+first+" -o json")
	var delivery struct {
		Status, Actor, Job string
		Attempts           []struct{ Outcome string }
	}
	if err := json.Unmarshal([]byte(p.stdout.String()), &delivery); err != nil || delivery.Status != "accepted" || !strings.HasPrefix(delivery.Job, "job_") || len(delivery.Attempts) != 2 {
		t.Errorf("deliveries get: %s, %v", p.stdout, err)
	}
	if got := lines(t, w.asks(d, 0, "deliveries list -o jsonl --job "+delivery.Job)); len(got) != 1 || got[0]["id"] != first {
		t.Errorf("the first redrive made %v", got)
	}
	w.asks(d, 5, "deliveries list --job job_none")
	p = w.asks(d, 0, "deadletters redrive --all")
	if !strings.Contains(p.stderr.String(), "there is nothing to do") {
		t.Errorf("a second redrive: %s", p.stderr)
	}
	d.stop()
	if p = w.asks(d, 0, "deliveries get "+first); !strings.Contains(p.stdout.String(), "accepted") {
		t.Errorf("without a daemon: %s", p.stdout)
	}
	if got := lines(t, w.asks(d, 0, "deliveries list --limit 3 -o jsonl")); len(got) != 3 {
		t.Errorf("without a daemon: %d deliveries", len(got))
	}
	w.asks(d, 4, "deliveries retry "+first)
	w.asks(d, 4, "replay --all --to other")
}

// awaitLetters waits for so many dead letters.
func (w *world) awaitLetters(d *daemon, want int) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		if got := lines(w.t, w.asks(d, 0, "deadletters list -o jsonl")); len(got) != want {
			return fmt.Errorf("%d are dead, want %d", len(got), want)
		}
		return nil
	})
}

// TestReplayPurgeAndAudit sends the past to others, gives dead letters up, and
// finds all of it in the audit log.
func TestReplayPurgeAndAudit(t *testing.T) {
	t.Parallel()
	w, _ := operatorsWorld(t)
	d := w.daemon()
	id := w.create(paid())
	w.awaitLetters(d, 4)
	events := lines(t, w.asks(d, 0, "events list -o jsonl --session "+id+" --since 1h"))
	if len(events) != 4 || events[0]["type"] != "checkout.session.fulfillable" {
		t.Fatalf("events: %v", events)
	}
	fulfillable, _ := events[0]["id"].(string)
	p := w.asks(d, 0, "events get "+fulfillable)
	if !strings.Contains(p.stdout.String(), "amount_total") || !strings.Contains(p.stdout.String(), "hook") {
		t.Errorf("events get: %s", p.stdout)
	}
	w.asks(d, 2, "replay --all")
	w.asks(d, 2, "replay --all --to other --all-types --types paid")
	p = w.asks(d, 0, "replay --session "+id+" --to other --dry-run")
	for _, want := range []string{"only what today's rules send there is sent", "left out: completed 1, created 1, fulfillable 1, paid 1 (--all-types sends these too)", "0 deliveries to make due"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("a plan by the rules does not say %q: %s", want, p.stderr)
		}
	}
	w.asks(d, 5, "replay evt_none --to other")
	w.asks(d, 5, "replay --all --to othr")
	w.asks(d, 0, "replay --all --to other --all-types --dry-run")
	if n := len(w.came("/other")); n != 0 {
		t.Errorf("a dry run sent %d", n)
	}
	w.asks(d, 0, "replay --session "+id+" --to other --all-types --yes")
	w.awaitOther(d, 4)
	p = w.asks(d, 0, "replay "+fulfillable+" --to other --dry-run")
	if !strings.Contains(p.stderr.String(), "may ship twice") {
		t.Errorf("the plan does not warn: %s", p.stderr)
	}
	w.asks(d, 2, "replay "+fulfillable+" --to other")
	w.asks(d, 0, "replay "+fulfillable+" --to other --yes") // the same id again
	w.awaitOther(d, 5)
	if n := len(w.came("/other")); n != 4 {
		t.Errorf("5 requests with %d ids, want 4", n)
	}
	w.asks(d, 0, "replay --event "+fulfillable+" --to other --new-ids --yes")
	w.awaitOther(d, 6)
	if n := len(w.came("/other")); n != 5 {
		t.Errorf("6 requests with %d ids, want 5", n)
	}
	if told := w.told("/other")[id]; fmt.Sprint(told) != "[created completed paid fulfillable fulfillable]" {
		t.Errorf("told %v", told)
	}

	p = w.asks(d, 0, "deadletters purge --all --dry-run -o json")
	if !strings.Contains(p.stdout.String(), `"would_purge": 4`) {
		t.Errorf("the plan of a purge: %s", p.stdout)
	}
	w.asks(d, 2, "deadletters purge --all")
	p = w.asks(d, 0, "deadletters purge --type paid --yes")
	if !strings.Contains(p.stdout.String(), "1 dead letter purged") {
		t.Errorf("purge: %s", p.stdout)
	}
	purged := lines(t, w.asks(d, 0, "deliveries list --status purged -o jsonl"))
	if len(purged) != 1 || !strings.HasPrefix(fmt.Sprint(purged[0]["reason"]), "purged by ops: ") {
		t.Errorf("purged: %v", purged)
	}
	w.asks(d, 2, fmt.Sprintf("deliveries retry %v", purged[0]["id"]))
	w.asks(d, 0, fmt.Sprintf("deliveries retry %v --yes", purged[0]["id"]))
	w.asks(d, 0, "destinations test other")

	var acts []string
	for _, entry := range lines(t, w.asks(d, 0, "audit list --actor ops -o jsonl")) {
		acts = append(acts, fmt.Sprint(entry["action"]))
	}
	want := []string{"destination.test", "delivery.retry", "deadletters.purge", "job.start", "job.start", "job.start"}
	if !slices.Equal(acts, want) {
		t.Errorf("audit: %v, want %v", acts, want)
	}
	eventually(t, patience, func() error { // the retried one was refused once more
		p := w.asks(d, 0, fmt.Sprintf("deliveries get %v -o json", purged[0]["id"]))
		if !strings.Contains(p.stdout.String(), `"attempts_made": 2`) || !strings.Contains(p.stdout.String(), `"status": "dead"`) {
			return fmt.Errorf("it is %s", p.stdout)
		}
		return nil
	})
	d.stop()
	if n := len(lines(t, w.asks(d, 0, "audit list -o jsonl"))); n != len(want) {
		t.Errorf("without a daemon: %d entries", n)
	}
}

// awaitOther waits for so many requests to the other destination.
func (w *world) awaitOther(d *daemon, want int) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		if err := d.alive(); err != nil {
			return err
		}
		n := 0
		for _, times := range w.came("/other") {
			n += times
		}
		if n != want {
			return fmt.Errorf("%d requests to the other destination, want %d", n, want)
		}
		return nil
	})
}

// TestAReplayOutlivesItsDaemon kills the daemon in the middle of a slow replay:
// it goes on with the next one, and nothing is sent twice by it.
func TestAReplayOutlivesItsDaemon(t *testing.T) {
	t.Parallel()
	w, mended := operatorsWorld(t)
	mended.Store(true)
	d := w.daemon()
	for range 10 {
		w.create(nil)
	}
	eventually(t, patience, func() error {
		if n := len(w.came("/" + urlToken)); n != 10 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
	job := strings.TrimSpace(w.asks(d, 0, "replay --all --to other --all-types --rate 5 --yes --detach").stdout.String())
	eventually(t, patience, func() error {
		if n := len(w.came("/other")); n < 3 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
	d.kill()
	w.rest["admin"] = object{"listen": "127.0.0.1:0", "tokens": []object{{"name": "ops", "token": "operator-token-of-the-test", "role": "operator"}}}
	d = w.daemon()
	eventually(t, patience, func() error {
		p := w.asks(d, 0, "jobs get "+job+" -o json")
		if !strings.Contains(p.stdout.String(), `"status": "done"`) {
			return fmt.Errorf("the job is %s", p.stdout)
		}
		return nil
	})
	eventually(t, patience, func() error {
		if n := len(w.came("/other")); n != 10 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
	for id, n := range w.came("/other") {
		if n == 1 {
			continue
		}
		// What was under way at the kill comes again: nobody knows what became of it.
		if p := w.asks(d, 0, "deliveries get "+id+" -o json"); !strings.Contains(p.stdout.String(), `"outcome": "unknown"`) {
			t.Errorf("%s came %d times: %s", id, n, p.stdout)
		}
	}
	d.stop()
}
