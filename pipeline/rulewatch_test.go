package pipeline_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

// fragile fails on sessions whose customer is no number, and is left out by the
// index for those in another currency.
func fragile() rules.Rule {
	return rules.Rule{Name: "fragile", Events: []string{"created"}, When: `session.currency == "EUR" && int(session.customer) > 0`, To: []string{"bus"}}
}

// watched is a pipeline over a real store that counts failures of rules.
type watched struct {
	t     *testing.T
	path  string
	store *state.Store
	p     *pipeline.Pipeline
	watch *pipeline.RuleWatch
	stale []event.Condition
	looks int
	told  []event.Condition
}

func (w *watched) open(list ...rules.Rule) {
	w.t.Helper()
	cfg := state.DefaultConfig()
	cfg.Path = w.path
	var err error
	if w.store, err = state.Open(w.t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
	for i := range list {
		list[i].Enabled = true
	}
	set, problems := rules.Compile(list, rules.Known{Destinations: []string{"shop", "bus"}, Accounts: []string{"main"}})
	if set == nil {
		w.t.Fatal(problems)
	}
	stored, err := w.store.Conditions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	tell := func(c event.Condition) event.Notice {
		w.told = append(w.told, c)
		e, err := event.NewSystem(event.RuleFailing, c.Subject, "", c.Last, map[string]any{"summary": c.Why, "failures": c.Failures})
		if err != nil {
			w.t.Error(err)
		}
		return event.Notice{Event: e}
	}
	log := slog.New(slog.DiscardHandler)
	w.watch, w.stale = pipeline.NewRuleWatch(stored, time.Time{}, set.Identity, tell, log)
	w.p = pipeline.New(w.store, set, func(string) bool { return true }, nobody{}, log)
	w.p.WatchRules(w.watch)
}

func (w *watched) close() {
	w.t.Helper()
	if err := w.store.Verify(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// page handles new sessions, one for each of the customers.
func (w *watched) page(currency string, customers ...string) {
	w.t.Helper()
	var looks []checkout.Session
	for _, customer := range customers {
		w.looks++
		looks = append(looks, session(w.t, fmt.Sprintf("cs_%d", w.looks), "open", "unpaid", fmt.Sprintf(`,"customer":%q,"currency":%q`, customer, currency)))
	}
	if _, err := w.p.Handle(w.t.Context(), batch(time.Duration(w.looks)*time.Second, looks...)); err != nil {
		w.t.Fatal(err)
	}
}

// expect checks the failures in a row, as stored and as kept, and how many
// events their owner was told.
func (w *watched) expect(failures int, untold bool, told int) {
	w.t.Helper()
	stored, err := w.store.Conditions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for name, rows := range map[string][]event.Condition{"stored": stored, "kept": w.watch.Failing()} {
		if len(rows) != 1 || rows[0].Failures != failures || rows[0].Untold != untold {
			w.t.Errorf("%s: %+v, want %d failures, untold %t", name, rows, failures, untold)
		}
	}
	events, err := w.store.Events(w.t.Context(), 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if e.Event.Type == event.RuleFailing {
			n++
		}
	}
	if n != told {
		w.t.Errorf("the owner was told %d times, want %d", n, told)
	}
}

func TestFailuresInARowAreCountedOverRestarts(t *testing.T) {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "notifier.db")}
	w.open(everything(), fragile())
	w.page("EUR", "x", "y", "z")
	w.expect(3, true, 0)
	w.page("EUR", "x", "1", "y") // one that passes begins the row anew
	w.expect(1, true, 0)
	w.page("USD", "5", "6") // of which the rule was asked nothing
	w.expect(1, true, 0)
	w.page("EUR", slices.Repeat([]string{"x"}, 4)...)
	w.close()

	w.open(everything(), fragile())
	w.expect(5, true, 0)
	w.page("EUR", "x") // the tenth, though not in a row
	w.expect(6, false, 1)
	w.page("EUR", "x", "x", "x")
	w.expect(9, false, 1)
	w.page("EUR", "x", "x")
	w.expect(11, false, 2)
	w.close()

	w.open(everything(), fragile())
	w.page("EUR", "x")
	w.expect(12, false, 2)
	w.page("EUR", "7")
	w.expect(0, false, 2)
	w.page("EUR", slices.Repeat([]string{"x"}, 12)...) // another row is told of again
	w.expect(12, false, 3)
	w.page("EUR", "8")
	w.page("EUR", append(slices.Repeat([]string{"x"}, 11), "9")...) // with what holds at the end of the page
	w.expect(0, false, 4)
	if last := w.told[len(w.told)-1]; last.Failures != 0 {
		t.Errorf("the owner is told of %d failures in a row that is over", last.Failures)
	}
	w.close()
}

// A rule with another meaning starts afresh, and one that is gone is forgotten.
func TestChangedRulesStartAfresh(t *testing.T) {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "notifier.db")}
	w.open(fragile())
	w.page("EUR", "x", "x")
	w.close()
	changed := fragile()
	changed.When += " && true"
	for _, list := range [][]rules.Rule{{changed}, {everything()}} {
		w.open(list...)
		if len(w.watch.Failing()) > 0 || len(w.stale) != 1 || w.stale[0].Failures != 2 {
			t.Errorf("kept %+v, stale %+v", w.watch.Failing(), w.stale)
		}
		w.close()
	}
	w.open(fragile())
	w.expect(2, true, 0)
	w.close()
}

// Pages of several accounts are handled at once: no failure is lost, none is
// counted twice, and the owner is told once.
func TestFailuresOfSeveralAccountsAreOneRow(t *testing.T) {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "notifier.db")}
	w.open(fragile())
	defer w.close()
	var group sync.WaitGroup
	for account := range 4 {
		group.Go(func() {
			for i := range 5 {
				b := batch(time.Duration(i)*time.Second, session(t, fmt.Sprintf("cs_%d", i), "open", "unpaid", `,"customer":"x","currency":"EUR"`))
				b.Account.Name = fmt.Sprintf("account-%d", account)
				if _, err := w.p.Handle(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	w.expect(20, false, 1)
}

// What was not committed was not counted, and a preview counts nothing.
func TestOnlyCommittedFailuresCount(t *testing.T) {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "notifier.db")}
	w.open(fragile())
	b := batch(0, session(t, "cs_1", "open", "unpaid", `,"customer":"x","currency":"EUR"`))
	if _, err := w.p.Preview(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if stored, err := w.store.Conditions(t.Context()); err != nil || len(stored)+len(w.watch.Failing()) > 0 {
		t.Errorf("a preview counted %+v, %v", stored, err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.p.Handle(t.Context(), b); err == nil {
		t.Error("a closed store took a page")
	}
	if rows := w.watch.Failing(); len(rows) > 0 {
		t.Errorf("counted %+v", rows)
	}
	w.open(fragile())
	defer w.close()
	w.page("EUR", "x")
	w.expect(1, true, 0)
}

// A rule that fails on every second event is told of once, over restarts, until it has
// not failed for a day. Its count is kept until it is changed or past its retention.
func TestARuleThatFailsNowAndThenIsToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, path: filepath.Join(t.TempDir(), "notifier.db")}
		fail := func(times, failed, told int, open bool) {
			t.Helper()
			w.open(fragile())
			defer w.close()
			for range times {
				w.page("EUR", "x")
				w.page("EUR", "1")
				time.Sleep(time.Hour)
			}
			w.expect(0, !open, told)
			if row := w.watch.Failing()[0]; row.Failed != failed || row.Open(time.Now()) != open {
				t.Errorf("%+v, want %d failures, open %t", row, failed, open)
			}
		}
		fail(9, 9, 0, false)
		fail(3, 12, 1, true)
		time.Sleep(22 * time.Hour)
		fail(1, 13, 1, true)
		time.Sleep(22*time.Hour + 59*time.Minute)
		fail(0, 13, 1, true)
		time.Sleep(time.Minute)
		fail(9, 22, 1, false) // the day ended it
		fail(1, 23, 2, true)

		w.open(fragile())
		defer w.close()
		row := w.watch.Failing()[0]
		for identity, kept := range map[string]time.Time{"another": {}, row.Identity: row.Last} {
			watch, stale := pipeline.NewRuleWatch([]event.Condition{row}, kept, func(string) string { return identity }, nil, slog.Default())
			if len(stale) != 1 || len(watch.Failing()) > 0 {
				t.Errorf("as %q, kept since %s, it goes on", identity, kept)
			}
		}
	})
}
