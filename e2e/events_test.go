package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v84/webhook"

	"checkout-notifier/simulator"
)

const hookPath = "/" + urlToken

// received is a request at a path about a session and a type, the first one.
func (w *world) received(path, contains string) simulator.Received {
	w.t.Helper()
	for _, r := range w.receiver.Requests() {
		if r.Path == path && strings.Contains(string(r.Body), contains) {
			return r
		}
	}
	w.t.Fatalf("%s got nothing with %s", path, contains)
	return simulator.Received{}
}

// event is what the receiver was told of a session and a type.
func (w *world) event(path, id, kind string) *cloudEvent {
	w.t.Helper()
	for _, r := range w.receiver.Requests() {
		e, err := readEvent(r.Body)
		if err == nil && r.Path == path && e.Subject == id && e.short() == kind {
			return e
		}
	}
	w.t.Fatalf("%s was not told of %s of %s", path, kind, id)
	return nil
}

func TestLivesOfSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	// A look is timed by the whole seconds of Date: a shorter warm_every could not
	// tell whether it was late enough for an expiry by the timer.
	w.poll["tuning"] = object{"confirm_after": "1s", "warm_every": "2s"}
	old := w.create(simulator.Fields{"created": ago(time.Hour)})
	oldAndPaid := w.create(simulator.Fields{"created": ago(2 * time.Hour), "status": "complete", "payment_status": "paid"})
	d := w.daemon()

	quick := w.create(paid()) // born and paid between two looks
	w.awaitTold(hookPath, quick, "created", "completed", "paid", "fulfillable")
	for _, kind := range []string{"completed", "paid", "fulfillable"} {
		if e := w.event(hookPath, quick, kind); !e.Data.Inferred || e.Data.Async {
			t.Errorf("%s of a session first seen paid: inferred %t, async %t", kind, e.Data.Inferred, e.Data.Async)
		}
	}

	late := w.create(nil)
	w.awaitTold(hookPath, late, "created")
	w.update(late, simulator.Fields{"status": "complete"})
	w.awaitTold(hookPath, late, "created", "completed")
	w.update(late, simulator.Fields{"payment_status": "paid"})
	w.awaitTold(hookPath, late, "created", "completed", "paid", "fulfillable")
	if e := w.event(hookPath, late, "fulfillable"); !e.Data.Async || e.Data.Inferred {
		t.Errorf("a late payment: async %t, inferred %t", e.Data.Async, e.Data.Inferred)
	}

	cancelled := w.create(nil)
	w.awaitTold(hookPath, cancelled, "created")
	w.update(cancelled, simulator.Fields{"status": "expired"})
	w.awaitTold(hookPath, cancelled, "created", "expired")
	timed := w.create(simulator.Fields{"expires_in": "2s"})
	w.awaitTold(hookPath, timed, "created", "expired")
	if got := w.event(hookPath, cancelled, "expired").Data.Reason + " " + w.event(hookPath, timed, "expired").Data.Reason; got != "manual timer" {
		t.Errorf("reasons of expiry: %s", got)
	}

	free := w.create(simulator.Fields{"amount_total": 0})
	w.awaitTold(hookPath, free, "created")
	w.update(free, simulator.Fields{"status": "complete", "payment_status": "no_payment_required"})
	w.awaitTold(hookPath, free, "created", "completed", "no_payment_required", "fulfillable")

	named := w.create(nil)
	w.awaitTold(hookPath, named, "created")
	w.update(named, simulator.Fields{"metadata": simulator.Fields{"order_id": "77"}})
	w.awaitTold(hookPath, named, "created", "updated")

	w.update(cancelled, simulator.Fields{"status": "open"}) // believed after confirm_after
	w.awaitTold(hookPath, cancelled, "created", "expired", "regressed")
	w.update(cancelled, paid())
	w.awaitTold(hookPath, cancelled, "created", "expired", "regressed", "completed", "paid", "fulfillable")

	if got := w.told(hookPath); got[old] != nil || got[oldAndPaid] != nil {
		t.Errorf("sessions from before the start were announced: %v, %v", got[old], got[oldAndPaid])
	}
	w.update(old, paid())
	w.awaitTold(hookPath, old, "completed", "paid", "fulfillable")
	d.stop()
}

func TestRefusedOnceDelaysNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(r simulator.Received) simulator.Response {
		if r.Attempt == 1 && strings.Contains(string(r.Body), `session.created"`) {
			return simulator.Response{Status: 503}
		}
		return simulator.Response{}
	})
	d := w.daemon()
	id := w.create(paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	d.stop()
}

func TestBodyAndHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.destinations[0]["headers"] = object{"X-Shop": "eu"}
	w.destinations[0]["auth"] = object{"bearer": "hook-bearer"}
	d := w.daemon()
	id := w.create(simulator.Fields{"amount_total": 4200, "currency": "EUR", "brand_new_field": object{"exact": int64(12345678901234567)}})
	w.awaitTold(hookPath, id, "created")
	w.update(id, paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable")
	d.stop()

	r := w.received(hookPath, `session.fulfillable"`)
	if r.Verification != simulator.Verified || cmp.Diff(r.Schemes, []string{simulator.SchemeStandard}) != "" {
		t.Errorf("signature: %s %v %s", r.Verification, r.Schemes, r.Reason)
	}
	checkStandard(t, r)
	if got, want := r.Header.Get("Content-Type"), "application/cloudevents+json; charset=utf-8"; got != want {
		t.Errorf("Content-Type %q, want %q", got, want)
	}
	if !strings.HasPrefix(r.Header.Get("User-Agent"), "notifier/") || r.Header.Get("X-Shop") != "eu" || r.Header.Get("Authorization") != "Bearer hook-bearer" {
		t.Errorf("headers: %v", r.Header)
	}
	if !strings.Contains(string(r.Body), `"exact":12345678901234567`) {
		t.Errorf("an unknown field did not pass through exactly: %s", r.Body)
	}
	e := w.event(hookPath, id, "fulfillable")
	got := map[string]any{
		"specversion": e.SpecVersion, "source": e.Source, "type": e.Type, "account": e.Account, "livemode": *e.Livemode,
		"sequence": e.Sequence, "revision": e.Data.Revision, "amount": e.Data.Object["amount_total"],
		"previous": e.Data.PreviousAttributes["status"], "rules": fmt.Sprint(e.Data.Match.Rules), "overtook": len(e.Data.Match.Overtook),
		"schema": e.DataSchema, "content": e.DataContentType,
	}
	want := map[string]any{
		"specversion": "1.0", "source": "/wooshpay/accounts/main", "type": "checkout.session.fulfillable", "account": "main",
		"livemode": false, "sequence": "0000000002-03", "revision": 2, "amount": 4200.0, "previous": "open", "rules": "[all]", "overtook": 0,
		"schema": "https://notifier.invalid/schemas/checkout.session/v1", "content": "application/json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if created := e.Data.Object["created"].(float64); created > 1e11 {
		t.Errorf("created is %v: not in seconds", created)
	}
	if !e.Data.OccurredAfter.Before(e.Data.OccurredBefore) || !e.Time.Equal(e.Data.OccurredBefore) {
		t.Errorf("times: after %v, before %v, time %v", e.Data.OccurredAfter, e.Data.OccurredBefore, e.Time)
	}
}

// checkStandard verifies a request with the reference library.
func checkStandard(t *testing.T, r simulator.Received) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.Body, r.Header); err != nil {
		t.Errorf("standard-webhooks: %v", err)
	}
	if err := verifier.Verify(append(r.Body[:len(r.Body):len(r.Body)], ' '), r.Header); err == nil {
		t.Error("standard-webhooks takes a body that was changed")
	}
}

func TestStripeFormat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	stripe := w.hook("stripe", "/stripe")
	stripe["format"] = "stripe"
	w.destinations = []object{stripe}
	w.rules = []object{{"name": "ship", "events": []string{"fulfillable", "expired"}, "to": []string{"stripe"}}}
	d := w.daemon()
	atOnce, late := w.create(nil), w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
	w.awaitStored(d, 2)
	w.update(atOnce, paid())
	w.update(late, paid())
	for id, want := range map[string]string{atOnce: "checkout.session.completed", late: "checkout.session.async_payment_succeeded"} {
		var r simulator.Received
		eventually(t, patience, func() error {
			for _, r = range w.receiver.Requests() {
				if strings.Contains(string(r.Body), id) {
					return nil
				}
			}
			return fmt.Errorf("nothing about %s came", id)
		})
		checkStandard(t, r)
		e, err := webhook.ConstructEventWithOptions(r.Body, r.Header.Get("Stripe-Signature"), hookSecret,
			webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
		if err != nil {
			t.Fatalf("stripe-go refuses it: %v", err)
		}
		if string(e.Type) != want || e.Data.Object["id"] != id || e.Data.Object["currency"] != "usd" {
			t.Errorf("stripe-go reads %s of %v in %v, want %s of %s in usd", e.Type, e.Data.Object["id"], e.Data.Object["currency"], want, id)
		}
	}
	d.stop()
}

// awaitStored waits until the daemon knows so many sessions.
func (w *world) awaitStored(d *daemon, n int) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		_, metrics, err := d.get("/metrics")
		if err == nil && !strings.Contains(metrics, fmt.Sprintf(`notifier_sessions_tracked{account="main",state="watched"} %d`, n)) {
			err = fmt.Errorf("it does not know %d sessions yet", n)
		}
		return err
	})
}

// bought are the fields of an order in euros by a customer with an address.
func bought(amount int, order string) simulator.Fields {
	f := paid()
	f["amount_total"], f["currency"], f["customer_email"] = amount, "EUR", "canary.buyer@example.com"
	f["metadata"] = object{"order": order}
	return f
}

