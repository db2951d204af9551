package poller_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// listing is an API that keeps its sessions in whatever order it is given them.
type listing struct {
	ids     []string
	items   map[string]string // JSON by id; an id without one is not shown
	created map[string]int64  // by id, as it was set
}

func newListing() *listing {
	return &listing{items: make(map[string]string), created: make(map[string]int64)}
}

// add appends a session to the end of the list.
func (l *listing) add(id string, created time.Time, status, payment string) {
	l.ids = append(l.ids, id)
	l.set(id, created, status, payment)
}

func (l *listing) set(id string, created time.Time, status, payment string) {
	l.items[id] = fmt.Sprintf(`{"id":%q,"created":%d,"status":%q,"payment_status":%q}`, id, created.Unix(), status, payment)
	l.created[id] = created.Unix()
}

// params are the list parameters that a request carries in its body.
func params(req *http.Request) (limit int, after string) {
	var p struct {
		Limit int    `json:"limit"`
		After string `json:"starting_after"`
	}
	if req.Body != nil {
		body, _ := io.ReadAll(req.Body)
		_ = json.Unmarshal(body, &p)
	}
	if p.Limit == 0 {
		p.Limit = 10 // the API's default
	}
	return p.Limit, p.After
}

func isList(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/list") }

func (l *listing) answer(req *http.Request) (status int, body string) {
	if !isList(req) {
		id := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
		if item, ok := l.items[id]; ok {
			return http.StatusOK, item
		}
		return http.StatusNotFound, `{"error":{"message":"no such session"}}`
	}
	limit, after := params(req)
	return http.StatusOK, l.page(limit, after)
}

func (l *listing) page(limit int, after string) string {
	at := 0
	if after != "" {
		at = slices.Index(l.ids, after) + 1
	}
	var shown []string
	more := false
	for _, id := range l.ids[at:] {
		item, ok := l.items[id]
		if !ok {
			continue
		}
		if more = len(shown) == limit; more {
			break
		}
		shown = append(shown, item)
	}
	return fmt.Sprintf(`{"object":"list","has_more":%t,"data":[%s]}`, more, strings.Join(shown, ","))
}
