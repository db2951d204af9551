package publish_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// subjectBus is a receiver that takes nothing for some subjects. The subject of a
// message is what stands before the dash in its session, behind a prefix.
type subjectBus struct {
	receiver
	mu      sync.Mutex
	prefix  string
	blocked map[string]bool
	asked   int // for a subject
}

func (b *subjectBus) Subject(m publish.Message) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	name, own, found := strings.Cut(m.Delivery.Session, "/") // that of the delivery, or of its session
	if !found {
		name, own = m.Delivery.EventType, ""
	}
	return b.prefix + name + own, nil
}

func (b *subjectBus) questions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

func (b *subjectBus) block(subjects ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked = make(map[string]bool)
	for _, s := range subjects {
		b.blocked[s] = true
	}
}

func newSubjectBus(subjects ...string) *subjectBus {
	b := &subjectBus{}
	b.block(subjects...)
	b.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
		subject, _ := b.Subject(m)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.blocked[subject] {
			return blockedFor(subject)
		}
		return accepted()
	})
	return b
}

func blockedFor(subject string) publish.Result {
	return publish.Result{
		Outcome: event.OutcomeUnavailable, Contact: publish.ContactMade, Class: publish.ClassNATS,
		Error: "no stream takes the subject", Subject: subject, Unsent: true,
	}
}

func ofType(eventType string) func(*event.Delivery) {
	return func(d *event.Delivery) { d.EventType = eventType }
}

// deliveries that arrived, in order, without those that were not taken.
func (b *subjectBus) arrived() (ids []string) {
	for _, s := range b.sent() {
		if subject, _ := b.Subject(publish.Message{Delivery: s.delivery}); !b.blocked[subject] {
			ids = append(ids, s.delivery.ID)
		}
	}
	return ids
}

// What waits for one subject delays nothing else, is probed by the schedule, uses
// no slot, leaves few rows, and goes when the subject takes messages.
func TestABlockedSubjectDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("expired")
		var waiting []string
		for i := range 81 {
			waiting = append(waiting, o.put("bus", fmt.Sprint("cs_", i), ofType("expired")))
		}
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(40 * time.Second)
		paid := o.put("bus", "cs_paid", ofType("paid"))
		r.Wake("bus")
		synctest.Wait()
		if d := o.get(paid); d.Status != event.StatusAccepted {
			t.Fatalf("a payment waits for abandoned carts: %+v", d.Delivery)
		}
		s := r.Status()[0]
		if s.State != publish.StateWaiting || s.BlockedAll != 1 || len(s.Blocked) != 1 || s.Blocked[0].Subject != "expired" || !strings.Contains(s.Why, "takes nothing for expired: no stream") {
			t.Errorf("status %+v", s)
		}
		before := len(to.sent())
		time.Sleep(10 * time.Minute)
		if probes := len(to.sent()) - before; probes < 39 || probes > 41 {
			t.Errorf("%d probes in ten minutes", probes)
		}
		if n := o.rows(); n > 81 {
			t.Errorf("%d rows of attempts", n)
		}
		if types, data := told(o); !slices.Equal(types, []string{event.DestinationFailing}) || !strings.Contains(fmt.Sprint(data[0]["summary"]), "takes nothing for expired") {
			t.Errorf("the owner heard %v %v", types, data)
		}
		to.block()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		for _, id := range waiting {
			if d := o.get(id); d.Status != event.StatusAccepted || d.Slots != 0 || d.BlockedSubject != "" {
				t.Fatalf("in the end: %+v", d.Delivery)
			}
		}
		if s := r.Status()[0]; s.State != publish.StateOK || s.BlockedAll != 0 {
			t.Errorf("in the end: status %+v", s)
		}
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Errorf("in the end the owner heard %v", types)
		}
	})
}

