package loglimit_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/loglimit"
)

// page keeps the lines of a log, without their times.
type page struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *page) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.buf.Reset()
	return strings.Split(strings.TrimSuffix(p.buf.String(), "\n"), "\n")
}

func (p *page) handler() slog.Handler {
	return slog.NewTextHandler(p, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		if a.Key == "last" {
			a.Value = slog.StringValue(a.Value.Time().Format("15:04:05"))
		}
		return a
	}})
}

func TestWhatRepeatsIsSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &page{}
		log := slog.New(loglimit.New(p.handler()))
		want := func(want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, p.lines()); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		}
		fail := func(n int) {
			log.Warn("rule failed", loglimit.Repeats("dear"), slog.String("rule", "dear"), slog.Int("event", n))
		}
		for n := range 786 {
			fail(n)
		}
		want(`msg="rule failed" rule=dear event=0`)

		time.Sleep(time.Minute + time.Second)
		want(`msg="rule failed (summary)" rule=dear event=785 repeated=785 within=1m0s last=00:00:00`)

		for n := range 7 { // one each 20 s: the next pause is two minutes
			time.Sleep(20 * time.Second)
			fail(n)
		}
		want(`msg="rule failed (summary)" rule=dear event=4 repeated=5 within=2m0s last=00:02:41`)

		loglimit.Flush(log)
		want(`msg="rule failed (summary)" rule=dear event=6 repeated=2 within=21s last=00:03:21`)
		fail(8) // after a flush it begins anew
		want(`msg="rule failed" rule=dear event=8`)
		time.Sleep(time.Hour)
		fail(9) // and after a quiet time
		want(`msg="rule failed" rule=dear event=9`)
		loglimit.Flush(log)
		want("")
	})
}

// What is over is not told behind its end as if it were now.
func TestAnEndSumsUpWhatItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &page{}
		log := slog.New(loglimit.New(p.handler())).With("destination", "shop")
		other := slog.New(loglimit.New(p.handler())).With("destination", "bus")
		fail := func(times int) {
			for range times {
				log.Warn("refused", loglimit.Repeats("refused 503"))
				log.Warn("slow", loglimit.Repeats("slow"))
				time.Sleep(time.Second)
			}
		}
		other.Warn("refused", loglimit.Repeats("refused 503"))
		other.Warn("refused", loglimit.Repeats("refused 503"))
		time.Sleep(time.Millisecond)
		fail(5)
		log.Info("takes again", loglimit.Ends("refused", "none"))
		fail(1)
		log.Info("takes again", loglimit.Ends("refused"))
		log.Info("takes again", loglimit.Ends("refused"))
		want := []string{
			"msg=refused destination=bus", "msg=refused destination=shop", "msg=slow destination=shop",
			`msg="refused (summary)" destination=shop repeated=4 within=5s last=00:00:04`, `msg="takes again" destination=shop`,
			"msg=refused destination=shop", `msg="takes again" destination=shop`, `msg="takes again" destination=shop`,
		}
		if diff := cmp.Diff(want, p.lines()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		log.Info("takes again", loglimit.Repeats("again"), loglimit.Ends("refused"))
		fail(2)
		log.Info("takes again", loglimit.Repeats("again"), loglimit.Ends("refused")) // is not written itself
		if diff := cmp.Diff([]string{
			`msg="refused (summary)" destination=bus repeated=1 within=1m0s last=00:00:00`, `msg="slow (summary)" destination=shop repeated=5 within=1m0s last=00:00:05`,
			`msg="takes again" destination=shop`, "msg=refused destination=shop", "msg=slow destination=shop",
		}, p.lines()); diff != "" {
			t.Errorf("later (-want +got):\n%s", diff)
		}
	})
}

func TestKindsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &page{}
		log := slog.New(loglimit.New(p.handler()))
		for range 3 {
			log.With("account", "a").Warn("x", loglimit.Repeats("1"))
			log.With("account", "b").Warn("x", loglimit.Repeats("1"))
			log.WithGroup("g").Warn("x", loglimit.Repeats("1"))
			log.Warn("x", loglimit.Repeats("1"))
			log.Warn("x", loglimit.Repeats("2"))
			log.Warn("y", loglimit.Repeats("2"))
		}
		log.Warn("plain")
		log.Warn("plain")
		want := []string{"msg=x account=a", "msg=x account=b", "msg=x", "msg=x", "msg=x", "msg=plain", "msg=plain"}
		if diff := cmp.Diff(want, p.lines()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// Other handlers, those of tests say, write everything and nothing of the mark.
func TestMarkIsInvisibleElsewhere(t *testing.T) {
	p := &page{}
	for _, h := range []slog.Handler{p.handler(), slog.NewJSONHandler(p, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})} {
		log := slog.New(h)
		log.Warn("x", loglimit.Repeats("1"), slog.Int("a", 1))
		log.Warn("x", loglimit.Ends("1"), slog.Int("a", 2))
		log.Warn("x", loglimit.EndsForNow("1"), slog.Int("a", 3))
	}
	want := []string{
		"msg=x a=1", "msg=x a=2", "msg=x a=3",
		`{"level":"WARN","msg":"x","a":1}`, `{"level":"WARN","msg":"x","a":2}`, `{"level":"WARN","msg":"x","a":3}`,
	}
	if diff := cmp.Diff(want, p.lines()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
