package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// Where orders are rare, one that is refused must not wait three days for
// somebody to hear of it.
func TestOwnerHearsOfAFailureThatLasts(t *testing.T) {
	throttled := refused(429)
	throttled.RetryAfter, throttled.Throttled = 24*time.Hour, true
	shortly := refused(429)
	shortly.RetryAfter, shortly.Throttled = time.Minute, true
	for name, c := range map[string]struct {
		answer publish.Result
		nats   bool
		within time.Duration
		says   string
	}{
		"refused":              {answer: refused(503), within: 13 * time.Minute, says: "failed 5 times in a row: status 503"},
		"unreachable":          {answer: unreachable(), within: 13 * time.Minute, says: "connection refused"},
		"refused over NATS":    {answer: refused(0), nats: true, within: 12 * time.Minute, says: "times in a row"},
		"asked for a day":      {answer: throttled, within: time.Second, says: "failed once: status 429 Too Many Requests, and it asked for a pause until"},
		"asked for one minute": {answer: shortly, within: 15 * time.Minute, says: "429"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				d := exact("shop")
				if c.nats {
					d.Type, d.Retry.Schedule = publish.TypeNATS, publish.DefaultNATS().Retry.Schedule
				}
				to.reply(always(c.answer))
				o.put("shop", "cs_1")
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
				stop := run(t, r)
				time.Sleep(c.within)
				synctest.Wait()
				types, data := told(o)
				if !slices.Equal(types, []string{event.DestinationFailing}) || !strings.Contains(fmt.Sprint(data[0]["summary"]), c.says) {
					t.Errorf("after %s the owner heard %v %v", c.within, types, data)
				}
				if s := r.Status()[0]; s.State == publish.StateFailing || !s.Told {
					t.Errorf("status %+v: one session opens no breaker", s)
				}
				stop()
				to.reply(nil)
				stop = run(t, r) // it is not told again after a restart
				time.Sleep(24 * time.Hour)
				stop()
				if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
					t.Errorf("in the end the owner heard %v", types)
				}
			})
		})
	}
}

// Where one order is refused again and again among others that are accepted, it must not
// wait three days for somebody to hear of it. The end of that is told, too.
func TestOwnerHearsOfOneThatIsRefusedAmongOthers(t *testing.T) {
	for name, ends := range map[string]func(*receiver, *publish.Relay, string) error{
		"it is accepted": func(to *receiver, r *publish.Relay, _ string) error { to.reply(nil); return nil },
		"it is a dead letter": func(to *receiver, _ *publish.Relay, _ string) error {
			dead := refused(422)
			dead.Final = true
			to.reply(poisoned(dead, "cs_bad"))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(poisoned(refused(422), "cs_bad"))
				o.put("shop", "cs_bad")
				start := func() (*publish.Relay, func()) {
					r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
					return r, run(t, r)
				}
				r, stop := start()
				pass := func(minutes int, want ...string) []map[string]any {
					t.Helper()
					for range minutes {
						o.put("shop", fmt.Sprint("cs_", time.Now().UnixNano()))
						r.Wake("shop")
						time.Sleep(time.Minute)
					}
					synctest.Wait()
					types, data := told(o)
					if !slices.Equal(types, want) {
						t.Fatalf("the owner heard %v, want %v", types, want)
					}
					if s := r.Status()[0]; s.State != publish.StateOK || s.Told {
						t.Errorf("status %+v", s)
					}
					return data
				}
				pass(12) // since the third minute it was not tried
				data := pass(3, event.DestinationFailing)
				if got := data[0]["summary"]; got != "Destination shop takes others, but has refused 1 delivery again and again for 13m0s, last: status 422 Unprocessable Entity. What it refused waits, perhaps orders to be shipped; it is repeated on its schedule until it is accepted or a dead letter. notifier deliveries list --destination shop --status pending shows it; once that is mended, notifier deliveries retry ID … sends it at once." {
					t.Errorf("the owner heard %v", got)
				}
				if data[0]["refused"] != 1.0 || data[0]["since"] != "2000-01-01T00:00:00Z" {
					t.Errorf("the owner heard %v", data[0])
				}
				stop()
				r, stop = start()
				defer func() { stop() }()
				pass(60, event.DestinationFailing)
				want := []string{event.DestinationFailing, event.DestinationRecovered}
				if err := ends(to, r, ""); name == "it is a dead letter" || err != nil {
					want = []string{event.DestinationFailing, event.DeliveryDead, event.DestinationRecovered}
				}
				data = pass(130, want...)
				if got := fmt.Sprint(data[len(data)-1]["summary"]); !strings.HasPrefix(got, "No delivery that destination shop refused again and again waits any more, after ") {
					t.Errorf("the owner heard %v", got)
				}
			})
		})
	}
}

