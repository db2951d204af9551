package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
	"checkout-notifier/simulator"
)

// polledWorld is an ownerWorld whose account is polled by a real poller.
type polledWorld struct {
	*ownerWorld
	api *simulator.API
	cfg poller.Account

	mu    sync.Mutex
	hangs bool          // the API, from the next request on
	fails bool          // it answers 500, from the next request on
	lasts time.Duration // that, from when the last page was read
	takes time.Duration // each answer
	read  time.Time     // when the last page was answered
}

// RoundTrip is the network.
func (w *polledWorld) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	wait, fails := w.takes, w.fails
	if fails && w.lasts > 0 {
		time.AfterFunc(time.Until(w.read.Add(w.lasts)), func() { w.fail(false) })
		w.lasts = 0
	}
	if w.hangs {
		wait = time.Hour
	}
	w.mu.Unlock()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-time.After(wait):
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	if fails {
		rec.WriteHeader(http.StatusInternalServerError)
	} else {
		w.api.ServeHTTP(rec, req)
	}
	w.mu.Lock()
	if !fails {
		w.read = time.Now()
	}
	w.mu.Unlock()
	res := rec.Result()
	res.Request, res.Status = req, http.StatusText(rec.Code)
	res.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return res, nil
}

func (w *polledWorld) fail(fails bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = fails
}

func (w *polledWorld) hang(hangs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hangs = hangs
}

// process runs the program for a while, from its start to its crash.
func (w *polledWorld) process(d time.Duration) {
	w.t.Helper()
	w.open()
	p, err := poller.New([]poller.Account{w.cfg}, w.store, noStages{}, poller.Options{
		Version: "test", Observer: noMetrics{}, Transport: w, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.owner.accounts = p.Status
	w.owner.ask = func(ctx context.Context, account string) { go func() { _, _ = p.Now(ctx, account) }() }
	ctx, cancel := context.WithCancel(w.t.Context())
	polled := make(chan error)
	go func() { polled <- p.Run(ctx) }()
	w.run(d)
	cancel()
	if err := <-polled; err != nil {
		w.t.Error(err)
	}
	w.close()
}

// expectStored says what was told by now, between two processes.
func (w *polledWorld) expectStored(want ...string) {
	w.t.Helper()
	w.open()
	defer w.close()
	w.expect(want...)
}

// noStages has nothing to do: the list is empty.
type noStages struct{}

func (noStages) Handle(context.Context, poller.Batch) (poller.Handled, error) {
	return poller.Handled{}, nil
}
func (noStages) Vanish(context.Context, string, []poller.Gone) error { return nil }
func (noStages) Preview(context.Context, poller.Batch) (poller.Handled, error) {
	return poller.Handled{}, nil
}

type noMetrics struct{}

func (noMetrics) APIRequest(string, string)           {}
func (noMetrics) Passed(string, time.Duration, error) {}
func (noMetrics) Fetched(string, int, bool)           {}
func (noMetrics) Waited(string, time.Duration)        {}
func (noMetrics) Drifted(string, int)                 {}

func inPolledBubble(t *testing.T, test func(w *polledWorld)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)))
		w := &polledWorld{ownerWorld: newOwnerWorld(t), api: simulator.NewAPI(simulator.Config{SecretKey: "sk_test_a", Seed: 1})}
		w.cfg = poller.Account{
			Name: "main", SecretKey: secret.String("sk_test_a"), BaseURL: "https://api.example", Start: poller.StartNow,
			ListParams: wooshpay.ParamsBody, Poll: poller.DefaultPoll(),
		}
		w.close()
		test(w)
	})
}

