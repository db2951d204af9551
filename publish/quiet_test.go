package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/publish"
)

// A lane that can send nothing, or little, looks at the store as seldom as it can,
// however much waits.
func TestWaitingLanesLeaveTheStoreAlone(t *testing.T) {
	throttled := refused(429)
	throttled.RetryAfter, throttled.Throttled = 2*time.Hour, true
	stopped := refused(410)
	stopped.Gone = true
	slow := func(d *publish.Destination) { d.RateLimit, d.Concurrency = 0.1, 2 }
	for name, c := range map[string]struct {
		answer publish.Result
		change func(*publish.Destination)
		begin  func(*memoryOutbox)
		most   int // looks in an hour
	}{
		"stopped":          {answer: stopped},
		"throttled":        {answer: throttled},
		"broken":           {answer: refused(500), most: 20},
		"unreachable":      {answer: unreachable(), most: 20},
		"unavailable":      {answer: gone(), most: 300},
		"rate limited":     {answer: accepted(), change: slow, most: 400},
		"holding":          {answer: refused(500), change: func(d *publish.Destination) { d.Type = publish.TypeNATS }, most: 200},
		"store unwritable": {answer: accepted(), begin: func(o *memoryOutbox) { o.setFail(errors.New("no space")) }, most: 300},
		"store unreadable": {answer: accepted(), begin: func(o *memoryOutbox) { o.failLooks(errors.New("i/o")) }, most: 300},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(func(context.Context, int, publish.Message) publish.Result { return c.answer })
				d := exact("shop")
				d.Retry.OnGone = publish.OnGonePause
				if c.change != nil {
					c.change(&d)
				}
				d.Retry.Schedule = []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour}
				for i := range 1000 {
					o.put("shop", fmt.Sprint("cs_", i%400), func(d *event.Delivery) { d.Ordered = i%5 > 0 })
				}
				if c.begin != nil {
					c.begin(o)
				}
				stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
				defer func() {
					o.setFail(nil)
					stop()
				}()
				time.Sleep(time.Minute)
				before := o.lookedSoFar()
				time.Sleep(time.Hour)
				if looks := o.lookedSoFar() - before; looks > c.most {
					t.Errorf("%d looks in an hour, want at most %d", looks, c.most)
				}
			})
		})
	}
}

// setFail lets every write fail from now on, or none.
func (o *memoryOutbox) setFail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

// refuse lets every step fail that has a verdict on a delivery.
func (o *memoryOutbox) refuse(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bad = id
}

func (o *memoryOutbox) lookedSoFar() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.looks
}

func (o *memoryOutbox) standing(destination string) event.Standing {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.states[destination].Standing
}

// failLooks lets every look fail from now on, or none.
func (o *memoryOutbox) failLooks(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blind = err
}

// What was refused before a destination took something again is not told behind it.
func TestTheLogSumsUpWhatIsOverFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(always(refused(503)))
		d, _ := failing(o)
		var said bytes.Buffer
		log := slog.New(loglimit.New(slog.NewTextHandler(&said, nil)))
		r, err := publish.NewRelay(o, []publish.Lane{{Destination: d, Publisher: to}}, publish.Options{}, log)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, r)
		time.Sleep(30 * time.Second)
		to.reply(nil)
		time.Sleep(10 * time.Minute)
		stop()
		text := said.String()
		before, after, over := strings.Cut(text, "takes deliveries again")
		if !over || !strings.Contains(before, "delivery refused; it is tried again (summary)") || strings.Contains(after, "refused") {
			t.Errorf("the log says\n%s", text)
		}
	})
}

// What was answered with no status of HTTP has none in the log.
func TestTheLogHasNoStatusOfNoAnswer(t *testing.T) {
	for status, want := range map[int]bool{0: false, 503: true} {
		synctest.Test(t, func(t *testing.T) {
			o, to := newOutbox(), &receiver{}
			to.reply(always(refused(status)))
			o.put("shop", "cs_1")
			var said bytes.Buffer
			r, err := publish.NewRelay(o, []publish.Lane{{Destination: exact("shop"), Publisher: to}}, publish.Options{}, slog.New(slog.NewTextHandler(&said, nil)))
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, r)
			time.Sleep(time.Second)
			stop()
			if text := said.String(); !strings.Contains(text, "delivery refused") || strings.Contains(text, " status=") != want {
				t.Errorf("%d: the log says\n%s", status, text)
			}
		})
	}
}

// A summary counts what has its reason, not what was refused otherwise.
func TestTheLogSumsUpEachReasonApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		answers := []publish.Result{refused(422), refused(503)}
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result { return answers[n%2] })
		d, _ := failing(o)
		var said bytes.Buffer
		log := slog.New(loglimit.New(slog.NewTextHandler(&said, nil)))
		r, err := publish.NewRelay(o, []publish.Lane{{Destination: d, Publisher: to}}, publish.Options{}, log)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, r)
		time.Sleep(2 * time.Minute)
		stop()
		for _, status := range []string{"status=422", "status=503"} {
			first, summary := 0, 0
			for line := range strings.Lines(said.String()) {
				switch {
				case !strings.Contains(line, status):
				case strings.Contains(line, "refused; it is tried again (summary)"):
					summary++
				case strings.Contains(line, "refused; it is tried again"):
					first++
				}
			}
			if first == 0 || summary == 0 {
				t.Errorf("%s: %d lines and %d summaries in\n%s", status, first, summary, said.String())
			}
		}
	})
}
