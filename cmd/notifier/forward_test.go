package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/simulator"
)

// No waiting mends a refused key, and it is told once.
func TestForwardEndsWithARefusedKey(t *testing.T) {
	api := httptest.NewServer(simulator.NewAPI(simulator.Config{SecretKey: "sk_test_right", Seed: 1}))
	defer api.Close()
	code, _, stderr := run(t, "forward", "--to", "http://127.0.0.1:1/", "--key", "sk_test_wrong", "--base-url", api.URL)
	if code != exitUnreachable || !strings.Contains(stderr, "notifier: nothing can be forwarded: the API at "+api.URL+" refuses the key from --key (status 401: ") ||
		strings.Count(stderr, "status 401") != 1 || strings.Contains(stderr, "ERROR") {
		t.Errorf("exit code %d, says %s", code, stderr)
	}
}

// Who forwards has no start to set.
func TestForwardSaysWhatIsLostUntilTheFirstAnswer(t *testing.T) {
	var said bytes.Buffer
	s := poller.Status{Configured: poller.StartNow}
	slog.New(denials{slog.NewTextHandler(&said, nil), nil}).With("account", "forward").Warn("a request failed. " + s.Unpolled())
	if got := said.String(); !strings.Contains(got, `until the first answer never are" account=forward`) {
		t.Errorf("it says %s", got)
	}
}

// What the handler refuses is a line of the table, and not one of the log as well.
func TestForwardShowsARefusalOnce(t *testing.T) {
	api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_right", Seed: 1})
	var asked atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 4 { // what was there before the first pass is not announced
			if _, err := api.Create(simulator.Fields{"status": "complete", "payment_status": "paid"}); err != nil {
				t.Error(err)
			}
		}
		api.ServeHTTP(w, r)
	}))
	defer front.Close()
	ctx, interrupt := context.WithTimeout(t.Context(), 20*time.Second)
	defer interrupt()
	var tried atomic.Int32
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		if tried.Add(1) == 2 { // the first refusal was told of
			interrupt()
		}
	}))
	defer handler.Close()
	var out, log bytes.Buffer
	code := execute(ctx, []string{"forward", "--to", handler.URL, "--key", "sk_test_right", "--base-url", front.URL, "--interval", "100ms", "--events", "fulfillable"},
		streams{in: strings.NewReader(""), out: &out, err: &log})
	if code != exitOK || !strings.Contains(out.String(), "answered 503") || strings.Contains(log.String(), "503") {
		t.Errorf("exit code %d, table %s, log %s", code, out.String(), log.String())
	}
}

// Whoever waits at the terminal for the handler to be mended waits a few seconds.
func TestForwardTriesSoonAgain(t *testing.T) {
	source, err := forwardConfig(forwardOptions{to: "http://127.0.0.1:1/", key: "sk_test_1", interval: "5s", format: "cloudevents"}, forwardSecret("sk_test_1"), "n.db")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{Source: source, Name: "forward"})
	if err != nil {
		t.Fatal(err)
	}
	retry, whole := loaded.Config.Destinations[0].Retry, time.Duration(0)
	for _, pause := range retry.Schedule {
		whole += pause
	}
	if longest := slices.Max(retry.Schedule); longest > 5*time.Second || retry.Jitter != 0 || whole < time.Hour {
		t.Errorf("tried again after up to %s, jitter %v, for %s", longest, retry.Jitter, whole)
	}
}

// The line of a delivery that failed says when it is tried again.
func TestFailedDeliverySaysTheNextTry(t *testing.T) {
	attempt := event.Attempt{N: 1, Outcome: event.OutcomeRefused, Error: "answered 503", StatusCode: 503, Answer: []byte("mending it")}
	for want, next := range map[string]time.Time{
		"answered 503: mending it; next try in 5s\n": time.Now().Add(5 * time.Second),
		"answered 503: mending it; it waits\n":       {},
	} {
		var out bytes.Buffer
		n := newNarrator(&out)
		n.answers = true
		n.Attempted(publish.Observation{Destination: "handler", Delivery: event.Delivery{Destination: "handler"}, Attempt: attempt, NextTry: next})
		if !strings.HasSuffix(out.String(), want) {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

// What is forwarded in Stripe's format has a name there, and by default makes a
// handler act once; who asks for more is warned as by check.
func TestForwardChoosesEvents(t *testing.T) {
	for _, tt := range []struct {
		format, asked string
		want          []string
		says          string // on stderr
		warns         bool   // of acting twice
	}{
		{"stripe", "", []string{"fulfillable", "expired"}, "", false},
		{"stripe", "checkout.session.fulfillable", []string{"fulfillable"}, "", false},
		{"stripe", "fulfillable,created,paid", []string{"fulfillable"}, "for it: created, paid; what is paid after the checkout goes out with fulfillable, as checkout.session.async_payment_succeeded", false},
		{"stripe", "fulfillable,completed", []string{"fulfillable", "completed"}, "", true},
		{"stripe", "*", []string{"completed", "expired", "fulfillable"}, "left out", true},
		{"stripe", "created", nil, "", false},
		{"cloudevents", "", nil, "", false},
		{"cloudevents", "created", []string{"created"}, "", false},
	} {
		var said bytes.Buffer
		a := &app{streams: streams{err: &said}}
		o := forwardOptions{to: "http://127.0.0.1:1/", key: "sk_test_1", interval: "5s", format: tt.format}
		if tt.asked != "" {
			o.events = strings.Split(tt.asked, ",")
		}
		err := a.chooseEvents(&o)
		var coded *exitError
		if nothing := tt.format == "stripe" && tt.want == nil; nothing {
			if !errors.As(err, &coded) || coded.code != exitUsage {
				t.Errorf("%s %q: %v", tt.format, tt.asked, err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, o.events); err != nil || diff != "" || !strings.Contains(said.String(), tt.says) || (tt.says == "" && said.Len() > 0) {
			t.Errorf("%s %q: %v, says %q (-want +got):\n%s", tt.format, tt.asked, err, said.String(), diff)
		}
		source, err := forwardConfig(o, forwardSecret(o.key), "n.db")
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := config.Load(config.Options{Source: source, Name: "forward"})
		if err != nil {
			t.Fatalf("%s %q: %v", tt.format, tt.asked, err)
		}
		warned := false
		for _, w := range loaded.Warnings {
			warned = warned || strings.Contains(w.Message, "act twice")
			if strings.Contains(w.Message, "Stripe does not know") {
				t.Errorf("%s %q: %s", tt.format, tt.asked, w.Message)
			}
		}
		if warned != tt.warns {
			t.Errorf("%s %q: warned %t, want %t: %v", tt.format, tt.asked, warned, tt.warns, loaded.Warnings)
		}
	}
}
