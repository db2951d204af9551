package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/checkout"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/rules"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is generated stands in the documents as the code has it.
func TestDocumentsAreGenerated(t *testing.T) {
	used := make(map[string]bool)
	for _, name := range documents {
		text := document(t, name)
		want, err := fill(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, text); diff != "" {
			t.Errorf("%s is out of date, run make generate (-want +got):\n%s", name, diff)
		}
		for _, m := range part.FindAllStringSubmatch(text, -1) {
			used[m[2]] = true
		}
	}
	for name := range contents {
		if !used[name] {
			t.Errorf("%q stands in no document", name)
		}
	}
	for _, broken := range []string{"<!-- generated: nothing; make generate -->\n<!-- end -->", "<!-- generated: event; make generate -->\n"} {
		if _, err := fill(broken); err == nil {
			t.Errorf("%q was filled", broken)
		}
	}
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```")

func blocks(text, language string) (found []string) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

// payment is the event and the former session that the examples look at.
func payment(t *testing.T, text string) (*event.Event, json.RawMessage) {
	t.Helper()
	parse := func(text string) json.RawMessage {
		s, err := checkout.Parse(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.Object
	}
	object := parse(text)
	previous := parse(strings.Replace(text, `"payment_status": "paid"`, `"payment_status": "unpaid"`, 1))
	changes, err := checkout.Changes(previous, object)
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	attributes, err := checkout.PreviousAttributes(changes)
	if err != nil {
		t.Fatal(err)
	}
	return &event.Event{
		ID: "evt_1", Type: event.Paid, Account: "main", Time: time.Unix(1795341600+3600, 0).UTC(), Revision: 3, Object: object, PreviousAttributes: attributes,
		Change: &event.Change{Field: "payment_status", From: json.RawMessage(`"unpaid"`), To: json.RawMessage(`"paid"`)},
	}, previous
}

// Every example of an expression does what its comment says.
func TestExpressionsOfTheReference(t *testing.T) {
	text := document(t, "rules.md")
	e, previous := payment(t, blocks(text, "json")[0])
	checked := 0
	for _, block := range blocks(text, "expr") {
		for line := range strings.Lines(block) {
			_, comment, ok := strings.Cut(line, "// ")
			if !ok {
				t.Errorf("no result: %s", line)
				continue
			}
			checked++
			want := regexp.MustCompile(`^[a-z]+`).FindString(comment)
			set, problems := rules.Compile([]rules.Rule{{Name: "r", Events: []string{"*"}, When: line, To: []string{"shop"}, Enabled: true}}, rules.Known{Destinations: []string{"shop"}, Accounts: []string{"main"}})
			if got := outcome(set, problems, e, previous); got != want {
				t.Errorf("%s: got %s", strings.TrimSpace(line), got)
			}
			for _, hint := range regexp.MustCompile(`did you mean (\S+)\?`).FindAllStringSubmatch(comment, -1) {
				if len(problems) != 1 || problems[0].Suggestion != hint[1] {
					t.Errorf("%s: suggests %+v", line, problems)
				}
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d examples", checked)
	}
}

// outcome names what came of an expression; a warning comes before its result,
// unless it fails.
func outcome(set *rules.Set, problems []rules.Problem, e *event.Event, previous json.RawMessage) string {
	if set == nil {
		return "error"
	}
	result := set.Match(e, previous, e.Time)
	switch {
	case len(result.Errors) > 0:
		return "fails"
	case len(problems) > 0:
		return "warning"
	case len(result.Targets) > 0:
		return "true"
	}
	return "false"
}

const base = `accounts: [{name: main, secret_key: sk_test_1}]
destinations:
  - {name: fulfilment, type: http, url: "https://shop.example/hooks", format: slack}
  - {name: ops-slack, type: http, url: "https://hooks.slack.example/x", format: slack}
`

// The rules of the document load as they are, or are refused as it says.
func TestRulesOfTheReference(t *testing.T) {
	found := blocks(document(t, "rules.md"), "yaml")
	for _, block := range found {
		loaded, err := config.Load(config.Options{Source: []byte(base + block), Name: "rules.md"})
		first, _, _ := strings.Cut(block, "\n")
		refused, ok := strings.CutPrefix(first, "# refused: ")
		switch {
		case ok && (err == nil || !strings.Contains(err.Error(), refused) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v", block, err)
		case !ok && err != nil:
			t.Errorf("%s: %v", block, err)
		case !ok:
			for _, w := range loaded.Warnings {
				if w.Code != "config/unused-destination" {
					t.Errorf("%s: %s", block, w)
				}
			}
		}
	}
	if len(found) < 4 {
		t.Errorf("only %d blocks", len(found))
	}
}
