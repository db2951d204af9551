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
	orders, alerts := event.Stake{Orders: true, Others: true}, event.Stake{Messages: true}
	dead := func(eventType string, stake event.Stake, why string) string {
		return event.Died(&event.Delivery{ID: "dlv_1", EventType: eventType, Session: "cs_1", Destination: "shop"}, stake, why, eventType == event.Created).Summary
	}
	fails := func(s event.Standing, why string) string {
		s.Why, s.Failures = why, max(s.Failures, 1)
		summary, reason := s.Fails("shop", orders, now)
		if !strings.HasPrefix(reason, why) {
			t.Errorf("the reason is %q", reason)
		}
		return summary
	}
	refuses := func(n int, stake event.Stake, why string) string {
		s := event.Standing{Refusal: why}
		return s.Refuses("shop", stake, n, 830*time.Second)
	}
	const repeated = "it is repeated on its schedule until it is accepted or a dead letter. notifier deliveries list --destination shop --status pending shows it; once that is mended, notifier deliveries retry ID … sends it at once."
	const waits, resume = "What is for it waits, perhaps orders to be shipped. ", "; once it is mended, notifier destinations resume shop tries at once."
	for want, of := range map[string]func(why string) string{
		"The delivery of fulfillable of session cs_1 to shop is dead: WHY. It is not sent again by itself, so an order may not be shipped. Once the cause is mended: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Fulfillable, orders, why)
		},
		"The delivery of expired of session cs_1 to shop is dead: WHY. It is not sent again by itself, so shop may not know of it. Once the cause is mended: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Expired, orders, why)
		},
		"The delivery of created of session cs_1 to shop is dead: WHY. It is not sent again by itself, so shop may not know of it. Once the configuration is mended and notifier restarted: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Created, orders, why) // by a template
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
		"Destination shop has failed 3 times in a row: WHY. What it refused waits, perhaps orders to be shipped; " + repeated: func(why string) string {
			return fails(event.Standing{Failures: 3}, why)
		},
		"The delivery of paid of session cs_1 to shop is dead: WHY. It is not sent again by itself, so you are not told of it. Once the cause is mended: notifier deadletters redrive dlv_1; to see all: notifier deadletters list --destination shop.": func(why string) string {
			return dead(event.Paid, alerts, why)
		},
		"Destination shop takes others, but has refused 1 delivery again and again for 13m50s, last: WHY. What it refused waits, and you are not told of it; " + repeated: func(why string) string {
			return refuses(1, alerts, why)
		},
		"Destination shop takes others, but has refused 206 deliveries, one of them for 13m50s, last: WHY. What it refused waits, perhaps orders to be shipped; " + repeated: func(why string) string {
			return refuses(206, orders, why)
		},
		"Destination shop takes others, but has refused at least 1000 deliveries, one of them for 13m50s, last: WHY. What it refused waits, perhaps orders to be shipped and alerts; " + repeated: func(why string) string {
			return refuses(1000, event.Stake{Orders: true, Messages: true, Others: true}, why)
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
