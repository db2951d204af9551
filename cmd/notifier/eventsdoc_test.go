package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func eventsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(projectRoot, "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func renderSample(t *testing.T, format string, e event.Event) any {
	t.Helper()
	d := publish.DefaultHTTP()
	d.Name, d.URL, d.Format = "shop", "https://shop.example/hooks", format
	r, err := publish.NewRenderer(d, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	body, err := r.Render(publish.Message{Event: e, Delivery: event.Delivery{Rules: []string{"ship"}}})
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, body.Content)
}

func parsed(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// differences compares a documented value with a real one. A documented object
// with the member "…" leaves members out.
func differences(path string, doc, is any) (list []string) {
	want, documented := doc.(map[string]any)
	got, object := is.(map[string]any)
	if !documented || !object {
		if fmt.Sprint(doc) != fmt.Sprint(is) {
			return []string{fmt.Sprintf("%s is %v, the page says %v", path, is, doc)}
		}
		return nil
	}
	for name, member := range want {
		if name == "…" {
			continue
		}
		real, there := got[name]
		if !there {
			list = append(list, path+"."+name+" does not exist")
			continue
		}
		list = append(list, differences(path+"."+name, member, real)...)
	}
	for name := range got {
		if _, there := want[name]; !there && want["…"] == nil {
			list = append(list, path+"."+name+" is not on the page")
		}
	}
	return list
}

var sampleBlock = regexp.MustCompile("(?s)<!-- sample: (\\w+) (\\w+) -->\n```json\n(.*?)```")

func TestDocumentedBodiesAreReal(t *testing.T) {
	found := sampleBlock.FindAllStringSubmatch(eventsPage(t), -1)
	if len(found) < 2 {
		t.Fatalf("%d samples on the page", len(found))
	}
	for _, m := range found {
		for _, d := range differences(m[1], parsed(t, []byte(m[3])), renderSample(t, m[2], event.SampleEvent(m[1]))) {
			t.Errorf("%s as %s: %s", m[1], m[2], d)
		}
	}
}

func TestEveryTypeAndFlagIsDocumented(t *testing.T) {
	page := eventsPage(t)
	for _, eventType := range event.Types() {
		if !strings.Contains(page, "\n| `"+event.Short(eventType)+"` | ") {
			t.Errorf("%s is not in the table of types", eventType)
		}
	}
	body, _ := renderSample(t, publish.FormatCloudEvents, event.SampleEvent(event.Paid)).(map[string]any)
	data, _ := body["data"].(map[string]any)
	for name := range data {
		if !strings.Contains(page, "`"+name+"`") && name != "revision" {
			t.Errorf("data.%s is not explained", name)
		}
	}
}

var stripeRow = regexp.MustCompile("(?m)^\\| `(\\w+)`( with `async`)? \\| `([a-z._]+)` \\|$")

// The table of Stripe's names says all that differ, and nothing else.
func TestDocumentedStripeNames(t *testing.T) {
	documented := make(map[string]string)
	for _, m := range stripeRow.FindAllStringSubmatch(eventsPage(t), -1) {
		documented[event.Qualify(m[1])+m[2]] = m[3]
	}
	for _, eventType := range event.Types() {
		for _, async := range []bool{false, true} {
			e := event.SampleEvent(eventType)
			e.Async = async
			key := eventType
			if async {
				key += " with `async`"
			}
			want, differs := documented[key]
			if !differs {
				want = eventType
			}
			if async && documented[key] == "" && documented[eventType] != "" {
				t.Errorf("the page does not say what %s is", key)
			}
			body, _ := renderSample(t, publish.FormatStripe, e).(map[string]any)
			if body["type"] != want {
				t.Errorf("%s is %v, the page says %s", key, body["type"], want)
			}
		}
	}
	if len(documented) < 3 {
		t.Errorf("documented: %v", documented)
	}
}