// One that is refused and accepted a little later is no reason to call anybody, nor one
// that was refused for a while and is then not tried for long.
func TestOwnerHearsNothingOfOrdersThatAreAcceptedAtTheNextTry(t *testing.T) {
	for _, refusals := range []int{3, 4} {
		synctest.Test(t, func(t *testing.T) {
			o, to := newOutbox(), &receiver{}
			to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
				if m.Delivery.Attempts < refusals && strings.HasPrefix(m.Delivery.Session, "cs_bad") {
					return refused(422)
				}
				time.Sleep(100 * time.Millisecond) // it is under way
				return accepted()
			})
			r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
			defer run(t, r)()
			for i := range 120 {
				o.put("shop", fmt.Sprint("cs_bad", i))
				o.put("shop", fmt.Sprint("cs_", i))
				r.Wake("shop")
				time.Sleep(time.Minute)
			}
			if types, _ := told(o); len(types) > 0 {
				t.Errorf("after %d refusals each the owner heard %v", refusals, types)
			}
		})
	}
}

// A destination that fails again soon after its recovery is told of once that
// has lasted.
func TestARelapseIsToldIfItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		heard := func(after time.Duration, want ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if types, _ := told(o); !slices.Equal(types, want) {
				t.Fatalf("the owner heard %v, want %v", types, want)
			}
		}
		fail := func(round int) {
			to.reply(always(refused(503)))
			for i := range 20 {
				o.put("shop", fmt.Sprintf("cs_%d_%d", round, i))
			}
			r.Wake("shop")
		}
		const failing, recovered = event.DestinationFailing, event.DestinationRecovered
		fail(1)
		heard(time.Minute, failing)
		to.reply(nil)
		heard(time.Minute, failing, recovered)
		fail(2)
		heard(34*time.Second, failing, recovered)
		to.reply(nil)
		heard(time.Minute, failing, recovered)
		fail(3)
		time.Sleep(10 * time.Second)
		tooLarge := refused(413)
		tooLarge.Class = publish.ClassBody
		to.reply(always(tooLarge)) // which opens no breaker, and closes none
		heard(3*time.Minute, failing, recovered, failing)
		to.reply(nil)
		heard(10*time.Minute, failing, recovered, failing) // nor is it well at once
		heard(5*time.Minute, failing, recovered, failing, recovered)
	})
}

