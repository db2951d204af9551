package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// The examples are sent to receivers that demand what the services do.

// service checks a request as the service would.
type service func(t *testing.T, r *http.Request, body []byte)

var examples = map[string]struct {
	variable string
	service  service
}{
	"discord":   {"DISCORD_WEBHOOK_URL", discord},
	"teams":     {"TEAMS_WORKFLOW_URL", teams},
	"plaintext": {"NTFY_URL", ntfy},
}

func TestEveryExampleIsTested(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(projectRoot, "examples", "*", "notifier.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		if _, known := examples[name]; !known {
			t.Errorf("example %s has no test", name)
		}
		readme, err := os.ReadFile(filepath.Join(filepath.Dir(folder), "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(string(readme), m[1]) {
				t.Errorf("README of %s does not say what %s is", name, m[1])
			}
		}
		for _, command := range blocks(string(readme), "console") {
			for line := range strings.Lines(command) {
				if err := checkCommand(strings.Fields(strings.TrimPrefix(line, "$ ")), nil); err != nil {
					t.Errorf("README of %s: %q: %v", name, line, err)
				}
			}
		}
	}
	if len(folders) < len(examples) {
		t.Errorf("examples %v", folders)
	}
}

func TestExamples(t *testing.T) {
	for name, example := range examples {
		for _, external := range []string{"", "https://ops.example/console"} {
			t.Run(name+"/"+external, func(t *testing.T) {
				var received atomic.Int64
				server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					received.Add(1)
					example.service(t, r, body)
					if strings.Contains(string(body), "https://ops.example") { // as long as no page of the console is served
						t.Errorf("with external_url %q: %s", external, body)
					}
				}))
				t.Cleanup(server.Close)
				loaded, err := config.Load(config.Options{
					Path:    filepath.Join(projectRoot, "examples", name, "notifier.yaml"),
					Environ: []string{"WOOSHPAY_SECRET_KEY=sk_test_4f9c2a7be1d04c33", example.variable + "=" + server.URL + "/hook"},
					Flags:   map[string]string{"admin.external_url": external},
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range loaded.Warnings {
					if external == "" || !strings.Contains(w.String(), "without effect in this version: admin.external_url") {
						t.Errorf("warning: %s", w)
					}
				}
				if sent := sendExample(t, loaded); sent == 0 || received.Load() != int64(sent) {
					t.Errorf("%d sent, %d received", sent, received.Load())
				}
			})
		}
	}
}

