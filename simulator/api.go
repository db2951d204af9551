package simulator

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Paths of the two calls of the pretended API.
const (
	listPath = "/v1/checkout/sessions/list"
	getPath  = "/v1/checkout/sessions/{id}"
)

// Sentinels of the Go side; the HTTP side answers 404 and 400 for them.
var (
	// ErrNotFound is returned by Update for an id that was never created.
	ErrNotFound = errors.New("no such checkout session")
	// ErrInvalid is returned by Create, Update, SetFaults and RunTraffic for
	// values that make no sense.
	ErrInvalid = errors.New("invalid")
	// ErrRunning is returned by Run while another Run of the same API lasts.
	ErrRunning = errors.New("the simulated API runs already")
)

// Config is what NewAPI needs. Every field but SecretKey may stay zero.
type Config struct {
	// SecretKey is the Basic user name that requests must carry, with an empty
	// password. A prefix sk_live_ makes every session livemode. While it is
	// empty every request under /v1 is answered 401.
	SecretKey string
	// Now is the clock of the API: creation, expiry, Date headers, stale views.
	// If nil, time.Now.
	Now func() time.Time
	// Seed decides everything random except traffic, which has its own.
	Seed uint64
	// Logger receives one debug line for each request. If nil, nothing is logged.
	Logger *slog.Logger
}

// API is the pretended payment API: two calls under /v1 and the controls under
// /sim. Make it with NewAPI. All methods may be called at any time from any
// goroutine.
type API struct {
	key    string
	live   bool
	seed   uint64
	now    func() time.Time
	log    *slog.Logger
	mux    *http.ServeMux
	orders chan Traffic // from POST /sim/traffic to Run

	mu       sync.Mutex // guards everything below
	sessions store
	faults   Faults
	rng      *rand.Rand // faults only; sessions derive theirs from their id
	struck   map[kind]int
	requests map[RequestKey]int
	done     chan struct{} // closed when the present Run ends; nil without one
}

// RequestKey names one counter of API.Requests.
type RequestKey struct {
	// Path is the route, with {id} in place of a session's id, or "/" for a
	// path that the API does not have.
	Path string
	// Status is what was answered; 0 if the client left before an answer.
	Status int
}

// NewAPI returns an API without sessions and without faults. It starts nothing.
func NewAPI(cfg Config) *API {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	a := &API{
		key:      cfg.SecretKey,
		live:     strings.HasPrefix(cfg.SecretKey, "sk_live_"),
		seed:     cfg.Seed,
		now:      now,
		log:      cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		mux:      http.NewServeMux(),
		orders:   make(chan Traffic),
		sessions: newStore(cfg.Seed),
		rng:      rand.New(rand.NewPCG(cfg.Seed, streamFaults)),
		struck:   map[kind]int{},
		requests: map[RequestKey]int{},
	}
	a.mux.HandleFunc("GET "+listPath, a.authorized(a.serveList))
	a.mux.HandleFunc("GET "+getPath, a.authorized(a.serveGet))
	a.mux.HandleFunc("POST /sim/sessions", a.serveCreate)
	a.mux.HandleFunc("GET /sim/sessions", a.serveTruth)
	a.mux.HandleFunc("POST /sim/sessions/{id}", a.serveUpdate)
	a.mux.HandleFunc("GET /sim/faults", a.serveFaults)
	a.mux.HandleFunc("POST /sim/faults", a.serveSetFaults)
	a.mux.HandleFunc("POST /sim/traffic", a.serveTraffic)
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, apiError{Message: "Unrecognized request URL (" + r.Method + ": " + r.URL.Path + ")"})
	})
	return a
}

// ServeHTTP answers one request and counts it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	watched := &statusWriter{ResponseWriter: w}
	w.Header().Set("Date", a.now().UTC().Format(http.TimeFormat))
	a.mux.ServeHTTP(watched, r)

	path := r.Pattern
	if _, route, ok := strings.Cut(path, " "); ok {
		path = route
	}
	a.mu.Lock()
	a.requests[RequestKey{Path: path, Status: watched.status}]++
	a.mu.Unlock()
	a.log.DebugContext(r.Context(), "simulated API answered",
		"method", r.Method, "path", r.URL.Path, "status", watched.status)
}

// Requests returns how many requests were answered so far, by route and status.
// The map is the caller's.
func (a *API) Requests() map[RequestKey]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.requests)
}

// authorized lets only requests with the right Basic credentials through.
func (a *API) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		same := subtle.ConstantTimeCompare([]byte(user), []byte(a.key)) == 1
		if !ok || !same || password != "" || a.key == "" {
			writeError(w, http.StatusUnauthorized, apiError{Message: "invalid api key"})
			return
		}
		next(w, r)
	}
}

// stopped returns a channel that is closed when the present Run ends; it is nil,
// and blocks for ever, while there is none.
func (a *API) stopped() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.done
}

// statusWriter remembers the status that went out.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