// A pause has an end as a failure has, and the two are one incident.
func TestThePauseOfADestinationHasAnEnd(t *testing.T) {
	const failing, recovered, paused = event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused
	for name, c := range map[string]struct {
		before, while, after publish.Result
		stop                 bool // by a 410
		want                 []string
	}{
		"well":                        {before: accepted(), while: accepted(), after: accepted(), want: []string{paused, recovered}},
		"gone, then well":             {stop: true, after: accepted(), want: []string{paused, recovered}},
		"fails after it was resumed":  {before: accepted(), while: accepted(), after: refused(503), want: []string{paused, recovered, failing}},
		"failed before, and still":    {before: refused(503), while: refused(503), after: refused(503), want: []string{failing, paused}},
		"failed before, then well":    {before: refused(503), while: refused(503), after: accepted(), want: []string{failing, paused, recovered}},
		"becomes well while paused":   {before: refused(503), while: accepted(), after: accepted(), want: []string{failing, paused, recovered}},
		"well while paused, not then": {before: refused(503), while: accepted(), after: refused(503), want: []string{failing, paused, recovered, failing}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				d := exact("shop")
				d.Retry.OnGone = publish.OnGonePause
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
				stop := run(t, r)
				defer stop()
				answer := c.before
				if c.stop {
					answer = refused(410)
					answer.Gone = true
				}
				var mu sync.Mutex
				slowly := false // the answer is that of its end
				set := func(slow bool, next publish.Result) {
					mu.Lock()
					defer mu.Unlock()
					slowly, answer = slow, next
				}
				to.reply(func(context.Context, int, publish.Message) publish.Result {
					mu.Lock()
					defer mu.Unlock()
					if slowly {
						mu.Unlock()
						time.Sleep(10 * time.Second)
						mu.Lock()
					}
					return answer
				})
				sessions := 0
				more := func() {
					for range 20 {
						sessions++
						o.put("shop", fmt.Sprint("cs_", sessions))
					}
					r.Wake("shop")
				}
				more()
				time.Sleep(3 * time.Minute)
				if !c.stop {
					more()
					set(true, answer)
					if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil { // a failing one is probed
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
						t.Fatal(err)
					}
					set(true, c.while)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if types, _ := told(o); slices.Contains(types, recovered) {
					t.Errorf("while it is paused the owner heard %v", types)
				}
				set(false, c.after)
				if _, err := r.Resume(t.Context(), "shop", "bob"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				more()
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if types, _ := told(o); !slices.Equal(types, c.want) {
					t.Errorf("the owner heard %v, want %v", types, c.want)
				}
			})
		})
	}
}

// The end of a pause closes what was told of some deliveries before it: if that lasts, it
// is told anew.
func TestThePauseOfOneThatRefusesSomeHasAnEnd(t *testing.T) {
	const failing, recovered, paused = event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused
	for _, name := range []string{"refused", "blocked"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), newSubjectBus("bad1")
				if name == "refused" {
					to.reply(poisoned(refused(422), "bad"))
				}
				o.put("shop", "bad/1")
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				defer run(t, r)()
				pass := func(minutes int, want ...string) {
					t.Helper()
					for range minutes {
						o.put("shop", fmt.Sprint("cs_", time.Now().UnixNano()))
						r.Wake("shop")
						time.Sleep(time.Minute)
					}
					if types, _ := told(o); !slices.Equal(types, want) {
						t.Fatalf("the owner heard %v, want %v", types, want)
					}
				}
				pass(14, failing)
				if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
				pass(60, failing, paused)
				if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
				pass(60, failing, paused, recovered, failing)
				to.reply(nil)
				pass(130, failing, paused, recovered, failing, recovered)
			})
		})
	}
}

// What is under way when a destination stops may be refused too: that it takes
// nothing is known already.
func TestOwnerHearsOfAPauseAlone(t *testing.T) {
	for name, answer := range map[string]publish.Result{"refused": refused(503), "unreachable": unreachable(), "not taken": gone()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				const atOnce = 16 // all are sent before the first is answered
				to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
					if n <= atOnce {
						time.Sleep(time.Duration(n) * time.Minute)
					}
					return answer
				})
				for i := range atOnce {
					o.put("shop", fmt.Sprint("cs_", i))
				}
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				stop := run(t, r)
				defer stop()
				time.Sleep(time.Second)
				heard := []string{event.DestinationPaused}
				hears := func() {
					t.Helper()
					time.Sleep(time.Hour)
					synctest.Wait()
					if types, _ := told(o); !slices.Equal(types, heard) {
						t.Fatalf("the owner heard %v, want %v", types, heard)
					}
				}
				if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
				hears()
				if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
				heard = append(heard, event.DestinationRecovered, event.DestinationFailing) // it is not silent for ever
				hears()
				to.reply(nil)
				heard = append(heard, event.DestinationRecovered)
				hears()
			})
		})
	}
}

// slowOutbox takes its time to write down what the owner hears, as a busy disk does.
type slowOutbox struct {
	*memoryOutbox
	take, standing time.Duration
}

