package publish

import (
	"strings"

	"checkout-notifier/event"
)

// The lengths that Slack takes: a section's text has at most 3000 characters, a
// field 2000, and a section ten fields.
const (
	slackTextLimit  = 2900
	slackFieldLimit = 1900
	slackFieldCount = 10
)

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackBody(m *Message, omit []string, link string) ([]byte, error) {
	n, err := newNotice(m, omit)
	if err != nil {
		return nil, err
	}
	type textObject struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type block struct {
		Type   string       `json:"type"`
		Text   *textObject  `json:"text,omitempty"`
		Fields []textObject `json:"fields,omitempty"`
	}
	title := slackEscapes.Replace(truncate(slackTextLimit/5, n.headline)) // an escape takes up to five
	shown := "*" + title + "*"
	if link != "" {
		shown += "\n<" + link + "|Details>"
	}
	blocks := []block{{Type: "section", Text: &textObject{"mrkdwn", shown}}}
	var fields []textObject
	for _, f := range n.facts[:min(len(n.facts), slackFieldCount)] {
		value := slackEscapes.Replace(truncate(slackFieldLimit/5, f.value))
		fields = append(fields, textObject{"mrkdwn", "*" + f.title + "*\n" + value})
	}
	if len(fields) > 0 {
		blocks = append(blocks, block{Type: "section", Fields: fields})
	}
	return event.Marshal(struct {
		Text   string  `json:"text"`
		Blocks []block `json:"blocks"`
	}{title, blocks})
}
