package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// memory is a store that can lose its process before or after a commit.
type memory struct {
	snapshots  map[string]event.Snapshot
	events     []event.Event
	deliveries []event.Delivery
	crash      int // 1: before the next commit, 2: after it
}

var errCrash = errors.New("the process died")

func (m *memory) Account(_ context.Context, name string) (event.Account, bool, error) {
	return event.Account{Name: name}, true, nil
}

func (m *memory) Snapshots(_ context.Context, _ string, ids []string) (map[string]event.Snapshot, error) {
	found := make(map[string]event.Snapshot)
	for _, id := range ids {
		if s, ok := m.snapshots[id]; ok {
			found[id] = s
		}
	}
	return found, nil
}

func (m *memory) Commit(_ context.Context, tx *event.Tx) error {
	crash := m.crash
	m.crash = 0
	if crash == 1 {
		return errCrash
	}
	for _, s := range tx.Snapshots {
		m.snapshots[s.ID] = s
	}
	m.events = append(m.events, tx.Events...)
	m.deliveries = append(m.deliveries, tx.Deliveries...)
	if crash == 2 {
		return errCrash
	}
	return nil
}

type nobody struct{}

func (nobody) Committed([]event.Event, []event.Delivery) {}

func newPipeline(t interface {
	Helper()
	Fatalf(string, ...any)
}, store pipeline.Store, list ...rules.Rule) *pipeline.Pipeline {
	t.Helper()
	for i := range list {
		list[i].Enabled = true
	}
	set, problems := rules.Compile(list, rules.Known{Destinations: []string{"shop", "bus"}, Accounts: []string{"main"}})
	for _, p := range problems {
		if !p.Warning {
			t.Fatalf("rule %d: %s", p.Rule, p.Message)
		}
	}
	return pipeline.New(store, set, func(name string) bool { return name == "shop" }, nobody{}, slog.New(slog.DiscardHandler))
}

func everything() rules.Rule {
	return rules.Rule{Name: "all", Events: []string{"*"}, To: []string{"shop"}}
}

func batch(at time.Duration, looks ...checkout.Session) poller.Batch {
	b := poller.Batch{Account: event.Account{Name: "main"}, Poll: poller.DefaultPoll(), Pass: t0.Add(at)}
	for _, s := range looks {
		b.Looks = append(b.Looks, poller.Look{Session: s, At: t0.Add(at)})
	}
	return b
}

