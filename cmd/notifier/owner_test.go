package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

// ownerWorld is an owner over a real store, with what it looks at as plain data.
type ownerWorld struct {
	t     *testing.T
	path  string
	rules []rules.Rule

	store      *state.Store
	owner      *owner
	accounts   []poller.Status
	intervals  map[string]time.Duration
	free, size int64
	spaceError error
	commits    int
	fail       error // of the next commit
	committed  int   // deliveries that the relay was woken for
}

func newOwnerWorld(t *testing.T) *ownerWorld {
	w := &ownerWorld{
		t: t, path: filepath.Join(t.TempDir(), "notifier.db"), free: 1 << 40, size: 1 << 20,
		rules:     []rules.Rule{{Name: "owner", On: rules.OnSystem, To: []string{"ops"}, Labels: map[string]string{"severity": "page"}}},
		accounts:  []poller.Status{{Account: "main", Passes: 1, Healthy: true}},
		intervals: map[string]time.Duration{"main": 10 * time.Second},
	}
	w.open()
	return w
}

// open opens the store and makes an owner, as a start of the daemon does.
func (w *ownerWorld) open() {
	w.t.Helper()
	cfg := state.DefaultConfig()
	cfg.Path = w.path
	log := slog.New(slog.DiscardHandler)
	var err error
	if w.store, err = state.Open(w.t.Context(), cfg, log); err != nil {
		w.t.Fatal(err)
	}
	stored, err := w.store.Conditions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	a := newTestAnnouncer(w.t, log, w.rules...)
	watch, stale := pipeline.NewRuleWatch(stored, time.Time{}, a.rules.Identity, a.tellOfRule, log)
	a.watch = watch
	w.owner = &owner{
		commit: w.commit, announce: a.announce, verdicts: a, watch: watch, intervals: w.intervals, path: w.path, log: log,
		accounts:  func() []poller.Status { return w.accounts },
		ask:       w.ask,
		space:     func() (int64, int64, error) { return w.free, w.size, w.spaceError },
		committed: func(_ []event.Event, deliveries []event.Delivery) { w.committed += len(deliveries) },
	}
	stale = append(stale, w.owner.remember(stored)...)
	if err := w.store.Commit(w.t.Context(), &event.Tx{Cleared: stale}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ownerWorld) commit(ctx context.Context, tx *event.Tx) error {
	if err := w.fail; err != nil && !tx.Empty() {
		w.fail = nil
		return err
	}
	if !tx.Empty() {
		w.commits++
	}
	return w.store.Commit(ctx, tx)
}

func (w *ownerWorld) close() {
	w.t.Helper()
	if err := errors.Join(w.store.Verify(w.t.Context()), w.store.Close()); err != nil {
		w.t.Error(err)
	}
}

// restart is a crash and the next start: nothing of the process is left.
func (w *ownerWorld) restart() {
	w.t.Helper()
	w.close()
	for i := range w.accounts {
		w.accounts[i].Passes = 0
	}
	w.open()
}

// run lets the owner look for a while of the bubble's time.
func (w *ownerWorld) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	_ = w.owner.Run(ctx) // it has no error
}

// told lists the events that are stored, as type and subject.
func (w *ownerWorld) told() []string {
	w.t.Helper()
	list := []string{}
	for _, e := range w.events() {
		list = append(list, strings.TrimPrefix(e.Type, event.SystemPrefix)+" "+e.Subject)
	}
	return list
}

func (w *ownerWorld) events() (events []event.Event) {
	w.t.Helper()
	rows, err := w.store.Events(w.t.Context(), 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, row := range rows {
		events = append(events, row.Event)
	}
	return events
}

func (w *ownerWorld) expect(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), w.told()); diff != "" {
		w.t.Errorf("told (-want +got):\n%s", diff)
	}
}

func (w *ownerWorld) expectOpen(want ...string) {
	w.t.Helper()
	stored, err := w.store.Conditions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for name, list := range map[string][]event.Condition{"stored": stored, "kept": w.owner.open()} {
		got := []string{}
		for _, c := range list {
			if c.Kind != event.ConditionRule && c.Kind != event.ConditionRecovered {
				got = append(got, c.Kind+" "+c.Subject)
			}
		}
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			w.t.Errorf("%s conditions (-want +got):\n%s", name, diff)
		}
	}
}

