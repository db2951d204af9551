package admin

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Jobs is what an operator may see and do of what takes longer than a request.
type Jobs interface {
	// Jobs returns a page, newest first, and where the next one begins; "" at the
	// end. ErrBadCursor: Before is not what an earlier page returned.
	Jobs(ctx context.Context, q JobQuery) (items any, next string, err error)
	// Job returns one. ErrNotFound.
	Job(ctx context.Context, id string) (any, error)
	// CancelJob ends one for good and returns it. ErrNotFound, ErrConflict: it
	// has ended already.
	CancelJob(ctx context.Context, id, actor string) (any, error)
	// JobFilters lists the values that JobQuery's Kind and Status may have.
	JobFilters() (kinds, statuses []string)
}

// JobQuery chooses jobs; empty members do not.
type JobQuery struct {
	Kind, Status string
	Before       string
	Limit        int
}

// maxLimit is how many items a list answers with at most, and by default.
const maxLimit = 100

func (s *Server) jobs(w http.ResponseWriter, r *http.Request) {
	kinds, statuses := s.daemon.JobFilters()
	q, err := readJobQuery(r.URL.RawQuery, kinds, statuses)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	items, next, err := s.daemon.Jobs(r.Context(), q)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	document := map[string]any{"items": items, "next": nil}
	if next != "" {
		document["next"] = base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	answer(w, http.StatusOK, document)
}

func readJobQuery(raw string, kinds, statuses []string) (JobQuery, error) {
	q := JobQuery{Limit: maxLimit}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, bad("the query cannot be read")
	}
	for name, given := range values {
		value := given[0]
		if len(given) > 1 {
			return q, bad("%s is given twice", name)
		}
		switch name {
		case "limit":
			if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 || q.Limit > maxLimit {
				return q, bad("limit must be 1 to %d, not %q", maxLimit, value)
			}
		case "cursor":
			before, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil || len(before) == 0 {
				return q, ErrBadCursor
			}
			q.Before = string(before)
		case "kind":
			q.Kind = value
			err = oneOf(name, value, kinds)
		case "status":
			q.Status = value
			err = oneOf(name, value, statuses)
		default:
			return q, bad("unknown filter %q: known are cursor, kind, limit, status", name)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func oneOf(name, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return bad("%s must be one of %s, not %q%s", name, strings.Join(known, ", "), value, didYouMean(value, known))
}

func (s *Server) job(w http.ResponseWriter, r *http.Request) {
	job, err := s.daemon.Job(r.Context(), r.PathValue("id"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, job)
}

func (s *Server) cancelJob(w http.ResponseWriter, r *http.Request) {
	if _, err := members(w, r); err != nil {
		s.refuse(w, r, err)
		return
	}
	job, err := s.daemon.CancelJob(r.Context(), r.PathValue("id"), actor(r.Context()))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, job)
}
