package cycle_test

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pageSize = 100
	lifetime = 24 * time.Hour
	youth    = 20 * time.Hour // the sessions were created within it
	listPath = "/v1/checkout/sessions/list"

	// shares is into how many parts the sessions fall: one flip pays for a part.
	shares = 100

	idPrefix = "cs_"
	firstID  = 2125398971902865409
	idStep   = 4096
)

//go:embed testdata/session.json
var sessionText string

// world is the sessions by number, oldest first. Both processes compute it.
type world struct {
	n      int
	oldest int64 // creation time of number 0, Unix seconds
}

func (w world) id(i int) string     { return idPrefix + strconv.FormatInt(firstID+int64(i)*idStep, 10) }
func (w world) created(i int) int64 { return w.oldest + int64(i)*int64(youth/time.Second)/int64(w.n) }

// number is the inverse of id; what is no id stands behind all.
func (w world) number(id string) int {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, idPrefix), 10, 64)
	if err != nil {
		return w.n
	}
	return int((n - firstID) / idStep)
}

// api serves the sessions from memory, so fast that a cycle's time is its
// reader's. Each answer shows other urls.
type api struct {
	world
	pieces  []piece
	answers atomic.Int64
	buffers sync.Pool
	latency atomic.Int64
	flipped atomic.Int64 // parts of the sessions that are paid
}

// piece is text of a session, and the variable that follows it.
type piece struct{ text, variable string }

func newAPI(w world) *api {
	a := &api{world: w, buffers: sync.Pool{New: func() any { return new([]byte) }}}
	rest := strings.TrimSpace(sessionText)
	for rest != "" {
		text, behind, _ := strings.Cut(rest, "{{")
		variable, next, _ := strings.Cut(behind, "}}")
		a.pieces, rest = append(a.pieces, piece{text, variable}), next
	}
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == steerPath {
		a.steer(req)
		return
	}
	time.Sleep(time.Duration(a.latency.Load()))
	var q struct {
		Limit         int    `json:"limit"`
		StartingAfter string `json:"starting_after"`
		Created       struct {
			GTE int64 `json:"gte,string"`
			LTE int64 `json:"lte,string"`
		} `json:"created"`
	}
	if err := json.NewDecoder(req.Body).Decode(&q); err != nil || req.URL.Path != listPath {
		http.Error(w, `{"error":{"message":"unknown question"}}`, http.StatusBadRequest)
		return
	}
	from, until := a.n, 0
	if q.StartingAfter != "" {
		from = min(a.n, a.number(q.StartingAfter))
	}
	if q.Created.LTE != 0 {
		from = min(from, sort.Search(a.n, func(i int) bool { return a.created(i) > q.Created.LTE }))
	}
	if q.Created.GTE != 0 {
		until = sort.Search(a.n, func(i int) bool { return a.created(i) >= q.Created.GTE })
	}
	last := max(until, from-min(q.Limit, pageSize))
	buffer := a.buffers.Get().(*[]byte)
	defer a.buffers.Put(buffer)
	*buffer = a.appendPage((*buffer)[:0], from, last, last > until)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(*buffer)))
	_, _ = w.Write(*buffer) // a reader that has left asks again
}

// appendPage writes the sessions below one number down to another.
func (a *api) appendPage(b []byte, from, last int, more bool) []byte {
	answer, flipped := a.answers.Add(1), int(a.flipped.Load())
	b = append(b, `{"object":"list","data":[`...)
	for i := from - 1; i >= last; i-- {
		b = a.appendSession(b, i, answer, i%shares < flipped)
		b = append(b, ',')
	}
	if last < from {
		b = b[:len(b)-1]
	}
	return append(strconv.AppendBool(append(b, `],"has_more":`...), more), '}')
}

func (a *api) appendSession(b []byte, i int, answer int64, paid bool) []byte {
	status, payment := "open", "unpaid"
	if paid {
		status, payment = "complete", "paid"
	}
	for _, p := range a.pieces {
		b = append(b, p.text...)
		switch p.variable {
		case "id":
			b = strconv.AppendInt(b, firstID+int64(i)*idStep, 10)
		case "created":
			b = strconv.AppendInt(b, a.created(i), 10)
		case "expires":
			b = strconv.AppendInt(b, a.created(i)+int64(lifetime/time.Second), 10)
		case "status":
			b = append(b, status...)
		case "payment":
			b = append(b, payment...)
		case "n":
			b = strconv.AppendInt(b, int64(i), 10)
		case "rotating":
			b = strconv.AppendInt(b, 1_000_000_000_000_000+answer, 10)
		}
	}
	return b
}

const steerPath = "/bench"

// steer changes the world from outside.
func (a *api) steer(req *http.Request) {
	q := req.URL.Query()
	if d, err := time.ParseDuration(q.Get("latency")); err == nil {
		a.latency.Store(int64(d))
	}
	if n, err := strconv.Atoi(q.Get("flipped")); err == nil {
		a.flipped.Store(int64(n))
	}
}