func (w *ownerWorld) data(i int) map[string]any {
	w.t.Helper()
	events, data := w.events(), map[string]any{}
	if i >= len(events) {
		w.t.Fatalf("there are %d events", len(events))
	}
	if err := json.Unmarshal(events[i].System, &data); err != nil {
		w.t.Fatal(err)
	}
	return data
}

// ask is a question to the API, which answers at once: it fails as long as the account does.
func (w *ownerWorld) ask(context.Context, string) {
	if w.accounts[0].Error != "" {
		w.accounts[0].Failed = time.Now()
	}
}

// trouble makes the account fail from now on, until when it was read or not asked for.
func (w *ownerWorld) trouble(why string) {
	w.accounts[0].Healthy, w.accounts[0].Error, w.accounts[0].ErrorSince = false, why, time.Now()
	w.accounts[0].Read = time.Now()
}

func (w *ownerWorld) well(passes int) {
	a := &w.accounts[0]
	a.Healthy, a.Error, a.ErrorSince, a.Denied, a.Foreign = true, "", time.Time{}, false, ""
	a.Read = time.Time{}
	a.Passes += passes
}

func inBubble(t *testing.T, test func(w *ownerWorld)) {
	synctest.Test(t, func(t *testing.T) {
		w := newOwnerWorld(t)
		test(w)
		w.close()
	})
}

// Whoever is called at night must see that it is the test account, or another API's.
func TestAnAccountSaysWhichItIs(t *testing.T) {
	for want, s := range map[string]poller.Status{
		"Account main ":                            {Host: "api.wooshpay.com", Mode: "live"},
		"Account main [test] ":                     {Host: "apitest.wooshpay.com", Mode: "test"},
		"Account main at sim.example:8080 [test] ": {Host: "sim.example:8080", Mode: "test"},
		"Account main at api.example ":             {Host: "api.example", Mode: "live"},
	} {
		s.Account = "main"
		c := event.Condition{Kind: event.ConditionAccount, Subject: "main", Since: time.Now()}
		failing, err := accountFailingEvent(c, &s, c.Since, time.Now())
		recovered, err2 := accountRecoveredEvent(c, &s, time.Now())
		for _, verb := range []string{"has not been polled", "is polled again"} {
			if text := string(failing.System) + string(recovered.System); err != nil || err2 != nil || !strings.Contains(text, want+verb) {
				t.Errorf("no %q in %s, %v, %v", want+verb, text, err, err2)
			}
		}
	}
}

// A pause that the API asks for is not ended by notifier poll now, so it is not advised.
func TestAPauseThatTheAPIAskedForIsNotCutShort(t *testing.T) {
	c := event.Condition{Kind: event.ConditionAccount, Subject: "main", Since: time.Now()}
	for _, denied := range []bool{false, true} {
		s := poller.Status{Account: "main", Denied: denied, AskedToWait: true, NextTry: time.Now().Add(150 * time.Second)}
		e, err := accountFailingEvent(c, &s, c.Since, time.Now())
		if text := string(e.System); err != nil || strings.Contains(text, "poll now") || !strings.Contains(text, "next try in 2m as the API asked (Retry-After).") {
			t.Errorf("refused key %t: %s, %v", denied, text, err)
		}
	}
}

func TestAccountThatFailsIsToldOfOnce(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("the API cannot be reached: connection refused")
		since := w.accounts[0].ErrorSince
		w.run(failingAfter - time.Second)
		w.expect()
		w.run(3 * time.Second)
		w.expect("account.failing main")
		want := map[string]any{
			"summary": "Account main has not been polled successfully for 2m: the API cannot be reached: connection refused. Until that is mended no new order is seen or shipped; nothing is lost, and what happens meanwhile is announced then. It is tried again by itself; notifier poll now tries at once.", "account": "main",
			"since": event.FormatTime(since), "error": "the API cannot be reached: connection refused",
		}
		if diff := cmp.Diff(want, w.data(0)); diff != "" {
			w.t.Errorf("data (-want +got):\n%s", diff)
		}
		w.expectOpen("account main")
		if w.committed != 1 {
			w.t.Errorf("the relay was woken for %d deliveries", w.committed)
		}
		w.run(time.Hour)
		before := w.commits
		w.restart()
		w.run(time.Hour)
		w.expect("account.failing main")
		if w.commits != before {
			w.t.Errorf("%d commits", w.commits-before)
		}

		w.well(1)
		w.run(time.Minute)
		w.trouble("again") // one good pass is not well
		w.run(time.Minute)
		w.well(wellPasses - 1)
		w.run(time.Minute)
		w.expect("account.failing main")
		w.well(1)
		w.run(time.Minute)
		w.expect("account.failing main", "account.recovered main")
		w.expectOpen()
		if got := w.data(1)["summary"]; got != "Account main is polled again; it was not for 2h06m." && got != "Account main is polled again; it was not for 2h05m." {
			w.t.Errorf("summary %q", got)
		}
		w.restart()
		w.run(time.Hour)
		w.expect("account.failing main", "account.recovered main")

		w.trouble("another time")
		w.run(failingAfter + 2*time.Second)
		w.expect("account.failing main", "account.recovered main", "account.failing main")
	})
}