// However much waits for a subject, it is not read again but for probes, and what
// comes for another one is not behind it.
func TestABlockedBacklogCostsNothing(t *testing.T) {
	const n = 1200
	cfg := state.DefaultConfig()
	cfg.Path = filepath.Join(t.TempDir(), "notifier.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := state.Open(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		commit := func(n int, eventType, name string) {
			tx := &event.Tx{Account: "main"}
			for i := range n {
				e := event.SampleEvent(event.Paid)
				e.Type, e.Session = eventType, fmt.Sprint(name, i)
				e.ID = event.ID("main", e.Session, eventType, 0)
				tx.Events = append(tx.Events, e)
				tx.Deliveries = append(tx.Deliveries, event.Delivery{
					ID: event.DeliveryID(e.ID, "bus", ""), EventID: e.ID, EventType: eventType, Account: "main", Session: e.Session,
					Destination: "bus", Rules: []string{"all"}, Ordered: true, Created: time.Now(), Due: time.Now(),
				})
			}
			if err := store.Commit(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
		}
		to := newSubjectBus(event.Expired)
		commit(n, event.Expired, "cs_expired_")
		commit(1, event.Paid, "cs_paid_")
		lane := publish.Lane{Destination: busOf(), Publisher: to}
		pending := func() int {
			states, err := store.Destinations(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return states[0].Pending
		}
		stop := run(t, relay(t, store, publish.Options{}, lane))
		time.Sleep(time.Second)
		if left := pending(); left != n {
			t.Fatalf("%d are pending: the payment is behind what is blocked", left)
		}
		stop()
		r := relay(t, store, publish.Options{}, lane)
		stop = run(t, r)
		defer func() { stop() }()
		time.Sleep(time.Second)
		asked := to.questions()
		time.Sleep(10 * time.Minute)
		if more := to.questions() - asked; more > 4*41 {
			t.Errorf("the subject of a delivery was asked for %d times in ten minutes", more)
		}
		commit(1, event.Paid, "cs_later_")
		r.Wake("bus")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if left := pending(); left != n {
			t.Errorf("%d are pending after a payment", left)
		}
		to.block()
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if left := pending(); left != 0 {
			t.Errorf("%d are pending in the end", left)
		}
		if err := store.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A later event of a session does not overtake one that waits for its subject, but
// after order_hold, and then it says so.
func TestAnEventBehindABlockedOneKeepsTheOrder(t *testing.T) {
	for name, c := range map[string]struct {
		well     time.Duration // when the subject takes messages again
		overtook int
	}{
		"within the hold": {well: time.Minute},
		"after it":        {well: time.Hour, overtook: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), newSubjectBus("created")
				first, second := o.put("bus", "cs_1", ofType("created")), o.put("bus", "cs_1", ofType("paid"))
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
				stop := run(t, r)
				defer stop()
				time.Sleep(publish.DefaultNATS().OrderHold - time.Second)
				if d := o.get(second); d.Attempts > 0 && c.well > time.Minute {
					t.Errorf("after two minutes less a second: %+v", d.Delivery)
				}
				time.Sleep(c.well - publish.DefaultNATS().OrderHold + time.Second)
				if d := o.get(second); (d.Status == event.StatusAccepted) != (c.overtook > 0) || len(d.Overtook) != c.overtook {
					t.Errorf("before the subject is well: %+v", d.Delivery)
				}
				to.block()
				time.Sleep(16 * time.Second)
				synctest.Wait()
				if o.pending() > 0 || len(o.get(second).Overtook) != c.overtook {
					t.Errorf("in the end: %+v", o.get(second).Delivery)
				}
				if got := to.arrived(); c.overtook == 0 && !slices.Equal(got[len(got)-2:], []string{first, second}) {
					t.Errorf("arrived: %v", got)
				}
			})
		})
	}
}

// An event waits for order_hold once, however many of those before it wait for subjects that
// are known to be blocked, one behind the other.
func TestAnEventBehindSeveralBlockedOnesWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("created", "completed", "paid")
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		for _, session := range []string{"cs_1", "cs_2", "cs_3"} { // of the first one nobody knows that the subjects are blocked
			var last string
			for _, kind := range []string{"created", "completed", "paid", "fulfillable"} {
				last = o.put("bus", session, ofType(kind))
				r.Wake("bus")
				time.Sleep(time.Second)
			}
			time.Sleep(20 * time.Minute)
			got := o.get(last)
			if wait, most := got.Finished.Sub(got.Created), publish.DefaultNATS().OrderHold+30*time.Second; got.Status != event.StatusAccepted || wait > most {
				t.Errorf("%s: %s after %s, want it accepted within %s", session, got.Status, wait, most)
			}
			if len(got.Overtook) != 3 {
				t.Errorf("%s: it overtook %v", session, got.Overtook)
			}
		}
	})
}

// Where one cause had blocked all subjects, sessions go in order when it is gone,
// however long that took.
func TestSubjectsThatRecoverTogetherKeepTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		types := []string{"created", "completed", "paid", "fulfillable"}
		o, to := newOutbox(), newSubjectBus(types...)
		for i := range 600 {
			for _, eventType := range types {
				o.put("bus", fmt.Sprint("cs_", i), ofType(eventType))
			}
		}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(3*time.Hour + 7*time.Second)
		if n := r.Status()[0].BlockedAll; n != len(types) {
			t.Errorf("%d subjects are blocked", n)
		}
		to.block()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := o.pending(); n > 0 {
			t.Fatalf("%d are pending", n)
		}
		place := make(map[string]int)
		for _, s := range to.sent() {
			d := o.get(s.delivery.ID)
			if len(d.Overtook) > 0 {
				t.Fatalf("%s of %s overtook %v", d.EventType, d.Session, d.Overtook)
			}
			if s.at.Equal(d.Finished) {
				if types[place[d.Session]] != d.EventType {
					t.Fatalf("%s of %s came as number %d", d.EventType, d.Session, place[d.Session])
				}
				place[d.Session]++
			}
		}
	})
}

