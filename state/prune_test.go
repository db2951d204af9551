package state_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"log/slog"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

func TestPruneRemovesOnlyWhatIsOld(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	const n = 1300 // several steps
	tx := page("a", n, start, "shop")
	for i := range tx.Snapshots {
		tx.Snapshots[i].Watch = event.Settled
	}
	tx.Snapshots[3].Watch = event.Watched
	tx.Snapshots[4].LookedAt = start.Add(time.Hour)
	commit(t, s, tx)
	if err := s.SaveAccount(ctx, event.Account{Name: "main", Low: start.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for i, d := range tx.Deliveries {
		a := event.Attempt{DeliveryID: d.ID, N: 1, Started: start}
		v := event.Verdict{Delivery: d, Attempt: &a, Accepted: true}
		switch i {
		case 5:
			continue // pending
		case 6:
			v.Accepted, v.Dead = false, "gone"
		case 7:
			v.At = start.Add(time.Hour)
		}
		resolve(t, s, v)
	}
	border := start.Add(time.Minute)
	pruned, err := s.Prune(ctx, state.PrunePolicy{Before: border, CreatedBefore: start.Add(1000 * time.Second), LookedBefore: border})
	want := state.Pruned{Deliveries: n - 3, Attempts: n - 3, Events: n - 3, Sessions: 998}
	if err != nil || pruned != want {
		t.Fatalf("Prune = %+v, %v; want %+v", pruned, err, want)
	}
	events, err := s.Events(ctx, 0, 10)
	if err != nil || len(events) != 3 || events[0].Sequence != 6 || events[2].Sequence != 8 {
		t.Errorf("events %+v, %v", events, err)
	}
	account, _, err := s.Account(ctx, "main")
	if want := tx.Snapshots[999].Created.Add(time.Millisecond); err != nil || !account.ForgottenBefore.Equal(want) {
		t.Errorf("ForgottenBefore = %v, %v; want %v", account.ForgottenBefore, err, want)
	}
	if pruned, err := s.Prune(ctx, state.PrunePolicy{Before: border, CreatedBefore: start.Add(1000 * time.Second), LookedBefore: border}); err != nil || pruned != (state.Pruned{}) {
		t.Errorf("the second time: %+v, %v", pruned, err)
	}
	if pruned, err := s.Prune(ctx, state.PrunePolicy{}); err != nil || pruned != (state.Pruned{}) {
		t.Errorf("an empty policy: %+v, %v", pruned, err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Prune(cancelled, state.PrunePolicy{Before: border}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestPruneAccountByAccount: an account that was never saved keeps its
// sessions, since nothing could remember that they were forgotten, and a young
// session ends only its own account's turn.
func TestPruneAccountByAccount(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	for _, account := range []string{"a", "b", "c", "dd"} {
		tx := &event.Tx{Account: account}
		for i, created := range []time.Time{start, start.Add(time.Hour), start.Add(2 * time.Hour)} {
			one := snapshot(fmt.Sprint("cs_", i), created)
			one.Account, one.Watch = account, event.Vanished
			tx.Snapshots = append(tx.Snapshots, one)
		}
		commit(t, s, tx)
		if account != "b" {
			if err := s.SaveAccount(ctx, event.Account{Name: account, Low: start.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	pruned, err := s.Prune(ctx, state.PrunePolicy{CreatedBefore: start.Add(time.Hour), LookedBefore: start.Add(time.Second)})
	if err != nil || pruned.Sessions != 3 {
		t.Fatalf("Prune = %+v, %v", pruned, err)
	}
	counts, err := s.SessionCounts(ctx)
	if err != nil || counts["a"][event.Vanished] != 2 || counts["b"][event.Vanished] != 3 || counts["dd"][event.Vanished] != 2 {
		t.Errorf("left %v, %v", counts, err)
	}
}

// TestPruneStaysBelowTheLowWaterMark: after a long stop, and under a clock that
// runs ahead, sessions are old that stand where the next pass looks for others.
func TestPruneStaysBelowTheLowWaterMark(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	tx := &event.Tx{Account: "main"}
	for i, created := range []time.Time{start, start.Add(30 * time.Minute), start.Add(time.Hour)} {
		one := snapshot(fmt.Sprint("cs_", i), created)
		one.Watch = event.Settled
		tx.Snapshots = append(tx.Snapshots, one)
	}
	commit(t, s, tx)
	year := start.AddDate(1, 0, 0)
	policy := state.PrunePolicy{CreatedBefore: year, LookedBefore: year, Reach: 30 * time.Minute}
	for _, step := range []struct {
		low       time.Time
		sessions  int
		forgotten time.Time
	}{
		{time.Time{}, 0, time.Time{}}, // the first chain is not complete
		{start.Add(time.Hour), 1, start.Add(time.Millisecond)},
		{start.Add(2 * time.Hour), 2, start.Add(time.Hour + time.Millisecond)},
	} {
		if err := s.SaveAccount(ctx, event.Account{Name: "main", Low: step.low}); err != nil {
			t.Fatal(err)
		}
		pruned, err := s.Prune(ctx, policy)
		if err != nil || pruned.Sessions != step.sessions {
			t.Errorf("low-water mark %v: pruned %+v, %v", step.low, pruned, err)
		}
		if account, _, err := s.Account(ctx, "main"); err != nil || !account.ForgottenBefore.Equal(step.forgotten) {
			t.Errorf("low-water mark %v: forgotten before %v, %v", step.low, account.ForgottenBefore, err)
		}
	}
}

// TestPruneProperty: whatever the policy, the pending, the dead and their
// events survive, and so does every session that may still change.
func TestPruneProperty(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		temporary, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(temporary)
		s, err := state.Open(ctx, state.Config{Path: filepath.Join(temporary, "notifier.db")}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.SaveAccount(ctx, event.Account{Name: "main", Low: start.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		moment := func(what string) time.Time {
			return start.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, what)) * time.Second)
		}
		tx := &event.Tx{Account: "main"}
		var keep []event.Delivery
		ends := map[string]event.Verdict{}
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			one := snapshot(fmt.Sprint("cs_", i), moment("created"))
			one.Watch = rapid.SampledFrom([]event.Watch{event.Watched, "", event.Settled, event.GivenUp, event.Vanished}).Draw(t, "watch")
			one.LookedAt = moment("looked")
			e := newEvent(fmt.Sprint("evt_", i), one.ID)
			e.Time = moment("time")
			tx.Snapshots, tx.Events = append(tx.Snapshots, one), append(tx.Events, e)
			for j := range rapid.IntRange(0, 2).Draw(t, "deliveries") {
				d := newDelivery(e, fmt.Sprint("to-", j), true, start)
				tx.Deliveries = append(tx.Deliveries, d)
				v := event.Verdict{Delivery: d, At: moment("finished")}
				switch rapid.IntRange(0, 2).Draw(t, "end") {
				case 0:
					keep = append(keep, d)
					continue
				case 1:
					v.Dead, keep = "gone", append(keep, d)
				case 2:
					v.Accepted = true
				}
				ends[d.ID] = v
			}
		}
		if err := s.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
		for _, v := range ends {
			if err := s.Resolve(ctx, v); err != nil {
				t.Fatal(err)
			}
		}
		policy := state.PrunePolicy{Before: moment("before"), CreatedBefore: moment("created before"), LookedBefore: moment("looked before")}
		if _, err := s.Prune(ctx, policy); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(ctx); err != nil {
			t.Fatal(err)
		}
		for _, d := range keep {
			if _, found, err := s.Delivery(ctx, d.ID); !found || err != nil {
				t.Errorf("%s is gone: %v", d.ID, err)
			}
			if _, found, err := s.Event(ctx, d.EventID); !found || err != nil {
				t.Errorf("event %s is gone: %v", d.EventID, err)
			}
		}
		checkPrunedSessions(t, s, tx.Snapshots, policy)
	})
}

func checkPrunedSessions(t *rapid.T, s *state.Store, all []event.Snapshot, policy state.PrunePolicy) {
	ctx := context.Background()
	left := make(map[string]bool)
	err := s.Tracked(ctx, "main", func(row *event.Tracked) error {
		left[row.ID] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	account, _, err := s.Account(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		old := !one.Watch.Is(event.Watched) && one.Created.Before(policy.CreatedBefore) && one.LookedAt.Before(policy.LookedBefore)
		if left[one.ID] == old {
			t.Errorf("session %+v is there: %t", one.Track(), left[one.ID])
		}
		if old && !one.Created.Before(account.ForgottenBefore) {
			t.Errorf("session %s created %v is forgotten, and the border is %v", one.ID, one.Created, account.ForgottenBefore)
		}
	}
}

// What is known of a part of the list that the API could not show is kept as long
// as that is so: nobody could tell later which of its sessions are new.
func TestPruneSparesHoles(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	tx := &event.Tx{Account: "main"}
	for i := range 6 {
		one := snapshot(fmt.Sprint("cs_", i), start.Add(time.Duration(i)*time.Hour))
		one.Account, one.Watch = "main", event.Settled
		tx.Snapshots = append(tx.Snapshots, one)
	}
	commit(t, s, tx)
	account := event.Account{Name: "main", Low: start.Add(100 * time.Hour), Holes: []event.Hole{
		{Above: "cs_4", AboveAt: start.Add(4 * time.Hour), Below: "cs_3", BelowAt: start.Add(3 * time.Hour), Since: start, Error: "boom"},
	}}
	if err := s.SaveAccount(ctx, account); err != nil {
		t.Fatal(err)
	}
	policy := state.PrunePolicy{CreatedBefore: start.Add(50 * time.Hour), LookedBefore: start.Add(50 * time.Hour)}
	if pruned, err := s.Prune(ctx, policy); err != nil || pruned.Sessions != 4 {
		t.Fatalf("Prune = %+v, %v, want all but those of the hole", pruned, err)
	}
	got, _, err := s.Account(ctx, "main")
	if diff := cmp.Diff(account.Holes, got.Holes); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	account.Holes = nil
	if err := s.SaveAccount(ctx, account); err != nil {
		t.Fatal(err)
	}
	if pruned, err := s.Prune(ctx, policy); err != nil || pruned.Sessions != 2 {
		t.Errorf("without the hole Prune = %+v, %v", pruned, err)
	}
}
