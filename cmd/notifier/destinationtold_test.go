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
