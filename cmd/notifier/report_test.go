package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/heartbeat"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// What is not over is shown by the file alone, and so after a restart too.
func TestStatusTellsOfConditions(t *testing.T) {
	w := newOwnerWorld(t)
	defer func() { w.close() }()
	ago := time.Now().Add(-time.Hour).UTC()
	raised := []event.Condition{
		{Kind: event.ConditionAccount, Subject: "main", Since: ago, Why: "status 500"},
		{Kind: event.ConditionRule, Subject: "big", Since: ago, Last: ago, Why: "index out of range", Failures: 12, LastEvent: "evt_1"},
		{Kind: event.ConditionRule, Subject: "small", Since: ago, Last: ago, Why: "division by zero", Failures: 2, LastEvent: "evt_2", Untold: true},
		{Kind: event.ConditionRule, Subject: "past", Since: ago, Last: ago, Why: "once", Failed: 15, Recent: 10, LastEvent: "evt_3"},
		{Kind: event.ConditionRule, Subject: "over", Since: ago, Last: ago.Add(-event.RuleQuiet), Why: "once", Failed: 15, Recent: 10, LastEvent: "evt_4"},
		{Kind: event.ConditionStore, Subject: "store", Since: ago, Why: "1 MB are free and the file has 2 MB"},
	}
	if err := w.store.Commit(t.Context(), &event.Tx{Raised: raised}); err != nil {
		t.Fatal(err)
	}
	r, err := storedReport(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	r.Heartbeat = &heartbeat.Report{State: heartbeat.Stopped, Why: "account main is failing: status 500"}
	var out bytes.Buffer
	(&app{streams: streams{out: &out}}).printReport(r)
	for _, want := range []string{
		"account main is failing: status 500; it began 1h00m ago",
		`rule "big" is failing: index out of range; it began 1h00m ago`,
		" are needed (256 MiB, which is 268.4 MB, or as much as the file has, 0.5 MB); it began 1h00m ago", // by present figures
		`rule "big" failed 12 times and did not match, last 1h00m ago on evt_1: index out of range`,
		`rule "past" failed 15 times and did not match, last 1h00m ago on evt_3: once; once it is mended: notifier replay --rule past --failed`,
		`rule "past" is failing: once`,
		"heartbeat is not sent: account main is failing: status 500\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the status does not say %q:\n%s", want, out.String())
		}
	}
	for _, rule := range []string{"small", "over"} { // of which two failed, and none for a day
		if strings.Contains(out.String(), `rule "`+rule+`" is failing`) {
			t.Errorf("%s is told as failing:\n%s", rule, out.String())
		}
	}
	var rows []string
	for _, f := range r.FailedRules {
		rows = append(rows, fmt.Sprintf("%s %d %d %t %s", f.Rule, f.Failures, f.InARow, f.Failing, f.LastError))
	}
	want := []string{"big 12 12 true index out of range", "over 15 0 false once", "past 15 0 true once", "small 2 2 false division by zero"}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("failed rules (-want +got):\n%s", diff)
	}
}

// After a restart nobody sees a blank where the store knows of a pass.
func TestStatusKnowsOfPassesBeforeTheStart(t *testing.T) {
	now := time.Now()
	a := event.Account{Name: "main", Low: now.Add(-time.Hour), Reconciled: now.Add(-50 * time.Minute), WarmRound: now.Add(-4*time.Minute - time.Second)}
	if got := knownPass(&event.Account{WarmRound: now}); !got.IsZero() {
		t.Errorf("an account whose first pass was not complete has one of %s", got)
	}
	if got := knownPass(&event.Account{WarmRound: now.Add(-time.Minute), Reconciled: now}); !got.Equal(now) {
		t.Errorf("the last pass of an account without sessions was at %s, want %s", got, now)
	}
	stored := []poller.Status{{Account: "other", LastSuccess: now}, {Account: "main", LastSuccess: knownPass(&a)}}
	for want, s := range map[string]poller.Status{
		"within the last 4m": {Account: "main"},
		"3s ago":             {Account: "main", Passes: 1, LastSuccess: now.Add(-3 * time.Second)},
		"-":                  {Account: "new"},
	} {
		if rememberPass(&s, stored); lastPass(s) != want {
			t.Errorf("%s: last pass %s, want %s", s.Account, lastPass(s), want)
		}
	}
}

