package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// busOf is a NATS destination whose schedule has no chance in it.
func busOf() publish.Destination {
	d := publish.DefaultNATS()
	d.Name, d.Retry.Jitter = "bus", 0
	return d
}

func denied() publish.Result {
	r := refused(0)
	r.Class, r.Error = publish.ClassNATS, "permission denied"
	return r
}

func putMany(o *memoryOutbox, n int, name string) (ids []string) {
	for i := range n {
		ids = append(ids, o.put("bus", fmt.Sprint(name, i)))
	}
	return ids
}

// rows counts what attempts have left in the store.
func (o *memoryOutbox) rows() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.deliveries {
		n += len(r.attempts)
	}
	return n
}

// A bus that refuses everything gets probes, is said to fail once, and takes
// everything at once when it is well.
func TestRefusalsOverNATSOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		putMany(o, 501, "cs_")
		to.reply(always(denied()))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		time.Sleep(2 * time.Minute)
		before := len(to.sent())
		if s := r.Status()[0]; s.State != publish.StateFailing || s.NextProbe.IsZero() {
			t.Errorf("status %+v", s)
		}
		if n := o.rows(); n > 2*501 { // each had its turn, in which others might have been accepted
			t.Errorf("%d rows of attempts", n)
		}
		time.Sleep(24 * time.Hour)
		if n := len(to.sent()) - before; n > 24*12+10 {
			t.Errorf("%d probes in a day", n)
		}
		stop()
		stop = run(t, r)
		defer stop()
		synctest.Wait()
		if s := r.Status()[0]; s.State != publish.StateFailing {
			t.Errorf("after a restart: status %+v", s)
		}
		to.reply(nil)
		time.Sleep(5*time.Minute + time.Second)
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) || o.pending() > 0 {
			t.Errorf("the owner heard %v, and %d are pending", types, o.pending())
		}
	})
}

// An outage is no part of the row that opens the breaker.
func TestAnOutageOverNATSOpensNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		putMany(o, 3, "cs_")
		to.reply(always(gone()))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(10 * time.Minute)
		if s := r.Status()[0]; s.State != publish.StateUnreachable || s.Failures < 10 || o.rows() > 3 {
			t.Errorf("after an outage: status %+v, %d rows", s, o.rows())
		}
		before := len(to.sent())
		to.reply(always(denied()))
		for r.Status()[0].State != publish.StateFailing {
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(to.sent()) - before; n < 10 {
			t.Errorf("the breaker opened after %d refusals", n)
		}
	})
}

// prober is a receiver whose connection may be lost.
type prober struct {
	receiver
	lost atomic.Bool
}

func (p *prober) Available(context.Context) error {
	if p.lost.Load() {
		return errors.New("not connected")
	}
	return nil
}

// A connection that comes back under an open breaker does not make the destination
// well.
func TestAConnectionThatComesBackIsNoRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &prober{}
		putMany(o, 12, "cs_")
		to.reply(always(denied()))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		for range 5 {
			time.Sleep(20 * time.Minute)
			to.lost.Store(!to.lost.Load())
		}
		to.lost.Store(false)
		time.Sleep(time.Hour)
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing}) || r.Status()[0].State != publish.StateFailing {
			t.Errorf("the owner heard %v, status %+v", types, r.Status()[0])
		}
		to.reply(nil)
		time.Sleep(6 * time.Minute)
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) || o.pending() > 0 {
			t.Errorf("the owner heard %v, and %d are pending", types, o.pending())
		}
	})
}

// What is refused for ever among others leaves a bounded history.
func TestOneThatIsRefusedForEverOverNATSLeavesFewRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		bad := o.put("bus", "cs_bad")
		refuse := func(_ context.Context, _ int, m publish.Message) publish.Result {
			if m.Delivery.ID == bad {
				return denied()
			}
			return accepted()
		}
		to.reply(refuse)
		d := busOf()
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		for i := range 600 {
			o.put("bus", fmt.Sprint("cs_", i))
			r.Wake("bus")
			time.Sleep(30 * time.Second)
		}
		got := o.get(bad)
		n := len(d.Retry.Schedule) + 1
		if len(got.attempts) != n || got.Attempts != n || got.Slots < 250 {
			t.Errorf("%d rows, %d attempts, %d slots", len(got.attempts), got.Attempts, got.Slots)
		}
		if last := got.attempts[n]; time.Since(last.Started) > 2*time.Minute || last.Outcome != event.OutcomeRefused {
			t.Errorf("the last row is %+v", last)
		}
		if o.pending() != 1 {
			t.Errorf("%d are pending", o.pending())
		}
		to.reply(nil)
		time.Sleep(2 * time.Minute)
		if got := o.get(bad); got.Status != event.StatusAccepted || got.attempts[n].Outcome != event.OutcomeAccepted {
			t.Errorf("in the end: %s, %+v", got.Status, got.attempts)
		}
	})
}

