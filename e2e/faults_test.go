package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/simulator"
)

// badDay is one set of faults and what the daemon must say of it.
type badDay struct {
	faults   simulator.Faults
	oddities []string       // codes that the status must show
	codes    []string       // of api_requests_total, all of which must be counted
	restart  bool           // the faults make it wait so long that an operator restarts it
	change   func(w *world) // to the configuration, may be nil
	skew     time.Duration  // of the API's Date
	played   int            // how many kinds must strike; 0: all that have a chance
}

// never is the badDay.played of faults that the configuration evades.
const never = -1

// badDays have every fault that the simulated API can play, alone or with those
// that it does not hide.
func badDays() map[string]badDay {
	half, third, fifth, tenth := simulator.Share(0.5), simulator.Share(0.3), simulator.Share(0.2), simulator.Share(0.1)
	always := simulator.Always()
	type f = simulator.Faults
	return map[string]badDay{
		"hang":              {faults: f{Hang: third}, codes: []string{"network"}, change: shortTimeout},
		"slow":              {faults: f{Hang: half, HangMS: 200}},
		"rate_limited":      {faults: f{RateLimited: third, RetryAfterS: 1}, codes: []string{"429"}},
		"rate_limited_bare": {faults: f{RateLimitedBare: third}, codes: []string{"429"}},
		"server_error":      {faults: f{ServerError: third}, codes: []string{"500"}},
		"unavailable":       {faults: f{Unavailable: third}, codes: []string{"503"}},
		"unauthorized":      {faults: f{Unauthorized: always}, codes: []string{"401"}, restart: true},
		"forbidden":         {faults: f{Forbidden: always}, codes: []string{"403"}, restart: true},
		"redirect":          {faults: f{Redirect: third}, codes: []string{"302"}},
		"reject_body":       {faults: f{RejectBody: always}, codes: []string{"400"}},
		"reject_body_query": {faults: f{RejectBody: always}, change: paramsIn("query"), played: never},
		"cut_body":          {faults: f{CutBody: third}, codes: []string{"network"}},
		"invalid_json":      {faults: f{InvalidJSON: third}, codes: []string{"nonsense"}},
		"truncated_json":    {faults: f{TruncatedJSON: third}, codes: []string{"nonsense"}},
		"repeat_page":       {faults: f{RepeatPage: always}, oddities: []string{"cursor_ignored"}},
		"repeat_sometimes":  {faults: f{RepeatPage: third}},
		"ignore_filters":    {faults: f{IgnoreFilters: always}},
		"ignore_limit":      {faults: f{IgnoreLimit: always}, oddities: []string{"limit_ignored"}},
		"ascending":         {faults: f{Ascending: always}, oddities: []string{"order"}},
		"ascending_at_time": {faults: f{Ascending: third}, oddities: []string{"order"}},
		"empty_page":        {faults: f{EmptyPage: third}, oddities: []string{"bad_page"}},
		"has_more_null":     {faults: f{HasMoreNull: always}, oddities: []string{"has_more_missing"}},
		"has_more_true":     {faults: f{HasMoreTrue: always}},
		"units_and_types":   {faults: f{Seconds: half, StringNumbers: half, RotateURL: always, NullFlip: always}},
		"item_without_id":   {faults: f{ItemWithoutID: half}, oddities: []string{"bad_item"}},
		"item_no_status":    {faults: f{ItemWithoutStatus: half}, oddities: []string{"contradictory_item"}},
		"item_not_object":   {faults: f{ItemNotObject: half}, oddities: []string{"bad_item"}},
		"duplicate_item":    {faults: f{DuplicateItem: half}, oddities: []string{"duplicate_items"}},
		"stale":             {faults: f{Stale: half, StaleMS: 2500}, oddities: []string{"step_back"}},
		"late":              {faults: f{Late: 0.4, LateMS: 2500}},
		"no_expiry":         {faults: f{NoExpiry: true}},
		"clock_ahead":       {faults: f{ClockSkewS: 20}, oddities: []string{"clock_skew"}, skew: 20 * time.Second},
		"clock_behind":      {faults: f{ClockSkewS: -20}, oddities: []string{"clock_skew"}, skew: 20 * time.Second},
		"filters_in_query":  {faults: f{Params: simulator.ParamsQuery}},
		"both_query":        {faults: f{Params: simulator.ParamsQuery}, change: paramsIn("both")},
		"filter_in_ms":      {faults: f{FilterUnit: simulator.UnitMillis}},
		"mixed_errors": {faults: f{
			ServerError: fifth, RateLimited: fifth, RetryAfterS: 1, CutBody: fifth, TruncatedJSON: fifth, InvalidJSON: fifth,
		}, played: 2},
		"mixed_pages": {faults: f{
			RepeatPage: fifth, IgnoreLimit: fifth, IgnoreFilters: fifth, Ascending: fifth, EmptyPage: fifth, HasMoreNull: fifth,
			HasMoreTrue: fifth, NullFlip: always, RotateURL: always, ItemWithoutID: fifth, ItemWithoutStatus: fifth,
			ItemNotObject: fifth, DuplicateItem: fifth, Late: 0.2, LateMS: 2000,
		}, played: 8},
		"everything": {faults: f{
			ServerError: tenth, CutBody: tenth, RateLimited: tenth, RetryAfterS: 1, TruncatedJSON: tenth, RepeatPage: tenth,
			IgnoreLimit: tenth, Ascending: tenth, EmptyPage: tenth, HasMoreNull: tenth, Seconds: half, StringNumbers: half,
			RotateURL: always, NullFlip: always, ItemWithoutID: tenth, ItemWithoutStatus: tenth, ItemNotObject: tenth,
			DuplicateItem: tenth, Stale: fifth, StaleMS: 2000, StaleMinMS: 100, Late: 0.2, LateMS: 2000,
		}, played: 6},
	}
}

