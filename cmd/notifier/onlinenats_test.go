package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"checkout-notifier/broker/brokertest"
)

// What every delivery would fail by is said before the first one.
func TestOnlineCheckAsksWhoTakesTheSubject(t *testing.T) {
	const unsure, refused = "ok   destination bus: reached; could not be checked: whether it may publish there\n", "FAIL destination bus: what is sent to checkout.main.paid would not be taken: "
	const made = "ok   destination bus: reached; could not be checked: whether stream S can be created or brought up to date; whether it may publish there"
	const alone = "stream S is to have replicas: 3, and this server is in no cluster: write replicas: 1, or connect to a cluster (server SERVER)\n"
	const both = "FAIL destination bus: what is sent to checkout.main.paid, checkout.main.fulfillable would not be taken: "
	const none = "no stream takes the subject: create one, or let it be created (stream: {name: …, ensure: true}) (server SERVER)"
	const small = "no stream takes the subject, and stream.subjects do not name it: add it there, or leave stream.subjects out (server SERVER)\n"
	const short = "ok   destination bus: reached; stream S recognises a repeat for 2m0s only, and stores later ones again: give it a duplicate window longer than the longest outage, such as 1h0m0s; could not be checked: "
	const ordered = "orders.{{ .Session.metadata.order }}.{{ .Change }}" // the samples have no such key
	const unread = "the subject of paid, fulfillable: not checked, because it cannot be rendered for the sample: line 1, column 11: there is no Session.metadata.order\n"
	bob := func(publish, subscribe []string) brokertest.Options {
		return brokertest.Options{Users: []brokertest.User{{Name: "bob", Password: "pw", Publish: publish, Subscribe: subscribe}, {Name: "root", Password: "pw"}}}
	}
	for name, c := range map[string]struct {
		server  brokertest.Options
		subject string // of the stream S
		sent    string // subject of the destination, unless it is the usual one
		more    string // of the destination
		says    string
	}{
		"taken":                 {subject: "checkout.>", says: short + "whether it may publish there\n"},
		"taken by the one":      {subject: "checkout.>", more: "stream: {name: S, duplicate_window: 2m}", says: unsure},
		"no stream":             {says: both + none + "\n"},
		"one type only":         {subject: "checkout.main.paid", says: strings.Replace(refused, "paid", "fulfillable", 1) + none + "\n"},
		"made by us":            {more: "stream: {name: S, ensure: true}", says: made + "\n"},
		"made by us, in part":   {subject: "checkout.main.paid", more: "stream: {name: S, ensure: true}", says: made + "\n"},
		"made by us, copies":    {more: "stream: {name: S, ensure: true, replicas: 3}", says: both + alone},
		"there, without copies": {subject: "checkout.>", more: "stream: {name: S, ensure: true, replicas: 3}", says: unsure},
		"made by us, too small": {more: "stream: {name: S, ensure: true, subjects: [checkout.main.paid, checkout.other]}", says: strings.Replace(refused, "paid", "fulfillable", 1) + small},
		"widened already":       {subject: "checkout.>", more: "stream: {name: S, ensure: true, subjects: [checkout.main.paid]}", says: unsure},
		"by the session":        {sent: "checkout.{{ .Session.currency }}", more: "stream: {name: S, ensure: true, subjects: [checkout.EUR]}", says: made + "\n"},
		"of another":            {subject: "checkout.>", more: "stream: {name: T}", says: both + "the subject belongs to the stream S, not to T (server SERVER)\n"},
		"of another, made":      {subject: "checkout.>", more: "stream: {name: T, ensure: true}", says: both + "the subject belongs to the stream S, not to T (server SERVER)\n"},
		"no JetStream":          {server: brokertest.Options{NoJetStream: true}, says: both + "the server has no JetStream, or not for this account (server SERVER)\n"},
		"core":                  {server: brokertest.Options{NoJetStream: true}, more: "jetstream: false", says: unsure},
		"no sample":             {subject: "orders.>", sent: ordered, says: strings.TrimSuffix(unsure, "\n") + "; " + unread},
		"no sample, named":      {subject: "orders.>", sent: ordered, more: "stream: {name: S}", says: short + "whether it may publish there; " + unread},
		"no sample, to be made": {sent: ordered, more: "stream: {name: S, ensure: true}", says: made + "; " + unread},
		"no sample, no stream":  {sent: ordered, more: "stream: {name: ORDERS}", says: "FAIL destination bus: what is sent to the stream ORDERS would not be taken: there is no such stream (server SERVER)\n     " + unread},
		"no questions":          {server: bob([]string{"checkout.>"}, nil), subject: "checkout.>", more: "user: bob, password: pw", says: "ok   destination bus: reached; could not be checked: whether a stream takes what is sent ("},
		"no answers to anybody": {server: bob(nil, []string{"nothing"}), subject: "checkout.>", more: "user: bob, password: pw", says: "FAIL destination bus: what is sent to checkout.main.paid would not be taken: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := brokertest.Start(t, c.server)
			if c.subject != "" {
				var options []nats.Option
				if c.server.Users != nil {
					options = append(options, nats.UserInfo("root", "pw"))
				}
				nc, err := nats.Connect(server.URL, options...)
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				if _, err := nc.Request("$JS.API.STREAM.CREATE.S", fmt.Appendf(nil, `{"name":"S","subjects":[%q]}`, c.subject), 10*time.Second); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(t.TempDir(), "c.yaml")
			more := c.more
			if more != "" {
				more = ", " + more
			}
			text := fmt.Sprintf(`accounts: [{name: main, secret_key: "${NOT_SET_HERE}", base_url: "http://127.0.0.1:1"}]
destinations: [{name: bus, type: nats, url: %q, subject: "%s"%s}]
rules: [{name: ship, events: [fulfillable, paid], to: [bus]}]
`, server.URL, cmp.Or(c.sent, "checkout.{{ .Account }}.{{ .Change }}"), more)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := run(t, "check", "--online", "--allow-missing-secrets", "-c", file)
			fails := strings.HasPrefix(c.says, "FAIL")
			says := strings.ReplaceAll(c.says, "SERVER", strings.TrimPrefix(server.URL, "nats://"))
			if !strings.Contains(stdout, says) || fails != (code == exitFailure) || fails != strings.Contains(stderr, "not taken: destination bus") || (!fails && code != exitOK) {
				t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
			}
		})
	}
}

// A cluster keeps as many copies as it has servers.
func TestOnlineCheckOfCopiesInACluster(t *testing.T) {
	servers, _ := brokertest.Cluster(t)
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := fmt.Sprintf(`accounts: [{name: main, secret_key: "${NOT_SET_HERE}", base_url: "http://127.0.0.1:1"}]
destinations: [{name: bus, type: nats, url: %q, subject: "checkout.{{ .Change }}", stream: {name: S, ensure: true, replicas: 3}}]
rules: [{name: ship, events: [fulfillable, paid], to: [bus]}]
`, servers[0].URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "check", "--online", "--allow-missing-secrets", "-c", file)
	if code != exitOK || !strings.Contains(stdout, "could not be checked: whether stream S can be created") {
		t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
	}
}