func TestRulesAndRendering(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	template := w.hook("warehouse", "/warehouse")
	template["format"] = "template"
	template["template"] = `{"order": {{ json .Session.metadata.order }}, "sum": {{ money .Session.amount_total .Session.currency | json }}, "rule": {{ json .Rule }}}`
	private := w.hook("private", "/private")
	private["omit"] = []string{"url", "customer_details", "customer_email"}
	w.destinations = append(w.destinations, template, private)
	w.rules = []object{
		{"name": "big", "when": `event.type == "checkout.session.paid" && session.amount_total >= 50_00 && session.currency == "EUR"`,
			"to": []string{"hook"}, "labels": object{"size": "big", "team": "first"}},
		{"name": "paid", "events": []string{"p*d"}, "to": []string{"hook", "private"}, "labels": object{"team": "second", "kind": "paid"}},
		{"name": "off", "events": []string{"*"}, "to": []string{"hook"}, "enabled": false},
		{"name": "pack", "events": []string{"fulfillable"}, "to": []string{"warehouse"}},
		{"name": "own", "events": []string{"paid"}, "to": []string{"hook"}, "format": "template", "template": `{"own": {{ json .Session.id }}}`},
	}
	d := w.daemon()
	big, small := w.create(bought(5000, "A-1")), w.create(bought(4999, "A-2"))
	w.awaitDelivered(d, 8)
	d.stop()

	wantMatch := map[string]string{
		big:   "[big paid] map[kind:paid size:big team:first]",
		small: "[paid] map[kind:paid team:second]",
	}
	own := 0
	for _, r := range w.receiver.Requests() {
		if strings.HasPrefix(string(r.Body), `{"own"`) {
			own++
			continue
		}
		if r.Path != hookPath {
			continue
		}
		e, err := readEvent(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(e.Data.Match.Rules, " ", e.Data.Match.Labels); got != wantMatch[e.Subject] {
			t.Errorf("match of %s: %s, want %s", e.Subject, got, wantMatch[e.Subject])
		}
	}
	if own != 2 {
		t.Errorf("a rule with its own template added %d deliveries, want 2", own)
	}
	if got, want := string(w.received("/warehouse", "A-1").Body), `{"order": "A-1", "sum": "50.00 EUR", "rule": "pack"}`; got != want {
		t.Errorf("template made %s, want %s", got, want)
	}
	if body := string(w.received("/private", big).Body); strings.Contains(body, "canary.buyer") || strings.Contains(body, "/pay/") {
		t.Errorf("omitted fields are in %s", body)
	}
	if ids := eventIDs(t, w, big); ids[hookPath] != ids["/private"] {
		t.Errorf("one event has the ids %v", ids)
	}
}

// eventIDs are the ids under which destinations were told of a session's payment.
func eventIDs(t *testing.T, w *world, session string) map[string]string {
	t.Helper()
	ids := make(map[string]string)
	for _, r := range w.receiver.Requests() {
		if e, err := readEvent(r.Body); err == nil && e.Subject == session && e.short() == "paid" {
			ids[r.Path] = e.ID
		}
	}
	return ids
}

// awaitDelivered waits for so many requests, and that no more are due.
func (w *world) awaitDelivered(d *daemon, n int) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		s, err := d.status()
		if err != nil {
			return err
		}
		pending, dead := s.waiting()
		if got := len(w.receiver.Requests()); got < n || pending+dead > 0 {
			return fmt.Errorf("%d requests came, want %d; %d pending, %d dead", got, n, pending, dead)
		}
		return nil
	})
	if got := len(w.receiver.Requests()); got != n {
		w.t.Errorf("%d requests came, want %d", got, n)
	}
}

func TestTwoAccountsFromTheBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	liveAPI, liveURL := serveAPI(t, "sk_live_CanaryLive8Vm", w.seed+1)
	w.accounts[0]["start"] = "all"
	w.accounts = append(w.accounts, object{"name": "live", "secret_key": "sk_live_CanaryLive8Vm", "base_url": liveURL, "start": ago(time.Minute)})
	w.rules = append(w.rules, object{"name": "live-only", "accounts": []string{"live"}, "events": []string{"created"}, "to": []string{"live"}})
	w.destinations = append(w.destinations, w.hook("live", "/live"))
	ancient := w.create(simulator.Fields{"created": ago(90 * 24 * time.Hour), "status": "complete", "payment_status": "paid"})
	before := create(t, liveAPI, simulator.Fields{"created": ago(time.Hour)})
	after := create(t, liveAPI, simulator.Fields{"created": ago(30 * time.Second)})
	d := w.daemon()
	w.awaitTold(hookPath, ancient, "created", "completed", "paid", "fulfillable")
	w.awaitTold(hookPath, after, "created")
	w.awaitTold("/live", after, "created")
	d.stop()
	if got := w.told(hookPath)[before]; got != nil {
		t.Errorf("a session from before the start was announced: %v", got)
	}
	if got := w.told("/live"); len(got) != 1 {
		t.Errorf("a rule of one account heard of %v", got)
	}
	if e := w.event(hookPath, after, "created"); e.Account != "live" || !*e.Livemode || e.Source != "/wooshpay/accounts/live" {
		t.Errorf("account %s, livemode %t, source %s", e.Account, *e.Livemode, e.Source)
	}
}
