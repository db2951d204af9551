package cycle_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"checkout-notifier/broker"
)

// The variables by which the test binary learns that it is to be the world.
const (
	worldSessions = "BENCH_CYCLE_SESSIONS"
	worldOldest   = "BENCH_CYCLE_OLDEST"
	worldStreams  = "BENCH_CYCLE_STREAMS"
)

// TestMain is the API and the NATS server where it was asked to be: their CPU
// is then another process's.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(worldSessions))
	if err != nil {
		os.Exit(m.Run())
	}
	oldest, _ := strconv.ParseInt(os.Getenv(worldOldest), 10, 64) // set by outside
	a := newAPI(world{n: n, oldest: oldest})
	if err := serve(context.Background(), a, os.Getenv(worldStreams)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers until the input ends, and tells where.
func serve(ctx context.Context, a *api, streams string) error {
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
	server := &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
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

// outside is what the notifier talks to: the API and a NATS server, in a process
// of their own.
type outside struct {
	world
	api, nats string // addresses
}

func newOutside(t *testing.T, n int) *outside {
	t.Helper()
	o := &outside{world: world{n: n, oldest: time.Now().Add(-youth).Unix()}}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), fmt.Sprint(worldSessions, "=", n), fmt.Sprint(worldOldest, "=", o.oldest), worldStreams+"="+t.TempDir())
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
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &o.api, &o.nats)
	}
	if err != nil {
		t.Fatalf("the other process said %q: %v", line, err)
	}
	return o
}

// steer changes how the API answers from now on.
func (o *outside) steer(t *testing.T, what string, value any) {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://%s%s?%s=%v", o.api, steerPath, what, value))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
