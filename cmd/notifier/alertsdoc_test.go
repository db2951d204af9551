package main

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// What the sample of docs/alerts.md opens in PagerDuty it closes too.
func TestTheSampleOfAlertsClosesItsIncidents(t *testing.T) {
	sample := blocks(documents(t)[filepath.Join(projectRoot, "docs/alerts.md")], "yaml")[0]
	loaded, err := config.Load(config.Options{Source: []byte(sample), Name: "alerts.md", Environ: []string{
		"WOOSHPAY_SECRET_KEY=sk_test_x", "FULFILMENT_SECRET=whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
		"SLACK_WEBHOOK_URL=https://hooks.slack.example/x", "PAGERDUTY_ROUTING_KEY=R0UT1NG", "HEARTBEAT_URL=https://ping.example/x",
	}})
	if err != nil {
		t.Fatal(err)
	}
	own, sent := loaded.Renderings("ops-pager")
	pager := publish.DefaultHTTP()
	pager.Name, pager.Format, pager.RoutingKey = "ops-pager", publish.FormatPagerDuty, "R0UT1NG"
	renderer, err := publish.NewRenderer(pager, own, "", sent...)
	if err != nil {
		t.Fatal(err)
	}
	a := newAnnouncer(loaded.Rules, func(string) bool { return true }, loaded.ClosesIncidents, slog.New(slog.DiscardHandler))
	pages := func(eventType, status string) (lines []string) {
		e := event.SampleEvent(eventType)
		e.System = json.RawMessage(strings.Replace(string(e.System), `"status":"firing"`, `"status":"`+status+`"`, 1))
		if e.Subject == "shop" {
			e.Subject = "fulfilment"
		}
		for _, d := range a.announce(e).Deliveries {
			if d.Destination != "ops-pager" {
				continue
			}
			body, err := renderer.Render(publish.Message{Event: e, Delivery: d})
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Action  string `json:"event_action"`
				Key     string `json:"dedup_key"`
				Payload struct{ Severity string }
			}
			if err := json.Unmarshal(body.Content, &got); err != nil {
				t.Fatal(err)
			}
			key, _, _ := strings.Cut(got.Key, "/dlv_") // each dead delivery has its own
			lines = append(lines, got.Action+" "+key+" "+got.Payload.Severity)
		}
		return lines
	}
	got := make(map[string][]string)
	for _, eventType := range event.SystemTypes() {
		if lines := pages(eventType, event.StatusFiring); len(lines) > 0 {
			got[eventType] = lines
		}
	}
	want := map[string][]string{
		event.DestinationFailing:   {"trigger notifier/destination/fulfilment critical"},
		event.DestinationPaused:    {"trigger notifier/destination/fulfilment critical"},
		event.DestinationRecovered: {"resolve notifier/destination/fulfilment critical"},
		event.AccountFailing:       {"trigger notifier/account/main critical"},
		event.AccountRecovered:     {"resolve notifier/account/main critical"},
		event.StoreLowSpace:        {"trigger notifier/store/store critical"},
		event.DeliveryDead:         {"trigger notifier/delivery critical"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"resolve notifier/delivery critical"}, pages(event.DeliveryDead, event.StatusResolved)); diff != "" {
		t.Errorf("the end of a dead letter (-want +got):\n%s", diff)
	}
}