// Messages that are too large say nothing of the destination, and make no probe
// that never rests.
func TestTooLargeMessagesOpenNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		large := denied()
		large.Class, large.Error = publish.ClassBody, "over the stream's maximum"
		putMany(o, 30, "cs_")
		to.reply(always(large))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Hour)
		if s, rows := r.Status()[0], o.rows(); s.State != publish.StateRefusing || rows != 30*5 {
			t.Errorf("status %+v, %d rows", s, rows)
		}
		to.reply(always(denied()))
		time.Sleep(time.Hour)
		if s := r.Status()[0]; s.State != publish.StateFailing {
			t.Errorf("status %+v", s)
		}
		to.reply(always(large))
		look := func() int {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.looks
		}
		before, looks := len(to.sent()), look()
		time.Sleep(time.Hour)
		if n, looked := len(to.sent())-before, look()-looks; n < 10 || n > 20 || looked > 1000 {
			t.Errorf("%d probes in an hour, %d looks", n, looked)
		}
	})
}

// Where orders never cease, refusals of all of them open the breaker nevertheless.
func TestOrdersThatNeverCeaseKeepNoBreakerClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(time.Second)
			return denied()
		})
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		for i := range 65 * 5 {
			o.put("bus", fmt.Sprint("cs_", i))
			r.Wake("bus")
			time.Sleep(200 * time.Millisecond)
		}
		if s := r.Status()[0]; s.State != publish.StateFailing {
			t.Errorf("status %+v", s)
		}
	})
}

// What comes for another subject while the breaker is open is a probe before all
// that was refused had its turn.
func TestNewcomersAreProbesOverNATS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		putMany(o, 500, "bad_")
		to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			if strings.HasPrefix(m.Delivery.Session, "bad_") {
				return denied()
			}
			return accepted()
		})
		good := putMany(o, 20, "good_") // behind all that is refused
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Second)
		for _, id := range good {
			if o.get(id).Status != event.StatusAccepted {
				t.Fatalf("%s waits for what is refused", id)
			}
		}
		time.Sleep(3 * time.Hour)
		if s := r.Status()[0]; s.State != publish.StateFailing {
			t.Errorf("status %+v", s)
		}
		late := putMany(o, 20, "good_late_")
		r.Wake("bus")
		time.Sleep(10*time.Minute + time.Second)
		for _, id := range late {
			if o.get(id).Status != event.StatusAccepted {
				t.Fatalf("%s waits for what is refused", id)
			}
		}
	})
}

// TestSomeSubjectsAreDenied has a server that denies one account its subject: what
// is for the other goes on, and after a grant all is there.
func TestSomeSubjectsAreDenied(t *testing.T) {
	t.Parallel()
	all := brokertest.User{Name: "all", Password: "p"}
	user := func(subject string) brokertest.User {
		return brokertest.User{Name: "u", Password: "p", Publish: []string{subject}, Subscribe: []string{"_INBOX.>"}}
	}
	s := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{all, user("checkout.good.>")}})
	nc, err := nats.Connect(strings.Replace(s.URL, "nats://", "nats://all:p@", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	kept := stream(t, nc, checkoutStream(nil))
	d := natsDestination(strings.Replace(s.URL, "nats://", "nats://u:p@", 1))
	d.Subject = "checkout.{{ .Account }}.{{ .Change }}"
	d.Retry.Schedule = []time.Duration{20 * time.Millisecond, 50 * time.Millisecond}
	o := newOutbox()
	put := func(n int, account string) (ids []string) {
		for i := range n {
			ids = append(ids, o.put("bus", fmt.Sprint("cs_", account, i)))
			o.find(ids[i]).event.Account = account
		}
		return ids
	}
	bad, good := put(200, "bad"), put(50, "good")
	r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: newNATS(t, d, nil)})
	stop := run(t, r)
	defer stop()
	left := func(ids []string) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return o.get(id).Status != event.StatusAccepted })
	}
	eventually(t, "message of the account that may", func() bool { return !left(good) })
	eventually(t, "repetition of what is refused", func() bool { return o.get(bad[0]).Slots > 5 && o.get(bad[199]).Slots > 5 })
	for _, id := range bad {
		if got := o.get(id); got.Status != event.StatusPending || len(got.attempts) > len(d.Retry.Schedule)+1 {
			t.Errorf("%s is %s after %d attempts on record", id, got.Status, len(got.attempts))
		}
	}
	if state := r.Status()[0].State; state != publish.StateRefusing {
		t.Errorf("state %s, although others are taken", state)
	}
	s.Allow(all, user("checkout.>"))
	eventually(t, "end of what was refused", func() bool { return o.pending() == 0 })
	if info, err := kept.Info(t.Context()); err != nil || info.State.Msgs != 250 {
		t.Errorf("the stream holds %d, %v", info.State.Msgs, err)
	}
}

