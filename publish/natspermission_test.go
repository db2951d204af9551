package publish_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
)

// TestDocumentedPermissionsSuffice gives a user what docs/nats.md says that it
// needs, and nothing else.
func TestDocumentedPermissionsSuffice(t *testing.T) {
	text, err := os.ReadFile("../docs/nats.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```conf\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no permissions in the document")
	}
	t.Setenv("NOTIFIER_PASSWORD", "s3cret")
	s := brokertest.Start(t, brokertest.Options{Authorization: string(block[1])})
	d := natsDestination(strings.Replace(s.URL, "nats://", "nats://notifier:s3cret@", 1))
	d.Stream.Name, d.Stream.Ensure, d.NATS.InboxPrefix = "CHECKOUT", true, "_INBOX_notifier"
	for _, step := range []string{"creates the stream", "finds it", "updates it"} {
		if step == "updates it" {
			d.Stream.DuplicateWindow *= 2
		}
		m := message(event.Paid)
		m.Delivery.ID = step
		p := newNATS(t, d, nil)
		if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted || complaint(p) != "" {
			t.Errorf("%s: %+v, complaint %q", step, r, complaint(p))
		}
	}
	d.Subject, d.Stream.Ensure = "elsewhere.{{ .Change }}", false
	want := "permission denied by the NATS server: to publish to elsewhere.* (server " + strings.TrimPrefix(s.URL, "nats://") + ")"
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeRefused || r.Error != want {
		t.Errorf("another subject: %+v", r)
	}
}
