package publish

import (
	"errors"
	"slices"
	"strings"
)

// freeTexts are the members of a session that customers and merchants write, as short as
// they like. All of metadata is such.
var freeTexts = []string{"client_reference_id", "name", "phone", "city", "line1", "line2", "postal_code", "state", "carrier", "tracking_number", "description", "nickname", "lookup_key"}

// shortTexts finds where a template takes a part of a text that is not always as long.
func (p *program) shortTexts(omit []string, senders []Sender) (doubts []Doubt) {
	if !strings.Contains(p.text, "slice") {
		return nil
	}
	var types []string
	for _, s := range senders {
		types = append(types, s.Types...)
	}
	for _, eventType := range slices.Compact(slices.Sorted(slices.Values(types))) {
		if _, err := p.renderSample(eventType, false, omit); err != nil {
			continue // which is a mistake
		}
		m := sampleMessage(eventType)
		data, err := templateData(&m, p.needs, omit, "")
		if err != nil {
			continue
		}
		p.fill(data)
		shorten(data[nameSession], false)
		shorten(data[namePrevious], false)
		_, err = p.execute(data, true, eventType)
		for _, one := range each(err) {
			var e *TemplateError
			if !errors.As(one, &e) || !strings.HasPrefix(e.Reason, "slice: ") && e.Reason != "invalid slice index" {
				continue
			}
			d := Doubt{Line: e.Line, Column: e.Column, Text: "where the text is shorter, slice fails, and the delivery becomes a dead letter at its first attempt: write `printf \"%.8s\" X` for the first 8 characters of X, or as many as there are"}
			if !slices.Contains(doubts, d) {
				doubts = append(doubts, d)
			}
		}
	}
	return doubts
}

// shorten leaves one character of each text that may be so short; free says that all may.
func shorten(v any, free bool) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			shorten(element, free)
		}
	case map[string]any:
		for name, member := range v {
			if _, isText := member.(string); isText && (free || slices.Contains(freeTexts, name)) {
				v[name] = "x"
			}
			shorten(member, free || name == "metadata")
		}
	}
}