func (o slowOutbox) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	if step.Standing != nil && len(step.Standing.Notices) > 0 {
		time.Sleep(o.take)
	}
	return o.memoryOutbox.Take(ctx, step)
}

func (o slowOutbox) SaveStanding(ctx context.Context, c event.StandingChange) error {
	if len(c.Notices) > 0 {
		time.Sleep(o.standing)
	}
	return o.memoryOutbox.SaveStanding(ctx, c)
}

// An incident that is opened and closed in another order than things happen stays
// open for ever, or closes while the destination fails.
func TestOwnerHearsInTheOrderOfWhatHappens(t *testing.T) {
	const failing, recovered, paused = event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused
	begin := func(t *testing.T, slow slowOutbox) (o *memoryOutbox, to *receiver, r *publish.Relay, more func()) {
		slow.memoryOutbox = newOutbox()
		o, to = slow.memoryOutbox, &receiver{}
		r = relay(t, slow, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
		t.Cleanup(run(t, r))
		synctest.Wait() // it knows how the destination stood
		n := 0
		return o, to, r, func() {
			for range 20 {
				n++
				o.put("shop", fmt.Sprint("cs_", n))
			}
			r.Wake("shop")
		}
	}
	hears := func(t *testing.T, o *memoryOutbox, want ...string) {
		t.Helper()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if types, _ := told(o); !slices.Equal(types, want) {
			t.Errorf("the owner heard %v, want %v", types, want)
		}
	}
	t.Run("fails while its resumption is stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o, to, r, more := begin(t, slowOutbox{standing: 10 * time.Second})
			if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
			to.reply(always(refused(503)))
			time.AfterFunc(time.Second, more)
			if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
			hears(t, o, paused, recovered, failing)
		})
	})
	t.Run("paused while its recovery is stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o, to, r, more := begin(t, slowOutbox{take: 10 * time.Second})
			to.reply(always(refused(503)))
			more()
			time.Sleep(time.Minute)
			well := make(chan struct{}, 1)
			to.reply(func(context.Context, int, publish.Message) publish.Result {
				select {
				case well <- struct{}{}:
				default:
				}
				return accepted()
			})
			<-well
			time.Sleep(time.Millisecond)
			if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
			hears(t, o, failing, recovered, paused)
		})
	})
}

// That a destination takes deliveries again does not say that it takes what it refused:
// the owner hears how much of that waits.
func TestTheOwnerHearsHowManyRefusedOnesStillWait(t *testing.T) {
	for name, c := range map[string]struct {
		bad, good int // sessions; until then all are refused, then the good ones are accepted, or one that is new
		until     time.Duration
		refused   int
		says      string
	}{
		"a breaker opened":  {20, 0, 36 * time.Second, 10, "takes deliveries again, after 1m15s; 10 that it refused still wait for another try."},
		"one of two":        {1, 1, 13 * time.Minute, 1, "; 1 that it refused still waits for another try."},
		"the one there was": {0, 1, 13 * time.Minute, 0, "takes deliveries again, after"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(always(refused(422)))
				for i := range c.bad {
					o.put("shop", fmt.Sprint("cs_bad", i))
				}
				for i := range c.good {
					o.put("shop", fmt.Sprint("cs_good", i))
				}
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				defer run(t, r)()
				time.Sleep(c.until)
				to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
					if strings.HasPrefix(m.Delivery.Session, "cs_bad") {
						return refused(422)
					}
					return accepted()
				})
				if c.good == 0 {
					o.put("shop", "cs_new")
					r.Wake("shop")
				}
				for types, data := told(o); ; types, data = told(o) {
					if len(types) < 2 {
						time.Sleep(time.Second)
						continue
					}
					summary := fmt.Sprint(data[1]["summary"])
					if types[1] != event.DestinationRecovered || !strings.Contains(summary, c.says) || strings.Contains(summary, ";") != (c.refused > 0) || data[1]["refused"] != float64(c.refused) {
						t.Errorf("the owner heard %v", data)
					}
					break
				}
				if s := r.Status()[0]; s.Refusal != "status 422 Unprocessable Entity" || s.RefusedAt.IsZero() {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}
