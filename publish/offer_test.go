package publish_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// idle runs a relay over one destination until nothing is left to do.
func idle(t *testing.T, o *memoryOutbox, to *receiver, d publish.Destination) (r *publish.Relay, stop func()) {
	t.Helper()
	r = relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
	stop = run(t, r)
	synctest.Wait()
	return r, stop
}

func TestWhatACommitBeganIsSentWithoutAnotherWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		r, stop := idle(t, o, to, exact("shop"))
		for _, session := range []string{"cs_1", "cs_1", "cs_2"} {
			o.put("shop", session)
		}
		r.Wake("shop")
		synctest.Wait()
		if len(to.sent()) != 3 || o.pending() != 0 {
			t.Errorf("%d sent, %d pending", len(to.sent()), o.pending())
		}
		if o.beginnings != 1 { // the second of cs_1, which waited for the first
			t.Errorf("%d attempts were begun by a step", o.beginnings)
		}
		stop()
		if o.slots["shop"] != 0 {
			t.Errorf("%d slots are offered after the end", o.slots["shop"])
		}
	})
}

// TestSlotsThatAreOffered are those that are free, as long as nothing stands in
// the way of sending and nothing waits for its turn.
func TestSlotsThatAreOffered(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		change func(*publish.Destination)
		then   func(t *testing.T, o *memoryOutbox, r *publish.Relay, to *receiver)
		want   int
	}{
		"idle": {want: 3},
		"two under way": {then: func(t *testing.T, o *memoryOutbox, r *publish.Relay, to *receiver) {
			to.reply(func(ctx context.Context, _ int, _ publish.Message) publish.Result { <-ctx.Done(); return refused(0) })
			o.put("shop", "cs_1")
			o.put("shop", "cs_2")
		}, want: 1},
		"a backlog": {then: func(t *testing.T, o *memoryOutbox, r *publish.Relay, to *receiver) {
			to.reply(func(ctx context.Context, _ int, _ publish.Message) publish.Result { <-ctx.Done(); return refused(0) })
			for range 30 {
				o.put("shop", event.ID("main", time.Now().String(), "", o.pending()))
			}
		}},
		"a rate limit": {change: func(d *publish.Destination) { d.RateLimit = 10 }},
		"paused": {then: func(t *testing.T, _ *memoryOutbox, r *publish.Relay, _ *receiver) {
			if _, err := r.Pause(ctx, "shop", "ann"); err != nil {
				t.Error(err)
			}
		}},
		"resumed": {then: func(t *testing.T, _ *memoryOutbox, r *publish.Relay, _ *receiver) {
			_, err := r.Pause(ctx, "shop", "ann")
			if err == nil {
				_, err = r.Resume(ctx, "shop", "ann")
			}
			if err != nil {
				t.Error(err)
			}
		}, want: 3},
		"unavailable": {then: func(t *testing.T, o *memoryOutbox, _ *publish.Relay, to *receiver) {
			to.reply(func(context.Context, int, publish.Message) publish.Result {
				return publish.Result{Outcome: event.OutcomeUnavailable, Contact: publish.ContactFailed}
			})
			o.put("shop", "cs_1")
		}},
		"asked for a pause": {then: func(t *testing.T, o *memoryOutbox, _ *publish.Relay, to *receiver) {
			to.reply(func(context.Context, int, publish.Message) publish.Result {
				r := refused(429)
				r.Throttled, r.RetryAfter = true, time.Hour
				return r
			})
			o.put("shop", "cs_1")
		}},
		"a blocked subject": {then: func(_ *testing.T, o *memoryOutbox, _ *publish.Relay, to *receiver) {
			to.reply(func(context.Context, int, publish.Message) publish.Result { return blockedFor("checkout.main.paid") })
			o.put("shop", "cs_1")
		}},
		"failing": {then: func(t *testing.T, o *memoryOutbox, _ *publish.Relay, to *receiver) {
			to.reply(func(context.Context, int, publish.Message) publish.Result { return refused(500) })
			for _, session := range []string{"cs_1", "cs_2", "cs_3", "cs_4", "cs_5", "cs_6", "cs_7", "cs_8", "cs_9", "cs_10"} {
				o.put("shop", session)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to, d := newOutbox(), &receiver{}, exact("shop")
				d.Concurrency = 3
				if c.change != nil {
					c.change(&d)
				}
				r, stop := idle(t, o, to, d)
				if c.then != nil {
					c.then(t, o, r, to)
					r.Wake("shop")
					synctest.Wait()
				}
				o.mu.Lock()
				got := o.slots["shop"]
				o.mu.Unlock()
				if got != c.want {
					t.Errorf("%d slots are offered, want %d", got, c.want)
				}
				stop()
			})
		})
	}
}

// TestWhatACommitBeganAndMustNotBeSentIsWithdrawn: a pause came in between, or the
// end of the process.
func TestWhatACommitBeganAndMustNotBeSentIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		r, stop := idle(t, o, to, exact("shop"))
		if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		late := func() string { // a commit that came before the offer ended
			o.mu.Lock()
			o.slots["shop"] = 1
			o.mu.Unlock()
			return o.put("shop", "cs_1")
		}
		first := late()
		r.Wake("shop")
		synctest.Wait()
		if got := o.get(first); len(to.sent()) != 0 || len(got.attempts) != 0 {
			t.Errorf("while it is paused: %d sent, attempts %v", len(to.sent()), got.attempts)
		}
		if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := o.get(first); got.Status != event.StatusAccepted || got.Attempts != 1 {
			t.Errorf("after it went on: %s after %d attempts", got.Status, got.Attempts)
		}

		last := late()
		stop() // without having looked
		if got := o.get(last); len(to.sent()) != 1 || len(got.attempts) != 0 || got.Status != event.StatusPending {
			t.Errorf("after the end: %d sent, %s, attempts %v", len(to.sent()), got.Status, got.attempts)
		}
	})
}
