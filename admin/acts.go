package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"checkout-notifier/event"
)

// Acts is what an operator may do to single things, at once.
type Acts interface {
	// RetryDelivery makes a delivery due now, whatever became of it before, and
	// returns it. ErrNotFound; ErrChanged: ifStatus is neither "" nor its status.
	RetryDelivery(ctx context.Context, id string, ifStatus event.Status, actor string) (any, error)
	// Purge gives dead letters up and returns how many; a dry run only counts.
	// UnknownError.
	Purge(ctx context.Context, chosen Selection, dryRun bool, actor string) (any, error)
	// TestDestination sends a made-up event of a type, "" for one that suits its
	// format, to a destination and returns what it answered. UnknownError.
	TestDestination(ctx context.Context, name, eventType, actor string) (any, error)
}

// Redeliveries is what an operator may have delivered again, as jobs. All return
// UnknownError for names that there are not.
type Redeliveries interface {
	// PlanRedrive says what a redrive would do, and does nothing.
	PlanRedrive(ctx context.Context, o Redrive) (plan any, err error)
	// StartRedrive returns the job that does it.
	StartRedrive(ctx context.Context, o Redrive, actor string) (id string, job any, err error)
	// PlanReplay and StartReplay do the same for past events.
	PlanReplay(ctx context.Context, o Replay) (plan any, err error)
	StartReplay(ctx context.Context, o Replay, actor string) (id string, job any, err error)
}

// DefaultRate is how many deliveries a redrive or a replay makes due a second
// unless it is told.
const DefaultRate = 50

// Selection chooses dead letters; empty members do not.
type Selection struct {
	IDs                           []string
	Destination, Account, Session string
	Type                          string // whole; any of several, by commas
	Rule                          string
	Since, Until                  time.Time // they died
	All                           bool
	Before                        time.Time // when they were planned: what died later is left alone
}

// Redrive makes dead letters pending again.
type Redrive struct {
	Selection
	Rate float64 // a second, 0: as fast as the store takes them
}

// Replay delivers past events again.
type Replay struct {
	Events       []string // ids
	Types        []string // whole
	Accounts     []string
	Session      string
	Rule         string // that matched, or that failed
	Failed       bool   // ask the rules again that failed
	Since, Until time.Time
	All          bool
	Before       time.Time // when it was planned: what happened or was accepted later is left alone

	// AllTypes sends what is chosen by account, session or time to every destination
	// in To, whatever its rules send there.
	AllTypes bool

	To     []string // destinations; with Failed none are those of the rules
	NewIDs bool
	Rate   float64
}

var selectionFields = []string{"ids", "destination", "account", "session", "type", "rule", "since", "until", "all", "before", "dry_run"}

// readSelection reads which dead letters are meant. None at all is a mistake,
// unless all are asked for.
func readSelection(object map[string]json.RawMessage) (s Selection, dryRun bool, err error) {
	for name, value := range map[string]*string{
		"destination": &s.Destination, "account": &s.Account, "session": &s.Session, "type": &s.Type, "rule": &s.Rule,
	} {
		if err := nonEmpty(object, name, value); err != nil {
			return s, false, err
		}
	}
	if s.Type != "" {
		if s.Type, err = EventTypes("type", s.Type); err != nil {
			return s, false, err
		}
	}
	if s.Since, s.Until, s.Before, err = period(object); err != nil {
		return s, false, err
	}
	err = cmp.Or(
		nonEmptyList(object, "ids", &s.IDs),
		member(object, "all", "true or false", &s.All),
		member(object, "dry_run", "true or false", &dryRun),
	)
	if err != nil {
		return s, false, err
	}
	named := Query{Account: s.Account, Destination: s.Destination, Rule: s.Rule, Session: s.Session}
	if err := cmp.Or(named.check(), each(CheckID, "ids", s.IDs)); err != nil {
		return s, false, err
	}
	return s, dryRun, narrowed(object, s.All, "ids", "destination", "account", "session", "type", "rule", "since", "until")
}

// each refuses what cannot name anything.
func each(check func(kind, text string) error, kind string, list []string) error {
	for _, text := range list {
		if err := check(kind, text); err != nil {
			return err
		}
	}
	return nil
}

// narrowed demands that something is chosen, or that all is meant.
func narrowed(object map[string]json.RawMessage, all bool, names ...string) error {
	for _, name := range names {
		if _, given := object[name]; given {
			if all {
				return bad("all and %s contradict each other", name)
			}
			return nil
		}
	}
	if !all {
		return bad(`nothing is chosen: give a filter, or "all": true`)
	}
	return nil
}

func nonEmpty(object map[string]json.RawMessage, name string, value *string) error {
	if err := member(object, name, "a text", value); err != nil {
		return err
	}
	if _, given := object[name]; given && *value == "" {
		return bad("%s is empty", name)
	}
	return nil
}

func nonEmptyList(object map[string]json.RawMessage, name string, value *[]string) error {
	if err := member(object, name, "a list of texts", value); err != nil {
		return err
	}
	if _, given := object[name]; given && len(*value) == 0 {
		return bad("%s is empty", name)
	}
	return nil
}

// period reads since and until, and before, which is no choice.
func period(object map[string]json.RawMessage) (since, until, before time.Time, err error) {
	for name, t := range map[string]*time.Time{"since": &since, "until": &until, "before": &before} {
		if *t, err = moment(object, name); err != nil {
			return since, until, before, err
		}
	}
	if !since.IsZero() && !until.IsZero() && until.Before(since) {
		err = bad("until must not be earlier than since")
	}
	return since, until, before, err
}

