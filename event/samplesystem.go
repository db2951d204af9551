package event

import "time"

// SampleSystem is a made-up event of the program's own, about a session if that fits.
func SampleSystem(eventType, session string, at time.Time) Event {
	since := FormatTime(at.Add(-3723 * time.Second))
	downFor := FormatSpan(3723 * time.Second)
	subject, about := "shop", ""
	var data any
	switch eventType {
	case DeliveryDead:
		about = DeliveryID("evt_sample", "shop", "")
		d := Delivery{ID: about, EventID: ID("main", session, Fulfillable, 1), EventType: Fulfillable, Account: "main", Session: session, Destination: "shop", Rules: []string{"ship"}, Attempts: 12}
		dead := Died(&d, Stake{Orders: true}, "given up after 12 refusals, the last: status 404 Not Found", false)
		dead.Class, dead.StatusCode = "status", 404
		data = dead
	case DestinationFailing:
		s := Standing{Broken: at, Failures: 10, Why: "status 503 Service Unavailable"}
		summary, why := s.Fails("shop", Stake{Orders: true}, at)
		data = DestinationFailingData{Summary: summary, Destination: "shop", Since: since, Failures: s.Failures, Reason: why, Pending: 42}
	case DestinationRecovered:
		data = DestinationRecoveredData{
			Summary: "Destination shop takes deliveries again after 1h2m3s", Destination: "shop", Since: since, DownFor: downFor,
		}
	case DestinationPaused:
		data = DestinationPausedData{
			Summary: "Destination shop was paused by anna: deploy", Destination: "shop", By: "anna", Reason: "deploy", Pending: 7,
		}
	case AccountFailing:
		subject = "main"
		data = AccountFailingData{
			Summary: "Account main cannot be polled since 08:57: the API answered 401", Account: "main", Since: since,
			Error: "the API answered 401: the key is refused",
		}
	case AccountRecovered:
		subject = "main"
		data = AccountRecoveredData{
			Summary: "Account main is polled again after 1h2m3s", Account: "main", Since: since, DownFor: downFor,
		}
	case RuleFailing:
		subject = "ship"
		data = RuleFailingData{
			Summary: "Rule ship failed on 10 events in a row", Rule: "ship", Failures: 10,
			Error: "over budget: more than 10000 steps", Event: ID("main", session, Updated, 1),
		}
	case StoreLowSpace:
		subject = SubjectStore
		data = StoreLowSpaceData{
			Summary: "Only 512.0 MiB are left for the store", Path: "/var/lib/notifier/notifier.db",
			FreeBytes: 512 << 20, StoreBytes: 3 << 30,
		}
	}
	e, err := NewSystem(eventType, subject, about, at, data)
	if err != nil { // structs of texts and numbers always marshal
		panic(err)
	}
	return e
}
