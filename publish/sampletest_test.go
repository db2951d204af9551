package publish_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

func TestSendSample(t *testing.T) {
	target, got := callback(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	d := httpDestination(target)
	d.Secrets = []secret.String{secretA}
	p := newHTTP(t, d, publish.HTTPOptions{})
	ids := make(map[string]bool)
	for _, eventType := range append(event.Types(), "paid", "") {
		id, r := publish.SendSample(t.Context(), p, publish.Sample{Destination: "shop", Account: "eu", EventType: eventType})
		if r.Outcome != event.OutcomeAccepted || r.StatusCode != http.StatusAccepted || r.Headers["date"] == "" {
			t.Fatalf("%s: %+v", eventType, r)
		}
		q := <-got
		verifier, err := standardwebhooks.NewWebhook(secretA.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(q.body, q.header); err != nil {
			t.Errorf("%s: %v", eventType, err)
		}
		var body struct {
			ID, Type, Subject, Account string
			Livemode                   bool
			Time                       time.Time
			Data                       struct {
				Object struct {
					ID, URL  string
					Livemode bool
				}
			}
		}
		if err := json.Unmarshal(q.body, &body); err != nil {
			t.Fatalf("%s: %v", eventType, err)
		}
		if eventType == "" {
			eventType = event.Fulfillable
		}
		if body.Type != event.Qualify(eventType) || body.Account != "eu" || time.Since(body.Time).Abs() > time.Minute {
			t.Errorf("%s: %s", eventType, q.body)
		}
		for _, one := range []string{id, q.header.Get("Webhook-Id"), body.ID, strings.TrimPrefix(body.Subject, "cs_")} {
			if !strings.HasPrefix(one, publish.TestPrefix) || strings.Contains(one, ".") {
				t.Errorf("%s: %q cannot be told from a real id", eventType, one)
			}
		}
		if body.Livemode || body.Data.Object.Livemode || body.Data.Object.ID != body.Subject || q.header.Get("Webhook-Id") != id || ids[id] {
			t.Errorf("%s: id %s, body %s", eventType, id, q.body)
		}
		ids[id] = true
	}
}

// A test delivery meets what a real one would: the result says so.
func TestSendSampleTellsOfARefusal(t *testing.T) {
	target, _ := callback(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "abc")
		http.Error(w, "no such hook for "+r.Header.Get("Webhook-Signature"), http.StatusNotFound)
	})
	d := httpDestination(target)
	d.Secrets = []secret.String{secretA}
	_, r := publish.SendSample(t.Context(), newHTTP(t, d, publish.HTTPOptions{}), publish.Sample{Destination: "shop"})
	if r.Class != publish.ClassStatus || r.StatusCode != http.StatusNotFound || r.Headers["x-request-id"] != "abc" || string(r.Answer) != "no such hook for v1,<redacted>\n" {
		t.Errorf("result %+v, answer %s", r, r.Answer)
	}
	_, r = publish.SendSample(t.Context(), newHTTP(t, d, refusePrivate), publish.Sample{Destination: "shop"})
	if r.Class != publish.ClassRefusedAddress || !r.Final {
		t.Errorf("result %+v", r)
	}
}

func TestSendSampleInARulesOwnWords(t *testing.T) {
	target, got := callback(t, nil)
	d := httpDestination(target)
	renderer, err := publish.NewRenderer(d, map[string]publish.Rendering{"ship": {Template: `ship {{ .Session.id }}`}}, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := publish.NewHTTP(d, renderer, publish.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(t.Context()) })
	if _, r := publish.SendSample(t.Context(), p, publish.Sample{Rule: "ship"}); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	if body := string((<-got).body); !strings.HasPrefix(body, "ship cs_"+publish.TestPrefix) {
		t.Errorf("body %q", body)
	}
}