func TestSlowAccountsAreGivenMoreTime(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.intervals["main"] = 10 * time.Minute
		w.trouble("status 500")
		w.run(failingIntervals*10*time.Minute - time.Second)
		w.expect()
		w.run(3 * time.Second)
		w.expect("account.failing main")
	})
}

// However often the program restarts, its owner hears of what lasts; the time in which
// it did not run does not count.
func TestAccountThatFailsIsToldOfThoughTheProgramRestartsOften(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		began := time.Now()
		for i := range 8 {
			w.trouble("status 500") // as the new process sees it
			w.run(20*time.Second + time.Millisecond)
			if s := w.accounts[0]; i < 5 {
				w.expect()
				if open := w.owner.open(); len(open) > 0 {
					w.t.Errorf("told of: %+v", open)
				}
				w.owner.sinceStart(&s)
				if !s.ErrorSince.Equal(began) {
					w.t.Errorf("it fails since %s, not %s", s.ErrorSince, began)
				}
			}
			w.well(0)
			w.accounts[0].Healthy = false
			w.restart()
			time.Sleep(10 * time.Minute)
		}
		w.expect("account.failing main")
		if w.data(0)["since"] != event.FormatTime(began) {
			w.t.Errorf("data %v", w.data(0))
		}
	})
}

// An account that is well once fails anew.
func TestAccountThatWasWellInBetweenFailsAnew(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("status 500")
		w.run(failingAfter - 10*time.Second)
		w.restart()
		w.well(1)
		w.run(time.Second)
		w.trouble("status 500")
		w.run(failingAfter - 10*time.Second)
		w.expect()
	})
}

// One that was never polled must not promise what start: now does not keep.
func TestAnAccountThatNeverWasPolledPromisesNothing(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("status 500")
		w.accounts[0].Configured = "now"
		w.run(failingAfter + 2*time.Second)
		got := fmt.Sprint(w.data(0)["summary"])
		if !strings.Contains(got, "with start: now those that are created until the first answer never are") || strings.Contains(got, "nothing is lost") {
			w.t.Errorf("summary %q", got)
		}
	})
}

// Failures that pass before anybody had to act are told to nobody.
func TestBriefTroubleIsNotToldOf(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		for range 20 {
			w.trouble("status 500")
			w.run(failingAfter - 10*time.Second)
			w.well(1)
			w.run(10 * time.Second)
		}
		w.expect()
	})
}

func TestRefusedKeysAndForeignSessionsAreToldOfAtOnce(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("the API refused the key (status 401)")
		w.accounts[0].Denied = true
		w.run(time.Millisecond)
		w.expect("account.failing main")
		if got := w.data(0)["summary"]; got != "Account main cannot be polled: the API refuses its key. Until that is mended no new order is seen or shipped; nothing is lost, and what happens meanwhile is announced then. Restart notifier after changing the key or its file. It is tried again by itself; notifier poll now tries at once." {
			w.t.Errorf("summary %q", got)
		}
		w.well(wellPasses)
		w.run(time.Second)
		w.accounts[0].Foreign = "none of its sessions is known"
		w.run(time.Second)
		w.expect("account.failing main", "account.recovered main", "account.failing main")
		if got := w.data(2); got["error"] != "none of its sessions is known" || !strings.Contains(fmt.Sprint(got["summary"]), "notifier accounts accept main") {
			w.t.Errorf("data %v", got)
		}
	})
}

