package deliver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"checkout-notifier/broker"
)

// worldStreams is the variable by which the test binary learns that it is to be
// the world, and where its NATS server keeps its streams.
const worldStreams = "BENCH_DELIVER_STREAMS"

// TestMain is the receiver and the NATS server where it was asked to be: their
// CPU is then another process's.
func TestMain(m *testing.M) {
	streams := os.Getenv(worldStreams)
	if streams == "" {
		os.Exit(m.Run())
	}
	if err := serve(context.Background(), streams); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers until the input ends, and tells where.
func serve(ctx context.Context, streams string) error {
	nats, err := broker.New(broker.Config{Listen: "127.0.0.1:0", StoreDir: streams}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := nats.Start(ctx); err != nil {
		return err
	}
	defer nats.Stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newReceiver(), ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the process that measures has ended
		_ = server.Close()
	}()
	fmt.Println(listener.Addr(), nats.URL())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Paths of the receiver.
const (
	pathAccept   = "/accept"   // 204, and nothing else
	pathNote     = "/note"     // notes when what arrived
	pathHang     = "/hang"     // does not answer as long as the caller waits
	pathArrivals = "/arrivals" // what was noted, and forgets it
)

// receiver is a shop's endpoint that does nothing.
type receiver struct {
	mu       sync.Mutex // guards arrivals
	arrivals map[string]time.Time
}

func newReceiver() http.Handler {
	r := &receiver{arrivals: make(map[string]time.Time)}
	mux := http.NewServeMux()
	mux.HandleFunc(pathAccept, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc(pathNote+"/", func(w http.ResponseWriter, q *http.Request) {
		at := time.Now()
		_, _ = io.Copy(io.Discard, q.Body)
		r.mu.Lock()
		r.arrivals[q.Header.Get("Webhook-Id")] = at
		r.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc(pathHang, func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		<-q.Context().Done()
	})
	mux.HandleFunc(pathArrivals, func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_ = json.NewEncoder(w).Encode(r.arrivals)
		r.arrivals = make(map[string]time.Time)
	})
	return mux
}

// outside is what deliveries go to, in a process of its own.
type outside struct{ http, nats string } // addresses

func newOutside(t testing.TB) *outside {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), worldStreams+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	o := &outside{}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &o.http, &o.nats)
	}
	if err != nil {
		t.Fatalf("the other process said %q: %v", line, err)
	}
	return o
}

func (o *outside) url(path string) string { return "http://" + o.http + path }

// arrivals returns when which delivery arrived since the last call.
func (o *outside) arrivals(t *testing.T) map[string]time.Time {
	t.Helper()
	resp, err := http.Get(o.url(pathArrivals))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var arrivals map[string]time.Time
	if err := json.NewDecoder(resp.Body).Decode(&arrivals); err != nil {
		t.Fatal(err)
	}
	return arrivals
}
