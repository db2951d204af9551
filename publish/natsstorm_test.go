package publish_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// storm is many deliveries at once, each repeated until it is accepted, as the
// relay does.
type storm struct {
	publisher *publish.NATSPublisher
	wg        sync.WaitGroup

	mu       sync.Mutex // guards all below
	accepted int
	repeated int             // accepted as duplicates
	said     map[string]bool // why some were not
}

const (
	stormWorkers = 32
	stormEach    = 20
)

func stormID(worker, n int) string { return fmt.Sprintf("dlv_%d_%d", worker, n) }

// begin starts to deliver. pause is what lies between two of a worker.
func (s *storm) begin(t *testing.T, pause time.Duration) {
	s.said = make(map[string]bool)
	for worker := range stormWorkers {
		s.wg.Go(func() {
			for n := range stormEach {
				s.deliver(t, stormID(worker, n))
				time.Sleep(pause) // spreads the storm over the trouble
			}
		})
	}
}

func (s *storm) deliver(t *testing.T, id string) {
	m := message(event.Paid)
	m.Delivery.ID = id
	for t.Context().Err() == nil {
		r := s.publisher.Publish(t.Context(), m)
		s.mu.Lock()
		if r.Outcome == event.OutcomeAccepted {
			s.accepted++
			if r.Note != "" {
				s.repeated++
			}
			s.mu.Unlock()
			return
		}
		if r.Outcome != event.OutcomeUnavailable || (r.Contact == publish.ContactFailed) != (r.Subject == "") {
			t.Errorf("%s: result %+v", id, r)
		}
		s.said[r.Error] = true
		s.mu.Unlock()
		time.Sleep(10 * time.Millisecond) // stands for the relay's pause
	}
}

// await returns when a share of the storm is over.
func (s *storm) await(t *testing.T, accepted int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d of the storm", accepted), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.accepted >= accepted
	})
}

func (s *storm) awaitWord(t *testing.T, word string) {
	t.Helper()
	eventually(t, "the words "+word, func() bool { return s.heard(word) })
}

func (s *storm) heard(word string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text := range s.said {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// end waits for the storm to be over and counts what the stream holds.
func (s *storm) end(t *testing.T, url string) {
	t.Helper()
	s.wg.Wait()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	var info *jetstream.StreamInfo
	var kept jetstream.Stream
	eventually(t, "stream that answers", func() bool { // a cluster has to choose its leaders first
		if kept, err = js.Stream(t.Context(), "CHECKOUT"); err == nil {
			info, err = kept.Info(t.Context())
		}
		return err == nil
	})
	if info.State.Msgs != stormWorkers*stormEach {
		t.Errorf("the stream holds %d messages of %d deliveries", info.State.Msgs, stormWorkers*stormEach)
	}
	seen := make(map[string]bool)
	for sequence := info.State.FirstSeq; sequence <= info.State.LastSeq; sequence++ {
		var m *jetstream.RawStreamMsg
		eventually(t, "message of the stream", func() bool {
			m, err = kept.GetMsg(t.Context(), sequence)
			return err == nil
		})
		seen[m.Header.Get(nats.MsgIdHdr)] = true
	}
	for worker := range stormWorkers {
		for n := range stormEach {
			if !seen[stormID(worker, n)] {
				t.Errorf("%s was accepted and is not there", stormID(worker, n))
			}
		}
	}
}

// checkoutStream is the stream of a storm, with changes.
func checkoutStream(change func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	config := jetstream.StreamConfig{Name: "CHECKOUT", Subjects: []string{"checkout.>"}}
	if change != nil {
		change(&config)
	}
	return config
}

// update changes a stream under way.
func update(t *testing.T, js jetstream.JetStream, config jetstream.StreamConfig) {
	t.Helper()
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// valved relays to a server; while it is shut, nothing comes back from there.
func valved(t *testing.T, server string) (url string, valve *sync.RWMutex) {
	t.Helper()
	valve = new(sync.RWMutex)
	address := listen(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", strings.TrimPrefix(server, "nats://"))
		if err != nil {
			return
		}
		defer up.Close()
		go func() {
			defer c.Close()
			piece := make([]byte, 64<<10)
			for {
				n, err := up.Read(piece)
				if err != nil {
					return
				}
				valve.RLock()
				c.Write(piece[:n])
				valve.RUnlock()
			}
		}()
		io.Copy(up, c)
	})
	return "nats://" + address, valve
}

// TestNATSOutages has each kind of trouble come over a storm: nothing is lost,
// nothing is there twice, and what was wrong was said.
func TestNATSOutages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		stream  *jetstream.StreamConfig
		trouble func(t *testing.T, s *storm, broker brokertest.Server, js jetstream.JetStream)
		says    string
	}{
		{name: "no stream, then one", says: "no stream takes the subject",
			trouble: func(t *testing.T, s *storm, _ brokertest.Server, js jetstream.JetStream) {
				s.awaitWord(t, "no stream")
				if _, err := js.CreateStream(t.Context(), checkoutStream(nil)); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "full by number", says: "may be full: maximum messages exceeded",
			stream: new(checkoutStream(func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 100, jetstream.DiscardNew })),
			trouble: func(t *testing.T, s *storm, _ brokertest.Server, js jetstream.JetStream) {
				s.awaitWord(t, "maximum messages")
				update(t, js, checkoutStream(nil))
			}},
		{name: "full by size", says: "may be full: maximum bytes exceeded",
			stream: new(checkoutStream(func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 64<<10, jetstream.DiscardNew })),
			trouble: func(t *testing.T, s *storm, _ brokertest.Server, js jetstream.JetStream) {
				s.awaitWord(t, "maximum bytes")
				update(t, js, checkoutStream(nil))
			}},
		{name: "account's storage used up", says: "storage is used up", stream: new(checkoutStream(nil)),
			trouble: func(t *testing.T, s *storm, broker brokertest.Server, _ jetstream.JetStream) {
				broker.Storage(64 << 10)
				s.awaitWord(t, "used up")
				broker.Storage(-1)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			broker := brokertest.Start(t, brokertest.Options{})
			nc, err := nats.Connect(broker.URL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			if c.stream != nil {
				stream(t, nc, *c.stream)
			}
			s := &storm{publisher: newNATS(t, natsDestination(broker.URL), nil)}
			s.begin(t, time.Millisecond)
			c.trouble(t, s, broker, js)
			s.end(t, broker.URL)
			if !s.heard(c.says) {
				t.Errorf("said %v, not %q", s.said, c.says)
			}
		})
	}
}

