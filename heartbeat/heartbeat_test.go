package heartbeat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/secret"
)

// beats is a heartbeat each minute that notes when it was sent, in seconds.
type beats struct {
	*Heartbeat
	began   time.Time
	sent    []int
	fail    error
	why     string
	waiting string
	said    bytes.Buffer
}

func newBeats() *beats {
	b := &beats{began: time.Now(), waiting: "main"}
	b.Heartbeat = &Heartbeat{
		every: time.Minute, log: slog.New(slog.NewTextHandler(&b.said, nil)), state: Report{State: Waiting},
		ill: func() (string, string) { return b.why, b.waiting },
		ping: func(context.Context) error {
			b.sent = append(b.sent, int(time.Since(b.began).Seconds()))
			return b.fail
		},
	}
	return b
}

func TestHeartbeatIsSentWhileAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats()
		runTo := func(second float64) {
			t.Helper()
			ctx, cancel := context.WithDeadline(t.Context(), b.began.Add(time.Duration(second*float64(time.Second))))
			defer cancel()
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		}
		runTo(30.5)
		b.waiting = "" // the first pass is complete
		runTo(160.5)
		b.why = "account main is failing"
		if r := b.Report(); r.State != Sent || r.Why != b.why { // the next one is not sent
			t.Errorf("it reports %+v", r)
		}
		runTo(400.5) // not at 210
		b.why, b.fail = "", errors.New("no such host")
		runTo(530.5) // sent at once, and not heard
		if r := b.Report(); r.State != Sent || r.Why != "" {
			t.Errorf("it reports %+v", r)
		}
		b.fail = nil
		runTo(590.5)
		if diff := cmp.Diff([]int{30, 90, 150, 400, 460, 520, 580}, b.sent); diff != "" {
			t.Errorf("sent at (-want +got):\n%s", diff)
		}
		var said []string
		for line := range strings.Lines(b.said.String()) {
			_, rest, _ := strings.Cut(line, "level=")
			said = append(said, strings.TrimSpace(rest))
		}
		want := []string{
			`WARN msg="the heartbeat is not sent: not everything is well" why="account main is failing"`,
			`INFO msg="the heartbeat is sent again: everything is well" it_was="account main is failing"`,
			// Each, for the log's handler to sum up.
			`WARN msg="the heartbeat did not arrive; the next ones are tried as usual" error="no such host"`,
			`WARN msg="the heartbeat did not arrive; the next ones are tried as usual" error="no such host"`,
			`WARN msg="the heartbeat did not arrive; the next ones are tried as usual" error="no such host"`,
			`INFO msg="the heartbeat arrives again"`,
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}
	})
}

// A look that came late puts no later one off.
func TestHeartbeatKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats()
		b.waiting, b.every = "", time.Second
		note := b.ping
		b.ping = func(ctx context.Context) error {
			err := note(ctx)
			if len(b.sent) == 1 {
				time.Sleep(1300 * time.Millisecond)
			}
			return err
		}
		ctx, cancel := context.WithDeadline(t.Context(), b.began.Add(5500*time.Millisecond))
		defer cancel()
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, b.sent); diff != "" {
			t.Errorf("sent at (-want +got):\n%s", diff)
		}
	})
}

func TestHeartbeatRequests(t *testing.T) {
	const token = "CanaryHeartbeat7Rt"
	requests := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Method + " " + r.URL.RequestURI() + " " + r.UserAgent()
		switch r.URL.Query().Get("do") {
		case "redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
		case "cut":
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	for do, want := range map[string]string{"": "", "redirect": "answered with status 302", "fail": "answered with status 500", "cut": "EOF"} {
		url := server.URL + "/" + token + "?do=" + do
		err := pinger(Config{URL: secret.String(url)}, "v1")(t.Context())
		if text := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(text, want) || strings.Contains(text, token) {
			t.Errorf("%q: %v", do, err)
		}
		if got, want := <-requests, "GET /"+token+"?do="+do+" notifier/v1"; got != want {
			t.Errorf("%q: asked %q, want %q", do, got, want)
		}
	}
	if len(requests) > 0 {
		t.Errorf("a redirect was followed: %s", <-requests)
	}
	server.Close()
	err := pinger(Config{URL: secret.String(server.URL + "/" + token)}, "v1")(t.Context())
	if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("without a server: %v", err)
	}
}

// A reason that is over is not shown while it waits for something else.
func TestHeartbeatShowsWhatItWaitsFor(t *testing.T) {
	why, waiting := "account main is failing", ""
	h := New(Config{Every: time.Minute}, "v1", func() (string, string) { return why, waiting }, slog.New(slog.DiscardHandler))
	h.ping = func(context.Context) error { return nil }
	h.beat(t.Context(), time.Now())
	why, waiting = "", "gone"
	h.beat(t.Context(), time.Now())
	if r := h.Report(); r.State != Waiting || r.Why != "gone" {
		t.Errorf("the heartbeat is %+v", r)
	}
	waiting = ""
	h.beat(t.Context(), time.Now())
	if r := h.Report(); r.State != Sent || r.Why != "" {
		t.Errorf("the heartbeat is %+v", r)
	}
}
