// Package admin is the operator's HTTP side: probes, metrics and the API.
//
// It looks at the daemon through its own small interface and changes nothing by
// itself. Probes and (if public) metrics answer everybody; everything else only
// a request that names a known host, comes from no foreign page, and carries a
// token where tokens are set. Errors are RFC 9457 problems. It never shows a
// secret.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"time"
)

// Daemon is what the server shows and acts on. All methods may be called at any
// time and concurrently.
type Daemon interface {
	// Healthy returns why the process or its store does not answer.
	Healthy(ctx context.Context) error
	// Ready returns why the daemon has not taken up its work yet, "" once it has.
	Ready() string
	// Cause is what whoever asked may be told of an error that none of the names below
	// fits, "" if nothing.
	Cause(err error) string
	// Status is a JSON document.
	Status(ctx context.Context) (any, error)
	// AcceptAccount lets a stopped account go on with the sessions that its key
	// shows now. UnknownError. ErrNothingToAccept: it is not stopped.
	AcceptAccount(ctx context.Context, name, actor string) error
	// PauseDestination stops a destination until it is resumed; what waits is kept.
	// changed is false if it stood still already. UnknownError.
	PauseDestination(ctx context.Context, name, actor string) (changed bool, err error)
	// ResumeDestination lets a destination go on that was paused or stopped by
	// itself, and probes one whose breaker is open. changed is false if it was
	// neither, and had asked for no pause. UnknownError.
	ResumeDestination(ctx context.Context, name, actor string) (changed bool, err error)
	Polling
	Jobs
	Records
	Acts
	Redeliveries
	Backups
}

// Errors of a Daemon. But for ErrNotFound their messages are shown to whoever
// asked.
var (
	// ErrNotFound is what the daemon does not know.
	ErrNotFound = errors.New("not found")
	// ErrConflict is what cannot be done as things are.
	ErrConflict = errors.New("it cannot be done now")
	// ErrChanged is what is no longer as the request demands.
	ErrChanged = errors.New("changed meanwhile")
	// ErrBadCursor is a cursor that no page ended with.
	ErrBadCursor = errors.New("cursor is not one that a list answered with")
	// ErrNothingToAccept is an account that is not stopped.
	ErrNothingToAccept = errors.New("there is nothing to accept")
	// ErrUpstream is a part of the payment API's list that could not be read.
	ErrUpstream = errors.New("the list could not be read")
	// ErrStopping is what a daemon that is about to end does not begin.
	ErrStopping = errors.New("the daemon is stopping")
)

// ErrListen is an admin address that cannot be listened on.
var ErrListen = errors.New("cannot listen on admin.listen")

// Server serves the admin address.
type Server struct {
	cfg     Config
	daemon  Daemon
	metrics http.Handler
	log     *slog.Logger
}

// New returns a server for a checked configuration.
func New(cfg Config, daemon Daemon, metrics http.Handler, log *slog.Logger) *Server {
	return &Server{cfg: cfg, daemon: daemon, metrics: metrics, log: log}
}

// Listen opens the admin address, so that a taken one is known before anything
// else starts.
func Listen(ctx context.Context, cfg Config) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w (is another notifier running? choose another admin.listen)", ErrListen, cfg.Listen, err)
	}
	return l, nil
}

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
)

// Run serves until the context ends, then lets open requests finish for a moment.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(l) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serving the admin address: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // open requests had their time
	}
	return nil
}

// Handler returns the routes below the base path, guarded.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.handleProbes(mux)
	mux.Handle("GET /api/v1/status", s.guard(RoleViewer, s.status))
	mux.Handle("POST /api/v1/accounts/{name}/accept", s.guard(RoleOperator, s.acceptAccount))
	mux.Handle("POST /api/v1/destinations/{name}/pause", s.guard(RoleOperator, s.pauseDestination))
	mux.Handle("POST /api/v1/destinations/{name}/resume", s.guard(RoleOperator, s.resumeDestination))
	mux.Handle("POST /api/v1/poll", s.guard(RoleOperator, s.poll))
	mux.Handle("GET /api/v1/jobs", s.guard(RoleViewer, s.jobs))
	mux.Handle("GET /api/v1/jobs/{id}", s.guard(RoleViewer, s.job))
	mux.Handle("POST /api/v1/jobs/{id}/cancel", s.guard(RoleOperator, s.cancelJob))
	mux.Handle("GET /api/v1/state/backup", s.guard(RoleOperator, s.backup)) // it holds what the API says of customers
	s.handleRecords(mux)
	if s.cfg.PProf {
		mux.Handle("GET /debug/pprof/", s.guard(RoleOperator, pprof.Index))
		mux.Handle("GET /debug/pprof/profile", s.guard(RoleOperator, pprof.Profile))
		mux.Handle("GET /debug/pprof/trace", s.guard(RoleOperator, pprof.Trace))
	}
	nothing := func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "there is nothing at "+r.URL.Path)
	}
	mux.Handle(anything, s.guard(RoleViewer, func(w http.ResponseWriter, r *http.Request) {
		allowed := methods(mux, r)
		if len(allowed) == 0 {
			nothing(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem(w, http.StatusMethodNotAllowed, r.Method+" is not possible here, but "+strings.Join(allowed, " and "))
	}))
	base := strings.TrimSuffix(s.cfg.BasePath, "/")
	if base == "" {
		return secure(mux)
	}
	outer := http.NewServeMux()
	s.handleProbes(outer) // who asks them need not come through the proxy that adds the base path
	outer.Handle(base+"/", http.StripPrefix(base, mux))
	outer.Handle(anything, s.guard(RoleViewer, func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "there is nothing at "+r.URL.Path+": admin.base_path is "+base)
	}))
	return secure(outer)
}

// handleProbes adds the routes of what is asked by machines, without a token.
func (s *Server) handleProbes(mux *http.ServeMux) {
	mux.HandleFunc("GET /-/healthy", s.healthy)
	mux.HandleFunc("GET /-/ready", s.ready)
	mux.Handle("GET /metrics", s.guardMetrics(s.metrics))
}

// anything is the pattern of what has no route.
const anything = "/"

// methods lists those that have a route at a request's path.
func methods(mux *http.ServeMux, r *http.Request) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := *r
		other.Method = method
		if _, pattern := mux.Handler(&other); pattern != anything {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// secure keeps a browser from doing anything with an answer but showing it.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) healthy(w http.ResponseWriter, r *http.Request) {
	if err := s.daemon.Healthy(r.Context()); err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	plain(w, "healthy\n")
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if why := s.daemon.Ready(); why != "" {
		problem(w, http.StatusServiceUnavailable, why)
		return
	}
	plain(w, "ready\n")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	status, err := s.daemon.Status(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, status)
}

func (s *Server) acceptAccount(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := s.daemon.AcceptAccount(r.Context(), name, actor(r.Context()))
	s.acted(w, r, err, map[string]any{"name": name})
}

func (s *Server) pauseDestination(w http.ResponseWriter, r *http.Request) {
	s.stand(w, r, s.daemon.PauseDestination)
}

func (s *Server) resumeDestination(w http.ResponseWriter, r *http.Request) {
	s.stand(w, r, s.daemon.ResumeDestination)
}

// stand stops the destination that the path names or lets it go on, in the name
// of the token.
func (s *Server) stand(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, name, actor string) (bool, error)) {
	name := r.PathValue("name")
	changed, err := do(r.Context(), name, actor(r.Context()))
	s.acted(w, r, err, map[string]any{"name": name, "changed": changed})
}

// acted answers what came of an act on the thing that the path names.
func (s *Server) acted(w http.ResponseWriter, r *http.Request, err error, done map[string]any) {
	var stranger *UnknownError
	switch {
	case errors.As(err, &stranger):
		unknown(w, r, stranger)
	case errors.Is(err, ErrNothingToAccept):
		problem(w, http.StatusConflict, err.Error())
	case err != nil:
		s.failed(w, r, err)
	default:
		answer(w, http.StatusOK, done)
	}
}

// refuse answers with what kept a request from being done.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var request *badRequest
	var stranger *UnknownError
	switch {
	case errors.As(err, &stranger):
		unknown(w, r, stranger)
	case errors.As(err, &request):
		problem(w, request.status, request.detail)
	case errors.Is(err, ErrNotFound):
		problem(w, http.StatusNotFound, fmt.Sprintf("there is no record with the id %q", r.PathValue("id")))
	case errors.Is(err, ErrBadCursor):
		problem(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, ErrUpstream):
		problem(w, http.StatusBadGateway, err.Error())
	case errors.Is(err, ErrConflict):
		problem(w, http.StatusConflict, err.Error())
	case errors.Is(err, ErrChanged):
		problem(w, http.StatusPreconditionFailed, err.Error())
	case errors.Is(err, ErrStopping):
		problem(w, http.StatusServiceUnavailable, err.Error())
	case r.Context().Err() != nil: // nobody waits for an answer
	default:
		s.failed(w, r, err)
	}
}

// failed answers that something failed through nobody's mistake, with the cause if that may
// be told: whoever asks need not be one who can read the log.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Error("a request to the admin address failed", "path", r.URL.Path, "error", err)
	why := s.daemon.Cause(err)
	if why == "" {
		why = "the log says why"
	}
	problem(w, http.StatusInternalServerError, "it could not be done: "+why)
}

// path is where a route stands for whoever asks.
func (s *Server) path(route string) string { return strings.TrimSuffix(s.cfg.BasePath, "/") + route }

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the caller may have left
}

func answer(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		problem(w, http.StatusInternalServerError, "the answer could not be written")
		return
	}
	headers(w, "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// problem answers with an RFC 9457 problem.
func problem(w http.ResponseWriter, status int, detail string) {
	writeProblem(w, status, map[string]any{"detail": detail})
}

// unknown answers that a request names a thing that there is not; of what kind
// it is says a member of its own, for programs.
func unknown(w http.ResponseWriter, r *http.Request, u *UnknownError) {
	status := http.StatusBadRequest
	if r.PathValue("name") == u.Name {
		status = http.StatusNotFound
	}
	writeProblem(w, status, map[string]any{"detail": u.Error(), "unknown": u.Kind})
}

func writeProblem(w http.ResponseWriter, status int, members map[string]any) {
	members["type"], members["title"], members["status"] = "about:blank", http.StatusText(status), status
	body, err := json.Marshal(members)
	if err != nil {
		body = []byte(`{}`)
	}
	headers(w, "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func headers(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
}

// host returns the name in a Host header or an Origin, without its port.
func host(authority string) string {
	if u, err := url.Parse("//" + authority); err == nil {
		return strings.ToLower(u.Hostname())
	}
	return ""
}
