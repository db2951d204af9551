package publish_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func TestDestinationsShareAConnection(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true})
	connections := publish.NewConnections(nil)
	d := natsDestination(s.URL)
	d.JetStream = false
	a := newNATS(t, d, connections)
	d.Name, d.Subject = "other", "checkout.other"
	b := newNATS(t, d, connections)
	for _, p := range []*publish.NATSPublisher{a, b} {
		if err := p.Available(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Clients(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("after the other one closed: %+v", r)
	}
}

func TestContextFile(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true, Users: []brokertest.User{{Name: "ctx", Password: "p"}}})
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	write := func(name string, content map[string]any) {
		raw, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(home, "nats", "context")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good", map[string]any{"url": s.URL, "user": "ctx", "password": "p"})
	write("bad", map[string]any{"url": s.URL, "user": "ctx", "password": "wrong"})
	write("odd", map[string]any{"url": s.URL, "nsc": "nsc://x"})

	d := natsDestination("nats://127.0.0.1:4222")
	d.JetStream, d.NATS.Context = false, "good"
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("from the context: %+v", r)
	}
	d.NATS.Context, d.NATS.User, d.NATS.Password = "bad", "ctx", "p"
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("with keys that win: %+v", r)
	}
	for _, name := range []string{"odd", "missing", "../good"} {
		d.NATS.Context = name
		renderer, err := publish.NewRenderer(d, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := publish.NewNATS(d, renderer, publish.NewConnections(nil)); err == nil {
			t.Errorf("context %q is accepted", name)
		}
	}
}

func TestNewNATSRefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*publish.Destination){
		"server":          func(d *publish.Destination) { d.NATS.Server = "nats://u:s3cret@" },
		"two credentials": func(d *publish.Destination) { d.NATS.User, d.NATS.Token = "u", "s3cret" },
		"password alone":  func(d *publish.Destination) { d.NATS.Password = "s3cret" },
		"missing creds":   func(d *publish.Destination) { d.NATS.Creds = "/nowhere/x.creds" },
		"missing nkey":    func(d *publish.Destination) { d.NATS.NKey = "/nowhere/x.nk" },
		"missing CA":      func(d *publish.Destination) { d.NATS.CA = "/nowhere/ca.pem" },
		"half a pair":     func(d *publish.Destination) { d.NATS.Cert = "cert.pem" },
		"inbox prefix":    func(d *publish.Destination) { d.NATS.InboxPrefix = "a.>" },
		"mode":            func(d *publish.Destination) { d.Mode = "text" },
		"stream of core":  func(d *publish.Destination) { d.JetStream, d.Stream.Name = false, "X" },
		"ensure, no name": func(d *publish.Destination) { d.Stream.Ensure = true },
		"ensure, branches": func(d *publish.Destination) {
			d.Stream.Name, d.Stream.Ensure, d.Subject = "X", true, "a.{{if .Link}}b{{else}}c{{end}}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := natsDestination("nats://127.0.0.1:4222")
			change(&d)
			renderer, err := publish.NewRenderer(d, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = publish.NewNATS(d, renderer, publish.NewConnections(nil))
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}
