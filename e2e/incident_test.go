package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestIncidentOfADeadLetterIsResolved redrives dead letters of which PagerDuty
// was told: each incident is opened once and resolved once, and whoever keeps no
// incidents hears of the deaths alone.
func TestIncidentOfADeadLetterIsResolved(t *testing.T) {
	t.Parallel()
	w, mended := operatorsWorld(t)
	pager, ops := w.hook("pager", "/other"), w.hook("ops", "/other")
	pager["format"], pager["routing_key"] = "pagerduty", "R0UT1NG"
	ops["format"] = "template"
	ops["template"] = `{"ops": {{ json .Alert.status }}}`
	w.destinations = append(w.destinations, pager, ops)
	w.rules = append(w.rules, object{"name": "deaths", "on": "system", "events": []string{"delivery.dead"}, "to": []string{"pager", "ops"}})
	d := w.daemon()
	w.create(paid())
	w.awaitLetters(d, 4)
	mended.Store(true)
	w.asks(d, 0, "deadletters redrive --all --yes")

	eventually(t, patience, func() error {
		actions, told := make(map[string][]string), 0
		for _, r := range w.receiver.Requests() {
			var body struct {
				Action string `json:"event_action"`
				Key    string `json:"dedup_key"`
				Ops    string
			}
			if r.Path != "/other" || json.Unmarshal(r.Body, &body) != nil {
				continue
			}
			if body.Action != "" {
				actions[body.Key] = append(actions[body.Key], body.Action)
			}
			if body.Ops != "" {
				if told++; body.Ops != "firing" {
					t.Fatalf("ops was told %q", body.Ops)
				}
			}
		}
		for key, list := range actions {
			if fmt.Sprint(list) != "[trigger resolve]" {
				return fmt.Errorf("incident %s: %v", key, list)
			}
		}
		if len(actions) != 4 || told != 4 {
			return fmt.Errorf("%d incidents, %d messages to ops; want 4 and 4", len(actions), told)
		}
		return nil
	})
}
