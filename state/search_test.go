package state_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// searched fills a store with n events, a second apart, of three sessions and
// two types; rule "odd" failed on every second one. Those of shop die by tens.
func searched(t *testing.T, n int) *state.Store {
	t.Helper()
	s := newStore(t)
	tx := &event.Tx{Account: "main"}
	for i := range n {
		e := newEvent(fmt.Sprintf("evt_%04d", i), fmt.Sprint("cs_", i%3))
		e.Time = start.Add(time.Duration(i) * time.Second)
		if i%2 == 1 {
			e.Type, e.RuleErrors = event.Expired, []event.RuleError{{Rule: "odd", Error: "no"}}
		}
		tx.Events = append(tx.Events, e)
		for _, destination := range []string{"shop", "bus"} {
			d := newDelivery(e, destination, false, e.Time)
			if destination == "bus" {
				d.Rules = []string{"tell"}
			}
			tx.Deliveries = append(tx.Deliveries, d)
		}
	}
	commit(t, s, tx)
	for i := 0; i < n; i += 10 {
		resolve(t, s, event.Verdict{Delivery: tx.Deliveries[2*i], Dead: "status 400", At: start.Add(time.Duration(n+i) * time.Second)})
	}
	return s
}

// deliveries reads all pages of a query.
func deliveries(t *testing.T, s *state.Store, q state.Query) (ids []string, pages int) {
	t.Helper()
	for {
		rows, next, err := s.SearchDeliveries(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, row := range rows {
			ids = append(ids, row.Delivery.EventID+" "+row.Delivery.Destination)
		}
		if q.Before = next; next == 0 {
			return ids, pages
		}
	}
}

func TestDeliveriesAreFound(t *testing.T) {
	s := searched(t, 30)
	for name, tt := range map[string]struct {
		q    state.Query
		want []string
	}{
		"dead":                {state.Query{Status: event.StatusDead}, []string{"evt_0020 shop", "evt_0010 shop", "evt_0000 shop"}},
		"dead at one":         {state.Query{Status: event.StatusDead, Destination: "shop", Session: "cs_1"}, []string{"evt_0010 shop"}},
		"dead, not at one":    {state.Query{Status: event.StatusDead, NotTo: []string{"shop"}}, nil},
		"dead, not at others": {state.Query{Status: event.StatusDead, NotTo: []string{"bus", "hook"}, Session: "cs_1"}, []string{"evt_0010 shop"}},
		"not at one":          {state.Query{Event: "evt_0010", NotTo: []string{"shop"}}, []string{"evt_0010 bus"}},
		"dead at another":     {state.Query{Status: event.StatusDead, Destination: "bus"}, nil},
		"by when they died":   {state.Query{Status: event.StatusDead, ByEnd: true, Since: start.Add(50 * time.Second), Until: start.Add(time.Hour)}, []string{"evt_0020 shop"}},
		"of an event":         {state.Query{Event: "evt_0010"}, []string{"evt_0010 bus", "evt_0010 shop"}},
		"of an event, rule":   {state.Query{Event: "evt_0010", Rule: "tell"}, []string{"evt_0010 bus"}},
		"of no event":         {state.Query{Event: "evt_none"}, nil},
		"by time":             {state.Query{Since: start.Add(8 * time.Second), Until: start.Add(8 * time.Second)}, []string{"evt_0008 bus", "evt_0008 shop"}},
		"by type":             {state.Query{Types: []string{event.Expired}, Until: start.Add(3 * time.Second), Rule: "ship"}, []string{"evt_0003 shop", "evt_0001 shop"}},
		"of an account":       {state.Query{Account: "other"}, nil},
		"pending":             {state.Query{Status: event.StatusPending, Until: start}, []string{"evt_0000 bus"}},
		"pending at one":      {state.Query{Status: event.StatusPending, Destination: "shop", Until: start.Add(time.Second)}, []string{"evt_0001 shop"}},
		"accepted, of nobody": {state.Query{Status: event.StatusAccepted}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			tt.q.Limit = limit
			got, pages := deliveries(t, s, tt.q)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, %d a page (-want +got):\n%s", name, limit, diff)
			}
			if limit == 1 && pages > max(1, len(tt.want))+1 {
				t.Errorf("%s: %d pages for %d", name, pages, len(tt.want))
			}
		}
	}
}

func events(t *testing.T, s *state.Store, q state.Query) (ids []string) {
	t.Helper()
	for {
		rows, next, err := s.SearchEvents(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			ids = append(ids, row.Event.ID)
		}
		if q.Before = next; next == 0 {
			return ids
		}
	}
}

