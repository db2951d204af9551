package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// A destination that its owner was told of is a condition until that is over.
func TestADestinationThatWasToldOfIsACondition(t *testing.T) {
	since := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	stored := event.DestinationState{Name: "bus", Standing: event.Standing{
		Why: "no answer", Unreached: true, Down: event.Trouble{Since: since}, DownFailures: 3, Announced: since,
	}}
	status := publish.StoredStatus(stored)
	r := &report{Running: true, Destinations: []destinationReport{{Name: "bus", told: since}}}
	r.merge([]publish.DestinationStatus{status})
	want := []conditionReport{{Kind: "destination", Subject: "bus", Since: since, Why: "no answer"}}
	if diff := cmp.Diff(want, r.Conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}

	view := deliveryView{Delivery: event.Delivery{Status: event.StatusPending, Due: time.Now()}}
	view.waitsFor(&status)
	if view.DestinationState != "unreachable" || !view.DestinationSince.Equal(since) || view.why() != "never tried: the destination cannot be reached since 2026-11-29T10:00:00Z; no answer" ||
		statusText(&view) != "pending, destination unreachable, since "+ago(since) {
		t.Errorf("a delivery is shown as %q, %q: %+v", statusText(&view), view.why(), view)
	}
}

// One that failed again soon after it was well is a condition until it was well for long
// enough, and keeps no heartbeat back meanwhile.
func TestADestinationThatIsWellAgainIsACondition(t *testing.T) {
	since := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	status := publish.StoredStatus(event.DestinationState{Name: "shop", Standing: event.Standing{
		Announced: since, Recovered: since.Add(-time.Minute), Well: event.Trouble{Since: since.Add(time.Hour)}, Refusal: "status 503",
	}})
	r := &report{Running: true, Destinations: []destinationReport{{Name: "shop", told: since}}}
	r.merge([]publish.DestinationStatus{status})
	want := []conditionReport{{Kind: "destination", Subject: "shop", Since: since, Why: "it failed again soon after it was well, which is over once it has been well for ten minutes"}}
	if diff := cmp.Diff(want, r.Conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if why := destinationTrouble(&status); why != "" {
		t.Errorf("no heartbeat is sent: it %s", why)
	}
}
