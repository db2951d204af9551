package publish

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"checkout-notifier/event"
)

// Whatever a template is made of, what it is given is enough: with all there is
// it renders the same.
func TestTemplatesNeedNoMoreThanTheyAreGiven(t *testing.T) {
	roots := []string{".Session", ".Previous", ".Event", ".Alert", ".Labels", ".Account", "$.Session", "$.Previous", "$.Alert", ".", "$", "$x", "$x.Session", "(.).Previous"}
	functions := []string{"json", "len", "print", "default 1", "printf \"%v\""}
	rapid.Check(t, func(t *rapid.T) {
		root := func() string { return rapid.SampledFrom(roots).Draw(t, "root") }
		call := func() string {
			return rapid.SampledFrom(functions).Draw(t, "function") + " " + root()
		}
		text := "{{ $x := " + rapid.SampledFrom([]string{"1", ".", "$", ".Session"}).Draw(t, "x") + " }}"
		var defined strings.Builder
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			switch rapid.IntRange(0, 6).Draw(t, "part") {
			case 0:
				text += "{{ " + call() + " }}"
			case 1:
				text += "{{ with " + root() + " }}{{ json . }}{{ end }}"
			case 2:
				text += "{{ range $k, $v := " + root() + " }}{{ $k }}{{ json $v }}{{ end }}"
			case 3:
				text += "{{ if " + root() + " }}{{ " + call() + " }}{{ else }}{{ json $.Change }}{{ end }}"
			case 4:
				text += "{{ template \"t\" " + rapid.SampledFrom([]string{".", "$", ".Session", "(print 1)"}).Draw(t, "argument") + " }}"
				if defined.Len() == 0 {
					defined.WriteString("{{ define \"t\" }}{{ $x := 1 }}{{ " + call() + " }}{{ end }}")
				}
			case 5:
				text += "{{ (index . \"" + rapid.SampledFrom([]string{"Session", "Previous", "Event"}).Draw(t, "index") + "\") | json }}"
			case 6:
				text += "{{ $x = " + root() + " }}"
			}
		}
		text = defined.String() + text
		p, err := compile(text, "_show")
		if err != nil {
			t.Skip(err)
		}
		for _, eventType := range []string{event.Paid, event.Created, event.AccountFailing} {
			m := sampleMessage(eventType)
			render := func(n needs) (string, error) {
				data, err := templateData(&m, n, []string{"url"}, "https://ops.example")
				if err != nil {
					t.Fatal(err)
				}
				out, err := p.execute(data, false, "")
				return string(out), err
			}
			got, gotErr := render(p.needs)
			want, wantErr := render(needs{whole: true})
			if got != want || (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("%s\n got %s, %v\nwant %s, %v", text, got, gotErr, want, wantErr)
			}
		}
	})
}