// TestAWrongStreamOpensTheBreaker has a real server that refuses everything until
// the stream is the expected one, and a resume that need not wait for the probe.
func TestAWrongStreamOpensTheBreaker(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{})
	nc, _ := listener(t, s.URL)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream(t, nc, checkoutStream(nil))
	d := natsDestination(s.URL)
	d.Stream.Name = "OTHER"
	d.Retry.Schedule = []time.Duration{20 * time.Millisecond}
	o := newOutbox()
	putMany(o, 100, "cs_")
	r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: newNATS(t, d, nil)})
	stop := run(t, r)
	defer stop()
	eventually(t, "open breaker", func() bool { return r.Status()[0].State == publish.StateFailing })
	if why := r.Status()[0].Why; !strings.Contains(why, "another stream than OTHER") {
		t.Errorf("it says %s", why)
	}
	if n := o.rows(); n > 200 {
		t.Errorf("%d attempts on record", n)
	}
	if err := js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
		t.Fatal(err)
	}
	config := checkoutStream(nil)
	config.Name = "OTHER"
	stream(t, nc, config)
	if _, err := r.Resume(t.Context(), "bus", "ann"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of what was refused", func() bool { return o.pending() == 0 })
	if types, _ := told(o); len(types) > 0 { // it was over within half a minute
		t.Errorf("the owner heard %v", types)
	}
}

// waker is a receiver that says when its connection is back.
type waker struct {
	subjectBus
	ready func()
}

func (w *waker) OnReady(f func()) { w.ready = f }

// A connection that comes back may be to a server that takes what the other one did
// not: an open breaker and blocked subjects are probed at once.
func TestAConnectionThatComesBackIsProbedAtOnce(t *testing.T) {
	for name, answer := range map[string]publish.Result{"open breaker": denied(), "blocked subject": blockedFor(event.Paid)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &waker{}
				putMany(o, 30, "cs_")
				to.reply(always(answer))
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
				stop := run(t, r)
				defer stop()
				time.Sleep(time.Hour + 100*time.Millisecond)
				before := len(to.sent())
				to.ready()
				synctest.Wait()
				if n := len(to.sent()) - before; n == 0 {
					t.Fatalf("not probed: %+v", r.Status()[0])
				}
				to.reply(nil)
				to.ready()
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if o.pending() > 0 {
					t.Errorf("%d are pending after the connection came back, %+v", o.pending(), r.Status()[0])
				}
			})
		})
	}
}

// While the breaker is open, what waits for a subject is no probe: it could not show
// that the rest is taken.
func TestWhatIsBlockedIsNoProbeOfTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("expired")
		refuse := to.answer
		to.reply(func(ctx context.Context, n int, m publish.Message) publish.Result {
			if r := refuse(ctx, n, m); r.Outcome != event.OutcomeAccepted {
				return r
			}
			return denied()
		})
		for i := range 50 {
			o.put("bus", fmt.Sprint("cs_cart_", i), ofType("expired"))
		}
		for i := range 50 {
			o.put("bus", fmt.Sprint("cs_order_", i), ofType("paid"))
		}
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(2 * time.Minute)
		if s := r.Status()[0]; s.State != publish.StateFailing {
			t.Fatalf("status %+v", s)
		}
		before := len(to.sent())
		for i := range 50 {
			o.put("bus", fmt.Sprint("cs_cart_late_", i), ofType("expired"))
		}
		r.Wake("bus")
		time.Sleep(time.Hour)
		for _, s := range to.sent()[before:] {
			if s.delivery.EventType == "expired" {
				t.Fatalf("%s of %s was a probe", s.delivery.EventType, s.delivery.Session)
			}
		}
		to.reply(refuse)
		time.Sleep(5*time.Minute + time.Second)
		if s := r.Status()[0]; s.State != publish.StateWaiting || o.pending() != 100 {
			t.Errorf("%d pending, status %+v", o.pending(), s)
		}
		types, data := told(o)
		want := []string{event.DestinationFailing, event.DestinationFailing}
		if !slices.Equal(types, want) || !strings.Contains(fmt.Sprint(data[1]["summary"]), "all else goes on") {
			t.Errorf("the owner heard %v %v", types, data)
		}
	})
}