// TestNATSLosesNothingWithItsServer replaces the server amid a storm, once by a
// plain stop and once as a lame duck.
func TestNATSLosesNothingWithItsServer(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(brokertest.Server){
		"stopped": func(s brokertest.Server) { s.Stop() },
		"retired": func(s brokertest.Server) { s.Retire() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := brokertest.Start(t, brokertest.Options{StoreDir: dir})
			nc, _ := listener(t, server.URL)
			stream(t, nc, checkoutStream(nil))
			url, move := movable(t, server.URL)
			s := &storm{publisher: newNATS(t, natsDestination(url), nil)}
			s.begin(t, time.Millisecond)
			for round := range 2 {
				s.await(t, (round+1)*stormWorkers*stormEach/4)
				stop(server)
				s.awaitWord(t, "connect")
				server = brokertest.Start(t, brokertest.Options{StoreDir: dir})
				move(server.URL)
			}
			s.end(t, server.URL)
		})
	}
}

// TestNATSLosesNothingWithItsConnection breaks the connection over and over.
func TestNATSLosesNothingWithItsConnection(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.Options{})
	nc, _ := listener(t, broker.URL)
	stream(t, nc, checkoutStream(nil))
	address, broken := shaky(t, strings.TrimPrefix(broker.URL, "nats://"))
	// Under two names, so that the client need not wait before it reconnects.
	d := natsDestination("nats://" + address + ",nats://" + strings.Replace(address, "127.0.0.1", "localhost", 1))
	s := &storm{publisher: newNATS(t, d, nil)}
	s.begin(t, 0)
	s.end(t, broker.URL)
	if broken.Load() < 5 {
		t.Errorf("the connection broke %d times: the test did not try anything", broken.Load())
	}
}

// TestNATSAcknowledgementsCanBeLate withholds them for longer than a publisher
// waits: the messages are stored, and repeated they are duplicates.
func TestNATSAcknowledgementsCanBeLate(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.Options{})
	nc, _ := listener(t, broker.URL)
	stream(t, nc, checkoutStream(nil))
	url, valve := valved(t, broker.URL)
	s := &storm{publisher: newNATS(t, natsDestination(url), nil)}
	s.begin(t, time.Millisecond)
	s.await(t, stormWorkers)
	valve.Lock()
	s.awaitWord(t, "no acknowledgement within 5s")
	valve.Unlock()
	s.end(t, broker.URL)
	if s.repeated == 0 {
		t.Error("no duplicate was accepted")
	}
}