// Of very many subjects some are known at a time; all have their turn as probes,
// and none is probed more often than the schedule says.
func TestVeryManySubjectsAreProbedInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1200
		var subjects []string
		o := newOutbox()
		for i := range n {
			subjects = append(subjects, fmt.Sprintf("s%d", i))
			o.put("bus", fmt.Sprintf("s/%d", i))
		}
		to := newSubjectBus(subjects...)
		healthy := o.put("bus", "cs_healthy", ofType("paid"))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Second)
		if d := o.get(healthy); d.Status != event.StatusAccepted {
			t.Fatalf("a healthy one waits: %+v", d.Delivery)
		}
		time.Sleep(time.Minute)
		if s := r.Status()[0]; s.BlockedAll > 1000 || s.BlockedAll < 900 || len(s.Blocked) != 10 {
			t.Errorf("%d subjects are known, %d are told", s.BlockedAll, len(s.Blocked))
		}
		before := len(to.sent())
		time.Sleep(5 * time.Minute)
		probes := to.sent()[before:]
		if len(probes) > 5*60*1000/15+1000 {
			t.Errorf("%d probes in five minutes", len(probes))
		}
		last, tried := make(map[string]time.Time), 0
		for _, p := range probes {
			if at, again := last[p.delivery.Session]; !again {
				tried++
			} else if p.at.Sub(at) < 14*time.Second {
				t.Fatalf("%s was probed again after %s", p.delivery.Session, p.at.Sub(at))
			}
			last[p.delivery.Session] = p.at
		}
		if tried != n {
			t.Errorf("%d of %d subjects were probed", tried, n)
		}
		to.block()
		time.Sleep(2 * time.Minute)
		if left := o.pending(); left > 0 || r.Status()[0].State != publish.StateOK {
			t.Errorf("%d are pending, status %+v", left, r.Status()[0])
		}
	})
}

// What waits when a process ends is probed by the next one, by its own template, and
// goes where that sends it.
func TestACorrectedSubjectRescuesWhatWaits(t *testing.T) {
	for name, corrected := range map[string]bool{"another subject": true, "the same": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), newSubjectBus("wrong.paid")
				to.prefix = "wrong."
				for i := range 700 {
					o.put("bus", fmt.Sprint("cs_", i), ofType("paid"))
				}
				lane := publish.Lane{Destination: busOf(), Publisher: to}
				r := relay(t, o, publish.Options{}, lane)
				stop := run(t, r)
				time.Sleep(time.Hour)
				stop()
				before := len(to.sent())
				if corrected {
					to.prefix = "right."
				}
				stop = run(t, relay(t, o, publish.Options{}, lane))
				defer stop()
				time.Sleep(time.Second - time.Millisecond)
				synctest.Wait()
				if n := len(to.sent()) - before; !corrected && n != 1 {
					t.Errorf("%d attempts in the first second after a restart", n)
				}
				if (o.pending() == 0) != corrected {
					t.Errorf("%d are pending", o.pending())
				}
			})
		})
	}
}

// Whoever asks for a very attempt gets it, and a resume tries what is blocked.
func TestPeopleMayTryWhatIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("paid")
		ids := make([]string, 3)
		for i := range ids {
			ids[i] = o.put("bus", fmt.Sprint("cs_", i), ofType("paid"))
		}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Hour + 300*time.Millisecond)
		before := len(to.sent())
		retry := func() {
			o.mu.Lock()
			d := o.find(ids[2])
			d.Due, d.Actor = time.Now(), "ann"
			o.mu.Unlock()
			r.Wake("bus")
			synctest.Wait()
		}
		retry()
		if sent := to.sent()[before:]; len(sent) != 1 || sent[0].delivery.ID != ids[2] {
			t.Errorf("asked for one attempt of the third, made were %v", sent)
		}
		before = len(to.sent())
		if changed, err := r.Resume(t.Context(), "bus", "ann"); err != nil || !changed {
			t.Errorf("resume: %t, %v", changed, err)
		}
		synctest.Wait()
		if sent := to.sent()[before:]; len(sent) != 1 {
			t.Errorf("a resume made %v", sent)
		}
		to.block()
		retry()
		if o.pending() > 0 {
			t.Errorf("%d wait although one was taken", o.pending())
		}
		if changed, err := r.Resume(t.Context(), "bus", "ann"); err != nil || changed {
			t.Errorf("resume of one that is well: %t, %v", changed, err)
		}
	})
}

// A drain tries each subject once, counts all that waits, and delivers what an
// earlier one left once its subject takes messages.
func TestADrainCountsWhatIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("expired")
		for i := range 100 {
			o.put("bus", fmt.Sprint("cs_", i), ofType("expired"))
		}
		o.put("bus", "cs_paid", ofType("paid"))
		drain := func(accepted, failed int) {
			t.Helper()
			r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
			if a, f, err := r.Drain(t.Context()); a != accepted || f < failed || (failed == 0) != (f == 0) || err != nil {
				t.Errorf("accepted %d, failed %d, %v; want %d and %d", a, f, err, accepted, failed)
			}
		}
		drain(1, 100)
		drain(0, 1) // what the first one left is not read again
		to.block()
		drain(100, 0)
	})
}