func shortTimeout(w *world) { w.poll["timeout"] = "300ms" }

func paramsIn(channel string) func(*world) {
	return func(w *world) { w.accounts[0]["list_params"] = channel }
}

// TestFaults lets each bad day last for some seconds of traffic. Then the API is
// well again, and nothing may be missing, made up, doubled or out of order.
func TestFaults(t *testing.T) {
	t.Parallel()
	days := badDays()
	for _, name := range slices.Sorted(maps.Keys(days)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			days[name].live(t)
		})
	}
}

func (day badDay) live(t *testing.T) {
	w := newWorld(t, nil)
	w.poll = object{"interval": "200ms", "rate_limit": 0, "timeout": "5s", "tuning": object{
		"page_size": 4, "hot_age": "2s", "warm_every": "500ms", "unpaid_every": "500ms", "reconcile_every": "5s",
		"confirm_after": "4s",
	}}
	if day.change != nil {
		day.change(w)
	}
	for range 6 {
		w.create(simulator.Fields{"created": ago(time.Hour), "expires_in": "24h"})
	}
	d := w.daemon() // on a good day: the account's start is fixed
	w.awaitPass(d)
	w.faults(day.faults)
	stopTraffic := w.traffic(simulator.Traffic{Seed: w.seed, Rate: 3, Duration: 5 * time.Second, Scale: 4})
	day.noticed(t, d) // while there is something to get wrong
	day.struck(t, w)
	stopTraffic()
	if struck := w.api.Struck(); day.played == never && len(struck) > 0 {
		t.Errorf("%v were played, which the configuration evades", struck)
	}
	w.faults(simulator.Faults{})
	if day.restart {
		d.stop()
		d = w.daemon()
	}
	l := &ledger{skew: day.skew}
	w.awaitLedger(d, l)
	d.stop()
	l.truth, l.requests = w.announced(), w.receiver.Requests()
	for _, mistake := range l.wrong() {
		t.Error(mistake)
	}
	w.checkShipped(l.requests)
}

// struck waits until the faults were played.
func (day badDay) struck(t *testing.T, w *world) {
	t.Helper()
	text, err := json.Marshal(day.faults)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, value := range members {
		if _, chance := value.(object); chance {
			want++
		}
	}
	switch day.played {
	case 0:
	case never:
		want = 0
	default:
		want = day.played
	}
	eventually(t, patience, func() error {
		if counts := w.api.Struck(); len(counts) < want {
			return fmt.Errorf("of the faults %s only %v were played, want %d kinds", text, counts, want)
		}
		return nil
	})
}

// noticed waits until the status and the metrics tell of the faults.
func (day badDay) noticed(t *testing.T, d *daemon) {
	t.Helper()
	eventually(t, patience, func() error {
		if err := d.alive(); err != nil {
			return err
		}
		s, err := d.status()
		if err != nil {
			return err
		}
		var codes []string
		for _, o := range s.Accounts[0].Oddities {
			codes = append(codes, o.Code)
		}
		for _, want := range day.oddities {
			if !slices.Contains(codes, want) {
				return fmt.Errorf("the status tells of %v, not of %s", codes, want)
			}
		}
		if day.restart && s.Accounts[0].Error == "" {
			return fmt.Errorf("the status has no error for the account")
		}
		return day.counted(d)
	})
}

// counted is an error until the metrics count a failed request.
func (day badDay) counted(d *daemon) error {
	status, metrics, err := d.get("/metrics")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("the metrics answer %d: %w", status, err)
	}
	for _, code := range day.codes {
		if !strings.Contains(metrics, `notifier_api_requests_total{account="main",code="`+code+`"}`) {
			return fmt.Errorf("the metrics count no %s", code)
		}
	}
	return nil
}

// TestVanishedSession hides two sessions for a while: they are said to have
// vanished, and what happened to them meanwhile is told when they return.
func TestVanishedSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.poll["tuning"] = object{"hot_age": "1ms", "warm_every": "100ms"}
	d := w.daemon()
	order, cart, other := w.create(nil), w.create(nil), w.create(nil)
	for _, id := range []string{order, cart, other} {
		w.awaitTold(hookPath, id, "created")
	}
	w.faults(simulator.Faults{Vanished: []string{order, cart}})
	badDay{oddities: []string{"vanished"}}.noticed(t, d)
	eventually(t, patience, func() error {
		_, metrics, err := d.get("/metrics")
		if err == nil && !strings.Contains(metrics, `notifier_sessions_tracked{account="main",state="vanished"} 2`) {
			err = fmt.Errorf("the metrics do not count two vanished sessions")
		}
		return err
	})
	w.update(order, paid())
	w.update(other, paid())
	w.awaitTold(hookPath, other, "created", "completed", "paid", "fulfillable")
	w.faults(simulator.Faults{})
	w.awaitTold(hookPath, order, "created", "completed", "paid", "fulfillable")
	w.awaitTold(hookPath, cart, "created")
	d.stop()
}

// awaitPass waits until the daemon has finished a pass.
func (w *world) awaitPass(d *daemon) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		s, err := d.status()
		if err == nil && s.Accounts[0].Passes == 0 {
			err = fmt.Errorf("no pass is finished: %+v", s.Accounts[0])
		}
		return err
	})
}
