package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

const dearWorks = "session.amount_total > 1"

func TestRedrivesAndPurges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, dearWorks)
	o.happen(7)
	ctx := t.Context()
	plan, err := o.PlanRedrive(ctx, admin.Redrive{Selection: admin.Selection{Destination: "shop"}, Rate: 2})
	want := &redeliveryPlan{DryRun: true, Examined: 4, Matched: 4, Deliveries: 4, By: []planLine{{Destination: "shop", Deliveries: 4}}, Types: map[string]int{event.Paid: 4}, Rate: 2, Takes: event.Seconds(2 * time.Second), Warnings: []string{}}
	if diff := cmp.Diff(want, plan, cmp.AllowUnexported(planLine{}), cmpopts.IgnoreFields(redeliveryPlan{}, "Before")); diff != "" || err != nil {
		t.Errorf("plan: %v (-want +got):\n%s", err, diff)
	}
	if n := o.pending()["shop"]; n != 0 {
		t.Errorf("the plan made %d pending", n)
	}
	for _, s := range []admin.Selection{{IDs: []string{"dlv_none"}}, {Destination: "shp"}, {Account: "man"}, {Rule: "shp"}} {
		var unknown *admin.UnknownError
		if _, err := o.PlanRedrive(ctx, admin.Redrive{Selection: s}); !errors.As(err, &unknown) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if result, err := o.Purge(ctx, admin.Selection{Session: "cs_0"}, false, "ann"); err != nil || *result.(purgeResult).Purged != 1 {
		t.Errorf("purge: %+v, %v", result, err)
	}
	if result, err := o.Purge(ctx, admin.Selection{All: true}, true, "ann"); err != nil || *result.(purgeResult).WouldPurge != 3 {
		t.Errorf("purge, dry: %+v, %v", result, err)
	}
	id, _, err := o.StartRedrive(ctx, admin.Redrive{Selection: admin.Selection{All: true}}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.await(id); r.Done != 3 || r.Skipped != 0 || r.Examined != 3 || r.Total != 3 || o.pending()["shop"] != 3 {
		t.Errorf("redrive: %+v, pending %v", r, o.pending())
	}
	if diff := cmp.Diff([]string{"bob job.start", "ann deadletters.purge"}, o.audits()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	o.stop()
}

// What a job makes due for a destination that takes nothing waits: the plan says so, and
// by which command it goes on.
func TestAPlanSaysThatItsDestinationTakesNothing(t *testing.T) {
	for want, standing := range map[string]event.Standing{
		"shop is failing: what is made due for it waits until a probe is accepted; notifier destinations resume shop sends one at once": {Version: 1, Broken: time.Now()},
		"shop is paused: what is made due for it waits until notifier destinations resume shop":                                         {Version: 1, Paused: time.Now()},
	} {
		o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
		events := o.happen(7)
		if err := o.store.SaveStanding(t.Context(), event.StandingChange{Destination: "shop", Standing: standing}); err != nil {
			t.Fatal(err)
		}
		redrive, err := o.PlanRedrive(t.Context(), admin.Redrive{Selection: admin.Selection{All: true}})
		if diff := cmp.Diff([]string{want}, redrive.(*redeliveryPlan).Warnings); diff != "" || err != nil {
			t.Errorf("redrive: %v (-want +got):\n%s", err, diff)
		}
		replay, err := o.PlanReplay(t.Context(), admin.Replay{Events: []string{events[0].ID}, To: []string{"shop"}})
		if got := replay.(*redeliveryPlan).Warnings; err != nil || len(got) == 0 || got[0] != want {
			t.Errorf("replay: %v, %q, want %q first", err, got, want)
		}
		o.stop()
	}
}

// A dead letter that nobody wants any more is no incident any more.
func TestAPurgeClosesIncidents(t *testing.T) {
	dir := t.TempDir()
	file := writeOfficeConfig(t, filepath.Join(dir, "n.db"), dearWorks, "127.0.0.1:1")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(config), "destinations:\n", `destinations:
  - {name: pager, type: http, url: "http://127.0.0.1:1/", format: pagerduty, routing_key: R0UT1NG}
`, 1) + "  - {name: lost, on: system, events: [delivery.dead], to: [pager, other]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := openOffice(t, file)
	defer o.stop()
	o.happen(3)
	if result, err := o.Purge(t.Context(), admin.Selection{Session: "cs_0"}, false, "ann"); err != nil || *result.(purgeResult).Purged != 1 {
		t.Fatalf("purge: %+v, %v", result, err)
	}
	if diff := cmp.Diff(map[string]int{"pager": 1, "shop": 0}, o.pending()); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	rows, err := o.store.Events(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	last := rows[len(rows)-1].Event
	got := aboutDelivery(&last)
	want := event.DeliveryDeadData{
		Summary:     "The delivery of paid of session cs_0 to shop is given up: purged by ann: status 400 Bad Request.",
		Destination: "shop", Delivery: got.Delivery, Event: got.Event, EventType: event.Paid, Account: "main", Session: "cs_0",
		Rules: []string{"ship"}, Reason: "purged by ann: status 400 Bad Request", Attempts: 1, Status: event.StatusResolved,
	}
	if diff := cmp.Diff(want, got); diff != "" || last.Subject != "shop" || got.Delivery == "" {
		t.Errorf("event about %s (-want +got):\n%s", last.Subject, diff)
	}
}

// A job that a stop cut short goes on where it was, and makes nothing twice.
func TestARedriveBeginsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, dearWorks)
	o.happen(9)
	id, _, err := o.StartRedrive(t.Context(), admin.Redrive{Selection: admin.Selection{All: true}, Rate: 0.5}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	for o.pending()["shop"] == 0 { // the first goes at once, the second after two seconds
		time.Sleep(time.Millisecond)
	}
	o.stop()
	o = newOffice(t, path, dearWorks)
	// What it redrove dies again: that is for another redrive.
	rows, err := o.store.DeadLetters(t.Context(), "shop", 0, 100)
	first := -1
	for err == nil && first != o.pending()["shop"] { // the job goes on meanwhile
		first = o.pending()["shop"]
		rows, err = o.store.DeadLetters(t.Context(), "shop", 0, 100)
	}
	if err != nil || len(rows)+first != 5 {
		t.Fatalf("%d dead and %d pending, %v", len(rows), first, err)
	}
	all, _, err := o.List(t.Context(), admin.Deliveries, admin.Query{Status: event.StatusPending, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all.([]deliveryView) {
		if d.Job != id || d.Actor != "bob" {
			t.Errorf("%+v is not the job's", d)
		}
		step := event.Step{Resolved: []event.Verdict{{Delivery: d.Delivery, Dead: "again", At: time.Now()}}}
		if _, err := o.store.Take(t.Context(), step); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.CancelJob(t.Context(), id, "eve"); err != nil {
		t.Fatal(err)
	}
	after, err := o.store.DeadLetters(t.Context(), "shop", 0, 100)
	if redriven := o.pending()["shop"]; err != nil || len(after)+redriven != 5 || redriven > 1 {
		t.Errorf("%d dead and %d pending, %v: what died again was redriven", len(after), redriven, err)
	}
	for _, row := range after {
		if row.Delivery.Job == id && row.Delivery.Reason != "again" {
			t.Errorf("%+v", row.Delivery)
		}
	}
	if diff := cmp.Diff([]string{"eve job.cancel", "bob job.start"}, o.audits()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	o.stop()
}

func TestReplaysToOtherDestinations(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	events := o.happen(6)
	ctx := t.Context()
	order := admin.Replay{Since: events[2].Time, Until: events[4].Time, To: []string{"shop", "other"}, AllTypes: true}
	plan, err := o.PlanReplay(ctx, order)
	want := &redeliveryPlan{
		DryRun: true, Examined: 4, Matched: 3, Deliveries: 6,
		By:    []planLine{{Destination: "other", Deliveries: 3}, {Destination: "shop", Deliveries: 3, AcceptedBefore: 1, shipping: map[string]int{"paid": 1}}},
		Types: map[string]int{event.Paid: 6}, LeftOut: map[string]int{},
		Warnings: []string{"shop has already accepted events by which goods may be shipped (paid 1) and would get them again: make sure that it recognises an id that it has seen, or it may ship twice"},
	}
	if diff := cmp.Diff(want, plan, cmp.AllowUnexported(planLine{}), cmpopts.IgnoreFields(redeliveryPlan{}, "Before")); diff != "" || err != nil {
		t.Errorf("plan: %v (-want +got):\n%s", err, diff)
	}
	id, _, err := o.StartReplay(ctx, order, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.await(id); r.Done != 6 || r.Skipped != 0 || r.Matched != 3 {
		t.Errorf("replay: %+v", r)
	}
	if diff := cmp.Diff(map[string]int{"shop": 3, "other": 3}, o.pending()); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	d, found, err := o.store.Delivery(ctx, event.DeliveryID(events[3].ID, "other", ""))
	if err != nil || !found || cmp.Diff([]string{"ship"}, d.Rules) != "" || d.Labels["severity"] != "page" || !d.Ordered || d.Job != id {
		t.Errorf("a new one is %+v, %v", d, err)
	}

	// New ids: copies, which a later replay by a filter leaves out.
	order = admin.Replay{Events: []string{events[1].ID}, To: []string{"shop"}, NewIDs: true}
	id, _, err = o.StartReplay(ctx, order, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.await(id); r.Done != 1 {
		t.Errorf("replay with new ids: %+v", r)
	}
	cp, found, err := o.store.Event(ctx, event.CopyID(events[1].ID, id))
	if err != nil || !found || cp.ReplayOf != events[1].ID || !cp.Time.Equal(events[1].Time) {
		t.Errorf("the copy is %+v, %v", cp, err)
	}
	o.cfg.Destinations[0].Type, o.cfg.Destinations[0].JetStream = publish.TypeNATS, true
	for newIDs, says := range map[bool]string{true: "shop cannot tell what has new ids", false: "shop is a stream"} {
		plan, err := o.PlanReplay(ctx, admin.Replay{Events: []string{events[5].ID}, To: []string{"shop"}, NewIDs: newIDs})
		if got := plan.(*redeliveryPlan); err != nil || len(got.Warnings) != 2 || !strings.HasPrefix(got.Warnings[1], says) {
			t.Errorf("with new ids %t: %q, %v", newIDs, got.Warnings, err)
		}
	}
	order = admin.Replay{All: true, To: []string{"shop"}, AllTypes: true}
	plan, err = o.PlanReplay(ctx, order)
	if got := plan.(*redeliveryPlan); err != nil || got.Matched != 6 || got.Deliveries != 3 || got.By[0].Waiting != 3 {
		t.Errorf("all: %+v, %v", got, err)
	}
	if id, _, err = o.StartReplay(ctx, order, "bob"); err != nil { // the job counts as its plan does
		t.Fatal(err)
	}
	if r := o.await(id); r.Done != 3 || r.Total != 3 || r.Skipped != 0 {
		t.Errorf("all: %+v", r)
	}
	for _, bad := range []admin.Replay{{Events: []string{"evt_none"}, To: []string{"shop"}}, {All: true, To: []string{"shp"}}, {Accounts: []string{"man"}, To: []string{"shop"}}} {
		var unknown *admin.UnknownError
		if _, err := o.PlanReplay(ctx, bad); !errors.As(err, &unknown) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	o.stop()
}

// What was given up for good comes back only by its name: somebody may have shipped it by
// hand.
func TestAReplayLeavesOutWhatWasPurged(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	events := o.happen(6)
	ctx := t.Context()
	result, err := o.Purge(ctx, admin.Selection{All: true}, false, "ann")
	if err != nil {
		t.Fatal(err)
	}
	purged := *result.(purgeResult).Purged
	all := admin.Replay{All: true, To: []string{"shop"}, AllTypes: true}
	plan, err := o.PlanReplay(ctx, all)
	if got := plan.(*redeliveryPlan); err != nil || purged == 0 || got.By[0].Purged != purged || len(got.LeftOut) > 0 || got.Deliveries+got.By[0].Waiting+purged != len(events) {
		t.Errorf("%d of %d purged, %+v, %v", purged, len(events), got, err)
	}
	before := o.pending()["shop"]
	id, _, err := o.StartReplay(ctx, all, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.await(id); o.pending()["shop"] != before+plan.(*redeliveryPlan).Deliveries || r.Skipped > 0 {
		t.Errorf("%d are pending, %d were: %+v", o.pending()["shop"], before, r)
	}
	for _, e := range events {
		if d, _, err := o.store.Delivery(ctx, event.DeliveryID(e.ID, "shop", "")); err != nil || d.Status == event.StatusPurged {
			plan, err := o.PlanReplay(ctx, admin.Replay{Events: []string{e.ID}, To: []string{"shop"}})
			if got := plan.(*redeliveryPlan); err != nil || got.Deliveries != 1 {
				t.Errorf("named: %+v, %v", got, err)
			}
		}
	}
	o.stop()
}

// What a rule failed on is evaluated again with the rule as it is now.
func TestReplaysOfWhatARuleFailedOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, `session.payment_method_types[99] == "card"`)
	events := o.happen(3)
	order := admin.Replay{Rule: "dear", Failed: true}
	plan, err := o.PlanReplay(t.Context(), order)
	if got := plan.(*redeliveryPlan); err != nil || got.Matched != 3 || got.Failing != 3 || got.Deliveries != 0 {
		t.Errorf("with the broken rule: %+v, %v", got, err)
	}
	o.stop()
	o = newOffice(t, path, dearWorks)
	plan, err = o.PlanReplay(t.Context(), order)
	if got := plan.(*redeliveryPlan); err != nil || got.Repaired != 3 || got.Failing != 0 || got.Deliveries != 3 || got.By[0].Destination != "other" {
		t.Errorf("with the mended rule: %+v, %v", got, err)
	}
	for want := 3; want >= 0; want -= 3 { // the second time there is nothing to do
		id, _, err := o.StartReplay(t.Context(), order, "bob")
		if err != nil {
			t.Fatal(err)
		}
		if r := o.await(id); r.Done != want || r.Total != want || r.Skipped != 0 {
			t.Errorf("replay: %+v, want %d done", r, want)
		}
	}
	d, found, err := o.store.Delivery(t.Context(), event.DeliveryID(events[0].ID, "other", ""))
	if err != nil || !found || cmp.Diff([]string{"dear"}, d.Rules) != "" {
		t.Errorf("it is %+v, %v", d, err)
	}
	o.stop()
}

func TestARetryIsTheOperators(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	events := o.happen(2)
	id := event.DeliveryID(events[1].ID, "shop", "")
	view, err := o.RetryDelivery(t.Context(), id, "", "ann")
	if got, ok := view.(deliveryView); err != nil || !ok || got.Status != event.StatusPending || got.Actor != "ann" {
		t.Errorf("retry: %+v, %v", view, err)
	}
	if _, err := o.RetryDelivery(t.Context(), "dlv_none", "", "ann"); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("retry of none: %v", err)
	}
	if diff := cmp.Diff([]string{"ann delivery.retry"}, o.audits()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	o.stop()
}

// What is looked up shows no more of people than it must.
func TestRecordsAreMasked(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	events := o.happen(1)
	for _, ask := range []struct {
		kind admin.Kind
		id   string
		want []string
	}{
		{admin.Events, events[0].ID, []string{`"amount_total":12900`, `"url":"https://pay.example/***"`, `"customer_email":"b***@example.com"`, `"country":"DE"`, `"deliveries":[{`}},
		{admin.DeadLetters, event.DeliveryID(events[0].ID, "shop", ""), []string{`"attempts":[{"n":1`, `"answer":"no b***@example.com"`, `"attempts_made":1`, `"status_code":400`}},
	} {
		document, err := o.Record(t.Context(), ask.kind, ask.id)
		if err != nil {
			t.Fatal(err)
		}
		text := string(marshalPlain(document))
		for _, want := range ask.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s: %s", ask.kind, want, text)
			}
		}
		for _, secret := range []string{"buyer@example.com", "b@example.com", "https://pay.example/cs_", "Main Street", "A. Buyer", "+49"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q: %s", ask.kind, secret, text)
			}
		}
	}
	o.stop()
}

// Without types a destination gets what its rules send, by the rules of today.
func TestAReplayGoesByTheRules(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), `session.id == "none"`)
	at := time.Now().UTC().Add(-time.Hour)
	tx := &event.Tx{Account: "main"}
	for i, eventType := range []string{event.Created, event.Completed, event.Paid, event.Fulfillable} {
		e := event.SampleEvent(eventType)
		e.Session, e.Time, e.Position = "cs_1", at, i+1
		e.ID = event.ID(e.Account, e.Session, e.Type, 1)
		tx.Events = append(tx.Events, e)
	}
	if err := o.store.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	plan := func(r admin.Replay) *redeliveryPlan {
		t.Helper()
		p, err := o.PlanReplay(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return p.(*redeliveryPlan)
	}
	one, rest := map[string]int{event.Paid: 1}, map[string]int{event.Created: 1, event.Completed: 1, event.Fulfillable: 1}
	all := map[string]int{event.Created: 1, event.Completed: 1, event.Paid: 1, event.Fulfillable: 1}
	for name, tt := range map[string]struct {
		order       admin.Replay
		types, left map[string]int
		byRules     bool
	}{
		"session":       {admin.Replay{Session: "cs_1", To: []string{"shop"}}, one, rest, true},
		"all":           {admin.Replay{All: true, To: []string{"shop"}}, one, rest, true},
		"no rule wants": {admin.Replay{All: true, To: []string{"other"}}, map[string]int{}, all, true},
		"all types":     {admin.Replay{Session: "cs_1", To: []string{"shop"}, AllTypes: true}, all, map[string]int{}, false},
		"types":         {admin.Replay{Types: []string{event.Created}, To: []string{"shop"}}, map[string]int{event.Created: 1}, map[string]int{}, false},
		"ids":           {admin.Replay{Events: []string{tx.Events[0].ID}, To: []string{"other"}}, map[string]int{event.Created: 1}, map[string]int{}, false},
	} {
		p := plan(tt.order)
		if diff := cmp.Diff(tt.types, p.Types) + cmp.Diff(tt.left, p.LeftOut); diff != "" || p.ByRules != tt.byRules {
			t.Errorf("%s: by rules %t (-want +got):\n%s", name, p.ByRules, diff)
		}
	}
	id, _, err := o.StartReplay(t.Context(), admin.Replay{Session: "cs_1", To: []string{"shop", "other"}}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.await(id); r.Done != 1 || r.Total != 1 {
		t.Errorf("replay: %+v", r)
	}
	d, found, err := o.store.Delivery(t.Context(), event.DeliveryID(tx.Events[2].ID, "shop", ""))
	if err != nil || !found || cmp.Diff([]string{"ship"}, d.Rules) != "" {
		t.Errorf("it is %+v, %v", d, err)
	}
	o.stop()
}
