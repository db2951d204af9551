package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// clerk is the side of the daemon that knows what happened; it remembers what it
// was asked last.
type clerk struct {
	kind    admin.Kind
	wanted  any
	dryRun  bool
	by      string
	unknown error
}

func (c *clerk) List(_ context.Context, kind admin.Kind, q admin.Query) (any, string, error) {
	c.kind, c.wanted = kind, q
	if q.Before == "0" {
		return nil, "", admin.ErrBadCursor
	}
	return []string{"b", "a"}, "17", c.unknown
}

func (c *clerk) Record(_ context.Context, kind admin.Kind, id string) (any, error) {
	c.kind = kind
	if id != "x-1" {
		return nil, fmt.Errorf("%w: %s", admin.ErrNotFound, id)
	}
	return map[string]string{"id": id}, nil
}

func (c *clerk) RetryDelivery(ctx context.Context, id string, ifStatus event.Status, actor string) (any, error) {
	c.by = actor
	if ifStatus == event.StatusPending {
		return nil, fmt.Errorf("%s %w: it is accepted", id, admin.ErrChanged)
	}
	return c.Record(ctx, admin.Deliveries, id)
}

func (c *clerk) Purge(_ context.Context, s admin.Selection, dryRun bool, actor string) (any, error) {
	c.wanted, c.dryRun, c.by = s, dryRun, actor
	return map[string]int{"purged": 2}, c.unknown
}

func (c *clerk) TestDestination(ctx context.Context, name, eventType, actor string) (any, error) {
	c.wanted, c.by = eventType, actor
	return c.Record(ctx, admin.Destinations, name)
}

func (c *clerk) PlanRedrive(_ context.Context, o admin.Redrive) (any, error) {
	c.wanted = o
	return map[string]int{"deliveries": 2}, c.unknown
}

func (c *clerk) StartRedrive(_ context.Context, o admin.Redrive, actor string) (string, any, error) {
	c.wanted, c.by = o, actor
	return "job_1", map[string]string{"id": "job_1"}, c.unknown
}

func (c *clerk) PlanReplay(_ context.Context, o admin.Replay) (any, error) {
	c.wanted = o
	return map[string]int{"deliveries": 3}, c.unknown
}

func (c *clerk) StartReplay(_ context.Context, o admin.Replay, actor string) (string, any, error) {
	c.wanted, c.by = o, actor
	return "job_2", map[string]string{"id": "job_2"}, c.unknown
}

