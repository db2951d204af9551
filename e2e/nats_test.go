package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsPassword must appear nowhere that the binary writes.
const natsPassword = "CanaryNatsPassword3Wd"

// bus is a real NATS server in the test process.
type bus struct {
	t    *testing.T
	conn *nats.Conn
	js   jetstream.JetStream
	url  string // with the password in it
}

func newBus(t *testing.T) *bus {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "e2e", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), Username: "notifier", Password: natsPassword,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the NATS server did not become ready")
	}
	b := &bus{t: t, url: "nats://notifier:" + natsPassword + "@" + srv.Addr().String()}
	if b.conn, err = nats.Connect(b.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.conn.Close)
	if b.js, err = jetstream.New(b.conn); err != nil {
		t.Fatal(err)
	}
	return b
}

// stored returns the messages of a stream in its order.
func (b *bus) stored(stream string) []jetstream.Msg {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		b.t.Fatalf("stream %s: %v", stream, err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		b.t.Fatal(err)
	}
	var messages []jetstream.Msg
	for uint64(len(messages)) < info.State.Msgs {
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			b.t.Fatalf("reading message %d of %d: %v", len(messages)+1, info.State.Msgs, err)
		}
		messages = append(messages, m)
	}
	return messages
}

// reader collects the messages of a core subject as they come.
func (b *bus) reader(subject string) *nats.Subscription {
	b.t.Helper()
	sub, err := b.conn.SubscribeSync(subject)
	if err == nil {
		err = b.conn.Flush() // the server knows of it before anything is sent
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return sub
}