func session(t interface {
	Helper()
	Fatalf(string, ...any)
}, id, status, payment, extra string) checkout.Session {
	t.Helper()
	s, err := checkout.Parse(fmt.Appendf(nil, `{"id":%q,"created":%d,"expires_at":%d,"status":%q,"payment_status":%q%s}`,
		id, t0.Unix(), t0.Add(24*time.Hour).Unix(), status, payment, extra))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

// openStore opens a real store.
func openStore(t *testing.T) *state.Store {
	t.Helper()
	cfg := state.DefaultConfig()
	cfg.Path = filepath.Join(t.TempDir(), "notifier.db")
	store, err := state.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Verify(context.Background()); err != nil {
			t.Errorf("the store is not sound: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestPageBecomesEventsAndDeliveries(t *testing.T) {
	store := openStore(t)
	p := newPipeline(t, store, everything(),
		rules.Rule{Name: "big", Events: []string{"fulfillable"}, When: "session.amount_total > 100", To: []string{"shop", "bus"}, Labels: map[string]string{"severity": "page"}},
		rules.Rule{Name: "own", Events: []string{"fulfillable"}, To: []string{"bus"}, Template: "hello"},
	)
	ctx := t.Context()
	if _, err := p.Handle(ctx, batch(0, session(t, "cs_1", "open", "unpaid", `,"amount_total":500`))); err != nil {
		t.Fatal(err)
	}
	handled, err := p.Handle(ctx, batch(time.Minute, session(t, "cs_1", "complete", "paid", `,"amount_total":500`)))
	if err != nil {
		t.Fatal(err)
	}
	if handled.Events != 3 || len(handled.Rows) != 1 || !handled.Rows[0].Watch.Is(event.Settled) {
		t.Errorf("handled = %+v", handled)
	}
	rows, err := store.Events(ctx, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		e := row.Event
		deliveries, err := store.EventDeliveries(ctx, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s", e.Sequence(), event.Short(e.Type))
		slices.SortFunc(deliveries, func(a, b event.Delivery) int {
			return strings.Compare(a.Destination+a.OwnRule, b.Destination+b.OwnRule)
		})
		for _, d := range deliveries {
			line += fmt.Sprintf(" | %s %v %s", d.Destination, d.Rules, d.OwnRule)
		}
		got = append(got, line)
	}
	want := []string{
		"0000000001-01 created | shop [all] ",
		"0000000002-01 completed | shop [all] ",
		"0000000002-02 paid | shop [all] ",
		"0000000002-03 fulfillable | bus [big]  | bus [own] own | shop [all big] ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events and deliveries (-want +got):\n%s", diff)
	}
	if after := rows[1].Event.OccurredAfter; !after.Equal(t0) {
		t.Errorf("occurred_after = %v, want the first look at %v", after, t0)
	}
}

// A server whose clock is set back between two looks does not turn the time of a
// change around.
func TestOccurredAfterIsNeverAfterBefore(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	for _, b := range []poller.Batch{
		batch(time.Hour, session(t, "cs_1", "open", "unpaid", "")),
		batch(time.Minute, session(t, "cs_1", "complete", "paid", "")),
	} {
		if _, err := p.Handle(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range m.events {
		if e.OccurredAfter.After(e.OccurredBefore) {
			t.Errorf("%s happened after %v and before %v", e.Type, e.OccurredAfter, e.OccurredBefore)
		}
	}
}

// While answers disagree on the time, a change is said to lie between the earliest and
// the latest that it can be.
func TestTimesWhileAnswersDisagree(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	doubted := batch(time.Minute, session(t, "cs_1", "complete", "paid", ""))
	doubted.Looks[0].Early, doubted.Looks[0].Late = time.Hour, 2*time.Hour
	for _, b := range []poller.Batch{batch(0, session(t, "cs_1", "open", "unpaid", "")), doubted} {
		if _, err := p.Handle(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	last := m.events[len(m.events)-1]
	if want := t0.Add(-time.Hour); !last.OccurredAfter.Equal(want) {
		t.Errorf("occurred_after = %v, want %v", last.OccurredAfter, want)
	}
	if want := t0.Add(time.Minute + 2*time.Hour); !last.OccurredBefore.Equal(want) {
		t.Errorf("occurred_before = %v, want %v", last.OccurredBefore, want)
	}
}

func TestSilentRecordingCountsAsAnnounced(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	b := batch(0, session(t, "cs_1", "complete", "paid", ""))
	b.Account.Start = t0.Add(time.Hour)
	if _, err := p.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if len(m.events) > 0 {
		t.Fatalf("a session older than the start was announced: %v", m.events)
	}
	s := m.snapshots["cs_1"]
	want := map[string]int{event.Created: 1, event.Completed: 1, event.Paid: 1, event.Fulfillable: 1}
	if diff := cmp.Diff(want, s.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if !s.Silent {
		t.Error("it is not noted that nothing was told")
	}
}

func TestForgottenSessionsAreRecordedSilently(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	b := batch(0, session(t, "cs_1", "open", "unpaid", ""))
	b.Account.ForgottenBefore = t0.Add(time.Second)
	if _, err := p.Handle(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Handle(t.Context(), batch(time.Minute, session(t, "cs_1", "complete", "paid", ""))); err != nil {
		t.Fatal(err)
	}
	if got := types(m.events); !slices.Equal(got, []string{"completed", "paid", "fulfillable"}) {
		t.Errorf("events = %v", got)
	}
}

// A session that is pruned while the poller runs, which knows the account as it
// was before, is not new when the list shows it again.
func TestPrunedSessionsAreRecordedSilently(t *testing.T) {
	store := openStore(t)
	ctx := t.Context()
	if err := store.SaveAccount(ctx, event.Account{Name: "main", Low: t0.Add(90 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(t, store, everything())
	paid := session(t, "cs_1", "complete", "paid", "")
	if _, err := p.Handle(ctx, batch(0, paid)); err != nil {
		t.Fatal(err)
	}
	later := t0.Add(60 * 24 * time.Hour)
	pruned, err := store.Prune(ctx, state.PrunePolicy{CreatedBefore: later, LookedBefore: later})
	if err != nil || pruned.Sessions != 1 {
		t.Fatalf("pruned %+v, %v", pruned, err)
	}
	handled, err := p.Handle(ctx, batch(time.Minute, paid))
	if err != nil || handled.Events != 0 {
		t.Errorf("it was announced again: %+v, %v", handled, err)
	}
}

func TestContradictoryItemLeavesTheOthersAlone(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	first := batch(0, session(t, "cs_1", "open", "unpaid", ""), session(t, "cs_2", "open", "unpaid", ""))
	if _, err := p.Handle(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	handled, err := p.Handle(t.Context(), batch(time.Minute, session(t, "cs_1", "", "paid", ""), session(t, "cs_2", "complete", "paid", "")))
	if err != nil {
		t.Fatal(err)
	}
	if len(handled.Ignored) != 1 || handled.Ignored[0].ID != "cs_1" {
		t.Errorf("ignored = %v", handled.Ignored)
	}
	if s := m.snapshots["cs_1"]; s.Status != "open" {
		t.Errorf("the contradictory look changed the session to %s", s.Status)
	}
	if s := m.snapshots["cs_2"]; s.Status != "complete" {
		t.Error("the look beside it was lost")
	}
}

// A stored look of the future tells of a clock that was wrong then: the change is
// not said to have happened after it.
func TestOccurredAfterALookOfTheFuture(t *testing.T) {
	for _, last := range []time.Duration{0, 2 * time.Minute} { // zero: this process has no look of its own
		m := &memory{snapshots: map[string]event.Snapshot{}}
		p := newPipeline(t, m, everything())
		if _, err := p.Handle(t.Context(), batch(1000*time.Hour, session(t, "cs_1", "open", "unpaid", ""))); err != nil {
			t.Fatal(err)
		}
		b := batch(3*time.Minute, session(t, "cs_1", "complete", "paid", ""))
		if last > 0 {
			b.Looks[0].LastLooked = t0.Add(last)
		}
		if _, err := p.Handle(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		e := m.events[len(m.events)-1]
		if want := t0.Add(last); !e.OccurredAfter.Equal(want) { // the session was created at t0
			t.Errorf("occurred after %v, want %v", e.OccurredAfter, want)
		}
	}
}

// A look was noted by a clock that was ahead, and the process died. The change is
// seen by the right clock after the noted time: it happened after that look, not
// after the noted time. Where our own clock was wrong, or Date was behind, the time
// may be too early, never too late.
func TestOccurredAfterALookByAWrongClock(t *testing.T) {
	const ahead = 20 * time.Minute
	for _, tt := range []struct {
		name                       string
		at, own, nowAt, nowOwn     time.Duration
		earliest, latest, thisLook time.Duration
	}{
		{name: "Date was ahead", at: ahead, own: 0, nowAt: time.Hour, nowOwn: time.Hour, earliest: -time.Second},
		{name: "Date was ahead, and this process looked since", at: ahead, nowAt: time.Hour, nowOwn: time.Hour, thisLook: time.Minute, earliest: time.Minute, latest: time.Minute},
		{name: "Date was behind", at: -ahead, nowAt: time.Hour, nowOwn: time.Hour, earliest: -ahead},
		{name: "our clock was behind", at: 0, own: -ahead, nowAt: time.Hour, nowOwn: time.Hour, earliest: -ahead - time.Second},
		{name: "our clock was ahead", at: 0, own: ahead, nowAt: time.Hour, nowOwn: time.Hour},
		{name: "our clock is ahead", at: 0, own: 0, nowAt: time.Hour, nowOwn: time.Hour + ahead, earliest: -ahead - time.Second},
		{name: "our clock is always wrong", at: 0, own: ahead, nowAt: time.Hour, nowOwn: time.Hour + ahead},
		{name: "within what Date tells", at: 0, own: -900 * time.Millisecond, nowAt: time.Hour, nowOwn: time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{snapshots: map[string]event.Snapshot{}}
			p := newPipeline(t, m, everything())
			base := t0.Add(5 * time.Hour) // the session was created at t0
			look := func(at, own, last time.Duration, status, payment string) {
				b := batch(0, session(t, "cs_1", status, payment, ""))
				l := &b.Looks[0]
				const way = 100 * time.Millisecond
				l.Asked, l.At, l.Own = base.Add(at), base.Add(at+way), base.Add(own+way)
				if last != 0 {
					l.LastLooked = base.Add(last)
				}
				if _, err := p.Handle(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			look(tt.at, tt.own, 0, "open", "unpaid")
			last := tt.at // the index knows the stored look
			if tt.thisLook != 0 {
				last = tt.thisLook
			}
			look(tt.nowAt, tt.nowOwn, last, "complete", "paid")
			got := m.events[len(m.events)-1].OccurredAfter.Sub(base)
			if got < tt.earliest || got > tt.latest {
				t.Errorf("occurred %v after the look, want %v to %v", got, tt.earliest, tt.latest)
			}
		})
	}
}

// A look shortly before the expiry is kept although it shows nothing new: the
// reason of the expiry depends on it.
func TestLookBeforeExpiryIsKept(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	expiry := 24 * time.Hour
	for _, tt := range []struct{ at, kept time.Duration }{
		{0, 0}, {time.Hour, 0}, {expiry - 4*time.Minute, expiry - 4*time.Minute}, {expiry - 3*time.Minute, expiry - 4*time.Minute},
	} {
		if _, err := p.Handle(t.Context(), batch(tt.at, session(t, "cs_1", "open", "unpaid", ""))); err != nil {
			t.Fatal(err)
		}
		if got := m.snapshots["cs_1"].LookedAt; !got.Equal(t0.Add(tt.kept)) {
			t.Errorf("after %v the stored look is of %v, want %v", tt.at, got.Sub(t0), tt.kept)
		}
	}
	if len(m.events) != 1 || m.snapshots["cs_1"].Revision != 1 {
		t.Errorf("%d events, revision %d", len(m.events), m.snapshots["cs_1"].Revision)
	}
}

func TestFailingRuleIsRecordedAndStopsNobody(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything(),
		rules.Rule{Name: "broken", Events: []string{"created"}, When: `session.payment_method_types[7] == "card"`, To: []string{"bus"}})
	if _, err := p.Handle(t.Context(), batch(0, session(t, "cs_1", "open", "unpaid", ""))); err != nil {
		t.Fatal(err)
	}
	if len(m.deliveries) != 1 || m.deliveries[0].Destination != "shop" {
		t.Errorf("deliveries = %+v", m.deliveries)
	}
	if e := m.events[0]; len(e.RuleErrors) != 1 || e.RuleErrors[0].Rule != "broken" || e.RuleSet == "" {
		t.Errorf("rule errors = %+v, rule set %q", e.RuleErrors, e.RuleSet)
	}
}

func types(events []event.Event) []string {
	list := make([]string, len(events))
	for i := range events {
		list[i] = event.Short(events[i].Type)
	}
	return list
}

// Any sequence of observations yields the same final events, however it is cut
// into pages and passes and whatever crashes: the looks of a moment are handed
// over in one page or in several, in another order, some pages twice, with a
// crash before or after some commits.
func TestCutsAndCrashesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moments := drawMoments(t)
		want := play(t, moments, func(m moment) [][]look { return [][]look{m.looks} }, func() int { return 0 })
		got := play(t, moments,
			func(m moment) [][]look {
				looks := rapid.Permutation(m.looks).Draw(t, "order")
				at := rapid.IntRange(0, len(looks)).Draw(t, "cut")
				return [][]look{looks[:at], looks[at:]}
			},
			func() int { return rapid.IntRange(0, 3).Draw(t, "mishap") })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("events differ (-undisturbed +disturbed):\n%s", diff)
		}
	})
}

// moment is what one pass is shown: every session at most once.
type moment struct {
	at    time.Duration
	looks []look
}

// look is one observation of one session.
type look struct {
	session int
	status  string
	payment string
	extra   string
}

func drawMoments(t *rapid.T) []moment {
	moments := make([]moment, rapid.IntRange(1, 15).Draw(t, "moments"))
	at := time.Duration(0)
	for i := range moments {
		at += time.Duration(rapid.IntRange(1, 900).Draw(t, "pause")) * time.Second
		moments[i].at = at
		for n := range 3 {
			if !rapid.Bool().Draw(t, "shown") {
				continue
			}
			moments[i].looks = append(moments[i].looks, look{
				session: n,
				status:  rapid.SampledFrom([]string{"open", "complete", "expired", "odd", ""}).Draw(t, "status"),
				payment: rapid.SampledFrom([]string{"unpaid", "paid", "no_payment_required"}).Draw(t, "payment"),
				extra:   rapid.SampledFrom([]string{"", `,"customer":"a"`, `,"customer":"b"`}).Draw(t, "extra"),
			})
		}
	}
	return moments
}

// play hands the moments over page by page. mishap says what happens to each
// page: 0 nothing, 1 a crash before the commit, 2 a crash after it, 3 the same
// page once more.
func play(t *rapid.T, moments []moment, cut func(moment) [][]look, mishap func() int) map[string][]string {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	for _, moment := range moments {
		for _, looks := range cut(moment) {
			var page []checkout.Session
			for _, l := range looks {
				page = append(page, session(t, fmt.Sprintf("cs_%d", l.session), l.status, l.payment, l.extra))
			}
			what := mishap()
			if what < 3 {
				m.crash = what
			}
			_, err := p.Handle(context.Background(), batch(moment.at, page...))
			if err != nil && !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			m.crash = 0
			if what > 0 { // restarted, or asked again: the same is seen once more
				if _, err := p.Handle(context.Background(), batch(moment.at, page...)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	events := make(map[string][]string)
	for i := range m.events {
		e := &m.events[i]
		events[e.Session] = append(events[e.Session], e.ID+" "+e.Type+" "+e.Sequence())
	}
	for _, d := range m.deliveries {
		events[d.Session] = append(events[d.Session], "to "+d.ID)
	}
	checkOnce(t, events)
	return events
}

// checkOnce fails if an id was given twice or a session was fulfillable twice.
func checkOnce(t *rapid.T, events map[string][]string) {
	for _, id := range slices.Sorted(maps.Keys(events)) {
		seen, fulfillable := map[string]bool{}, 0
		for _, line := range events[id] {
			name, _, _ := strings.Cut(line, " checkout")
			if seen[name] {
				t.Fatalf("session %s: %s twice", id, name)
			}
			seen[name] = true
			if strings.Contains(line, event.Fulfillable) {
				fulfillable++
			}
		}
		if fulfillable > 1 {
			t.Fatalf("session %s was fulfillable %d times", id, fulfillable)
		}
	}
}

func BenchmarkHandleOneChangedOfAPage(b *testing.B) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	set, _ := rules.Compile([]rules.Rule{{Name: "all", Events: []string{"*"}, To: []string{"shop"}, Enabled: true}}, rules.Known{Destinations: []string{"shop"}, Accounts: []string{"main"}})
	p := pipeline.New(m, set, func(string) bool { return true }, nobody{}, slog.New(slog.DiscardHandler))
	page := make([]checkout.Session, 100)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		m.events, m.deliveries = nil, nil
		for j := range page {
			s, err := checkout.Parse(fmt.Appendf(nil, `{"id":"cs_%d","created":%d,"status":"open","payment_status":"unpaid","customer":"%d"}`, j, t0.Unix(), i*btoi(j == 0)))
			if err != nil {
				b.Fatal(err)
			}
			page[j] = s
		}
		if _, err := p.Handle(context.Background(), batch(time.Duration(i)*time.Hour, page...)); err != nil {
			b.Fatal(err)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A session that vanished remembers when it was shown last, however long ago that
// was stored, and later looks do not take it for earlier.
func TestVanishedSessionRemembersItsLastLook(t *testing.T) {
	m := &memory{snapshots: make(map[string]event.Snapshot)}
	p := newPipeline(t, m, everything())
	if _, err := p.Handle(t.Context(), batch(0, session(t, "cs_1", "open", "unpaid", ""))); err != nil {
		t.Fatal(err)
	}
	for _, looked := range []time.Time{t0.Add(time.Hour), t0.Add(time.Minute), {}} {
		if err := p.Vanish(t.Context(), "main", []poller.Gone{{ID: "cs_1", Looked: looked}, {ID: "cs_unknown", Looked: looked}}); err != nil {
			t.Fatal(err)
		}
		s := m.snapshots["cs_1"]
		if !s.Watch.Is(event.Vanished) || !s.LookedAt.Equal(t0.Add(time.Hour)) || len(m.snapshots) != 1 {
			t.Errorf("Vanish with a last look at %s: it is %q, last looked at %s; %d sessions", looked, s.Watch, s.LookedAt, len(m.snapshots))
		}
	}
}
