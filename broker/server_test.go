package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker"
	"checkout-notifier/filelock"
)

func start(t *testing.T, dir, listen string) *broker.Server {
	t.Helper()
	s, err := broker.New(broker.Config{Listen: listen, StoreDir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, s *broker.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStreamSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir, "127.0.0.1:0")
	js := connect(t, first)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		stopped, err := broker.New(broker.Config{Listen: "127.0.0.1:0", StoreDir: dir}, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("another notifier (pid %d) keeps its streams in ", os.Getpid())
		if err := stopped.Start(ctx); !errors.Is(err, broker.ErrHeld) || !strings.Contains(err.Error(), want) || !strings.Contains(said.String(), want) {
			t.Errorf("one that is stopped while it waits: %v, logged %q", err, &said)
		}
	})
	if _, err := js.Publish(t.Context(), "s.one", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	first.Stop()

	js = connect(t, start(t, dir, "127.0.0.1:0"))
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	message, err := stream.GetLastMsgForSubject(t.Context(), "s.one")
	if err != nil {
		t.Fatal(err)
	}
	if string(message.Data) != "kept" {
		t.Errorf("the stream holds %q", message.Data)
	}
}

// Two servers in one directory would each write over what the other acknowledged.
func TestASecondServerInTheDirectoryIsRefused(t *testing.T) {
	t.Parallel() // it takes as long as the lock is waited for
	if !filelock.Works {
		t.Skip("no file can be locked here")
	}
	dir := t.TempDir()
	first := start(t, dir, "127.0.0.1:0")
	js := connect(t, first)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	second, err := broker.New(broker.Config{Listen: "127.0.0.1:0", StoreDir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = second.Start(t.Context())
	if !errors.Is(err, broker.ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("another notifier (pid %d)", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("the second server: %v", err)
	}
	if _, err := js.Publish(t.Context(), "s.one", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	if err := second.Start(t.Context()); err != nil {
		t.Fatalf("once the first has stopped: %v", err)
	}
	defer second.Stop()
	stream, err := connect(t, second).Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("the stream holds %d messages", n)
	}
}

// A server that could not start holds nothing.
func TestAServerThatDoesNotStartLetsGoOfTheDirectory(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dir := t.TempDir()
	s, err := broker.New(broker.Config{Listen: listener.Addr().String(), StoreDir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); !errors.Is(err, broker.ErrAddressInUse) {
		t.Errorf("Start on a taken address: %v", err)
	}
	start(t, dir, "127.0.0.1:0")
}

func TestTakenAddressIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s, err := broker.New(broker.Config{Listen: listener.Addr().String(), StoreDir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Start(ctx); !errors.Is(err, broker.ErrAddressInUse) {
		t.Errorf("Start on a taken address: %v", err)
	}
	if s.URL() != "" {
		t.Errorf("a server that did not start has the URL %q", s.URL())
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, c := range []struct {
		name   string
		config broker.Config
		want   error
	}{
		{"no port", broker.Config{Listen: "127.0.0.1", StoreDir: "x"}, broker.ErrListen},
		{"port too high", broker.Config{Listen: "127.0.0.1:70000", StoreDir: "x"}, broker.ErrListen},
		{"no directory", broker.Config{Listen: "127.0.0.1:0"}, broker.ErrNoStoreDir},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := broker.New(c.config, nil); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := start(t, t.TempDir(), "127.0.0.1:0")
	nc, err := nats.Connect(s.URL(), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := nats.Connect(s.URL(), nats.Timeout(time.Second)); err == nil {
		t.Error("the server still takes connections after Run returned")
	}
}
