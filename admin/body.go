package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody bounds what a request may carry; the largest sensible one is far smaller.
const maxBody = 64 << 10

// badRequest is a request that contradicts itself or the API, with the status
// to answer it with.
type badRequest struct {
	status int
	detail string
}

func (b *badRequest) Error() string { return b.detail }

func bad(format string, args ...any) error {
	return &badRequest{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// members reads a request's JSON object, by the names of its members; an empty
// body has none. A name that is not in known is a mistake, in its case too.
func members(w http.ResponseWriter, r *http.Request, known ...string) (map[string]json.RawMessage, error) {
	if r.URL.RawQuery != "" {
		return nil, bad("the query is not read here: put its fields into the body")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d KiB", maxBody>>10)}
	case err != nil:
		return nil, bad("the body could not be read")
	case len(body) == 0:
		return nil, nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &badRequest{http.StatusUnsupportedMediaType, "the body must be sent as Content-Type: application/json"}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		return nil, bad("the body must be one JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) {
			return nil, bad("unknown field %q: known are %s", name, cmp.Or(strings.Join(known, ", "), "none"))
		}
		if string(object[name]) == "null" {
			delete(object, name)
		}
	}
	return object, nil
}

// member reads one member; a missing one leaves the value as it is.
func member[T any](object map[string]json.RawMessage, name, form string, value *T) error {
	raw, given := object[name]
	if !given {
		return nil
	}
	if json.Unmarshal(raw, value) != nil {
		return bad("%s must be %s", name, form)
	}
	return nil
}

// moment reads a member that is a time.
func moment(object map[string]json.RawMessage, name string) (time.Time, error) {
	const form = "a time in RFC 3339, such as 2026-11-22T10:00:00Z"
	var text string
	if err := member(object, name, form, &text); err != nil || text == "" {
		if err == nil && object[name] != nil {
			err = bad("%s must be %s", name, form)
		}
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.IsZero() {
		return time.Time{}, bad("%s must be %s", name, form)
	}
	return t.UTC(), nil
}
