package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// serveCreate adds a session: POST /sim/sessions, the body may be empty.
func (a *API) serveCreate(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	s, err := a.Create(fields)
	answerSession(w, s, err)
}

// serveUpdate changes a session: POST /sim/sessions/{id}.
func (a *API) serveUpdate(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	s, err := a.Update(r.PathValue("id"), fields)
	answerSession(w, s, err)
}

func readFields(w http.ResponseWriter, r *http.Request) (Fields, error) {
	body, err := readBody(w, r)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	return decodeObject(body)
}

// answerSession answers with the session as the API shows it, without faults.
func answerSession(w http.ResponseWriter, s Session, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		writeError(w, http.StatusNotFound, apiError{Code: "resource_missing", Message: err.Error()})
	case err != nil:
		refuse(w, err)
	default:
		writeJSON(w, http.StatusOK, s.Object)
	}
}

// serveTruth answers with every session and its history: GET /sim/sessions.
func (a *API) serveTruth(w http.ResponseWriter, _ *http.Request) {
	all, err := a.Sessions()
	if err != nil {
		writeError(w, http.StatusInternalServerError, apiError{Type: "api_error", Message: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Object string    `json:"object"`
		Data   []Session `json:"data"`
	}{"list", all})
}

// serveFaults answers with the present set: GET /sim/faults.
func (a *API) serveFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.Faults())
}

// serveSetFaults replaces the present set: POST /sim/faults.
func (a *API) serveSetFaults(w http.ResponseWriter, r *http.Request) {
	var f Faults
	err := readInto(w, r, &f)
	if err == nil {
		err = a.SetFaults(f)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	writeJSON(w, http.StatusOK, a.Faults())
}

// serveTraffic hands an order to Run: POST /sim/traffic.
func (a *API) serveTraffic(w http.ResponseWriter, r *http.Request) {
	t := Traffic{Rate: defaultRate}
	err := readInto(w, r, &t)
	if err == nil && t.Rate != 0 {
		err = t.validate()
	}
	if err != nil {
		refuse(w, err)
		return
	}
	done := a.stopped()
	if done == nil {
		writeError(w, http.StatusConflict, apiError{Message: "traffic cannot start: the simulated API is served without API.Run"})
		return
	}
	select {
	case a.orders <- t:
		writeJSON(w, http.StatusOK, t)
	case <-done:
		writeError(w, http.StatusServiceUnavailable, apiError{Type: "api_error", Message: "the simulated API is stopping"})
	case <-r.Context().Done():
	}
}

func readInto(w http.ResponseWriter, r *http.Request, value any) error {
	body, err := readBody(w, r)
	if err != nil || len(body) == 0 {
		return err
	}
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("reading the request body: %w", err)
	}
	return nil
}