// sendExample sends a sample of every type that the rules can match, and of the
// program's own, as it is, as sparse and as long as a session can be.
func sendExample(t *testing.T, loaded *config.Loaded) (sent int) {
	t.Helper()
	for _, dest := range loaded.Config.Destinations {
		lane, err := newLane(loaded, dest, "", publish.NewConnections(nil))
		if err != nil {
			t.Fatal(err)
		}
		types := event.SystemTypes()
		for _, rule := range loaded.Config.Rules {
			if slices.Contains(rule.To, dest.Name) {
				types = append(types, loaded.Rules.Types(rule.Name)...)
			}
		}
		for _, eventType := range types {
			for _, e := range []event.Event{event.SampleEvent(eventType), sparse(eventType), long(t, eventType)} {
				r := lane.Publisher.Publish(t.Context(), publish.Message{Event: e, Delivery: event.Delivery{
					ID: event.DeliveryID(e.ID, dest.Name, ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
					Subject: e.Subject, Destination: dest.Name, Rules: []string{loaded.Config.Rules[0].Name},
				}})
				if r.Outcome != event.OutcomeAccepted {
					t.Fatalf("%s: %+v", eventType, r)
				}
				sent++
			}
		}
	}
	return sent
}

func sparse(eventType string) event.Event {
	e := event.SampleEvent(eventType)
	e.Object = json.RawMessage(`{"id":"cs_1","amount_total":null,"currency":null,"client_reference_id":null,"status":null,"payment_status":null}`)
	return e
}

func long(t *testing.T, eventType string) event.Event {
	t.Helper()
	text, err := json.Marshal(strings.Repeat("\"\\\n<@everyone> {{ é 😀", 2000))
	if err != nil {
		t.Fatal(err)
	}
	e := event.SampleEvent(eventType)
	e.Object = json.RawMessage(`{"id":"cs_1","amount_total":9007199254740993,"currency":"USD","client_reference_id":` + string(text) + `,"status":"open","payment_status":"unpaid"}`)
	if e.IsSystem() {
		e.System = json.RawMessage(`{"summary":` + string(text) + `}`)
	}
	return e
}

// discord demands what Discord's webhooks do: content or embeds, and their sizes
// in characters.
func discord(t *testing.T, r *http.Request, body []byte) {
	var m struct {
		Content  string
		Username string
		Mentions *struct {
			Parse []string `json:"parse"`
		} `json:"allowed_mentions"`
		Embeds []struct {
			Title, Description, URL, Timestamp string
			Fields                             []struct{ Name, Value string }
		}
	}
	isJSON(t, r, body, &m)
	size := utf8.RuneCountInString
	if size(m.Content) > 2000 || len(m.Embeds) > 10 || (m.Content == "" && len(m.Embeds) == 0) || size(m.Username) > 80 {
		t.Errorf("Discord refuses %s", body)
	}
	if m.Mentions == nil || len(m.Mentions.Parse) > 0 {
		t.Errorf("texts of others can call the channel: %s", body)
	}
	total := 0
	for _, e := range m.Embeds {
		total += size(e.Title) + size(e.Description)
		if e.Title == "" || size(e.Title) > 256 || size(e.Description) > 4096 || len(e.Fields) > 25 || e.Timestamp == "" {
			t.Errorf("Discord refuses the embed %+v", e)
		}
		for _, f := range e.Fields {
			total += size(f.Name) + size(f.Value)
			if f.Name == "" || f.Value == "" || size(f.Name) > 256 || size(f.Value) > 1024 {
				t.Errorf("Discord refuses the field %+v", f)
			}
		}
	}
	if total > 6000 {
		t.Errorf("embeds of %d characters", total)
	}
}

// teams demands what a workflow of Teams does: a message with one Adaptive Card
// of a version that it shows, in at most 28 KB.
func teams(t *testing.T, r *http.Request, body []byte) {
	type element struct {
		Type, Text, Title, URL string
		Facts                  []struct{ Title, Value string }
	}
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Schema        string `json:"$schema"`
				Type, Version string
				Body, Actions []element
			}
		}
	}
	isJSON(t, r, body, &m)
	const limit = 28 << 10
	if len(body) > limit || m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
		t.Errorf("Teams refuses %s", body)
		return
	}
	card := m.Attachments[0].Content
	if card.Type != "AdaptiveCard" || !slices.Contains([]string{"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}, card.Version) || len(card.Body) != 2 {
		t.Errorf("Teams does not show %s", body)
		return
	}
	if card.Body[0].Type != "TextBlock" || card.Body[0].Text == "" || card.Body[1].Type != "FactSet" || len(card.Body[1].Facts) < 2 {
		t.Errorf("the card %+v", card.Body)
	}
	for _, f := range card.Body[1].Facts {
		if f.Title == "" || f.Value == "" {
			t.Errorf("an empty fact: %s", body)
		}
	}
	for _, a := range card.Actions {
		if a.Type != "Action.OpenUrl" || a.URL == "" || a.Title == "" {
			t.Errorf("the action %+v", a)
		}
	}
}

// ntfy demands text of at most 4096 bytes, and shows what its headers say.
func ntfy(t *testing.T, r *http.Request, body []byte) {
	const limit = 4096
	if r.Header.Get("Content-Type") != "text/plain; charset=utf-8" || len(body) == 0 || len(body) > limit || !utf8.Valid(body) || json.Valid(body) {
		t.Errorf("%s, %d bytes: %s", r.Header.Get("Content-Type"), len(body), body)
	}
	if r.Header.Get("Title") == "" || strings.TrimSpace(string(body)) != string(body) {
		t.Errorf("title %q, text %q", r.Header.Get("Title"), body)
	}
}

func isJSON(t *testing.T, r *http.Request, body []byte, into any) {
	t.Helper()
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s of %s", r.Method, r.Header.Get("Content-Type"))
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
}