// What ends only if somebody acts is told also of an account that was told to fail, over
// a restart once.
func TestAFailingAccountThatIsStoppedIsToldOfAnew(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("connection refused")
		w.run(5 * time.Minute)
		w.expect("account.failing main")
		w.accounts[0].Foreign = "none of its sessions is known"
		w.run(time.Minute)
		w.expect("account.failing main", "account.failing main")
		if got := w.data(1); got["error"] != "none of its sessions is known" {
			w.t.Errorf("data %v", got)
		}
		w.restart()
		w.accounts[0].Foreign, w.accounts[0].Denied = "", true
		w.run(time.Minute)
		w.accounts[0].Denied = false
		w.run(time.Minute)
		w.expect("account.failing main", "account.failing main", "account.failing main")
		w.well(wellPasses)
		w.run(time.Second)
		w.expect("account.failing main", "account.failing main", "account.failing main", "account.recovered main")
	})
}

// An account fails since its first trouble, whatever keeps it from being polled later on.
// That is told with each cause, and its end with how long all of it lasted.
func TestAFailingAccountWhoseCauseChangesFailsSinceTheBeginning(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("connection refused")
		began := w.accounts[0].ErrorSince
		w.run(4 * time.Minute)
		w.accounts[0].Error, w.accounts[0].Denied = "the API refused the key (status 401)", true
		w.run(3 * time.Minute)
		w.expect("account.failing main", "account.failing main")
		w.restart()
		w.accounts[0].ErrorSince = time.Now() // as the new process sees it
		w.accounts[0].Denied, w.accounts[0].Foreign = false, "none of its sessions is known"
		w.run(3 * time.Minute)
		w.well(wellPasses)
		w.run(time.Second)
		w.expect("account.failing main", "account.failing main", "account.failing main", "account.recovered main")
		for i := range w.events() {
			if w.data(i)["since"] != event.FormatTime(began) {
				w.t.Errorf("event %d tells of %v, want since %s", i, w.data(i), event.FormatTime(began))
			}
		}
		if down := w.data(3)["down_for"]; down != "10m0s" {
			w.t.Errorf("it was down for %v", down)
		}
	})
}

// The status shows what keeps a failing account from being polled at present, also where
// nobody is told of that anew, and over a restart.
func TestAFailingAccountShowsItsPresentCause(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("connection refused")
		w.run(3 * time.Minute)
		w.accounts[0].Error, w.accounts[0].Denied = "the API refused the key (status 401)", true
		w.run(time.Minute)
		w.accounts[0].Error, w.accounts[0].Denied = "the API answered with status 500", false
		w.run(time.Minute)
		w.expect("account.failing main", "account.failing main")
		for range 2 {
			open := w.owner.open()
			if len(open) != 1 || open[0].Why != "the API answered with status 500" {
				w.t.Errorf("told of: %+v", open)
			}
			w.restart()
		}
	})
}

// One backend of several that serves another account calls nobody again and again: what
// comes and goes is told once more after it was well, and is over once it was well for long,
// also over a restart.
func TestAnAccountThatComesAndGoesIsToldOfTwice(t *testing.T) {
	for name, trouble := range map[string]func(s *poller.Status){
		"foreign": func(s *poller.Status) { s.Foreign = "none of its sessions is known" },
		"denied":  func(s *poller.Status) { s.Denied = true },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *ownerWorld) {
				flap := func() {
					for range 100 {
						w.trouble("stopped")
						trouble(&w.accounts[0])
						w.run(2 * time.Second)
						w.well(wellPasses)
						w.run(2 * time.Second)
					}
				}
				flap()
				w.expect("account.failing main", "account.recovered main", "account.failing main")
				w.restart()
				flap()
				w.well(wellPasses)
				w.run(relapseWithin - 5*time.Second)
				w.expect("account.failing main", "account.recovered main", "account.failing main")
				if open := w.owner.open(); len(open) > 0 { // it is polled, so that the heartbeat goes on
					w.t.Errorf("it is well, and %v holds the heartbeat up", open)
				}
				w.run(6 * time.Second)
				w.expect("account.failing main", "account.recovered main", "account.failing main", "account.recovered main")
				if got := w.data(3)["summary"]; got != "Account main has been well for ten minutes; it had failed again soon after it was polled again, 23m ago." {
					w.t.Errorf("summary %q", got)
				}
				w.run(relapseWithin)
				w.trouble("stopped")
				trouble(&w.accounts[0])
				w.run(time.Second)
				w.well(wellPasses)
				w.run(time.Second)
				if told := w.told(); len(told) != 6 {
					w.t.Errorf("what happens once is told as %v", told[4:])
				}
			})
		})
	}
}

// An outage of ten minutes within an alert that lasts is told: whoever saw the account well
// may think that all is mended. Shorter ones are not, and each is told once.
func TestALongOutageWithinAnAlertIsToldOf(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		outage := func(lasts time.Duration) {
			w.trouble("the API answered with status 503")
			w.run(lasts)
			w.well(wellPasses)
			w.run(90 * time.Second)
		}
		outage(3 * time.Minute)
		outage(3 * time.Minute)
		want := []string{"account.failing main", "account.recovered main", "account.failing main"}
		w.expect(want...)
		outage(9 * time.Minute)
		w.expect(want...)
		outage(16 * time.Minute)
		want = append(want, "account.failing main")
		w.expect(want...)
		if got := fmt.Sprint(w.data(3)["summary"]); !strings.HasPrefix(got, "Account main has not been polled successfully for 10m: ") || w.data(3)["since"] != w.data(2)["since"] {
			w.t.Errorf("%v, after %v", w.data(3), w.data(2))
		}
		outage(5 * time.Minute)
		w.expect(want...)
		w.trouble("the API answered with status 503")
		w.run(2 * time.Minute)
		w.restart() // as whoever is on call does
		outage(time.Hour)
		want = append(want, "account.failing main")
		w.expect(want...)
		w.run(relapseWithin)
		w.expect(append(want, "account.recovered main")...)
		w.expectOpen()
	})
}

// Nothing tells how long an account was in trouble by a clock that was ahead: it counts from
// the start on.
func TestTroubleOfAClockThatWasAheadIsToldInTime(t *testing.T) {
	for _, since := range []time.Duration{-time.Hour, 24 * time.Hour} {
		inBubble(t, func(w *ownerWorld) {
			now := time.Now()
			c := event.Condition{Kind: event.ConditionAccount, Subject: "main", Since: now.Add(since), Last: now.Add(25 * time.Hour), Why: "503", Untold: true}
			if err := w.store.Commit(w.t.Context(), &event.Tx{Raised: []event.Condition{c}}); err != nil {
				w.t.Fatal(err)
			}
			w.restart()
			w.trouble("the API answered with status 503")
			w.run(failingAfter - time.Second)
			w.expect()
			w.run(answerWithin + 2*time.Second)
			w.expect("account.failing main")
		})
	}
}

// The ten minutes in which an account must be well go on over restarts, however often
// they come. Time in which the program does not run, or is stopped, does not count.
func TestTheTimeInWhichAnAccountIsWellOutlastsRestarts(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		relapse := func() {
			for range 2 {
				w.trouble("stopped")
				w.accounts[0].Denied = true
				w.run(2 * time.Second)
				w.well(wellPasses)
				w.run(2 * time.Second)
			}
		}
		again := func() { // a crash, an hour of nothing, and a start
			w.restart()
			time.Sleep(time.Hour)
			w.run(20 * time.Second) // until the first pass nothing is known
			w.well(wellPasses)
			w.run(time.Minute)
		}
		relapse()
		for range 9 {
			again()
		}
		w.expect("account.failing main", "account.recovered main", "account.failing main")
		for range 2 { // what the crashes lost is less than a minute
			again()
		}
		w.expect("account.failing main", "account.recovered main", "account.failing main", "account.recovered main")
		w.expectOpen()
	})
}

