package poller

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"checkout-notifier/checkout"
)

// envelope is a list answer. Members that the API leaves out or sets to null
// stay nil.
type envelope struct {
	Object  string            `json:"object"`
	HasMore json.RawMessage   `json:"has_more"`
	Data    []json.RawMessage `json:"data"`
	Error   json.RawMessage   `json:"error"`
}

// readPage reads a list answer. An answer that is not a list is an error: it
// says nothing about any session, least of all that there are none.
func readPage(body []byte) (*Page, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("the answer is not a list in JSON: %s", beginning(body))
	}
	switch {
	case len(e.Data) > 0:
	case len(e.Error) > 0 && !bytes.Equal(e.Error, []byte("null")):
		return nil, fmt.Errorf("the answer is an error: %s", errorMessage(body))
	case e.Data == nil && e.Object != "list":
		return nil, errors.New("the answer has no data")
	}
	page := &Page{Items: len(e.Data), HasMore: readFlag(e.HasMore)}
	seen := make(map[string]bool, len(e.Data))
	for i, raw := range e.Data {
		s, err := checkout.Parse(raw)
		switch {
		case err != nil:
			page.Bad = append(page.Bad, fmt.Errorf("item %d: %w", i+1, err))
		case seen[s.ID]:
			page.Repeated++
		default:
			seen[s.ID] = true
			page.Sessions = append(page.Sessions, s)
		}
	}
	return page, nil
}

// readFlag reads has_more, which was seen as a boolean, as a string, and as null.
func readFlag(raw json.RawMessage) *bool {
	var flag bool
	switch string(bytes.Trim(raw, `"`)) {
	case "true":
		flag = true
	case "false":
	default:
		return nil
	}
	return &flag
}

// ordered says whether the page runs from newer to older sessions, allowing for
// the API's rounding of creation times. Within a second the ids tell: a page on
// which every session is newer than the one before runs the wrong way.
func (p *Page) ordered() bool {
	ascends := len(p.Sessions) >= enoughToAscend
	for i := 1; i < len(p.Sessions); i++ {
		before, s := &p.Sessions[i-1], &p.Sessions[i]
		if s.Created.After(before.Created.Add(createdRounding)) {
			return false
		}
		ascends = ascends && compareAge(before.Created, before.ID, s.Created, s.ID) < 0
	}
	return !ascends
}

// enoughToAscend is from how many sessions on a page the order of their ids is
// no accident: the API promises none within a second.
const enoughToAscend = 3

// beginning says what came instead of the answer. JSON is not quoted: it may
// hold a customer's data.
func beginning(body []byte) string {
	const enough = 60
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return "it is empty"
	case body[0] == '{' || body[0] == '[':
		return "it is cut off or malformed"
	case len(body) > enough:
		body = body[:enough]
	}
	return "it begins " + strconv.Quote(string(body))
}