// walked is the same by WalkEvents, which goes the other way.
func walked(t *testing.T, s *state.Store, q state.Query) (ids []string) {
	t.Helper()
	after, err := s.SeekEvents(t.Context(), q)
	for err == nil {
		var found []state.FannedOut
		if found, _, after, err = s.WalkEvents(t.Context(), q, after); err != nil {
			break
		}
		for _, f := range found {
			ids = append(ids, f.Event.ID)
			if len(f.Deliveries) != 2 {
				t.Errorf("%s comes with %d deliveries", f.Event.ID, len(f.Deliveries))
			}
		}
		if after == 0 {
			slices.Reverse(ids)
			return ids
		}
	}
	t.Fatal(err)
	return nil
}

func TestEventsAreFound(t *testing.T) {
	s := searched(t, 30)
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	for name, tt := range map[string]struct {
		q    state.Query
		want []string
	}{
		"by time":      {state.Query{Since: at(3), Until: at(4)}, []string{"evt_0004", "evt_0003"}},
		"by session":   {state.Query{Session: "cs_2", Until: at(6)}, []string{"evt_0005", "evt_0002"}},
		"by type":      {state.Query{Types: []string{event.Expired, event.Created}, Until: at(3)}, []string{"evt_0003", "evt_0001"}},
		"by rule":      {state.Query{Rule: "tell", Until: at(0)}, []string{"evt_0000"}},
		"by no rule":   {state.Query{Rule: "odd"}, nil},
		"failed":       {state.Query{Failed: true, Until: at(3)}, []string{"evt_0003", "evt_0001"}},
		"that failed":  {state.Query{Failed: true, Rule: "odd", Until: at(1)}, []string{"evt_0001"}},
		"other failed": {state.Query{Failed: true, Rule: "tell"}, nil},
		"in future":    {state.Query{Since: at(100)}, nil},
		"account":      {state.Query{Account: "other"}, nil},
	} {
		for _, limit := range []int{1, 100} {
			tt.q.Limit = limit
			if diff := cmp.Diff(tt.want, events(t, s, tt.q)); diff != "" {
				t.Errorf("%s, %d a page (-want +got):\n%s", name, limit, diff)
			}
			if diff := cmp.Diff(tt.want, walked(t, s, tt.q)); diff != "" {
				t.Errorf("%s, walking, %d a page (-want +got):\n%s", name, limit, diff)
			}
		}
	}
}

// A call reads no more than it may, and none reads on where all is too old or
// too young.
func TestSearchesAreBounded(t *testing.T) {
	s := newStore(t)
	const n = 9000
	for round := range 3 {
		tx := &event.Tx{Account: "main"}
		for range n / 3 {
			i := len(tx.Events)
			e := newEvent(fmt.Sprint("evt_", round, "_", i), "cs_1")
			e.Time = start
			tx.Events = append(tx.Events, e)
			tx.Deliveries = append(tx.Deliveries, newDelivery(e, "shop", false, start))
		}
		commit(t, s, tx)
	}
	none := state.Query{Session: "cs_none", Limit: 100}
	if _, next, err := s.SearchDeliveries(t.Context(), none); err != nil || next != n-1999 {
		t.Errorf("deliveries: next %d, %v", next, err)
	}
	if _, next, err := s.SearchEvents(t.Context(), none); err != nil || next != n-1999 {
		t.Errorf("events: next %d, %v", next, err)
	}
	if _, examined, next, err := s.WalkEvents(t.Context(), none, 0); err != nil || examined != 2000 || next != 2000 {
		t.Errorf("walking: %d examined, next %d, %v", examined, next, err)
	}
	old := state.Query{Since: start.Add(time.Second), Limit: 100}
	if _, next, err := s.SearchDeliveries(t.Context(), old); err != nil || next != 0 {
		t.Errorf("old deliveries: next %d, %v", next, err)
	}
	if _, next, err := s.SearchEvents(t.Context(), old); err != nil || next != 0 {
		t.Errorf("old events: next %d, %v", next, err)
	}
	// A session that is known bounds the search by its creation.
	commit(t, s, &event.Tx{Account: "main", Snapshots: []event.Snapshot{snapshot("cs_new", start.Add(48*time.Hour))}})
	if err := s.SaveAccount(t.Context(), event.Account{Name: "main"}); err != nil {
		t.Fatal(err)
	}
	fresh := state.Query{Session: "cs_new", Limit: 100}
	if _, next, err := s.SearchEvents(t.Context(), fresh); err != nil || next != 0 {
		t.Errorf("events of a new session: next %d, %v", next, err)
	}
	if _, next, err := s.SearchDeliveries(t.Context(), fresh); err != nil || next != 0 {
		t.Errorf("deliveries of a new session: next %d, %v", next, err)
	}
	young := state.Query{Until: start.Add(-time.Second), Limit: 100}
	if _, examined, next, err := s.WalkEvents(t.Context(), young, 0); err != nil || examined != 2000 || next != 0 {
		t.Errorf("young events: %d examined, next %d, %v", examined, next, err)
	}
}