// An API that hangs fails no request of a process that ends before its timeout: its owner
// hears of it all the same, once, and since when. Time in which the program is down, but
// not longer, is no part of what must last.
func TestAListThatIsNotReadIsToldOfThoughTheProgramRestartsOften(t *testing.T) {
	for name, down := range map[string]time.Duration{"at once": 0, "after a second": time.Second, "after an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inPolledBubble(t, func(w *polledWorld) {
				time.AfterFunc(65*time.Second, func() { w.hang(true) })
				w.process(110 * time.Second)
				read := w.read
				for i := range 5 {
					time.Sleep(down)
					w.process(45 * time.Second)
					if i < 1 {
						w.expectStored()
					}
				}
				w.expectStored("account.failing main")
				var healed time.Time
				time.AfterFunc(15*time.Second, func() { healed = time.Now(); w.hang(false) })
				w.process(2 * time.Minute)
				w.expectStored("account.failing main", "account.recovered main")
				w.open()
				failing, recovered := w.data(0), w.data(1)
				w.close()
				for _, data := range []map[string]any{failing, recovered} {
					if at, err := time.Parse(time.RFC3339Nano, data["since"].(string)); err != nil || read.Sub(at).Abs() > 2*time.Second {
						w.t.Errorf("last read %s: %v", read, data)
					}
				}
				want := healed.Sub(read)
				if lasted, err := time.ParseDuration(recovered["down_for"].(string)); err != nil || lasted < want || lasted > want+time.Minute {
					w.t.Errorf("it was not read for %s: %v", want, recovered)
				}
			})
		})
	}
}

// A program that was down for long finds nothing wrong with an API that answers, at once
// or slowly, and whatever had begun before the stop.
func TestAStopIsNoTroubleOfTheAPI(t *testing.T) {
	for name, takes := range map[string]time.Duration{"at once": 0, "slowly": 8 * time.Second, "very slowly": 14 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inPolledBubble(t, func(w *polledWorld) {
				w.takes = takes
				for range 20 {
					w.process(45 * time.Second)
					time.Sleep(time.Second)
				}
				for range 3 {
					time.AfterFunc(50*time.Second, func() { w.hang(true) })
					w.process(2 * time.Minute)
					w.hang(false)
					time.Sleep(time.Hour)
					w.process(time.Minute)
				}
				w.process(time.Hour)
				w.expectStored()
			})
		})
	}
}

// Before somebody is called the API is asked once more: what is over by then is told to nobody,
// whenever the next try was to be. What is not is told at once, and after 15 seconds where the
// API hangs.
func TestTroubleThatIsOverIsNotToldOf(t *testing.T) {
	for _, interval := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		limit := max(failingAfter, failingIntervals*interval)
		for name, c := range map[string]struct {
			hangs bool
			lasts time.Duration
			told  time.Duration // after the limit, at the latest; 0: not at all
		}{
			"over for long":    {false, limit - 28*time.Second, 0},
			"over for seconds": {false, limit - 11*time.Second, 0},
			"just over":        {false, limit - time.Second, 0},
			"not over":         {false, limit + 20*time.Second, 3 * time.Second},
			"it hangs":         {true, limit + 5*time.Minute, answerWithin + 2*time.Second},
		} {
			t.Run(name+" "+interval.String(), func(t *testing.T) {
				inPolledBubble(t, func(w *polledWorld) {
					w.cfg.Poll.Interval, w.intervals["main"], w.lasts = interval, interval, c.lasts
					time.AfterFunc(time.Minute, func() { w.hang(c.hangs); w.fail(!c.hangs) })
					w.process(2*time.Minute + interval + limit)
					w.open()
					defer w.close()
					if c.told == 0 {
						w.expect()
						return
					}
					events := w.events()
					if len(events) == 0 {
						t.Fatal("nobody is told")
					}
					since, err := time.Parse(time.RFC3339Nano, w.data(0)["since"].(string))
					if after := events[0].Time.Sub(since) - limit; err != nil || after < 0 || after > c.told {
						t.Errorf("told %s after the limit of %s, %v: %v", after, limit, err, w.told())
					}
				})
			})
		}
	}
}
