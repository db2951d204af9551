package simulator

import (
	"fmt"
	"html"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// kind is the JSON name of a fault that has a chance.
type kind string

const (
	faultHang              kind = "hang"
	faultRateLimited       kind = "rate_limited"
	faultRateLimitedBare   kind = "rate_limited_bare"
	faultServerError       kind = "server_error"
	faultUnavailable       kind = "unavailable"
	faultUnauthorized      kind = "unauthorized"
	faultForbidden         kind = "forbidden"
	faultRedirect          kind = "redirect"
	faultRejectBody        kind = "reject_body"
	faultCutBody           kind = "cut_body"
	faultInvalidJSON       kind = "invalid_json"
	faultTruncatedJSON     kind = "truncated_json"
	faultRepeatPage        kind = "repeat_page"
	faultIgnoreFilters     kind = "ignore_filters"
	faultIgnoreLimit       kind = "ignore_limit"
	faultAscending         kind = "ascending"
	faultEmptyPage         kind = "empty_page"
	faultHasMoreNull       kind = "has_more_null"
	faultHasMoreTrue       kind = "has_more_true"
	faultSeconds           kind = "seconds"
	faultStringNumbers     kind = "string_numbers"
	faultRotateURL         kind = "rotate_url"
	faultNullFlip          kind = "null_flip"
	faultItemWithoutID     kind = "item_without_id"
	faultItemWithoutStatus kind = "item_without_status"
	faultItemNotObject     kind = "item_not_object"
	faultDuplicateItem     kind = "duplicate_item"
	faultStale             kind = "stale"
)

// The two calls, as Faults.Scope names them.
const (
	scopeList = "list"
	scopeGet  = "get"
)

// entry is one fault of a set with its name.
type entry struct {
	kind kind
	*Chance
	listOnly bool // makes no sense for a single session
}

// delays are the faults that come before everything else.
func (f *Faults) delays() []entry {
	return []entry{{faultHang, &f.Hang, false}}
}

// refusals are the faults that answer with an error.
func (f *Faults) refusals() []entry {
	return []entry{
		{faultRateLimited, &f.RateLimited, false},
		{faultRateLimitedBare, &f.RateLimitedBare, false},
		{faultServerError, &f.ServerError, false},
		{faultUnavailable, &f.Unavailable, false},
		{faultUnauthorized, &f.Unauthorized, false},
		{faultForbidden, &f.Forbidden, false},
		{faultRedirect, &f.Redirect, false},
		{faultRejectBody, &f.RejectBody, false},
	}
}

// distortions are the faults that spoil an answer with status 200.
func (f *Faults) distortions() []entry {
	return []entry{
		{faultCutBody, &f.CutBody, false},
		{faultInvalidJSON, &f.InvalidJSON, false},
		{faultTruncatedJSON, &f.TruncatedJSON, false},
		{faultRepeatPage, &f.RepeatPage, true},
		{faultIgnoreFilters, &f.IgnoreFilters, true},
		{faultIgnoreLimit, &f.IgnoreLimit, true},
		{faultAscending, &f.Ascending, true},
		{faultEmptyPage, &f.EmptyPage, true},
		{faultHasMoreNull, &f.HasMoreNull, true},
		{faultHasMoreTrue, &f.HasMoreTrue, true},
		{faultSeconds, &f.Seconds, false},
		{faultStringNumbers, &f.StringNumbers, false},
		{faultRotateURL, &f.RotateURL, false},
		{faultNullFlip, &f.NullFlip, false},
		{faultItemWithoutID, &f.ItemWithoutID, true},
		{faultItemWithoutStatus, &f.ItemWithoutStatus, true},
		{faultItemNotObject, &f.ItemNotObject, true},
		{faultDuplicateItem, &f.DuplicateItem, true},
		{faultStale, &f.Stale, false},
	}
}

// plan is what will happen to one request. It is decided under the lock and
// belongs to the request from then on.
type plan struct {
	faults  Faults // the parameters of the faults, as they were
	hit     map[kind]bool
	refusal kind          // "" for an answer with status 200
	lag     time.Duration // how old the state is that this answer shows
	rng     *rand.Rand
}

// draw decides which faults strike a request.
func (a *API) draw(scope string, hasBody bool) *plan {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := &a.faults
	p := &plan{faults: *f, hit: map[kind]bool{}, rng: rand.New(rand.NewPCG(a.rng.Uint64(), streamFaults))}
	if f.Scope != "" && f.Scope != scope {
		p.faults = Faults{Vanished: f.Vanished, Late: f.Late, LateMS: f.LateMS}
		return p
	}
	strikes := func(e entry) bool {
		if e.listOnly && scope != scopeList || e.kind == faultRejectBody && !hasBody || !e.strikes(a.rng) {
			return false
		}
		p.hit[e.kind] = true
		a.struck[e.kind]++
		return true
	}
	for _, e := range f.delays() {
		strikes(e)
	}
	if at := slices.IndexFunc(f.refusals(), strikes); at >= 0 {
		p.refusal = f.refusals()[at].kind
		return p
	}
	for _, e := range f.distortions() {
		strikes(e)
	}
	if p.hit[faultStale] {
		least, most := millis(f.StaleMinMS), millis(max(f.StaleMS, f.StaleMinMS))
		p.lag = least + time.Duration(p.rng.Int64N(int64(most-least)+1))
	}
	return p
}

// admit reads the request, lets the faults strike that come before the answer,
// and reports whether an answer is still to be made.
func (a *API) admit(w http.ResponseWriter, r *http.Request, scope string) (*plan, []byte, bool) {
	body, err := readBody(w, r)
	if err != nil {
		refuse(w, err)
		return nil, nil, false
	}
	p := a.draw(scope, len(body) > 0)
	if p.hit[faultHang] && !a.hold(r, millis(p.faults.HangMS)) {
		return nil, nil, false
	}
	skewed := a.now().Add(time.Duration(p.faults.ClockSkewS) * time.Second)
	w.Header().Set("Date", skewed.UTC().Format(http.TimeFormat))
	if p.refusal != "" {
		p.refuse(w, r)
		return nil, nil, false
	}
	return p, body, true
}

// hold keeps a request waiting and reports whether it should be answered.
func (a *API) hold(r *http.Request, d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-a.stopped():
		return true
	case <-r.Context().Done():
		return false
	}
}