// An account that fails within ten minutes after it was told to be well has relapsed, however
// often the program was restarted or crashed in between, and however long it takes until that
// is told.
func TestARelapseIsKnownOverRestarts(t *testing.T) {
	const failing, recovered = "account.failing main", "account.recovered main"
	outage := func(w *ownerWorld, restarts bool) {
		w.trouble("the API answered with status 503")
		w.run(time.Minute)
		if restarts {
			w.restart()
		}
		w.run(2 * time.Minute)
		if restarts {
			w.restart()
		}
		w.well(wellPasses)
	}
	for name, restarts := range map[string]bool{"one process": false, "restarts": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *ownerWorld) {
				outage(w, restarts)
				w.run(time.Second)
				w.expect(failing, recovered)
				w.expectOpen()
				for range 3 {
					w.run(3 * time.Minute)
					if restarts {
						w.restart()
						w.well(1)
					}
				}
				outage(w, restarts) // it begins after nine minutes
				w.run(relapseWithin - 5*time.Second)
				w.expect(failing, recovered, failing)
				w.run(time.Minute)
				w.expect(failing, recovered, failing, recovered)

				w.run(relapseWithin) // one that was well for so long fails anew
				if restarts {
					w.restart()
				}
				outage(w, restarts)
				w.run(time.Second)
				w.expect(failing, recovered, failing, recovered, failing, recovered)
				w.accounts, w.intervals = nil, map[string]time.Duration{}
				w.restart()
				if stored, err := w.store.Conditions(t.Context()); len(stored) > 0 || err != nil {
					t.Errorf("of an account that is gone %+v is kept, %v", stored, err)
				}
			})
		})
	}
}

// An end that could not be stored was not told, and what comes after it is no relapse.
func TestAnEndThatIsNotStoredMakesNoRelapse(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("stopped")
		w.accounts[0].Denied = true
		w.run(time.Second)
		w.well(wellPasses)
		w.fail = errors.New("no space left")
		w.run(time.Millisecond)
		w.restart()
		w.well(wellPasses)
		w.run(time.Second)
		w.expect("account.failing main", "account.recovered main")
		if c := w.owner.conditions[conditionName{event.ConditionRecovered, "main"}]; time.Since(c.Since) > 2*time.Second || c.Since.IsZero() {
			t.Errorf("it was told to be well at %s", c.Since)
		}
	})
}

// If the clock was ahead when an account was told to be well, a relapse counts from the start on.
func TestAnEndOfAClockThatWasAheadCountsFromTheStart(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		c := event.Recovered("main", time.Now().Add(24*time.Hour))
		if err := w.store.Commit(t.Context(), &event.Tx{Raised: []event.Condition{c}}); err != nil {
			t.Fatal(err)
		}
		w.restart()
		w.run(relapseWithin)
		w.trouble("stopped")
		w.accounts[0].Denied = true
		w.run(time.Second)
		w.well(wellPasses)
		w.run(time.Second)
		w.expect("account.failing main", "account.recovered main")
	})
}

// Trouble between two restarts begins the ten minutes anew, and a process that is stopped
// does not see that an account is well.
func TestOnlyTimeInWhichAnAccountIsSeenWellCounts(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		for range 2 {
			w.trouble("stopped")
			w.accounts[0].Denied = true
			w.run(2 * time.Second)
			w.well(wellPasses)
			w.run(9 * time.Minute)
		}
		want := []string{"account.failing main", "account.recovered main", "account.failing main"}
		w.expect(want...)
		w.trouble("stopped")
		w.run(2 * time.Second)
		w.restart()
		w.well(wellPasses)
		w.run(2 * time.Minute)
		w.expect(want...)
		time.Sleep(time.Hour) // as in a container that is paused
		w.run(7 * time.Minute)
		w.expect(want...)
		w.run(2 * time.Minute)
		w.expect(append(want, "account.recovered main")...)
	})
}

// Nor does each change from one cause to another and back call somebody.
func TestCausesThatTakeTurnsAreToldOfOnceEach(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		for range 10 {
			w.trouble("its key is refused")
			w.accounts[0].Denied = true
			w.run(5 * time.Minute)
			w.trouble("stopped")
			w.accounts[0].Denied, w.accounts[0].Foreign = false, "none of its sessions is known"
			w.run(5 * time.Minute)
			w.accounts[0].Foreign = ""
		}
		w.expect("account.failing main", "account.failing main")
	})
}

func TestAccountThatLeavesTheConfigurationIsForgotten(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("status 500")
		w.run(failingAfter + 2*time.Second)
		w.accounts, w.intervals = nil, map[string]time.Duration{}
		w.restart()
		w.run(time.Minute)
		w.expect("account.failing main")
		w.expectOpen()
	})
}

