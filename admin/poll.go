package admin

import (
	"context"
	"net/http"
	"time"
)

// Polling is what an operator may ask of the poller.
type Polling interface {
	// PollNow makes a pass over the named accounts, or over all, and returns what
	// each came to once all are finished. UnknownError.
	PollNow(ctx context.Context, accounts []string) (items any, err error)
	// PlanBackfill says what a backfill would do, and does nothing. UnknownError, ErrUpstream.
	PlanBackfill(ctx context.Context, b Backfill) (plan any, err error)
	// StartBackfill returns the job that does it. UnknownError, ErrConflict.
	StartBackfill(ctx context.Context, b Backfill, actor string) (id string, job any, err error)
}

// Backfill asks for a part of the list to be read again.
type Backfill struct {
	Accounts     []string // none: all
	Since, Until time.Time
	Announce     bool // also what was pruned
}

// poll answers POST /api/v1/poll: a pass at once, or a backfill where the body
// says since when.
func (s *Server) poll(w http.ResponseWriter, r *http.Request) {
	b, dryRun, err := readPoll(w, r, time.Now())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	switch {
	case b.Since.IsZero():
		items, err := s.daemon.PollNow(r.Context(), b.Accounts)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		answer(w, http.StatusOK, map[string]any{"items": items})
	case dryRun:
		plan, err := s.daemon.PlanBackfill(r.Context(), b)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		answer(w, http.StatusOK, plan)
	default:
		id, job, err := s.daemon.StartBackfill(r.Context(), b, actor(r.Context()))
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		w.Header().Set("Location", s.path("/api/v1/jobs/"+id))
		answer(w, http.StatusAccepted, job)
	}
}

// readPoll reads the body of a poll. A zero Since asks for a pass.
func readPoll(w http.ResponseWriter, r *http.Request, now time.Time) (b Backfill, dryRun bool, err error) {
	object, err := members(w, r, "accounts", "since", "until", "dry_run", "announce")
	if err != nil {
		return b, false, err
	}
	if err := member(object, "accounts", "a list of names", &b.Accounts); err != nil {
		return b, false, err
	}
	if err := each(CheckName, "accounts", b.Accounts); err != nil {
		return b, false, err
	}
	if err := member(object, "dry_run", "true or false", &dryRun); err != nil {
		return b, false, err
	}
	if err := member(object, "announce", "true or false", &b.Announce); err != nil {
		return b, false, err
	}
	if b.Since, err = moment(object, "since"); err != nil {
		return b, false, err
	}
	if b.Until, err = moment(object, "until"); err != nil {
		return b, false, err
	}
	if b.Since.IsZero() {
		for _, name := range []string{"until", "dry_run", "announce"} {
			if _, given := object[name]; given {
				return b, false, bad("%s belongs to a backfill, which also needs since", name)
			}
		}
		return b, false, nil
	}
	if b.Until.IsZero() {
		b.Until = now.UTC().Truncate(time.Second)
	}
	switch {
	case b.Since.After(now):
		return b, false, bad("since is in the future")
	case !b.Until.After(b.Since):
		return b, false, bad("until must be later than since")
	}
	return b, dryRun, nil
}
