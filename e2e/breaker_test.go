package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"checkout-notifier/simulator"
)

// TestAFailingDestinationIsProbed lets a receiver refuse everything until the
// breaker opens, kills the daemon, and lets the receiver take what waits: all of
// it comes once accepted and in order, and the owner hears of each turn once.
func TestAFailingDestinationIsProbed(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	w := newWorld(t, func(r simulator.Received) simulator.Response {
		if r.Path != ownerPath && !well.Load() {
			return simulator.Response{Status: http.StatusServiceUnavailable}
		}
		return simulator.Response{}
	})
	w.destinations = append(w.destinations, w.hook("owner", ownerPath))
	w.destinations[0]["retry"] = object{"schedule": []string{"1h"}} // whoever waits for that is not in this test
	w.rules = append(w.rules, object{"name": "owner", "on": "system", "to": []string{"owner"}})
	w.rest["admin"] = object{"listen": "127.0.0.1:0"}
	d := w.daemon()
	var sessions []string
	for range 12 {
		sessions = append(sessions, w.create(paid()))
	}
	w.awaitOwnerTold("notifier.destination.failing hook")
	awaitState(d, "failing")
	d.kill()
	code, p := run(t, w.dir, nil, "destinations", "list", "-c", w.configPath())
	if out := p.stdout.String(); code != 0 || !strings.Contains(out, "failing") || !strings.Contains(out, "status 503") {
		t.Errorf("destinations list of the file: exit code %d\n%s", code, out)
	}
	if refused := len(w.receiver.Requests()); refused > 40 {
		t.Errorf("%d requests to a receiver that takes nothing", refused)
	}

	d = w.daemon()
	awaitState(d, "failing")
	w.asks(d, 0, "destinations pause hook") // so that no probe comes first
	w.awaitOwnerTold("notifier.destination.failing hook", "notifier.destination.paused hook")
	well.Store(true)
	w.asks(d, 0, "destinations resume hook") // or the next probe, in a while
	for _, id := range sessions {
		w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	}
	w.awaitOwnerTold("notifier.destination.failing hook", "notifier.destination.paused hook", "notifier.destination.recovered hook")
	awaitState(d, "ok")
	if p := w.asks(d, 0, "audit list"); !strings.Contains(p.stdout.String(), "destination.resume") {
		t.Errorf("audit list: %s", p.stdout)
	}
	d.stop()
	for _, mistake := range (&ledger{truth: w.truth(), requests: toHook(w.receiver.Requests())}).wrong() {
		t.Error(mistake)
	}
}

// toHook leaves out what went to the owner.
func toHook(requests []simulator.Received) (rest []simulator.Received) {
	for _, r := range requests {
		if r.Path != ownerPath {
			rest = append(rest, r)
		}
	}
	return rest
}

// awaitState waits until the status shows the first destination so.
func awaitState(d *daemon, want string) {
	d.t.Helper()
	eventually(d.t, patience, func() error {
		s, err := d.status()
		if err == nil && s.Destinations[0].State != want {
			err = fmt.Errorf("the destination is %+v, want %s", s.Destinations[0], want)
		}
		return err
	})
}
