package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// heardOfRefused waits until the owner hears of deliveries that are refused again and again.
func heardOfRefused(t *testing.T, o *memoryOutbox, again func()) map[string]any {
	t.Helper()
	for range 3600 {
		again()
		time.Sleep(time.Second)
		synctest.Wait()
		_, data := told(o)
		if n := len(data) - 1; n >= 0 && strings.Contains(fmt.Sprint(data[n]["summary"]), "takes others, but has refused") {
			return data[n]
		}
	}
	t.Fatal("the owner heard nothing of them")
	return nil
}

// Whoever hears that one order of a hundred is refused, while half of all are, sleeps on.
func TestOwnerHearsHowManyAreRefused(t *testing.T) {
	for _, every := range []int{1, 10} {
		synctest.Test(t, func(t *testing.T) {
			o, to := newOutbox(), &receiver{}
			to.reply(poisoned(refused(422), "cs_bad"))
			r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
			defer run(t, r)()
			n := 0
			data := heardOfRefused(t, o, func() {
				if n++; n%every == 0 {
					o.put("shop", fmt.Sprint("cs_bad", n))
					o.put("shop", fmt.Sprint("cs_bad_too", n))
					o.put("shop", fmt.Sprint("cs_good", n))
					r.Wake("shop")
				}
			})
			wait, want := o.pending(), "at least 1000 deliveries, one of them for 1"
			if wait < event.MostRefused {
				want = fmt.Sprintf("has refused %d deliveries, one of them for 1", wait)
			} else if wait = event.MostRefused; every > 1 {
				t.Fatal("too many orders")
			}
			if !strings.Contains(fmt.Sprint(data["summary"]), want) || data["refused"] != float64(wait) {
				t.Errorf("%d are refused, and the owner heard %v", wait, data)
			}
		})
	}
}

// What is refused again and again is so since its first refusal, also when the breaker was
// open in between.
func TestWhatIsRefusedIsSoSinceItsFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(poisoned(refused(422), "cs_bad"))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
		defer run(t, r)()
		began := time.Now()
		o.put("shop", "cs_bad")
		pass := func(n int) {
			for range n {
				o.put("shop", fmt.Sprint("cs_", time.Now().UnixNano()))
				r.Wake("shop")
				time.Sleep(10 * time.Second)
			}
		}
		pass(20)
		to.reply(always(refused(503)))
		pass(30)
		if s := r.Status()[0]; s.State != publish.StateFailing {
			t.Fatalf("status %+v", s)
		}
		to.reply(poisoned(refused(422), "cs_bad"))
		data := heardOfRefused(t, o, func() { pass(1) })
		span := time.Since(began).Truncate(time.Minute).String()
		if data["since"] != event.FormatTime(began) || !strings.Contains(fmt.Sprint(data["summary"]), "has refused 1 delivery again and again for "+strings.TrimSuffix(span, "0s")) {
			t.Errorf("after %s the owner heard %v", time.Since(began), data)
		}
	})
}

// What is told of a destination says what waits by what the rules send there.
func TestWhatWaitsGoesByWhatIsSent(t *testing.T) {
	fulfillable, expired := []string{event.Fulfillable}, []string{event.Expired}
	for name, c := range map[string]struct {
		format string
		own    map[string]publish.Rendering
		sent   []publish.RuleTypes
		says   string
	}{
		"orders":                   {publish.FormatCloudEvents, nil, []publish.RuleTypes{{Rule: "a", Types: fulfillable}, {Rule: "b", Types: expired}}, "What is for it waits, perhaps orders to be shipped, until"},
		"orders and alerts":        {publish.FormatCloudEvents, nil, []publish.RuleTypes{{Rule: "a", Types: fulfillable}, {Rule: "b", Types: event.SystemTypes()}}, "What is for it waits, perhaps orders to be shipped and alerts, until"},
		"others":                   {publish.FormatCloudEvents, nil, []publish.RuleTypes{{Rule: "a", Types: expired}}, "What is for it waits until"},
		"others and alerts":        {publish.FormatCloudEvents, nil, []publish.RuleTypes{{Rule: "a", Types: expired}, {Rule: "b", Types: event.SystemTypes()}}, "What is for it waits, perhaps alerts, until"},
		"alerts":                   {publish.FormatCloudEvents, nil, []publish.RuleTypes{{Rule: "a", Types: event.SystemTypes()}}, "What is for it waits, and you are not told of it, until"},
		"orders and alerts, Slack": {publish.FormatSlack, nil, []publish.RuleTypes{{Rule: "a", Types: fulfillable}, {Rule: "b", Types: event.SystemTypes()}}, "What is for it waits, and you are not told of it, until"},
		"a rule's own format":      {publish.FormatCloudEvents, map[string]publish.Rendering{"b": {Format: publish.FormatSlack}}, []publish.RuleTypes{{Rule: "a", Types: expired}, {Rule: "b", Types: fulfillable}}, "What is for it waits, perhaps alerts, until"},
		"no rule any more":         {publish.FormatCloudEvents, nil, nil, "What is for it waits, perhaps orders to be shipped, until"},
	} {
		t.Run(name, func(t *testing.T) {
			d := exact("shop")
			d.Format = c.format
			renderer, err := publish.NewRenderer(d, c.own, "", c.sent...)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox()
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: &receiver{}, Stake: renderer.Stake()})
				defer run(t, r)()
				if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
				if _, data := told(o); len(data) != 1 || !strings.Contains(fmt.Sprint(data[0]["summary"]), c.says) {
					t.Errorf("the owner heard %v", data)
				}
			})
		})
	}
}
