package publish

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// benchServer asks the test binary to be a NATS server: its CPU is then
// another process's.
const benchServer = "BENCH_NATS_SERVER"

// TestBenchServer serves until its input ends, where it was asked to.
func TestBenchServer(t *testing.T) {
	if os.Getenv(benchServer) == "" {
		t.Skip("no benchmark asked for a server")
	}
	fmt.Println(brokertest.Start(t, brokertest.Options{}).URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func startBenchServer(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestBenchServer$")
	cmd.Env = append(os.Environ(), benchServer+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "nats://") {
		b.Fatalf("the server said %q: %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return strings.TrimSpace(line)
}

// benched is a publisher and a bare client of one server.
type benched struct {
	publisher *NATSPublisher
	body      Body
	sample    Message
	js        jetstream.JetStream
	ids       atomic.Uint64
}

const benchSubject = "bench.main.paid"

func newBenched(b *testing.B) *benched {
	b.Helper()
	url := startBenchServer(b)
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	f := &benched{sample: Message{Event: event.SampleEvent(event.Paid)}}
	if f.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1<<16)); err != nil {
		b.Fatal(err)
	}
	if _, err := f.js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: "BENCH", Subjects: []string{"bench.>"}, MaxMsgs: 50_000, Duplicates: 5 * time.Second,
	}); err != nil {
		b.Fatal(err)
	}
	d := DefaultNATS()
	d.Name, d.Subject, d.NATS.Server = "bench", "bench.{{ .Account }}.{{ .Change }}", secret.String(url)
	renderer, err := NewRenderer(d, nil, "")
	if err != nil {
		b.Fatal(err)
	}
	if f.publisher, err = NewNATS(d, renderer, NewConnections(nil)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.publisher.Close(context.Background()) })
	if f.body, err = renderer.RenderData(f.sample); err != nil {
		b.Fatal(err)
	}
	return f
}

func (f *benched) id() string { return fmt.Sprintf("dlv_%026d", f.ids.Add(1)) }

// ours sends n messages from a number of callers. Rendered ones are those whose
// subject and body are there already.
func (f *benched) ours(b *testing.B, n, callers int, rendered bool) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				m := f.sample
				m.Delivery.ID = f.id()
				if !rendered {
					if r := f.publisher.Publish(b.Context(), m); r.Outcome != event.OutcomeAccepted {
						b.Errorf("result %+v", r)
					}
					continue
				}
				l, err := f.publisher.conn.use(f.publisher)
				if err == nil {
					_, err = l.publishAcknowledged(b.Context(), f.publisher.binary(&m, benchSubject, f.body))
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// bare sends n messages by one loop with a window, with no headers but the id's
// and those given.
func (f *benched) bare(b *testing.B, n, window int, headers nats.Header) {
	sent := make([]jetstream.PubAckFuture, window)
	wait := func(future jetstream.PubAckFuture) {
		if future == nil {
			return
		}
		select {
		case <-future.Ok():
		case err := <-future.Err():
			b.Error(err)
		}
	}
	for i := range n {
		wait(sent[i%window])
		m := &nats.Msg{Subject: benchSubject, Data: f.body.Content, Header: make(nats.Header, len(headers)+1)}
		maps.Copy(m.Header, headers)
		m.Header[nats.MsgIdHdr] = []string{f.id()}
		future, err := f.js.PublishMsgAsync(m)
		if err != nil {
			b.Fatal(err)
		}
		sent[i%window] = future
	}
	for _, future := range sent {
		wait(future)
	}
}

// BenchmarkPublish compares a publisher with a bare loop, by turns, so that
// what else the machine does falls on all; of the turns the median counts. The
// ratios are the publisher's rate over that of the loop, from the rendered parts
// on: ratio over a loop that sends the id alone, ratio-alike over one that sends
// the same headers, which the server's time goes into.
func BenchmarkPublish(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			f := newBenched(b)
			attributes := f.publisher.binary(&f.sample, benchSubject, f.body).Header
			turn := max(20*callers, 500)
			ways := []struct {
				name string
				do   func()
				took []time.Duration
			}{
				{name: "bare", do: func() { f.bare(b, turn, callers, nil) }},
				{name: "rendered", do: func() { f.ours(b, turn, callers, true) }},
				{name: "alike", do: func() { f.bare(b, turn, callers, attributes) }},
				{name: "whole", do: func() { f.ours(b, turn, callers, false) }},
			}
			for _, way := range ways {
				way.do()
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += turn {
				for i := range ways {
					start := time.Now()
					ways[i].do()
					ways[i].took = append(ways[i].took, time.Since(start))
				}
			}
			median := make(map[string]float64)
			for _, way := range ways {
				slices.Sort(way.took)
				median[way.name] = float64(way.took[len(way.took)/2]) / float64(turn)
				b.ReportMetric(median[way.name], way.name+"-ns/msg")
			}
			b.ReportMetric(median["bare"]/median["rendered"], "ratio")
			b.ReportMetric(median["alike"]/median["rendered"], "ratio-alike")
			b.ReportMetric(0, "ns/op")
		})
	}
}