func readRate(object map[string]json.RawMessage) (float64, error) {
	rate := float64(DefaultRate)
	const form = "a number a second, 0 for as fast as it goes"
	if err := member(object, "rate", form, &rate); err != nil {
		return 0, err
	}
	if rate < 0 || (rate > 0 && rate < 0.01) {
		return 0, bad("rate must be %s, or at least 0.01", form)
	}
	return rate, nil
}

func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request) {
	object, err := members(w, r, "if_status")
	ifStatus := ""
	if err == nil {
		err = nonEmpty(object, "if_status", &ifStatus)
	}
	if err == nil && (ifStatus == statusOrphaned || ifStatus != "" && !slices.Contains(DeliveryStatuses(), ifStatus)) {
		err = bad("if_status must be pending, accepted, dead or purged")
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	delivery, err := s.daemon.RetryDelivery(r.Context(), r.PathValue("id"), event.Status(ifStatus), actor(r.Context()))
	s.answerOr(w, r, delivery, err)
}

func (s *Server) purge(w http.ResponseWriter, r *http.Request) {
	object, err := members(w, r, selectionFields...)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	chosen, dryRun, err := readSelection(object)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	result, err := s.daemon.Purge(r.Context(), chosen, dryRun, actor(r.Context()))
	s.answerOr(w, r, result, err)
}

func (s *Server) testDestination(w http.ResponseWriter, r *http.Request) {
	object, err := members(w, r, "type")
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	sample := ""
	if err := nonEmpty(object, "type", &sample); err != nil {
		s.refuse(w, r, err)
		return
	}
	if sample != "" {
		sample, err = EventType("type", sample)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	result, err := s.daemon.TestDestination(r.Context(), r.PathValue("name"), sample, actor(r.Context()))
	s.answerOr(w, r, result, err)
}

func (s *Server) redrive(w http.ResponseWriter, r *http.Request) {
	object, err := members(w, r, append([]string{"rate"}, selectionFields...)...)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	var o Redrive
	var dryRun bool
	if o.Selection, dryRun, err = readSelection(object); err == nil {
		o.Rate, err = readRate(object)
	}
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case dryRun:
		plan, err := s.daemon.PlanRedrive(r.Context(), o)
		s.answerOr(w, r, plan, err)
	default:
		id, job, err := s.daemon.StartRedrive(r.Context(), o, actor(r.Context()))
		s.started(w, r, id, job, err)
	}
}

func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	o, dryRun, err := readReplay(w, r)
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case dryRun:
		plan, err := s.daemon.PlanReplay(r.Context(), o)
		s.answerOr(w, r, plan, err)
	default:
		id, job, err := s.daemon.StartReplay(r.Context(), o, actor(r.Context()))
		s.started(w, r, id, job, err)
	}
}

func readReplay(w http.ResponseWriter, r *http.Request) (o Replay, dryRun bool, err error) {
	object, err := members(w, r, "events", "types", "accounts", "session", "rule", "failed", "since", "until", "all", "all_types", "before", "to", "new_ids", "rate", "dry_run")
	if err != nil {
		return o, false, err
	}
	err = cmp.Or(
		nonEmptyList(object, "events", &o.Events),
		nonEmptyList(object, "types", &o.Types),
		nonEmptyList(object, "accounts", &o.Accounts),
		nonEmptyList(object, "to", &o.To),
		nonEmpty(object, "session", &o.Session),
		nonEmpty(object, "rule", &o.Rule),
		member(object, "failed", "true or false", &o.Failed),
		member(object, "all", "true or false", &o.All),
		member(object, "all_types", "true or false", &o.AllTypes),
		member(object, "new_ids", "true or false", &o.NewIDs),
		member(object, "dry_run", "true or false", &dryRun),
	)
	if err != nil {
		return o, false, err
	}
	named := Query{Rule: o.Rule, Session: o.Session}
	err = cmp.Or(named.check(), each(CheckID, "events", o.Events), each(CheckName, "accounts", o.Accounts), each(CheckName, "to", o.To))
	if err != nil {
		return o, false, err
	}
	for i, name := range o.Types {
		if o.Types[i], err = EventType("types", name); err != nil {
			return o, false, err
		}
	}
	if o.Since, o.Until, o.Before, err = period(object); err != nil {
		return o, false, err
	}
	if o.Rate, err = readRate(object); err != nil {
		return o, false, err
	}
	switch {
	case len(o.To) == 0 && !o.Failed:
		return o, false, bad("to is needed: the destinations that are to have the events")
	case o.AllTypes && (o.Failed || len(o.Types) > 0):
		return o, false, bad("all_types contradicts types and failed, which say what is sent")
	case o.NewIDs && o.Failed:
		return o, false, bad("new_ids and failed contradict each other: what a rule failed on was never sent for it")
	}
	if !o.Failed {
		delete(object, "failed") // it chooses nothing then
	}
	return o, dryRun, narrowed(object, o.All, "events", "types", "accounts", "session", "rule", "failed", "since", "until")
}

// answerOr answers with a document, or with what kept it from being made.
func (s *Server) answerOr(w http.ResponseWriter, r *http.Request, document any, err error) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, document)
}

// started answers with a job.
func (s *Server) started(w http.ResponseWriter, r *http.Request, id string, job any, err error) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Location", s.path("/api/v1/jobs/"+id))
	answer(w, http.StatusAccepted, job)
}
