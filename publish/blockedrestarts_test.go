package publish_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// connecting is a publisher that says that the connection has come up when it likes.
type connecting struct {
	*subjectBus
	ready func()
}

func (p *connecting) OnReady(f func()) { p.ready = f }

// lateReady is a state file that is told of the connection while the first probe is
// written down.
type lateReady struct {
	*state.Store
	bus *connecting
}

func (o *lateReady) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	if len(step.Unblocked) > 0 && o.bus.ready != nil {
		o.bus.ready()
		o.bus.ready = nil
	}
	return o.Store.Take(ctx, step)
}

// Where all that waits is blocked, each process goes on with what the last one knew: also
// one whose connection comes up while it begins its first probe, and one that ended during
// a probe.
func TestWhatIsBlockedLastsOverProcessesThatOnlyProbeIt(t *testing.T) {
	for name, takes := range map[string]time.Duration{"the connection comes up during the first probe": 0, "the end comes during a probe": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			cfg := state.DefaultConfig()
			cfg.Path = filepath.Join(t.TempDir(), "notifier.db")
			synctest.Test(t, func(t *testing.T) {
				began, told := time.Now(), []string{}
				for i := range 8 {
					store, err := state.Open(t.Context(), cfg, nil)
					if err != nil {
						t.Fatal(err)
					}
					if i == 0 {
						commitOne(t, store)
					}
					bus := &connecting{subjectBus: newSubjectBus(event.Paid)}
					bus.reply(func(ctx context.Context, _ int, _ publish.Message) publish.Result {
						select {
						case <-time.After(takes):
						case <-ctx.Done():
						}
						return blockedFor(event.Paid)
					})
					announce := func(e event.Event) event.Notice {
						told = append(told, string(e.System))
						return event.Notice{Event: e}
					}
					r := relay(t, &lateReady{store, bus}, publish.Options{Announce: announce, Grace: time.Millisecond}, publish.Lane{Destination: busOf(), Publisher: bus})
					stop := run(t, r)
					time.Sleep(25 * time.Second)
					synctest.Wait()
					if s := r.Status()[0]; s.BlockedAll != 1 || s.Since.After(began.Add(takes)) || s.Blocked[0].Since.After(began.Add(takes)) {
						t.Errorf("process %d after %s: status %+v", i+1, time.Since(began), s)
					}
					stop()
					if err := store.Close(); err != nil {
						t.Error(err)
					}
				}
				since := event.FormatTime(began.Add(takes))
				if len(told) != 1 || !strings.Contains(told[0], since) {
					t.Errorf("the owner heard %v, want one since %s", told, since)
				}
			})
		})
	}
}

func commitOne(t *testing.T, store *state.Store) {
	t.Helper()
	e := event.SampleEvent(event.Paid)
	e.ID = event.ID("main", e.Session, e.Type, 0)
	d := event.Delivery{
		ID: event.DeliveryID(e.ID, "bus", ""), EventID: e.ID, EventType: e.Type, Account: "main", Session: e.Session,
		Destination: "bus", Rules: []string{"all"}, Ordered: true, Created: time.Now(), Due: time.Now(),
	}
	if err := store.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
		t.Fatal(err)
	}
}
