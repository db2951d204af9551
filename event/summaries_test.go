package event_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"checkout-notifier/event"
)

// Whoever is called reads what is wrong, what it means for orders and what to do; Slack
// shows 580 characters.
func TestSummariesSayWhatToDo(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	dead := func(eventType, why string) string {
		return event.Died(&event.Delivery{ID: "dlv_1", EventType: eventType, Session: "cs_1", Destination: "shop"}, why, eventType == event.Created).Summary
	}
	fails := func(s event.Standing, why string) string {
		s.Why, s.Failures = why, max(s.Failures, 1)
		summary, reason := s.Fails("shop", now)
		if !strings.HasPrefix(reason, why) {
			t.Errorf("the reason is %q", reason)
		}
		return summary
	}
	const waits, resume = "What is for it waits, perhaps orders to be shipped. ", "; once it is mended, notifier destinations resume shop tries at once."
	for want, of := range map[string]func(why string) string{
		"The delivery of fulfillable of session cs_1 to shop is dead: WHY. It is not sent again by itself, so an order may not be shipped. Once the cause is mended: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Fulfillable, why)
		},
		"The delivery of expired of session cs_1 to shop is dead: WHY. It is not sent again by itself, so shop may not know of it. Once the cause is mended: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Expired, why)
		},
		"The delivery of created of session cs_1 to shop is dead: WHY. It is not sent again by itself, so shop may not know of it. Once the configuration is mended and notifier restarted: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Created, why) // by a template
		},
		"Destination shop has failed 12 times in a row: WHY. " + waits + "It is tried again by itself every 5 minutes or sooner" + resume: func(why string) string {
			return fails(event.Standing{Broken: now, Failures: 12}, why)
		},
		"Destination shop has failed once: WHY, and it asked for a pause until 2026-12-01T11:00:00Z. " + waits + "It is tried again by itself after that" + resume: func(why string) string {
			return fails(event.Standing{Broken: now, Throttled: now.Add(time.Hour)}, why)
		},
		"Destination shop has failed once: WHY. " + waits + "It goes on by itself once that is mended.": func(why string) string {
			return fails(event.Standing{Down: event.Trouble{Since: now}}, why)
		},
		"Destination shop has failed 3 times in a row: WHY. " + event.WaitsRefused("shop"): func(why string) string {
			return fails(event.Standing{Failures: 3}, why)
		},
	} {
		if got := of("status 500"); got != strings.Replace(want, "WHY", "status 500", 1) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got := of(strings.Repeat("é", 500)); utf8.RuneCountInString(got) > 580 || !strings.Contains(got, "é….") && !strings.Contains(got, "é…, ") {
			t.Errorf("%d characters: %s", utf8.RuneCountInString(got), got)
		}
	}
}