// Whoever is on call reads off the line since when a destination takes nothing,
// and when that may change.
func TestTheLineOfADestinationTellsWhatComesNext(t *testing.T) {
	now := time.Now()
	since := now.Add(-12*time.Minute - time.Second)
	for want, s := range map[string]publish.DestinationStatus{
		"status 503, for 12m, 7 failures in a row": {State: publish.StateRefusing, Why: "status 503", Since: since, Failures: 7},
		"status 500, for 12m, 7 failures in a row, next try in 3s": {
			State: publish.StateRefusing, Why: "status 500", Since: since, Failures: 7, NextTry: now.Add(3 * time.Second),
		},
		"asked for a pause until then, for 12m, 1 failure, next try in 1h00m": {
			State: publish.StateWaiting, Why: "asked for a pause until then", Since: since, Failures: 1, NextTry: now.Add(time.Hour + time.Second),
		},
		"not connected to NATS, for 12m, 50 failures in a row, next try in 3s": {
			State: publish.StateUnreachable, Why: "not connected to NATS", Since: since, Failures: 50, NextTry: now.Add(3 * time.Second),
		},
		"status 503, breaker open for 12m, 11 failures in a row, next probe in 3s (at once: notifier destinations resume shop)": {
			State: publish.StateFailing, Why: "status 503", Since: since, Failures: 11, NextProbe: now.Add(3 * time.Second),
		},
		"status 502, breaker open for 12m, 11 failures in a row, the next delivery is the next probe": {
			State: publish.StateFailing, Why: "status 502", Since: since, Failures: 11, NextProbe: now.Add(3 * time.Second),
		},
		"paused by ann, for 12m": {State: publish.StatePaused, Why: "paused by ann", Since: since, Failures: 3},
		"":                       {State: publish.StateOK},
		"20 that it refused still wait for another try (notifier deliveries list --destination shop --status pending), last refusal 12m ago: status 422": {
			State: publish.StateOK, Refusal: "status 422", RefusedAt: since,
		},
		"20 that it refused still wait for another try (notifier deliveries list --destination shop --status pending), last refusal: status 500": {
			State: publish.StateOK, Refusal: "status 500", // of a store of before
		},
	} {
		d := destinationReport{Name: "shop", retry: s.NextTry}
		if s.Why != "status 502" {
			d.Pending = 1
		}
		if s.State == publish.StateRefusing {
			s.NextTry = time.Time{} // the store alone knows it
		}
		if s.Refusal != "" {
			d.Refused = 20
		}
		if d.stands(s); d.story() != want {
			t.Errorf("%+v tells %q, want %q", s, d.story(), want)
		}
		if text := string(marshalPlain(d)); strings.Contains(text, `"next_try"`) == (s.NextTry.IsZero() && !strings.Contains(want, "next try")) {
			t.Errorf("%+v is %s", s, text)
		}
	}
}

// Why a destination fails that its owner was told of is not known without a daemon where only
// subjects are blocked: nothing is made up.
func TestWithoutADaemonNothingIsMadeUp(t *testing.T) {
	for want, d := range map[string]destinationReport{
		"not all that waits for it is accepted; a running daemon says why":    {},
		"it takes others, but refuses some again and again, last: status 422": {Refusal: "status 422"},
		"not connected to NATS": {Why: "not connected to NATS"},
	} {
		d.Name, d.told = "bus", time.Now()
		r := report{Destinations: []destinationReport{d}}
		r.merge([]publish.DestinationStatus{{Name: "bus"}})
		if len(r.Conditions) != 1 || r.Conditions[0].Why != want {
			t.Errorf("%+v is told as %+v, want %q", d, r.Conditions, want)
		}
	}
}

// The heartbeat asks whether the last write arrived, not whether a caller erred.
func TestVaultRemembersFailedWrites(t *testing.T) {
	w := newOwnerWorld(t)
	v := newVault(w.store)
	c := &event.Tx{Raised: []event.Condition{{Kind: "account", Subject: "main"}}}
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"a write", func() error { return v.Commit(t.Context(), c) }, false},
		{"a mistake", func() error { return v.Commit(t.Context(), &event.Tx{Raised: []event.Condition{{}}}) }, false},
		{"a full disk", func() error { return v.wrote(fmt.Errorf("committing: %w", state.ErrDiskFull)) }, true},
		{"an empty write", func() error { return v.Commit(t.Context(), &event.Tx{}) }, true},
		{"another write", func() error { return v.Commit(t.Context(), c) }, false},
		{"a closed store", func() error { return errors.Join(w.store.Close(), v.Commit(t.Context(), c)) }, true},
	} {
		err := step.do()
		if got := v.failure() != nil; got != step.want {
			t.Errorf("after %s (%v): failed %t", step.name, err, got)
		}
	}
}

// What the API no longer shows makes no look late.
func TestOldestLookIsOfWhatCanBeLookedAt(t *testing.T) {
	hour := time.Now().Add(-time.Hour)
	tiers := []poller.Tier{
		{Name: "warm", Sessions: 2, OldestLook: hour},
		{Name: poller.TierVanished, Sessions: 1, OldestLook: hour.Add(-240 * time.Hour)},
	}
	if got := oldestLook(tiers); !got.Equal(hour) {
		t.Errorf("oldestLook = %s, want %s", got, hour)
	}
}

// Documents for programs write durations in one way: numbers of seconds, whose
// names say so.
func TestDurationsAreSeconds(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	events := o.happen(3)
	r, err := o.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Accounts[0].LastPass, r.Accounts[0].Chain.Took = event.Seconds(1500*time.Millisecond), event.Seconds(time.Second)
	letter, err := o.Record(t.Context(), admin.DeadLetters, event.DeliveryID(events[0].ID, "shop", ""))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := o.PlanRedrive(t.Context(), admin.Redrive{Selection: admin.Selection{All: true}, Rate: 2})
	if err != nil {
		t.Fatal(err)
	}
	documents := []any{r, pollStatuses(r), letter, plan, poller.PassReport{}, redeliveryReport{Remaining: event.Seconds(time.Second)}, backupReport{}}
	text := string(marshalPlain(documents))
	for _, want := range []string{`"last_pass_seconds":1.5`, `"lag_seconds":0`, `"duration_seconds":0`, `"takes_seconds":1`, `"took_seconds":0`, `"remaining_seconds":1`} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s: %s", want, text)
		}
	}
	for _, other := range []string{`_ns"`, `_ms"`, `"takes":`, `"remaining":`, `"held_at"`} {
		if strings.Contains(text, other) {
			t.Errorf("there is %s: %s", other, text)
		}
	}
	o.stop()
}

func TestShortDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 300 * time.Microsecond: "<1ms", 3 * time.Millisecond: "3ms", 1500 * time.Millisecond: "1.5s",
		90 * time.Second: "1m", 25 * time.Hour: "25h00m", 72 * time.Hour: "3d",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
