package pipeline_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
	"checkout-notifier/state"
)

// configured is an account of the configuration, at api.example with key1 unless told.
func configured(name string, change ...func(*poller.Account)) poller.Account {
	a := poller.Account{Name: name, SecretKey: "sk_test_1", BaseURL: "https://api.example", Start: "2026-11-01T00:00:00Z"}
	for _, c := range change {
		c(&a)
	}
	return a
}

func withKey(key string) func(*poller.Account) {
	return func(a *poller.Account) { a.SecretKey = secret.String(key) }
}

// polled is the record of an account that was polled with key1 until a time.
func polled(name string, until time.Time, change ...func(*event.Account)) event.Account {
	a := event.Account{
		Name: name, Host: "api.example", Mode: wooshpay.ModeTest, KeyHash: event.KeyHash("api.example", "sk_test_1"),
		Start: t0.Add(-48 * time.Hour), StartFixed: true, Low: until,
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

// shown stores a session as an account knows it.
func shown(t *testing.T, store *state.Store, account, id, status string, change ...func(*event.Snapshot)) {
	t.Helper()
	s := event.Snapshot{Account: account, ID: id, Created: t0, Status: status, Revision: 1, LookedAt: t0, Watch: event.Watched}
	for _, c := range change {
		c(&s)
	}
	if err := store.Commit(t.Context(), &event.Tx{Account: account, Snapshots: []event.Snapshot{s}}); err != nil {
		t.Fatal(err)
	}
}

func silently(s *event.Snapshot) { s.Silent = true }

func save(t *testing.T, store *state.Store, accounts ...event.Account) {
	t.Helper()
	for _, a := range accounts {
		if err := store.SaveAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

func takeOver(t *testing.T, store pipeline.Memory, accounts ...poller.Account) (said string) {
	t.Helper()
	var log strings.Builder
	if err := pipeline.TakeOver(t.Context(), store, accounts, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

// wantAccount compares the record of an account.
func wantAccount(t *testing.T, store *state.Store, want event.Account) {
	t.Helper()
	got, _, err := store.Account(t.Context(), want.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record of %s (-want +got):\n%s", want.Name, diff)
	}
}

// statuses are what is known of some sessions under a name; those that are not known are
// missing.
func statuses(t *testing.T, store *state.Store, account string, ids ...string) string {
	t.Helper()
	known, err := store.Snapshots(t.Context(), account, ids)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, id := range ids {
		if s, found := known[id]; found {
			list = append(list, id+" "+s.Status)
		}
	}
	return strings.Join(list, ", ")
}

// A renamed account has what was stored under its former name, its record included, as
// soon as the daemon begins: before any answer of the API.
func TestTakeOver(t *testing.T) {
	store := openStore(t)
	was := polled("main", t0, func(a *event.Account) { a.ForgottenBefore, a.Holes = t0.Add(-time.Hour), []event.Hole{{Since: t0}} })
	beforeAnyAnswer := event.Account{Name: "eu", Host: was.Host, Mode: was.Mode, KeyHash: was.KeyHash}
	save(t, store, was, beforeAnyAnswer)
	shown(t, store, "main", "cs_1", "complete")
	shown(t, store, "main", "cs_2", "open", silently)
	if said := takeOver(t, store, configured("eu")); strings.Count(said, "account=eu stored=main") != 1 {
		t.Errorf("the log says %s", said)
	}
	want := was
	want.Name, was.TakenOverBy = "eu", "eu"
	wantAccount(t, store, want)
	wantAccount(t, store, was)
	if got := statuses(t, store, "eu", "cs_1", "cs_2"); got != "cs_1 complete, cs_2 open" {
		t.Errorf("it knows %s", got)
	}
	if said := takeOver(t, store, configured("eu")); said != "" {
		t.Errorf("the next start says %s", said)
	}
}

// What is stored tells with which key an account was polled last, whatever key the
// configuration has for its name now.
func TestTakeOverByKey(t *testing.T) {
	for name, test := range map[string]struct {
		accounts []poller.Account
		want     string // of eu
	}{
		"renamed":                          {[]poller.Account{configured("eu")}, "cs_1 open"},
		"the names shift":                  {[]poller.Account{configured("main", withKey("sk_test_2")), configured("eu")}, "cs_1 open"},
		"split in two":                     {[]poller.Account{configured("asia"), configured("eu")}, "cs_1 open"},
		"another key":                      {[]poller.Account{configured("eu", withKey("sk_test_2"))}, ""},
		"both are polled with the one key": {[]poller.Account{configured("main"), configured("eu")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			save(t, store, polled("main", t0))
			shown(t, store, "main", "cs_1", "open")
			takeOver(t, store, test.accounts...)
			if got := statuses(t, store, "eu", "cs_1"); got != test.want {
				t.Errorf("eu knows %q, want %q", got, test.want)
			}
		})
	}
}

// Accounts with filters of their own, which become one: it knows the sessions of both,
// and reads from where the first of them stopped.
func TestTakeOverOfTwo(t *testing.T) {
	store := openStore(t)
	late, soon := polled("late", t0), polled("soon", t0.Add(-time.Hour))
	soon.ForgottenBefore = t0.Add(-2 * time.Hour)
	save(t, store, late, soon)
	shown(t, store, "late", "cs_1", "open")
	shown(t, store, "soon", "cs_2", "open")
	takeOver(t, store, configured("all"))
	want := polled("all", soon.Low)
	want.ForgottenBefore = soon.ForgottenBefore
	wantAccount(t, store, want)
	if got := statuses(t, store, "all", "cs_1", "cs_2"); got != "cs_1 open, cs_2 open" {
		t.Errorf("it knows %s", got)
	}
}

// What any of them could not be shown is asked for by the one that they become, and of a
// session that two know, what was seen last is known, also where the other name, which did
// not look at it any more, was shown newer sessions.
func TestTakeOverOfTwoThatMissedSomething(t *testing.T) {
	store := openStore(t)
	hole := func(from, until time.Duration) event.Hole {
		return event.Hole{Above: "cs_a", AboveAt: t0.Add(-from), Below: "cs_b", BelowAt: t0.Add(-until), Since: t0}
	}
	eu := polled("eu", t0.Add(-time.Minute), func(a *event.Account) {
		a.Start, a.Reread = a.Start.Add(-time.Hour), t0.Add(-30*time.Hour)
		a.Holes = []event.Hole{hole(2*time.Hour, 3*time.Hour), hole(50*time.Hour, 60*time.Hour)}
		a.Unreadable = []event.Unreadable{{ID: "cs_x"}, {ID: "cs_y"}}
	})
	us := polled("us", t0, func(a *event.Account) {
		a.Holes, a.Unreadable = []event.Hole{hole(time.Hour, 2*time.Hour+1)}, []event.Unreadable{{ID: "cs_y"}}
	})
	save(t, store, eu, us)
	shown(t, store, "eu", "cs_1", "complete", func(s *event.Snapshot) { s.Revision, s.LookedAt = 2, t0.Add(time.Minute) })
	shown(t, store, "us", "cs_1", "open")
	takeOver(t, store, configured("all"))
	want := polled("all", eu.Low, func(a *event.Account) {
		a.Start, a.Reread = eu.Start, eu.Reread
		a.Holes = []event.Hole{hole(time.Hour, 3*time.Hour), hole(50*time.Hour, 60*time.Hour)}
		a.Unreadable = []event.Unreadable{{ID: "cs_y"}, {ID: "cs_x"}}
	})
	wantAccount(t, store, want)
	if got := statuses(t, store, "all", "cs_1"); got != "cs_1 complete" {
		t.Errorf("it knows %s", got)
	}
}

// A name comes back after the one that went on with it was accepted for another key: what
// that announced until then is known.
func TestTakeBackFromOneThatWasAccepted(t *testing.T) {
	store := openStore(t)
	save(t, store, polled("main", t0))
	shown(t, store, "main", "cs_1", "open")
	takeOver(t, store, configured("eu"))
	shown(t, store, "eu", "cs_1", "complete", func(s *event.Snapshot) { s.Revision, s.Watch = 2, event.Vanished })
	shown(t, store, "eu", "cs_2", "complete", func(s *event.Snapshot) { s.Watch = event.Vanished })
	shown(t, store, "eu", "cs_other", "open")
	save(t, store, polled("eu", t0, func(a *event.Account) { a.StartOver(t0); a.KeyHash = event.KeyHash("api.example", "sk_test_2") }))
	takeOver(t, store, configured("eu", withKey("sk_test_2")), configured("main"))
	wantAccount(t, store, polled("main", t0))
	if got := statuses(t, store, "main", "cs_1", "cs_2", "cs_other"); got != "cs_1 complete, cs_2 complete" {
		t.Errorf("it knows %s", got)
	}
	if known, err := store.Snapshots(t.Context(), "main", []string{"cs_1"}); err != nil || !known["cs_1"].Watch.Is(event.Watched) {
		t.Errorf("cs_1 is %s, %v", known["cs_1"].Watch, err)
	}
}

// A start that is later than the one of the former name is what somebody asks for.
func TestTakeOverWithALaterStart(t *testing.T) {
	for start, want := range map[string]time.Time{
		"2026-11-22T09:00:00+01:00": t0.Add(-2 * time.Hour), "2020-01-01T00:00:00Z": t0.Add(-48 * time.Hour),
		poller.StartNow: t0.Add(-48 * time.Hour), poller.StartAll: t0.Add(-48 * time.Hour),
	} {
		store := openStore(t)
		save(t, store, polled("main", t0))
		takeOver(t, store, configured("eu", func(a *poller.Account) { a.Start = start }))
		wantAccount(t, store, polled("eu", t0, func(a *event.Account) { a.Start = want }))
	}
}

// Another host may show other sessions.
func TestKeyAtAnotherHostStartsNow(t *testing.T) {
	store := openStore(t)
	save(t, store, polled("main", t0), event.Account{Name: "eu", Host: "proxy.example", Mode: wooshpay.ModeTest, KeyHash: "that was stored before the first answer"})
	shown(t, store, "main", "cs_1", "open")
	elsewhere := configured("eu", func(a *poller.Account) { a.BaseURL = "https://proxy.example" })
	said := takeOver(t, store, elsewhere)
	eu, _, err := store.Account(t.Context(), "eu")
	if err != nil || !eu.Restart || time.Since(eu.Accepted) > time.Minute || eu.Host != "proxy.example" || !strings.Contains(said, "account=eu stored=main") {
		t.Errorf("record %+v, %v; the log says %s", eu, err, said)
	}
	if got := statuses(t, store, "eu", "cs_1"); got != "" {
		t.Errorf("it knows %s", got)
	}
	if said := takeOver(t, store, elsewhere); said != "" {
		t.Errorf("the next start says %s", said)
	}
	wantAccount(t, store, polled("main", t0))
}

// A rename that is undone takes back what happened meanwhile, by whichever clock; one
// whose key was used under both names at once does not.
func TestTakeBack(t *testing.T) {
	store := openStore(t)
	save(t, store, polled("main", t0))
	shown(t, store, "main", "cs_1", "open", func(s *event.Snapshot) { s.LookedAt = t0.Add(time.Hour) }) // a clock that was ahead
	takeOver(t, store, configured("eu"))
	save(t, store, polled("eu", t0.Add(time.Minute)))
	shown(t, store, "eu", "cs_1", "complete", func(s *event.Snapshot) { s.Revision = 2 })
	shown(t, store, "eu", "cs_2", "open")
	stopped := polled("main", t0, func(a *event.Account) { a.TakenOverBy, a.Foreign = "eu", "its key showed other sessions" })
	save(t, store, stopped) // its name had another key meanwhile
	takeOver(t, store, configured("main", withKey("sk_test_2")), configured("eu"))
	wantAccount(t, store, stopped)

	takeOver(t, store, configured("main"))
	wantAccount(t, store, polled("main", t0.Add(time.Minute)))
	wantAccount(t, store, polled("eu", t0.Add(time.Minute), func(a *event.Account) { a.TakenOverBy = "main" }))
	if got := statuses(t, store, "main", "cs_1", "cs_2"); got != "cs_1 complete, cs_2 open" {
		t.Errorf("it knows %s", got)
	}

	shown(t, store, "main", "cs_3", "open")
	takeOver(t, store, configured("main"), configured("eu"))
	wantAccount(t, store, polled("main", t0.Add(time.Minute)))
	wantAccount(t, store, polled("eu", t0.Add(time.Minute)))
	if got := statuses(t, store, "eu", "cs_3"); got != "cs_3 open" {
		t.Errorf("beside the other name it knows %s", got)
	}
	shown(t, store, "eu", "cs_2", "complete")
	takeOver(t, store, configured("main"))
	if got := statuses(t, store, "main", "cs_2"); got != "cs_2 open" {
		t.Errorf("it knows %s of an account that was polled at the same time", got)
	}
}

// A name that gets the key of another stored account stops, for its own sessions are
// others. It knows those of that key as given up, in case that it is accepted.
func TestNameOfAnotherKey(t *testing.T) {
	store := openStore(t)
	other := polled("eu", t0, func(a *event.Account) { a.KeyHash = event.KeyHash(a.Host, "sk_test_2") })
	save(t, store, polled("main", t0), other)
	gone := func(s *event.Snapshot) { s.Watch = event.Vanished }
	for _, id := range []string{"cs_1", "cs_2", "cs_3"} {
		shown(t, store, "main", id, "complete", func(s *event.Snapshot) { s.Watch = event.Settled })
	}
	shown(t, store, "eu", "cs_1", "open", gone) // it was given up under this name
	shown(t, store, "eu", "cs_2", "open")       // the keys are of one account
	takeOver(t, store, configured("eu"))
	wantAccount(t, store, other)
	wantAccount(t, store, polled("main", t0))
	if got := statuses(t, store, "eu", "cs_1", "cs_2", "cs_3"); got != "cs_1 complete, cs_2 open, cs_3 complete" {
		t.Errorf("it knows %s", got)
	}
	known, err := store.Snapshots(t.Context(), "eu", []string{"cs_1", "cs_2", "cs_3"})
	if err != nil || known["cs_1"].Watch != event.Vanished || known["cs_2"].Watch != event.Watched || known["cs_3"].Watch != event.Vanished {
		t.Errorf("it looks at %s, %s, %s; %v", known["cs_1"].Watch, known["cs_2"].Watch, known["cs_3"].Watch, err)
	}
}

// Under an earlier version the other name began by itself and recorded silently what had
// happened before. That was never announced, so that it is no reason to be silent now.
func TestTakeBackOfAnEarlierVersion(t *testing.T) {
	store := openStore(t)
	main := polled("main", t0)
	eu := polled("eu", t0.Add(time.Hour), func(a *event.Account) {
		a.Start, a.ByClock, a.ForgottenBefore = t0.Add(time.Minute), true, t0.Add(-time.Hour)
	})
	save(t, store, main, eu)
	twice := func(s *event.Snapshot) { s.Revision, s.Counts = 2, map[string]int{event.Created: 1, event.Paid: 1} }
	shown(t, store, "main", "cs_1", "open", func(s *event.Snapshot) { s.Revision, s.Counts = 3, map[string]int{event.Created: 1, event.Paid: 2} })
	shown(t, store, "main", "cs_2", "open")
	shown(t, store, "eu", "cs_1", "complete", silently, twice)
	shown(t, store, "eu", "cs_2", "complete", silently)
	shown(t, store, "eu", "cs_3", "complete", silently)
	shown(t, store, "eu", "cs_4", "complete")
	takeOver(t, store, configured("main"))
	main.ForgottenBefore = eu.ForgottenBefore
	wantAccount(t, store, main)
	if got := statuses(t, store, "main", "cs_1", "cs_2", "cs_3", "cs_4"); got != "cs_1 complete, cs_2 open, cs_4 complete" {
		t.Errorf("it knows %s", got)
	}
	known, err := store.Snapshots(t.Context(), "main", []string{"cs_1"})
	if s := known["cs_1"]; err != nil || s.Revision != 3 || s.Counts[event.Paid] != 2 {
		t.Errorf("revision %d, counts %v, %v: the next event would get the id of another", s.Revision, s.Counts, err)
	}
}

// dying is a store whose process dies at a write.
type dying struct {
	*state.Store
	left int
}

func (d *dying) dies() error {
	if d.left--; d.left < 0 {
		return errCrash
	}
	return nil
}

func (d *dying) Commit(ctx context.Context, tx *event.Tx) error {
	if err := d.dies(); err != nil {
		return err
	}
	return d.Store.Commit(ctx, tx)
}

func (d *dying) SaveAccounts(ctx context.Context, accounts ...event.Account) error {
	if err := d.dies(); err != nil {
		return err
	}
	return d.Store.SaveAccounts(ctx, accounts...)
}

// Wherever the process dies, the next start takes over the rest. Until the record of the
// new name is stored, the former one may come back as if nothing had been.
func TestTakeOverIsInterrupted(t *testing.T) {
	const sessions, writes = 1200, 4 // three pages of sessions, and the records at once
	for n := range writes {
		store := openStore(t)
		save(t, store, polled("main", t0))
		tx := &event.Tx{Account: "main"}
		var ids []string
		for i := range sessions {
			s := event.Snapshot{Account: "main", ID: fmt.Sprintf("cs_%d", i), Created: t0, Status: "open", Revision: 1, LookedAt: t0}
			tx.Snapshots, ids = append(tx.Snapshots, s), append(ids, s.ID)
		}
		if err := store.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		accounts := []poller.Account{configured("eu")}
		if err := pipeline.TakeOver(t.Context(), &dying{store, n}, accounts, slog.New(slog.DiscardHandler)); err == nil {
			t.Fatalf("it did not write %d times", n+1)
		}
		takeOver(t, store, accounts...)
		wantAccount(t, store, polled("eu", t0))
		wantAccount(t, store, polled("main", t0, func(a *event.Account) { a.TakenOverBy = "eu" }))
		if got := strings.Count(statuses(t, store, "eu", ids...), "open"); got != sessions {
			t.Errorf("it knows %d sessions, want %d", got, sessions)
		}
	}
}
