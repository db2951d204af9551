package publish_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
	"checkout-notifier/state"
)

// duty keeps incidents as PagerDuty does, and refuses each event as often as it is told to.
type duty struct {
	mu      sync.Mutex
	refuses map[string]int // by the id of the event
	open    map[string]bool
	log     []string // type of event and action, in the order in which they were taken
}

func newDuty() *duty { return &duty{refuses: map[string]int{}, open: map[string]bool{}} }

func (p *duty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var body incident
	if err != nil || json.Unmarshal(raw, &body) != nil || !p.take(&body) {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (p *duty) take(body *incident) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := body.Payload.Details["event_id"]; p.refuses[id] > 0 {
		p.refuses[id]--
		return false
	}
	p.log = append(p.log, strings.TrimPrefix(body.Payload.Class, event.SystemPrefix)+" "+body.Action)
	if p.open[body.Key] = body.Action == "trigger"; !p.open[body.Key] {
		delete(p.open, body.Key)
	}
	return true
}

// pagerDestination lets no event wait for one that was refused.
func pagerDestination(url string) publish.Destination {
	d := exact("pager")
	d.URL, d.Format, d.RoutingKey = secret.String(url), publish.FormatPagerDuty, "R0UT1NG"
	d.OrderHold, d.Retry.Schedule = 0, slices.Repeat([]time.Duration{time.Hour}, 20)
	return d
}

// alert is one of the program's own events on its way to the pager.
func alert(t testing.TB, eventType, subject string, n int, data any) event.Notice {
	t.Helper()
	at := time.Now()
	e, err := event.NewSystem(eventType, subject, fmt.Sprint(n), at, data)
	if err != nil {
		t.Fatal(err)
	}
	return event.Notice{Event: e, Deliveries: []event.Delivery{{
		ID: event.DeliveryID(e.ID, "pager", ""), EventID: e.ID, EventType: e.Type, Subject: subject, Destination: "pager",
		Rules: []string{"night"}, Ordered: true, Created: at, Due: at, Status: event.StatusPending,
	}}}
}

func hasten(t *testing.T, store *state.Store) {
	t.Helper()
	if _, err := store.Hasten(t.Context(), "pager", time.Now(), 100); err != nil {
		t.Fatal(err)
	}
}

// drainOnce is a process that delivers what is due, after something was done. It returns the
// deliveries of all events.
func drainOnce(t *testing.T, path string, dest publish.Destination, o publish.Options, before func(*state.Store), rules ...publish.RuleTypes) (deliveries []event.Delivery) {
	t.Helper()
	config := state.DefaultConfig()
	config.Path = path
	store, err := state.Open(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	before(store)
	renderer, err := publish.NewRenderer(dest, nil, "", rules...)
	if err != nil {
		t.Fatal(err)
	}
	to, err := publish.NewHTTP(dest, renderer, publish.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := relay(t, store, o, publish.Lane{Destination: dest, Publisher: to}).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, err := store.Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		found, err := store.EventDeliveries(t.Context(), e.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		deliveries = append(deliveries, found...)
	}
	return deliveries
}

// An alert that its receiver refused until a later one of its incident was accepted is not
// sent any more: the incident would be open again, and nobody would close it.
func TestAnOvertakenAlertChangesNoIncident(t *testing.T) {
	const failing, paused, recovered = event.DestinationFailing, event.DestinationPaused, event.DestinationRecovered
	dead := func(id, status string) any {
		return event.DeliveryDeadData{Summary: "dead", Destination: "shop", Delivery: id, Status: status}
	}
	firing, resolved := event.StatusFiring, event.StatusResolved
	type step struct {
		eventType string
		refused   int
		subject   string // "": shop
		data      any
	}
	for name, c := range map[string]struct {
		steps []step
		taken []string // in this order
		open  []string
		given []int // steps that are not sent
	}{
		"an end before its beginning": {
			steps: []step{{failing, 1, "", nil}, {recovered, 0, "", nil}},
			taken: []string{"destination.recovered resolve"}, given: []int{0},
		},
		"several beginnings": {
			steps: []step{{failing, 2, "", nil}, {paused, 1, "", nil}, {recovered, 0, "", nil}},
			taken: []string{"destination.recovered resolve"}, given: []int{0, 1},
		},
		"the next beginning before the last end": {
			steps: []step{{failing, 0, "", nil}, {recovered, 1, "", nil}, {failing, 0, "", nil}},
			taken: []string{"destination.failing trigger", "destination.failing trigger"},
			open:  []string{"notifier/destination/shop"}, given: []int{1},
		},
		"a beginning, its end and the next beginning": {
			steps: []step{{failing, 3, "", nil}, {recovered, 1, "", nil}, {failing, 0, "", nil}},
			taken: []string{"destination.failing trigger", "destination.failing trigger"},
			open:  []string{"notifier/destination/shop"}, given: []int{1},
		},
		"two ends": {
			steps: []step{{failing, 5, "", nil}, {recovered, 1, "", nil}, {recovered, 0, "", nil}},
			taken: []string{"destination.recovered resolve", "destination.recovered resolve"}, given: []int{0},
		},
		"the end of another incident of the same subject": {
			steps: []step{{event.AccountFailing, 1, "", nil}, {recovered, 0, "", nil}},
			taken: []string{"destination.recovered resolve", "account.failing trigger"},
			open:  []string{"notifier/account/shop"},
		},
		"the end of another subject": {
			steps: []step{{failing, 1, "", nil}, {recovered, 0, "bus", nil}},
			taken: []string{"destination.recovered resolve", "destination.failing trigger"},
			open:  []string{"notifier/destination/shop"},
		},
		"dead letters of one destination": {
			steps: []step{
				{event.DeliveryDead, 1, "", dead("dlv_1", firing)},
				{event.DeliveryDead, 1, "", dead("dlv_2", firing)},
				{event.DeliveryDead, 0, "", dead("dlv_1", resolved)},
			},
			taken: []string{"delivery.dead resolve", "delivery.dead trigger"},
			open:  []string{"notifier/delivery/dlv_2"}, given: []int{0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pager := newDuty()
			server := httptest.NewServer(pager)
			t.Cleanup(server.Close)
			path, dest := filepath.Join(t.TempDir(), "notifier.db"), pagerDestination(server.URL)
			drain := func(before func(*state.Store)) []event.Delivery {
				return drainOnce(t, path, dest, publish.Options{}, before)
			}
			deliveries := drain(func(store *state.Store) {
				for i, s := range c.steps {
					if s.subject == "" {
						s.subject = "shop"
					}
					if s.data == nil {
						s.data = map[string]string{"summary": s.eventType}
					}
					n := alert(t, s.eventType, s.subject, i, s.data)
					pager.refuses[n.Event.ID] = s.refused
					if err := store.Commit(t.Context(), &event.Tx{Notices: []event.Notice{n}}); err != nil {
						t.Fatal(err)
					}
				}
			})
			for range 5 {
				deliveries = drain(func(store *state.Store) { hasten(t, store) })
			}
			if diff := cmp.Diff(c.taken, pager.log); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if open := slices.Sorted(maps.Keys(pager.open)); !slices.Equal(open, c.open) {
				t.Errorf("open are %v, want %v", open, c.open)
			}
			for i, d := range deliveries {
				want := event.StatusAccepted
				if slices.Contains(c.given, i) {
					want = event.StatusPurged
				}
				if d.Status != want || (want == event.StatusPurged) != strings.HasPrefix(d.Reason, "not sent again: ") {
					t.Errorf("delivery %d is %s: %q, want %s", i, d.Status, d.Reason, want)
				}
			}
		})
	}
}

// The trouble of a session that became a dead letter, was redriven and then overtaken by the
// good end is given up, and with it the incident of its death is over. A retry by hand
// sends it all the same.
func TestAnOvertakenAlertIsNoDeadLetterAnyMore(t *testing.T) {
	pager := newDuty()
	server := httptest.NewServer(pager)
	t.Cleanup(server.Close)
	path, dest := filepath.Join(t.TempDir(), "notifier.db"), pagerDestination(server.URL)
	dest.Retry.Schedule = dest.Retry.Schedule[:1]
	rule := publish.RuleTypes{Rule: "orders", Types: []string{event.Expired, event.Paid}}
	var told []string // of deaths
	o := publish.Options{Announce: func(e event.Event) event.Notice {
		var data event.DeliveryDeadData
		if err := json.Unmarshal(e.System, &data); err != nil || e.Type != event.DeliveryDead {
			t.Errorf("told of %s: %v", e.Type, err)
		}
		told = append(told, data.Status+" "+data.Delivery)
		return event.Notice{Event: e}
	}}
	var ids []string
	put := func(store *state.Store, eventType string, refused int) {
		e := event.SampleEvent(eventType)
		e.ID = event.ID("main", e.Session, eventType, 1)
		pager.refuses[e.ID] = refused
		d := event.Delivery{
			ID: event.DeliveryID(e.ID, "pager", ""), EventID: e.ID, EventType: e.Type, Account: "main", Session: e.Session, Destination: "pager",
			Rules: []string{"orders"}, Ordered: true, Created: time.Now(), Due: time.Now(), Status: event.StatusPending,
		}
		ids = append(ids, d.ID)
		if err := store.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
			t.Fatal(err)
		}
	}
	status := func(want ...event.Status) func([]event.Delivery) {
		return func(deliveries []event.Delivery) {
			t.Helper()
			var got []event.Status
			for _, d := range deliveries {
				got = append(got, d.Status)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("status (-want +got):\n%s", diff)
			}
		}
	}
	for _, step := range []struct {
		before func(*state.Store)
		check  func([]event.Delivery)
	}{
		{func(store *state.Store) { put(store, event.Expired, 3) }, status(event.StatusPending)},
		{func(store *state.Store) { hasten(t, store) }, status(event.StatusDead)},
		{func(store *state.Store) {
			if _, err := store.Redrive(t.Context(), ids, event.Act{Actor: "ann", Job: "job_1", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}, status(event.StatusPending)},
		{func(store *state.Store) { put(store, event.Paid, 0) }, status(event.StatusPurged, event.StatusAccepted)},
		{func(store *state.Store) {
			if diff := cmp.Diff([]string{"firing " + ids[0], "resolved " + ids[0]}, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if _, err := store.Retry(t.Context(), ids[0], event.Act{Actor: "ann", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}, status(event.StatusAccepted, event.StatusAccepted)},
	} {
		step.check(drainOnce(t, path, dest, o, step.before, rule))
	}
	if diff := cmp.Diff([]string{"checkout.session.paid resolve", "checkout.session.expired trigger"}, pager.log); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}
