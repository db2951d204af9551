package publish

import (
	"time"

	"checkout-notifier/event"
)

// sampleSystem is a made-up event of the program's own.
func sampleSystem(eventType string) event.Event {
	at := sampleTime
	since := event.FormatTime(at.Add(-3723 * time.Second))
	downFor := event.FormatSpan(3723 * time.Second)
	subject, about := "shop", ""
	var data any
	switch eventType {
	case event.DeliveryDead:
		about = event.DeliveryID("evt_sample", "shop", "")
		data = event.DeliveryDeadData{
			Summary:     "A delivery to shop is dead: status 404 Not Found",
			Destination: "shop", Delivery: about, Event: event.ID("main", sampleID, event.Fulfillable, 1),
			EventType: event.Fulfillable, Account: "main", Session: sampleID, Rules: []string{"ship"},
			Reason: "given up after 12 refusals, the last: status 404 Not Found", Attempts: 12,
			Class: ClassStatus, StatusCode: 404, Status: event.StatusFiring,
		}
	case event.DestinationFailing:
		data = event.DestinationFailingData{
			Summary:     "Destination shop fails since 08:57: status 503 Service Unavailable",
			Destination: "shop", Since: since, Failures: 10, Reason: "status 503 Service Unavailable", Pending: 42,
		}
	case event.DestinationRecovered:
		data = event.DestinationRecoveredData{
			Summary: "Destination shop takes deliveries again after 1h2m3s", Destination: "shop", Since: since, DownFor: downFor,
		}
	case event.DestinationPaused:
		data = event.DestinationPausedData{
			Summary: "Destination shop was paused by anna: deploy", Destination: "shop", By: "anna", Reason: "deploy", Pending: 7,
		}
	case event.AccountFailing:
		subject = "main"
		data = event.AccountFailingData{
			Summary: "Account main cannot be polled since 08:57: the API answered 401", Account: "main", Since: since,
			Error: "the API answered 401: the key is refused",
		}
	case event.AccountRecovered:
		subject = "main"
		data = event.AccountRecoveredData{
			Summary: "Account main is polled again after 1h2m3s", Account: "main", Since: since, DownFor: downFor,
		}
	case event.RuleFailing:
		subject = "ship"
		data = event.RuleFailingData{
			Summary: "Rule ship failed on 10 events in a row", Rule: "ship", Failures: 10,
			Error: "over budget: more than 10000 steps", Event: event.ID("main", sampleID, event.Updated, 1),
		}
	case event.StoreLowSpace:
		subject = event.SubjectStore
		data = event.StoreLowSpaceData{
			Summary: "Only 512.0 MiB are left for the store", Path: "/var/lib/notifier/notifier.db",
			FreeBytes: 512 << 20, StoreBytes: 3 << 30,
		}
	}
	e, err := event.NewSystem(eventType, subject, about, at, data)
	if err != nil { // structs of texts and numbers always marshal
		panic(err)
	}
	return e
}
