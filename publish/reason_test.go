package publish_test

import (
	"testing"

	"checkout-notifier/publish"
)

// What a text says of its class is not said again before it.
func TestReasonsSayEachThingOnce(t *testing.T) {
	for _, c := range []struct {
		class  string
		status int
		text   string
		want   string
	}{
		{publish.ClassStatus, 503, "answered 503", "status 503 Service Unavailable"},
		{publish.ClassStatus, 599, "answered 599", "status 599"},
		{publish.ClassConnect, 0, "connect: connection refused", "connect: connection refused"},
		{publish.ClassConnect, 0, "the proxy cannot be reached: connect: connection refused", "the proxy cannot be reached: connect: connection refused"},
		{publish.ClassConnect, 0, "connection reset by peer", "connect: connection reset by peer"},
		{publish.ClassTLS, 0, "tls: first record does not look like a TLS handshake", "tls: first record does not look like a TLS handshake"},
		{publish.ClassTLS, 0, "remote error: tls: handshake failure", "remote error: tls: handshake failure"},
		{publish.ClassTLS, 0, "x509: certificate has expired", "tls: x509: certificate has expired"},
		{publish.ClassDNS, 0, "the host name was not resolved: no such host", "dns: the host name was not resolved: no such host"},
		{publish.ClassNATS, 0, "nats: timeout", "nats: timeout"},
		{"", 0, "no stream", "no stream"},
	} {
		if got := publish.Describe(c.class, c.status, c.text); got != c.want {
			t.Errorf("%s %d %q: %q, want %q", c.class, c.status, c.text, got, c.want)
		}
	}
}
