package main

import (
	"testing"
	"time"

	"checkout-notifier/heartbeat"
	"checkout-notifier/publish"
)

func TestHeartbeatTellsHowItIs(t *testing.T) {
	for want, r := range map[string]heartbeat.Report{
		"waits for the first complete pass of main":                                   {State: heartbeat.Waiting, Why: "main"},
		"is not sent: account main is failing: 401":                                   {State: heartbeat.Stopped, Why: "account main is failing: 401"},
		"sent, last 0s ago":                                                           {State: heartbeat.Sent, Last: time.Now()},
		"does not arrive, last 0s ago: status 500":                                    {State: heartbeat.Sent, Last: time.Now(), Error: "status 500"},
		"sent, last 0s ago; the next is withheld: destination shop fails: status 500": {State: heartbeat.Sent, Last: time.Now(), Why: "destination shop fails: status 500"},
	} {
		if got := heartbeatText(&r); got != want {
			t.Errorf("it %s, want %s", got, want)
		}
	}
}

func TestDestinationsInTrouble(t *testing.T) {
	for _, c := range []struct {
		status publish.DestinationStatus
		want   bool
	}{
		{publish.DestinationStatus{State: publish.StateOK}, false},
		{publish.DestinationStatus{State: publish.StateWaiting}, false},
		{publish.DestinationStatus{State: publish.StateRefusing}, false},
		{publish.DestinationStatus{State: publish.StateUnreachable}, false}, // for a moment, perhaps
		{publish.DestinationStatus{State: publish.StateUnreachable, Told: true}, true},
		{publish.DestinationStatus{State: publish.StateFailing, Told: true}, true},
		{publish.DestinationStatus{State: publish.StatePaused}, true},
		{publish.DestinationStatus{State: publish.StatePaused, PausedBy: "ann"}, false},
		{publish.DestinationStatus{State: publish.StatePaused, PausedBy: "ann", Told: true}, false},
	} {
		if got := destinationTrouble(&c.status) != ""; got != c.want {
			t.Errorf("%+v is trouble: %t", c.status, got)
		}
	}
}