func TestLowSpace(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.size = 100 << 20
		w.free = leastSpace
		w.run(time.Minute)
		w.expect()
		w.free--
		w.run(2 * ownerEvery)
		w.expect("store.low_space store")
		want := map[string]any{
			"summary": "The disk of the state file is nearly full: 268.4 MB are free and 268.4 MB are needed (256 MiB, which is 268.4 MB, or as much as the file has, 104.9 MB). Free some space: once it is full no order is seen or shipped until there is room; nothing is lost.",
			"path":    w.path, "free_bytes": float64(w.free), "store_bytes": float64(w.size),
		}
		if diff := cmp.Diff(want, w.data(0)); diff != "" {
			w.t.Errorf("data (-want +got):\n%s", diff)
		}
		w.free = leastSpace*3/2 - 1
		if got, want := spaceText(w.free, w.size), "402.7 MB are free, and this is over when 402.7 MB are (half as much again as is needed)"; got != want {
			w.t.Errorf("it says %q, want %q", got, want)
		}
		w.run(time.Minute)
		w.restart()
		w.run(time.Minute)
		w.expect("store.low_space store")
		w.expectOpen("store store")
		w.free++
		w.run(2 * ownerEvery)
		w.expectOpen()
		w.size = 1 << 30 // a large file needs as much as it has
		w.run(2 * ownerEvery)
		w.expect("store.low_space store", "store.low_space store")
	})
}

func TestUnknownSpaceIsNoLowSpace(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.free, w.spaceError = 0, errors.ErrUnsupported
		w.run(time.Hour)
		w.expect()
	})
}

// A crash before the commit loses the event with the condition, one after it
// repeats neither.
func TestConditionsSurviveCrashes(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.trouble("status 500")
		w.run(failingAfter - time.Second)
		w.restart() // before: nothing was said
		w.expect()
		w.fail = errors.New("no space left")
		w.run(time.Second + time.Millisecond) // a commit that fails is made again
		w.run(rowEvery + 2*time.Second)       // so much the crash has lost of what it lasted
		w.expect("account.failing main")
		id := w.events()[0].ID
		for range 3 {
			w.restart()
			w.run(time.Minute)
		}
		w.expect("account.failing main")
		deliveries, err := w.store.EventDeliveries(w.t.Context(), id)
		if err != nil || len(deliveries) != 1 || deliveries[0].Destination != "ops" || deliveries[0].Subject != "main" {
			w.t.Errorf("deliveries %+v, %v", deliveries, err)
		}
	})
}

// Rules with on: system are counted like the others, by the owner.
func TestSystemRulesThatFailAreToldOf(t *testing.T) {
	inBubble(t, func(w *ownerWorld) {
		w.rules = append(w.rules, rules.Rule{Name: "broken", On: rules.OnSystem, Events: []string{"account.*", "delivery.*"}, When: `int(event.subject) > 1`, To: []string{"ops"}})
		w.restart()
		for i := range 12 {
			e, err := event.NewSystem(event.DeliveryDead, "shop", fmt.Sprint(i), time.Now(), map[string]any{"summary": "dead"})
			if err != nil {
				w.t.Fatal(err)
			}
			w.owner.announce(e)
			w.run(time.Second)
			if i == 5 {
				w.restart()
			}
		}
		w.expect("rule.failing broken")
		want := map[string]any{
			"summary": "Rule \"broken\" failed on 10 events in a row: int of a text that is no integer, at 1:1 of when. What it should send for these is missing, perhaps orders to be shipped. Mend it and restart notifier; then notifier replay --rule broken --failed sends what was missed.", "rule": "broken", "failures": float64(10),
			"error": "int of a text that is no integer, at 1:1 of when", "event": w.data(0)["event"],
		}
		if diff := cmp.Diff(want, w.data(0)); diff != "" {
			w.t.Errorf("data (-want +got):\n%s", diff)
		}
	})
}

// A container that was paused is not called failing for what it could not do then.
func TestAStopOfTheProcessIsForgiven(t *testing.T) {
	var s stop
	now := time.Now()
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{
		{0, false}, {time.Second, false}, {20 * time.Second, false}, // a busy machine
		{200 * time.Second, true}, {time.Second, true}, {13 * time.Second, true}, {time.Second, false}, {time.Second, false},
	} {
		if now = now.Add(tt.after); s.lately(now) != tt.want {
			t.Errorf("after %s: %t", tt.after, !tt.want)
		}
	}
}
