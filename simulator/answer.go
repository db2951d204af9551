package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxBody bounds every request body that the package reads, in bytes.
const maxBody = 1 << 20

// apiError is the error object of the API. An empty Type means
// invalid_request_error.
type apiError struct {
	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
}

func (e *apiError) Error() string { return e.Message }

// invalidParam is the error for a parameter that cannot be used as it is.
func invalidParam(param, format string, args ...any) *apiError {
	return &apiError{Code: "parameter_invalid", Param: param, Message: fmt.Sprintf(format, args...)}
}

// missingSession is the error for an id that the API does not show.
func missingSession(id, param string) *apiError {
	return &apiError{Code: "resource_missing", Param: param, Message: fmt.Sprintf("No such checkout session: '%s'", id)}
}

func writeError(w http.ResponseWriter, status int, e apiError) {
	if e.Type == "" {
		e.Type = "invalid_request_error"
	}
	writeJSON(w, status, map[string]any{"error": e})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, fmt.Sprintf("encoding the answer: %v", err), http.StatusInternalServerError)
		return
	}
	writeBody(w, status, "application/json;charset=UTF-8", body)
}

// writeBody sends a complete answer. A failed write means that the client has
// gone, which nobody here needs to know.
func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// readBody reads a whole request body. Reading it to its end is also what lets
// net/http notice that a client has gone while its request is held.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("reading the request body: %w", err)
	}
	return body, nil
}
