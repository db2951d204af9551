package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/simulator"
)

const ownerPath = "/owner"

// systemEvent is one of the program's own events as a receiver reads it.
type systemEvent struct {
	ID      string         `json:"id"`
	Source  string         `json:"source"`
	Type    string         `json:"type"`
	Subject string         `json:"subject"`
	Time    time.Time      `json:"time"`
	Data    map[string]any `json:"data"`
}

// newOwnerWorld returns a world whose owner is told at ownerPath.
func newOwnerWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, nil)
	w.destinations = append(w.destinations, w.hook("owner", ownerPath))
	w.rules = append(w.rules, object{"name": "owner", "on": "system", "to": []string{"owner"}})
	return w
}

// ownerTold lists what the owner was told, repeats left out.
func (w *world) ownerTold() (events []systemEvent) {
	w.t.Helper()
	for _, r := range firstReceptions(w.receiver.Requests()) {
		if r.Path != ownerPath {
			continue
		}
		var e systemEvent
		if err := json.Unmarshal(r.Body, &e); err != nil {
			w.t.Fatalf("body of %s: %v", r.ID, err)
		}
		if r.Verification != simulator.Verified || e.Source != "/notifier" || e.Data["summary"] == "" {
			w.t.Errorf("%s: %s %s", r.ID, r.Verification, r.Body)
		}
		events = append(events, e)
	}
	return events
}

// awaitOwnerTold waits until the owner was told exactly of these. An open breaker is told
// once it has lasted half a minute.
func (w *world) awaitOwnerTold(want ...string) {
	w.t.Helper()
	eventually(w.t, 3*patience, func() error {
		var got []string
		for _, e := range w.ownerTold() {
			got = append(got, e.Type+" "+e.Subject)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the owner was told %q, want %q", got, want)
		}
		return nil
	})
}

// awaitConditions waits until the status shows exactly these.
func awaitConditions(d *daemon, want ...string) {
	d.t.Helper()
	eventually(d.t, patience, func() error {
		s, err := d.status()
		if err != nil {
			return err
		}
		var got []string
		for _, c := range s.Conditions {
			got = append(got, c.Kind+" "+c.Subject)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the status shows the conditions %q, want %q", got, want)
		}
		return nil
	})
}

// beats counts the heartbeats.
func (w *world) beats() (count func() int64) {
	w.t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) }))
	w.t.Cleanup(server.Close)
	w.rest["heartbeat"] = object{"url": server.URL + "/ping", "every": "1s"}
	return n.Load
}

// awaitBeat waits for a heartbeat after the n-th.
func awaitBeat(t *testing.T, count func() int64, n int64) {
	t.Helper()
	eventually(t, patience, func() error {
		if count() <= n {
			return fmt.Errorf("no heartbeat after the first %d", n)
		}
		return nil
	})
}

// TestRefusedKeyIsToldOfOnce lets the API refuse the key, kills the daemon while
// it does, and lets the API accept the key again: the owner hears of each once,
// and of no heartbeat in between.
func TestRefusedKeyIsToldOfOnce(t *testing.T) {
	t.Parallel()
	w := newOwnerWorld(t)
	count := w.beats()
	d := w.daemon()
	awaitBeat(t, count, 1)
	w.faults(simulator.Faults{Unauthorized: simulator.Always()})
	w.awaitOwnerTold("notifier.account.failing main")
	awaitConditions(d, "account main")
	line, err := d.awaitLine("the heartbeat is not sent: not everything is well")
	if err != nil {
		t.Fatal(err)
	}
	if why := fmt.Sprint(line["why"]); !strings.Contains(why, "account main is failing: the API refused the key") {
		t.Errorf("the heartbeat stops because %q", why)
	}
	last := count()
	d.kill()

	d = w.daemon()
	awaitConditions(d, "account main")
	eventually(t, patience, func() error {
		s, err := d.status()
		if err == nil && (s.Heartbeat == nil || s.Heartbeat.State != "stopped" || s.Accounts[0].Error == "") {
			err = fmt.Errorf("heartbeat %+v, account %+v", s.Heartbeat, s.Accounts[0])
		}
		return err
	})
	d.stop()
	if n := count(); n != last {
		t.Errorf("%d heartbeats while the account failed", n-last)
	}
	code, p := run(t, w.dir, nil, "status", "-c", w.configPath())
	if code != 0 || !strings.Contains(p.stdout.String(), "account main is failing: the API refused the key") {
		t.Errorf("status of the file: exit code %d\n%s", code, p.stdout)
	}

	w.faults(simulator.Faults{})
	d = w.daemon()
	w.awaitOwnerTold("notifier.account.failing main", "notifier.account.recovered main")
	awaitConditions(d)
	awaitBeat(t, count, last)
	id := w.create(paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	d.stop()

	w.awaitOwnerTold("notifier.account.failing main", "notifier.account.recovered main")
	told := w.ownerTold()
	failing, recovered := told[0].Data, told[1].Data
	want := object{
		"summary": "Account main at " + strings.TrimPrefix(w.apiURL, "http://") + " [test] cannot be polled: the API refuses its key. Until that is mended no new order is seen or shipped; nothing is lost, and what happens meanwhile is announced then. Restart notifier after changing the key or its file. It is tried again by itself; notifier poll now tries at once.", "account": "main", "since": failing["since"], "error": failing["error"],
		"match": map[string]any{"rules": []any{"owner"}, "labels": map[string]any{}, "overtook": []any{}},
	}
	if diff := cmp.Diff(want, failing); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if recovered["since"] != failing["since"] || recovered["down_for"] == "" {
		t.Errorf("recovered %v", recovered)
	}
	for _, r := range w.receiver.Requests() {
		if r.Path == hookPath && strings.Contains(string(r.Body), `"notifier.`) {
			t.Errorf("a rule about sessions sent %s", r.Body)
		}
		if r.Path == ownerPath {
			clean(t, "what the owner was told", string(r.Body))
		}
	}
}

// TestFailingRuleIsToldOfOnce counts the failures of a rule over a kill.
func TestFailingRuleIsToldOfOnce(t *testing.T) {
	t.Parallel()
	w := newOwnerWorld(t)
	w.rules = append(w.rules, object{"name": "broken", "events": []string{"created"}, "when": `int(session.mode) > 0`, "to": []string{"hook"}})
	d := w.daemon()
	fail := func(n int) {
		t.Helper()
		for range n {
			w.awaitTold(hookPath, w.create(nil), "created")
		}
	}
	fail(6)
	d.kill()
	d = w.daemon()
	fail(6)
	w.awaitOwnerTold("notifier.rule.failing broken")
	if data := w.ownerTold()[0].Data; data["failures"] != 10.0 || data["rule"] != "broken" || !strings.HasPrefix(fmt.Sprint(data["event"]), "evt_") {
		t.Errorf("data %v", data)
	}
	d.kill()
	d = w.daemon()
	awaitConditions(d, "rule broken")
	s, err := d.status()
	if err != nil || len(s.FailedRules) != 1 || !s.FailedRules[0].Failing || s.FailedRules[0].InARow != 12 {
		t.Errorf("the status shows %+v: %v", s, err)
	}
	fail(1)
	d.stop()
	w.awaitOwnerTold("notifier.rule.failing broken")
}
