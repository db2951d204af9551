package admin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/spelling"
)

// Kind is a kind of records, by its name in paths.
type Kind string

// The kinds of records.
const (
	Deliveries   Kind = "deliveries"
	DeadLetters  Kind = "deadletters"
	Events       Kind = "events"
	Audit        Kind = "audit"
	Destinations Kind = "destinations"
)

// Records is what an operator may look up.
type Records interface {
	// List returns a page of records, newest first, and where the next one
	// begins, "" at the end. It looks at a bounded number of rows, so that a page
	// may be short although there is a next one. UnknownError; ErrBadCursor:
	// Before is not what an earlier page returned.
	List(ctx context.Context, kind Kind, q Query) (items any, next string, err error)
	// Record returns one. ErrNotFound.
	Record(ctx context.Context, kind Kind, id string) (any, error)
}

// Query chooses records; empty members do not.
type Query struct {
	Destination, Account, Session string
	Type                          string // whole; any of several, by commas
	Rule, Event, Job              string
	Status                        event.Status
	Orphaned                      bool // pending for a destination that the configuration does not name
	Failed                        bool // events on which a rule failed
	Actor, Action                 string
	Since, Until                  time.Time
	Before                        string
	Limit                         int
}

// UnknownError is a name, in a request's query or body, of a thing that there is
// not.
type UnknownError struct {
	Kind, Name string
	Known      []string // the names that there are, if they are few
}

func (u *UnknownError) Error() string {
	return fmt.Sprintf("there is no %s %q%s", u.Kind, u.Name, didYouMean(u.Name, u.Known))
}

// didYouMean names the word that was probably meant.
func didYouMean(word string, known []string) string {
	best, distance := "", min(max(1, len(word)/3), 3)+1
	for _, name := range known {
		if d := spelling.Distance(word, name, distance); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// filters are the names that a query of each kind may have besides those of
// pages, sorted.
var filters = map[Kind][]string{
	Deliveries:   {"account", "destination", "event", "job", "rule", "session", "since", "status", "type", "until"},
	DeadLetters:  {"account", "destination", "event", "job", "rule", "session", "since", "type", "until"},
	Events:       {"account", "failed", "rule", "session", "since", "type", "until"},
	Audit:        {"action", "actor", "since", "until"},
	Destinations: {},
}

// statusOrphaned is a filter alone: what is orphaned is stored as pending.
const statusOrphaned = "orphaned"

// DeliveryStatuses lists the values that a filter by status may have.
func DeliveryStatuses() []string {
	return []string{string(event.StatusPending), statusOrphaned, string(event.StatusAccepted), string(event.StatusDead), string(event.StatusPurged)}
}

// handleRecords adds the routes of what happened and of what may be done about it.
func (s *Server) handleRecords(mux *http.ServeMux) {
	for kind := range filters {
		mux.Handle("GET /api/v1/"+string(kind), s.guard(RoleViewer, s.list(kind)))
	}
	for _, kind := range []Kind{Deliveries, DeadLetters, Events} {
		mux.Handle("GET /api/v1/"+string(kind)+"/{id}", s.guard(RoleViewer, s.record(kind)))
	}
	mux.Handle("POST /api/v1/deliveries/{id}/retry", s.guard(RoleOperator, s.retryDelivery))
	mux.Handle("POST /api/v1/deadletters/redrive", s.guard(RoleOperator, s.redrive))
	mux.Handle("POST /api/v1/deadletters/purge", s.guard(RoleOperator, s.purge))
	mux.Handle("POST /api/v1/replay", s.guard(RoleOperator, s.replay))
	mux.Handle("POST /api/v1/destinations/{name}/test", s.guard(RoleOperator, s.testDestination))
}

// list answers with a page of a kind of records.
func (s *Server) list(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := ReadQuery(kind, r.URL.RawQuery)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		items, next, err := s.daemon.List(r.Context(), kind, q)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		document := map[string]any{"items": items, "next": nil}
		if next != "" {
			document["next"] = Cursor(kind, next)
		}
		answer(w, http.StatusOK, document)
	}
}

// record answers with one.
func (s *Server) record(kind Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			s.refuse(w, r, bad("there is nothing to filter here"))
			return
		}
		document, err := s.daemon.Record(r.Context(), kind, r.PathValue("id"))
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		answer(w, http.StatusOK, document)
	}
}

// Cursor writes where the next page of a kind of records begins.
func Cursor(kind Kind, next string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(kind) + ":" + next))
}

func readCursor(kind Kind, cursor string) (string, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	next, ok := strings.CutPrefix(string(text), string(kind)+":")
	if err != nil || !ok || next == "" {
		return "", ErrBadCursor
	}
	return next, nil
}

