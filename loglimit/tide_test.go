package loglimit_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/loglimit"
)

// tide is a log of something that comes and goes.
type tide struct {
	t    *testing.T
	page *page
	log  *slog.Logger
}

func inTide(t *testing.T, test func(*tide)) {
	synctest.Test(t, func(t *testing.T) {
		p := &page{}
		test(&tide{t, p, slog.New(loglimit.New(p.handler())).With("account", "main")})
	})
}

func (d *tide) fails(code string) {
	d.log.Warn("failed", loglimit.Repeats("request "+code), slog.String("code", code))
}

func (d *tide) answers() { d.log.Info("answers", loglimit.EndsForNow("request", "pass")) }

// comesAndGoes fails every 3.1 seconds, so that no failure meets the end of a pause.
func (d *tide) comesAndGoes(code string, during time.Duration) {
	for range during / (3100 * time.Millisecond) {
		d.fails(code)
		time.Sleep(100 * time.Millisecond)
		d.answers()
		time.Sleep(3 * time.Second)
	}
}

func (d *tide) wants(lines ...string) {
	d.t.Helper()
	got := d.page.lines()
	for i := range lines {
		lines[i] = "msg=" + lines[i]
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		d.t.Errorf("log (-want +got):\n%s", diff)
	}
}

const (
	failed  = "failed account=main code=500"
	answers = "answers account=main"
)

func TestWhatComesAndGoesIsSummedUp(t *testing.T) {
	inTide(t, func(d *tide) {
		d.comesAndGoes("500", 4*time.Minute)
		d.wants(failed, answers,
			`"failed (summary)" account=main code=500 repeated=19 within=1m0s last=00:00:58`, "answers account=main last=00:00:59",
			`"failed (summary)" account=main code=500 repeated=39 within=2m0s last=00:02:59`, "answers account=main last=00:02:59")
		time.Sleep(4 * time.Minute) // the rest is told, and that it was over by then
		d.wants(`"failed (summary)" account=main code=500 repeated=18 within=4m0s last=00:03:55`, "answers account=main last=00:03:55")
		time.Sleep(8 * time.Minute) // a quiet pause: it begins anew
		d.fails("500")
		d.answers()
		d.wants(failed, answers)
	})
}

// A day of it fills no log.
func TestWhatComesAndGoesForADayIsAFewLines(t *testing.T) {
	inTide(t, func(d *tide) {
		d.comesAndGoes("500", 24*time.Hour)
		if n := len(d.page.lines()); n < 40 || n > 80 {
			t.Errorf("%d lines", n)
		}
	})
}

// What stays is told, whatever came and went before, and so is its end.
func TestATrueOutageIsToldWhileOthersComeAndGo(t *testing.T) {
	inTide(t, func(d *tide) {
		d.comesAndGoes("500", 3*time.Hour)
		d.page.lines()
		start := time.Now()
		for range 25 { // of the same kind: when it has lasted for a minute
			d.fails("500")
			time.Sleep(3 * time.Second)
		}
		if got := d.page.lines(); len(got) != 1 {
			t.Fatalf("the outage that began at %s: %q", start.Format(time.TimeOnly), got)
		}
		d.answers()
		d.wants(`"failed (summary)" account=main code=500 repeated=4 within=15s last=03:01:09`, answers)

		d.comesAndGoes("500", 30*time.Second)
		d.fails("401") // of another kind: at once, and its end, too, though it was quiet meanwhile
		d.wants("failed account=main code=401")
		time.Sleep(65 * time.Second)
		d.answers()
		d.wants(`"failed (summary)" account=main code=500 repeated=9 within=1m33s last=03:01:37`, answers)

		d.fails("500")
		d.log.Warn("no pass", loglimit.Repeats("pass"))
		d.wants(`"no pass" account=main`)
		d.answers()
		d.wants(`"failed (summary)" account=main code=500 repeated=1 within=0s last=03:02:45`, answers)
	})
}

// That it is over is not told while another kind of it is not.
func TestWhatCameBackIsNotToldToBeOver(t *testing.T) {
	inTide(t, func(d *tide) {
		d.comesAndGoes("500", 57*time.Second)
		d.page.lines()
		d.fails("502")
		time.Sleep(30 * time.Second)
		d.wants("failed account=main code=502", `"failed (summary)" account=main code=500 repeated=17 within=1m0s last=00:00:52`)
		d.answers()
		d.wants(answers)
		d.fails("502")
		d.answers()
		d.fails("502")
		loglimit.Flush(slog.New(d.log.Handler()))
		d.wants(`"failed (summary)" account=main code=502 repeated=2 within=30s last=00:01:25`)
	})
}

// Each logger has its own.
func TestTidesAreApart(t *testing.T) {
	inTide(t, func(d *tide) {
		other := &tide{t, d.page, slog.New(d.log.Handler()).With("account", "other")}
		d.comesAndGoes("500", 30*time.Second)
		d.wants(failed, answers)
		other.fails("500")
		other.answers()
		d.wants("failed account=main account=other code=500", "answers account=main account=other")
	})
}
