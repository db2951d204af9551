package broker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// count is how many lines of a level contain a text.
func (l *lines) count(level, text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "level="+level) && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func startLogged(t *testing.T, dir string) (*broker.Server, jetstream.JetStream, *lines) {
	t.Helper()
	log := &lines{}
	s, err := broker.New(broker.Config{Listen: "127.0.0.1:0", StoreDir: dir}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return s, js, log
}

func ensure(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
}

func send(js jetstream.JetStream, body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := js.Publish(ctx, "s.one", body)
	return err
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it took too long until %s", what)
		}
	}
}

// A stream that failed to write once takes nothing more by itself.
func TestAFullDiskIsOverWhenThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s, js, log := startLogged(t, filepath.Join(dir, "nats"))
	t.Cleanup(s.Stop) // before the directory is unmounted
	ensure(t, js)
	accepted := 0
	for range 3 {
		if err := send(js, []byte("before")); err != nil {
			t.Fatal(err)
		}
		accepted++
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	until(t, "the server notices", func() bool {
		if send(js, make([]byte, 8<<10)) == nil {
			accepted++
		}
		return s.Status().Why != ""
	})
	if why := s.Status().Why; why != "no space left on nats.embedded.store_dir" {
		t.Errorf("it says %q", why)
	}
	if send(js, []byte("lost?")) == nil {
		t.Error("a message was taken on a full disk")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "it takes messages again", func() bool { return send(js, []byte("after")) == nil })
	accepted++
	if status := s.Status(); status.Why != "" || !status.Lost.IsZero() {
		t.Errorf("afterwards: %+v", status)
	}
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n < uint64(accepted) {
		t.Errorf("%d messages of %d that were acknowledged", n, accepted)
	}
	if log.count("ERROR", "cannot write its streams") != 1 || log.count("WARN", "was started again") != 1 {
		t.Errorf("it was not said once: %s", log.text.String())
	}
}

// What is acknowledged must be in files that somebody can find.
func TestADirectoryThatIsRemovedIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name   string
		remove func(dir string) error
		lost   bool
	}{
		{"all of it", os.RemoveAll, true},
		{"its content", func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "jetstream")), os.Remove(filepath.Join(dir, "notifier.lock")))
		}, true},
		{"the streams", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "jetstream")) }, true},
		{"the lock", func(dir string) error { return os.Remove(filepath.Join(dir, "notifier.lock")) }, false},
		{"moved away", func(dir string) error { return os.Rename(dir, dir+".old") }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "nats")
			s, js, log := startLogged(t, dir)
			ensure(t, js)
			if err := send(js, []byte("before")); err != nil {
				t.Fatal(err)
			}
			if err := c.remove(dir); err != nil {
				t.Fatal(err)
			}
			says := map[bool]string{true: "ALL THAT ITS STREAMS HELD IS GONE", false: "its streams are kept"}[c.lost]
			until(t, "it is told", func() bool { return log.count("ERROR", says) == 1 })
			until(t, "it was started again", func() bool { return log.count("WARN", "was started again") == 1 })
			if status := s.Status(); status.Why != "" || status.Lost.IsZero() == c.lost || (status.Times > 0) != c.lost {
				t.Errorf("status %+v", status)
			}
			if c.lost {
				until(t, "the stream can be made", func() bool {
					_, err := js.Stream(t.Context(), "S")
					return errors.Is(err, jetstream.ErrStreamNotFound)
				})
				ensure(t, js)
			}
			until(t, "it takes messages", func() bool { return send(js, []byte("after")) == nil })
			s.Stop()
			again := connect(t, start(t, dir, "127.0.0.1:0"))
			stream, err := again.Stream(t.Context(), "S")
			want := map[bool]uint64{true: 1, false: 2}[c.lost]
			if err != nil || stream.CachedInfo().State.Msgs < want {
				t.Errorf("after a restart: %+v, %v", stream, err)
			}
		})
	}
}