// ReadQuery reads what stands behind the question mark of a list of records.
func ReadQuery(kind Kind, raw string) (Query, error) {
	q := Query{Limit: maxLimit}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, bad("the query cannot be read")
	}
	for name, given := range values {
		if len(given) > 1 {
			return q, bad("%s is given twice", name)
		}
		switch {
		case name == "limit":
			if q.Limit, err = strconv.Atoi(given[0]); err != nil || q.Limit < 1 || q.Limit > maxLimit {
				return q, bad("limit must be 1 to %d, not %q", maxLimit, given[0])
			}
		case name == "cursor":
			q.Before, err = readCursor(kind, given[0])
		case !slices.Contains(filters[kind], name):
			known := append([]string{"cursor", "limit"}, filters[kind]...)
			return q, bad("unknown filter %q: known are %s", name, strings.Join(known, ", "))
		case given[0] == "":
			return q, bad("%s is empty", name)
		default:
			err = q.set(name, given[0])
		}
		if err != nil {
			return q, err
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && q.Until.Before(q.Since) {
		return q, bad("until must not be earlier than since")
	}
	return q, q.check()
}

// set reads one filter.
func (q *Query) set(name, value string) (err error) {
	switch name {
	case "account":
		q.Account = value
	case "destination":
		q.Destination = value
	case "session":
		q.Session = value
	case "event":
		q.Event = value
	case "rule":
		q.Rule = value
	case "job":
		q.Job = value
	case "actor":
		q.Actor = value
	case "action":
		q.Action = value
	case "type":
		q.Type, err = EventTypes(name, value)
	case "status":
		q.Status, q.Orphaned = event.Status(value), value == statusOrphaned
		if q.Orphaned {
			q.Status = event.StatusPending
		}
		err = oneOf(name, value, DeliveryStatuses())
	case "failed":
		if q.Failed, err = strconv.ParseBool(value); err != nil {
			err = bad("failed must be true or false, not %q", value)
		}
	case "since":
		q.Since, err = queriedTime(name, value)
	case "until":
		q.Until, err = queriedTime(name, value)
	default:
		err = errors.New("filter " + name + " is not read")
	}
	return err
}

func queriedTime(name, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil || t.IsZero() {
		return time.Time{}, bad("%s must be a time in RFC 3339, such as 2026-11-22T10:00:00Z, not %q", name, value)
	}
	return t.UTC(), nil
}

// EventTypes reads a type, or several by commas; name says in an error where they stand.
func EventTypes(name, value string) (string, error) {
	types := strings.Split(value, ",")
	for i, one := range types {
		var err error
		if types[i], err = EventType(name, strings.TrimSpace(one)); err != nil {
			return "", err
		}
	}
	return strings.Join(types, ","), nil
}

// EventType reads one, short or whole.
func EventType(name, value string) (string, error) {
	whole, known := event.ParseType(value)
	if !known {
		types := event.TypeNames()
		short := strings.TrimPrefix(strings.TrimPrefix(value, event.TypePrefix), event.SystemPrefix)
		meant := cmp.Or(didYouMean(cmp.Or(event.MeantBy(value), short), types), didYouMean(event.Short(value), types))
		return "", bad("%s must be an event type (%s), short or whole, not %q%s", name, strings.Join(types, ", "), value, meant)
	}
	return whole, nil
}

// The forms of what requests name.
var (
	nameForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	idForm   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// CheckName refuses what cannot be the name of an account, a destination or a
// rule; kind says of which.
func CheckName(kind, name string) error {
	if !nameForm.MatchString(name) {
		return bad("%s: %q is no name, which is 1 to 64 lower-case letters, digits and hyphens", kind, name)
	}
	return nil
}

// CheckID refuses what cannot be the id of a session, an event, a delivery or a
// job; kind says of which.
func CheckID(kind, id string) error {
	if !idForm.MatchString(id) {
		return bad("%s: %q is no id, which is 1 to 128 letters, digits, hyphens and underscores", kind, id)
	}
	return nil
}

// wellFormed refuses what cannot name anything, "" excepted.
func wellFormed(check func(kind, text string) error, given map[string]string) error {
	for _, kind := range slices.Sorted(maps.Keys(given)) {
		if given[kind] == "" {
			continue
		}
		if err := check(kind, given[kind]); err != nil {
			return err
		}
	}
	return nil
}

// check refuses names and ids that nothing can have.
func (q *Query) check() error {
	return cmp.Or(
		wellFormed(CheckName, map[string]string{"account": q.Account, "destination": q.Destination, "rule": q.Rule}),
		wellFormed(CheckID, map[string]string{"session": q.Session, "event": q.Event, "job": q.Job}),
	)
}
