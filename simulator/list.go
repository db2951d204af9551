package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shown is one session in the state in which an answer shows it.
type shown struct {
	num   uint64
	state version
}

func (a *API) serveList(w http.ResponseWriter, r *http.Request) {
	p, body, ok := a.admit(w, r, scopeList)
	if !ok {
		return
	}
	q, err := parseQuery(r.URL.Query(), body, p)
	if err != nil {
		refuse(w, err)
		return
	}
	p.bend(&q)
	page, more, err := a.page(q, p)
	if err != nil {
		refuse(w, err)
		return
	}
	answer, err := a.envelope(page, more, p)
	if err != nil {
		writeError(w, http.StatusInternalServerError, apiError{Type: "api_error", Message: err.Error()})
		return
	}
	p.send(w, answer)
}

func (a *API) serveGet(w http.ResponseWriter, r *http.Request) {
	p, _, ok := a.admit(w, r, scopeGet)
	if !ok {
		return
	}
	id := r.PathValue("id")
	found, ok := a.find(id, p)
	if !ok {
		writeError(w, http.StatusNotFound, *missingSession(id, "id"))
		return
	}
	answer, err := found.encode(p.look(a.live))
	if err != nil {
		writeError(w, http.StatusInternalServerError, apiError{Type: "api_error", Message: err.Error()})
		return
	}
	p.send(w, answer)
}

// refuse answers 400 with what was wrong.
func refuse(w http.ResponseWriter, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{Message: err.Error()}
	}
	writeError(w, http.StatusBadRequest, *e)
}

// find returns one session as the view of this answer has it.
func (a *API) find(id string, p *plan) (shown, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.settled()
	r := a.sessions.byID[id]
	if r == nil || slices.Contains(p.faults.Vanished, id) {
		return shown{}, false
	}
	v, ok := r.asOf(now.Add(-p.lag))
	return shown{num: r.num, state: v}, ok
}

// page returns the sessions of one list answer in the order in which they are
// shown, and whether there are more in the direction of travel.
func (a *API) page(q query, p *plan) ([]shown, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.settled()
	order := a.sessions.order
	ascending := p.hit[faultAscending]

	// at is where to look next and step the direction, both in the ascending
	// order that the store keeps. Paging towards the end of the list runs
	// against that order, unless the list itself is ascending.
	step, at := -1, len(order)-1
	forward := q.before == ""
	if forward == ascending {
		step, at = 1, 0
	}
	if cursor := q.after + q.before; cursor != "" {
		r := a.sessions.byID[cursor]
		if r == nil || slices.Contains(p.faults.Vanished, cursor) {
			param := "starting_after"
			if !forward {
				param = "ending_before"
			}
			return nil, false, missingSession(cursor, param)
		}
		found, _ := slices.BinarySearchFunc(order, r, compareRecords)
		at = found + step
	}
	var items []shown
	for ; at >= 0 && at < len(order); at += step {
		v, ok := p.visible(order[at], now)
		if !ok || !q.matches(v) {
			continue
		}
		if len(items) == q.limit {
			return inOrder(items, forward), true, nil
		}
		items = append(items, shown{num: order[at].num, state: v})
	}
	return inOrder(items, forward), false, nil
}

// inOrder turns a page that was gathered backwards.
func inOrder(items []shown, forward bool) []shown {
	if !forward {
		slices.Reverse(items)
	}
	return items
}

// visible returns the state in which the list shows a session, if it does.
func (p *plan) visible(r *record, now time.Time) (version, bool) {
	if slices.Contains(p.faults.Vanished, r.id) {
		return version{}, false
	}
	if p.faults.Late > 0 && share(r.num, "late") < p.faults.Late &&
		now.Sub(r.versions[0].at) < millis(p.faults.LateMS) {
		return version{}, false
	}
	return r.asOf(now.Add(-p.lag))
}

// matches tells whether the filters let a session through.
func (q query) matches(v version) bool {
	details, _ := v.fields["customer_details"].(map[string]any)
	return v.created >= q.min && v.created <= q.max &&
		(q.customer == "" || text(v.fields["customer"]) == q.customer) &&
		(q.email == "" || strings.EqualFold(text(details["email"]), q.email)) &&
		(q.paymentIntent == "" || text(v.fields["payment_intent"]) == q.paymentIntent)
}

// envelope encodes a page, with the odd items that the plan asks for.
func (a *API) envelope(page []shown, more bool, p *plan) ([]byte, error) {
	if p.hit[faultEmptyPage] {
		page, more = nil, true
	}
	items, err := p.items(page, p.look(a.live))
	if err != nil {
		return nil, err
	}
	url, hasMore := "null", strconv.FormatBool(more)
	if p.rng.IntN(2) == 0 {
		url = strconv.Quote(strings.TrimSuffix(listPath, "/list"))
	}
	switch {
	case p.hit[faultHasMoreNull]:
		hasMore = "null"
	case p.hit[faultHasMoreTrue]:
		hasMore = "true"
	}
	// The items are JSON: json.Marshal would read each of them again.
	return fmt.Appendf(nil, `{"object":"list","url":%s,"has_more":%s,"data":[%s]}`, url, hasMore, bytes.Join(items, []byte(","))), nil
}
