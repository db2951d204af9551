package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"checkout-notifier/event"
	"checkout-notifier/personal"
	"checkout-notifier/publish"
)

// narrator prints what happens, a line each, and counts it. It is a witness.
type narrator struct {
	colour  bool
	answers bool // print what the receiver answered

	mu        sync.Mutex // guards out and the counts; the stages call from many goroutines
	out       io.Writer
	events    map[string]int
	accepted  map[string]int // by destination
	refused   map[string]int
	dead      int
	fulfilled map[string]int // fulfillable events by session
}

func newNarrator(out io.Writer) *narrator {
	return &narrator{
		out: out, colour: colours(out),
		events: make(map[string]int), accepted: make(map[string]int), refused: make(map[string]int), fulfilled: make(map[string]int),
	}
}

// The colours carry no meaning alone: every line says the same in words.
const (
	plainText = ""
	bold      = "1"
	dim       = "2"
	red       = "31"
	green     = "32"
	yellow    = "33"
	cyan      = "36"
)

func (n *narrator) paint(style, text string) string {
	if !n.colour || style == plainText {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (n *narrator) line(style, verb, what, session, rest string) {
	text := fmt.Sprintf("%s  %s  %s  %s  %s", n.paint(dim, time.Now().Format(time.TimeOnly)),
		n.paint(style, fmt.Sprintf("%-9s", verb)), n.paint(bold, fmt.Sprintf("%-20s", what)), session, rest)
	fmt.Fprintln(n.out, strings.TrimRight(text, " "))
}

// Committed implements pipeline.Observer.
func (n *narrator) Committed(events []event.Event, deliveries []event.Delivery) {
	to := make(map[string][]string)
	for i := range deliveries {
		to[deliveries[i].EventID] = append(to[deliveries[i].EventID], deliveries[i].Destination)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range events {
		e := &events[i]
		n.events[shortType(e.Type)]++
		if e.Type == event.Fulfillable {
			n.fulfilled[e.Session]++
		}
		rest := amount(e.Object)
		if len(to[e.ID]) > 0 {
			rest += " → " + strings.Join(to[e.ID], ", ")
		}
		n.line(eventColour(e.Type), "event", shortType(e.Type), cmp.Or(e.Session, e.Subject), rest)
	}
}

func eventColour(eventType string) string {
	switch eventType {
	case event.Fulfillable, event.Paid, event.NoPaymentRequired, event.Completed:
		return green
	case event.Expired, event.Unresolved:
		return yellow
	case event.Regressed:
		return red
	}
	return cyan
}

// Attempted implements publish.Observer.
func (n *narrator) Attempted(o publish.Observation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := &o.Delivery
	what, about := shortType(d.EventType), cmp.Or(d.Session, d.Subject)
	switch {
	case o.Attempt.Outcome == event.OutcomeAccepted:
		n.accepted[d.Destination]++
		rest := fmt.Sprintf("by %s in %s", d.Destination, shortDuration(o.Attempt.Duration))
		if o.Attempt.N > 1 {
			rest += fmt.Sprintf(", at attempt %d", o.Attempt.N)
		}
		rest += n.answer(&o.Attempt)
		n.line(green, "accepted", what, about, rest)
	case o.Dead != "":
		n.dead++
		n.line(red, "buried", what, about, fmt.Sprintf("for %s: %s%s", d.Destination, o.Dead, n.answer(&o.Attempt)))
	default:
		n.refused[d.Destination]++
		next := "it waits"
		if !o.NextTry.IsZero() {
			next = "next try " + in(o.NextTry)
		}
		n.line(yellow, string(o.Attempt.Outcome), what, about, fmt.Sprintf("by %s: %s%s; %s", d.Destination, o.Attempt.Error, n.answer(&o.Attempt), next))
	}
}

// shownAnswer is how much of an answer is printed, in runes.
const shownAnswer = 120

// answer is the status and the first line of what the receiver answered.
func (n *narrator) answer(a *event.Attempt) string {
	if !n.answers || a.StatusCode == 0 {
		return ""
	}
	text := ":"
	if a.Outcome == event.OutcomeAccepted { // else the error tells the status
		text = fmt.Sprintf(": %d", a.StatusCode)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(string(a.Answer), "")), "\n")
	first = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1 // nobody's answer moves the cursor
	}, personal.Text(first))
	if runes := []rune(first); len(runes) > shownAnswer {
		first = string(runes[:shownAnswer]) + "…"
	}
	if first == "" {
		return strings.TrimSuffix(text, ":")
	}
	return text + " " + first
}

// amount writes what a session is about.
func amount(object json.RawMessage) string {
	var s struct {
		Amount   *int64 `json:"amount_total"`
		Currency string `json:"currency"`
	}
	if json.Unmarshal(object, &s) != nil || s.Amount == nil {
		return ""
	}
	return publish.Money(*s.Amount, s.Currency)
}

// tally writes counts by name.
func tally(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