// refuse plays the refusal of the plan.
func (p *plan) refuse(w http.ResponseWriter, r *http.Request) {
	switch p.refusal {
	case faultRateLimited:
		w.Header().Set("Retry-After", strconv.Itoa(max(p.faults.RetryAfterS, 1)))
		writeError(w, http.StatusTooManyRequests, apiError{Code: "rate_limit", Message: "Too many requests"})
	case faultRateLimitedBare:
		writeError(w, http.StatusTooManyRequests, apiError{Code: "rate_limit", Message: "Too many requests"})
	case faultServerError:
		page := "<html><head><title>500</title></head><body><h1>a temporary problem with internal servers</h1><p>" +
			html.EscapeString(r.URL.Path) + "</p></body></html>\n"
		writeBody(w, http.StatusInternalServerError, "text/html", []byte(page))
	case faultUnavailable:
		writeError(w, http.StatusServiceUnavailable, apiError{Type: "api_error", Message: "Service unavailable"})
	case faultUnauthorized:
		writeError(w, http.StatusUnauthorized, apiError{Message: "invalid api key"})
	case faultForbidden:
		writeError(w, http.StatusForbidden, apiError{Message: "This key may not do that"})
	case faultRedirect:
		to := p.faults.RedirectTo
		if to == "" {
			to = "https://elsewhere.invalid" + r.URL.Path
		}
		w.Header().Set("Location", to)
		writeBody(w, http.StatusFound, "text/html", []byte("<a href=\""+html.EscapeString(to)+"\">Found</a>\n"))
	default: // faultRejectBody
		writeError(w, http.StatusBadRequest, apiError{Message: "A GET request must not have a body"})
	}
}

// bend changes what a list request asks for.
func (p *plan) bend(q *query) {
	if p.hit[faultRepeatPage] {
		q.after, q.before = "", ""
	}
	if p.hit[faultIgnoreFilters] {
		q.min, q.max = math.MinInt64, math.MaxInt64
	}
}

// look is the way in which this answer shows sessions.
func (p *plan) look(live bool) look {
	return look{
		seconds: p.hit[faultSeconds],
		strings: p.hit[faultStringNumbers],
		rotate:  p.hit[faultRotateURL],
		flip:    p.hit[faultNullFlip],
		live:    live,
		rng:     p.rng,
	}
}

// items encodes a page and spoils single items.
func (p *plan) items(page []shown, l look) ([][]byte, error) {
	items := make([][]byte, 0, len(page)+1)
	for _, s := range page {
		raw, err := s.encode(l)
		if err != nil {
			return nil, err
		}
		items = append(items, raw)
	}
	if len(items) == 0 {
		return items, nil
	}
	for _, lost := range []struct {
		kind  kind
		field string
	}{{faultItemWithoutID, "id"}, {faultItemWithoutStatus, "status"}} {
		if !p.hit[lost.kind] {
			continue
		}
		at := p.rng.IntN(len(items))
		raw, err := withoutField(items[at], lost.field)
		if err != nil {
			return nil, err
		}
		items[at] = raw
	}
	if p.hit[faultDuplicateItem] {
		at := p.rng.IntN(len(items))
		items = slices.Insert(items, at, items[at])
	}
	if p.hit[faultItemNotObject] {
		odd := []string{`null`, `42`, `"cs_0"`, `[]`}
		items[p.rng.IntN(len(items))] = []byte(odd[p.rng.IntN(len(odd))])
	}
	return items, nil
}

// withoutField encodes an item again without one of its fields.
func withoutField(item []byte, name string) ([]byte, error) {
	doc, err := decodeObject(item)
	if err != nil {
		return nil, err
	}
	delete(doc, name)
	return encodeSession(doc)
}

// send writes an answer with status 200, spoiled as planned.
func (p *plan) send(w http.ResponseWriter, body []byte) {
	const contentType = "application/json;charset=UTF-8"
	switch {
	case p.hit[faultCutBody]:
		// net/http closes a connection that got less than was promised.
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body[:len(body)/2])
	case p.hit[faultInvalidJSON]:
		writeBody(w, http.StatusOK, contentType, fmt.Appendf(nil, "<!-- upstream -->%s", body))
	case p.hit[faultTruncatedJSON]:
		writeBody(w, http.StatusOK, contentType, body[:len(body)/2])
	default:
		writeBody(w, http.StatusOK, contentType, body)
	}
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }
