// Package broker is a NATS server with JetStream inside this process, for an
// operator without one, for the demo and for tests.
//
// It promises that a Server that Start returned without error accepts
// connections, that its streams survive a restart on the same directory, and
// that every accepted message is on the disk before it is acknowledged. It
// takes no signals, never ends the process, and never listens before Start.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serverName is fixed: JetStream keeps it in its files.
const serverName = "notifier-embedded"

// streamsName is the directory that JetStream makes in that of the configuration.
const streamsName = server.JetStreamStoreDir

// unlimitedStore, 1 PiB, is more than any disk has, so that only the disk limits the
// streams. Without a limit from us the server sets one at its start, of three quarters of
// what is free then; what its streams already hold counts against it. One that starts on
// a disk that is nearly full would take no message until it is restarted.
const unlimitedStore = 1 << 50

// readySteps bounds the wait for a server that neither listens nor says why.
const readySteps = 600

// Errors of New, Start and Run.
var (
	// ErrAddressInUse is returned by Start when another process listens there.
	ErrAddressInUse = errors.New("the address of the embedded NATS server is taken")
	// ErrStarted is returned by a second Start: a Server lives once.
	ErrStarted = errors.New("the embedded NATS server was started before")
	// ErrListen is returned by New for an address that is none.
	ErrListen = errors.New("nats.embedded.listen is not host:port")
	// ErrNoStoreDir is returned by New when the streams have no place.
	ErrNoStoreDir = errors.New("nats.embedded.store_dir is empty")
	// ErrHeld is returned by Start when another process has the directory.
	ErrHeld = errors.New("nats.embedded.store_dir is held by another process")
)

// Server is one embedded server. Its methods may be called from any goroutine.
type Server struct {
	config Config
	log    *slog.Logger
	host   string
	port   int

	life    sync.Mutex     // held while the server starts or stops; guards these
	lock    *directoryLock // nil while the server does not run
	streams os.FileInfo    // of the directory of the streams at the last start
	logger  *logger        // of the last start
	last    time.Time      // of the last restart
	next    time.Time      // before that there is none
	pause   time.Duration  // between the last restart and the next
	end     func()         // ends the watch, and waits for it

	mu     sync.Mutex // guards these
	srv    *server.Server
	status Status
}

// New checks the configuration; nothing listens yet. Port 0 means any free one.
func New(config Config, log *slog.Logger) (*Server, error) {
	host, portText, err := net.SplitHostPort(config.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrListen, config.Listen)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return nil, fmt.Errorf("%w: %q", ErrListen, config.Listen)
	}
	if config.StoreDir == "" {
		return nil, ErrNoStoreDir
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{config: config, log: log, host: host, port: port, status: Status{Dir: config.StoreDir}}, nil
}

// Start returns when the server accepts connections, or with the reason why it
// does not; ctx bounds the wait. It waits up to 10 seconds for another process to
// let go of the directory: two servers would each write over what the other one has
// acknowledged. Whoever starts a server stops it, by Run or Stop.
func (s *Server) Start(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.srv != nil {
		return ErrStarted
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(watching)
	}()
	s.end = func() { cancel(); <-ended }
	return nil
}

// start starts the server in a directory that is ours. The caller holds life.
func (s *Server) start(ctx context.Context) error {
	port := s.port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: serverName,
		Host:       s.host,
		Port:       port,
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   s.config.StoreDir,
		SyncAlways: true,

		JetStreamMaxStore: unlimitedStore,
	})
	if err != nil {
		return fmt.Errorf("preparing the embedded NATS server: %w", err)
	}
	logger := &logger{log: s.log, fatal: make(chan error, 1)}
	srv.SetLoggerV2(logger, false, false, false)
	go srv.Start()
	if err := waitReady(ctx, srv, logger.fatal); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("starting the embedded NATS server on %s: %w", s.config.Listen, err)
	}
	s.logger = logger
	if address, ok := srv.Addr().(*net.TCPAddr); ok {
		s.port = address.Port // a restart must be found where this one was
	}
	s.mu.Lock()
	again := s.srv != nil
	s.srv = srv
	s.mu.Unlock()
	if again {
		return nil
	}
	if ip := net.ParseIP(s.host); s.host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		s.log.Warn("the embedded NATS server asks nobody for a password and listens beyond this machine", "listen", s.config.Listen)
	}
	return nil
}

func waitReady(ctx context.Context, srv *server.Server, fatal <-chan error) error {
	ready := make(chan bool, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for range readySteps {
			if srv.ReadyForConnections(readyStep) {
				ready <- true
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
		ready <- false
	}()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-fatal:
		return err
	case ok := <-ready:
		if !ok {
			return errors.New("it did not become ready")
		}
		return nil
	}
}

// URL is where clients connect; "" before Start.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return ""
	}
	return s.srv.ClientURL()
}

// Stop ends the server and returns when its files are closed. A server that
// was never started, or was stopped, is left as it is.
func (s *Server) Stop() {
	s.mu.Lock()
	started := s.srv != nil
	s.mu.Unlock()
	if !started {
		return
	}
	s.end()
	s.life.Lock()
	defer s.life.Unlock()
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	if s.lock != nil {
		s.lock.release()
	}
}

// Run starts the server unless Start did, blocks until ctx is cancelled, stops
// the server and returns nil; an error means that it could not start.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(ctx); err != nil && !errors.Is(err, ErrStarted) {
		return err
	}
	<-ctx.Done()
	s.Stop()
	return nil
}

// addressError tells a taken address from other reasons not to listen.
func addressError(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %w", ErrAddressInUse, err)
	}
	return err
}