func TestListsOfRecords(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for query, want := range map[string]admin.Query{
		"deliveries":                 {Limit: 100},
		"deliveries?limit=7":         {Limit: 7},
		"deliveries?status=orphaned": {Status: event.StatusPending, Orphaned: true, Limit: 100},
		"deadletters?job=job_1":      {Job: "job_1", Limit: 100},
		"deliveries?status=dead&destination=shop&event=evt_1&rule=ship&account=main&session=cs_1&type=paid": {
			Status: event.StatusDead, Destination: "shop", Event: "evt_1", Rule: "ship", Account: "main", Session: "cs_1", Type: event.Paid, Limit: 100,
		},
		"deadletters?since=2026-11-22T11:00:00%2B01:00&until=2026-11-22T10:00:00Z&type=checkout.session.expired": {
			Since: at, Until: at, Type: event.Expired, Limit: 100,
		},
		"events?type=paid,checkout.session.expired":                {Type: event.Paid + "," + event.Expired, Limit: 100},
		"events?failed=true&rule=ship&type=notifier.delivery.dead": {Failed: true, Rule: "ship", Type: event.DeliveryDead, Limit: 100},
		"audit?actor=ops&action=destination.pause":                 {Actor: "ops", Action: "destination.pause", Limit: 100},
		"destinations?limit=1":                                     {Limit: 1},
	} {
		kind, _, _ := strings.Cut(query, "?")
		status, answer, _ := ask(t, server, request{path: "/api/v1/" + query})
		var page struct {
			Items []string
			Next  string
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil || status != 200 || len(page.Items) != 2 || page.Next == "" {
			t.Fatalf("%s: %d %s", query, status, answer)
		}
		if d.kind != admin.Kind(kind) || !reflect.DeepEqual(d.wanted, want) {
			t.Errorf("%s: asked for %s %+v", query, d.kind, d.wanted)
		}
		if status, _, _ := ask(t, server, request{path: "/api/v1/" + kind + "?cursor=" + page.Next}); status != 200 || d.wanted.(admin.Query).Before != "17" {
			t.Errorf("the next page of %s: %d, asked for %+v", kind, status, d.wanted)
		}
		other := map[string]string{"deliveries": "events"}[kind]
		if other == "" {
			other = "deliveries"
		}
		if status, _, _ := ask(t, server, request{path: "/api/v1/" + other + "?cursor=" + page.Next}); status != 400 {
			t.Errorf("the cursor of %s leads through %s", kind, other)
		}
	}
}

func TestFiltersAreStrict(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	for _, query := range []string{
		"deliveries?limit=0", "deliveries?limit=101", "deliveries?limit=x", "deliveries?cursor=", "deliveries?cursor=%21", "deliveries?cursor=MTc",
		"deliveries?status=lost", "deliveries?colour=red", "deliveries?failed=true", "deliveries?type=payed", "deliveries?type=", "deliveries?session=",
		"deliveries?since=7d", "deliveries?until=2026", "deliveries?since=2026-11-22T10:00:00Z&until=2026-11-22T09:00:00Z",
		"deliveries?rule=a&rule=b", "deliveries?limit=%zz", "deadletters?status=dead", "events?destination=shop", "events?failed=maybe", "audit?type=paid",
		"destinations?status=ok", "events/x-1?limit=1",
	} {
		status, answer, header := ask(t, server, request{path: "/api/v1/" + query})
		if status != 400 || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
	if d.wanted != nil {
		t.Errorf("it was asked for %+v", d.wanted)
	}
	d.unknown = fmt.Errorf("looking: %w", &admin.UnknownError{Kind: "destination", Name: "shp"})
	status, answer, _ := ask(t, server, request{path: "/api/v1/deliveries?destination=shp"})
	if status != 400 || !strings.Contains(answer, `"unknown":"destination"`) || !strings.Contains(answer, `there is no destination \"shp\"`) {
		t.Errorf("an unknown destination: %d %s", status, answer)
	}
}

func TestSingleRecords(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	for _, kind := range []admin.Kind{admin.Deliveries, admin.DeadLetters, admin.Events} {
		for id, want := range map[string]int{"x-1": 200, "x-2": 404} {
			status, answer, _ := ask(t, server, request{path: "/api/v1/" + string(kind) + "/" + id})
			if status != want || d.kind != kind || !strings.Contains(answer, id) {
				t.Errorf("%s %s: %d %s", kind, id, status, answer)
			}
		}
	}
}

func post(path, body string) request {
	return request{method: http.MethodPost, path: path, body: body, contentType: jsonType}
}

func TestRedriveAndPurge(t *testing.T) {
	d := &daemon{}
	cfg := admin.DefaultConfig()
	cfg.BasePath = "/n"
	server := serve(t, cfg, d)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	const redrive, purge = "/n/api/v1/deadletters/redrive", "/n/api/v1/deadletters/purge"
	status, answer, header := ask(t, server, post(redrive, `{"destination":"shop","type":"paid,expired","since":"2026-11-22T10:00:00Z","before":"2026-11-22T10:00:00.000000001Z"}`))
	want := admin.Redrive{Selection: admin.Selection{Destination: "shop", Type: event.Paid + "," + event.Expired, Since: at, Before: at.Add(1)}, Rate: admin.DefaultRate}
	if status != 202 || header.Get("Location") != "/n/api/v1/jobs/job_1" || !reflect.DeepEqual(d.wanted, want) {
		t.Errorf("redrive: %d %s, asked for %+v", status, answer, d.wanted)
	}
	status, answer, _ = ask(t, server, post(redrive, `{"ids":["dlv_1"],"rate":0,"dry_run":true}`))
	want = admin.Redrive{Selection: admin.Selection{IDs: []string{"dlv_1"}}}
	if status != 200 || !strings.Contains(answer, "deliveries") || !reflect.DeepEqual(d.wanted, want) {
		t.Errorf("redrive, dry: %d %s, asked for %+v", status, answer, d.wanted)
	}
	for _, dry := range []bool{true, false} {
		status, answer, _ = ask(t, server, post(purge, fmt.Sprintf(`{"all":true,"dry_run":%t}`, dry)))
		if status != 200 || !strings.Contains(answer, "purged") || !reflect.DeepEqual(d.wanted, admin.Selection{All: true}) || d.dryRun != dry {
			t.Errorf("purge: %d %s, asked for %+v", status, answer, d.wanted)
		}
	}
	d.wanted = nil
	for _, body := range []string{
		"", `{}`, `{"all":false}`, `{"dry_run":true}`, `{"before":"2026-11-22T10:00:00Z"}`, `{"ids":[]}`, `{"ids":"dlv_1"}`, `{"destination":""}`, `{"all":true,"session":"cs_1"}`,
		`{"all":true,"colour":"red"}`, `{"type":"payed"}`, `{"since":"7d"}`, `{"since":"2026-11-22T10:00:00Z","until":"2026-11-22T09:00:00Z"}`,
	} {
		for _, path := range []string{redrive, purge} {
			if status, answer, _ := ask(t, server, post(path, body)); status != 400 {
				t.Errorf("%s %s: %d %s", path, body, status, answer)
			}
		}
	}
	for path, bodies := range map[string][]string{redrive: {`{"all":true,"rate":-1}`, `{"all":true,"rate":"fast"}`, `{"all":true,"rate":0.001}`}, purge: {`{"all":true,"rate":5}`}} {
		for _, body := range bodies {
			if status, answer, _ := ask(t, server, post(path, body)); status != 400 {
				t.Errorf("%s %s: %d %s", path, body, status, answer)
			}
		}
	}
	if d.wanted != nil {
		t.Errorf("it was asked for %+v", d.wanted)
	}
}

func TestReplays(t *testing.T) {
	d := &daemon{}
	server := serve(t, admin.DefaultConfig(), d)
	const path = "/api/v1/replay"
	status, answer, header := ask(t, server, post(path,
		`{"events":["evt_1"],"types":["paid","expired"],"accounts":["main"],"session":"cs_1","rule":"ship","to":["shop"],"new_ids":true,"rate":2.5}`))
	want := admin.Replay{
		Events: []string{"evt_1"}, Types: []string{event.Paid, event.Expired}, Accounts: []string{"main"}, Session: "cs_1", Rule: "ship",
		To: []string{"shop"}, NewIDs: true, Rate: 2.5,
	}
	if status != 202 || header.Get("Location") != "/api/v1/jobs/job_2" || !reflect.DeepEqual(d.wanted, want) {
		t.Errorf("replay: %d %s, asked for %+v", status, answer, d.wanted)
	}
	status, answer, _ = ask(t, server, post(path, `{"rule":"ship","failed":true,"dry_run":true,"before":"2026-11-22T10:00:00Z"}`))
	want = admin.Replay{Rule: "ship", Failed: true, Before: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Rate: admin.DefaultRate}
	if status != 200 || !reflect.DeepEqual(d.wanted, want) {
		t.Errorf("replay of what failed: %d %s, asked for %+v", status, answer, d.wanted)
	}
	d.wanted = nil
	for body, says := range map[string]string{
		`{"all":true}`:                               "to is needed",
		`{"to":["shop"]}`:                            "nothing is chosen",
		`{"to":["shop"],"failed":false}`:             "nothing is chosen",
		`{"to":[],"all":true}`:                       "to is empty",
		`{"to":["shop"],"all":true,"rule":"ship"}`:   "contradict",
		`{"failed":true,"new_ids":true}`:             "contradict",
		`{"to":["shop"],"types":["payed"]}`:          `not \"payed\", did you mean \"paid\"?`,
		`{"to":["shop"],"events":[]}`:                "events is empty",
		`{"to":["shop"],"all":true,"ids":["evt_1"]}`: "unknown field",
	} {
		if status, answer, _ := ask(t, server, post(path, body)); status != 400 || !strings.Contains(answer, says) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	if d.wanted != nil {
		t.Errorf("it was asked for %+v", d.wanted)
	}
}

func TestActsOnSingleThings(t *testing.T) {
	cfg := admin.DefaultConfig()
	cfg.Tokens = []admin.Token{
		{Name: "ci", Token: secret.String("viewer-token"), Role: admin.RoleViewer},
		{Name: "ops", Token: secret.String("operator-token"), Role: admin.RoleOperator},
	}
	d := &daemon{}
	server := serve(t, cfg, d)
	for _, tt := range []struct {
		path, body string
		want       int
	}{
		{"/api/v1/deliveries/x-1/retry", "", 200},
		{"/api/v1/deliveries/x-2/retry", "", 404},
		{"/api/v1/deliveries/x-1/retry", `{"force":true}`, 400},
		{"/api/v1/deliveries/x-1/retry", `{"if_status":"dead"}`, 200},
		{"/api/v1/deliveries/x-1/retry", `{"if_status":"pending"}`, 412},
		{"/api/v1/deliveries/x-1/retry", `{"if_status":"orphaned"}`, 400},
		{"/api/v1/deliveries/x-1/retry", `{"if_status":""}`, 400},
		{"/api/v1/destinations/x-1/test", "", 200},
		{"/api/v1/destinations/x-2/test", `{}`, 404},
		{"/api/v1/destinations/x-1/test", `{"type":"payed"}`, 400},
		{"/api/v1/destinations/x-1/test", `{"type":"fulfillable"}`, 200},
		{"/api/v1/destinations/x-1/test", `{"type":"checkout.session.fulfillable"}`, 200},
		{"/api/v1/destinations/x-1/test", `{"type":"destination.recovered"}`, 200},
		{"/api/v1/destinations/X/test", "", 400},
		{"/api/v1/deliveries/x%2F1/retry", "", 400},
		{"/api/v1/deadletters/purge", `{"all":true}`, 200},
		{"/api/v1/deadletters/redrive", `{"all":true}`, 202},
		{"/api/v1/replay", `{"all":true,"to":["shop"]}`, 202},
	} {
		r := post(tt.path, tt.body)
		r.token, d.by = "operator-token", ""
		status, answer, _ := ask(t, server, r)
		if status != tt.want || (status < 300 && d.by != "ops") {
			t.Errorf("%s %s: %d %s, by %q", tt.path, tt.body, status, answer, d.by)
		}
		r.token = "viewer-token"
		if status, _, _ := ask(t, server, r); status != 403 {
			t.Errorf("%s: a viewer gets %d", tt.path, status)
		}
	}
	if d.wanted.(admin.Replay).All != true {
		t.Errorf("asked for %+v", d.wanted)
	}
	r := request{path: "/api/v1/audit", token: "viewer-token"}
	if status, _, _ := ask(t, server, r); status != 200 {
		t.Errorf("a viewer may not look: %d", status)
	}
}
