package config

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"checkout-notifier/publish"
)

// checkNATS checks how a server is reached. Of a destination only what it sets
// itself is checked: the section has been.
func (l *loader) checkNATS(path string, n publish.NATS, destination bool) {
	own := func(keys ...string) bool {
		return !destination || slices.ContainsFunc(keys, func(key string) bool {
			_, given := l.places[join(path, key)]
			return given
		})
	}
	if own("url") {
		l.checkServers(join(path, "url"), n.Server.Reveal(), n.Context != "")
	}
	if own("ca", "cert", "key") {
		l.checkTLS(path, n.CA, n.Cert, n.Key)
	}
	for key, name := range map[string]string{"creds": n.Creds, "nkey": n.NKey} {
		if own(key) && name != "" {
			l.readable(join(path, key), name)
		}
	}
	if own("creds", "nkey", "user", "password", "token") {
		l.checkCredentials(path, n)
	}
	if own("inbox_prefix") && n.InboxPrefix != "" && !validSubject(n.InboxPrefix, false) {
		l.errorf(join(path, "inbox_prefix"), codeValue, "%s.inbox_prefix must be a subject without wildcards", path)
	}
	if own("jetstream_domain") && strings.ContainsAny(n.JetStreamDomain, " .*>\t") {
		l.errorf(join(path, "jetstream_domain"), codeValue, "%s.jetstream_domain must be one word", path)
	}
}

// checkCredentials refuses two ways of saying who we are.
func (l *loader) checkCredentials(path string, n publish.NATS) {
	var given []string
	for _, way := range []struct {
		key string
		set bool
	}{
		{"creds", n.Creds != ""}, {"nkey", n.NKey != ""}, {"user", n.User != ""}, {"token", n.Token != ""},
	} {
		if way.set {
			given = append(given, way.key)
		}
	}
	if len(given) > 1 {
		l.errorf(join(path, given[1]), codeConflict, "%s takes one of creds, nkey, user and token, not %s", path, strings.Join(given, " and "))
	}
	if n.Password != "" && n.User == "" {
		l.errorf(join(path, "password"), codeRequired, "%s.password needs %s.user as well", path, path)
	}
}

func (l *loader) checkServers(path, servers string, hasContext bool) {
	if servers == "" && hasContext || !l.required(path, servers) {
		return
	}
	for server := range strings.SplitSeq(servers, ",") {
		server = strings.TrimSpace(server)
		if server != "" && !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server) // its error would print the URL
		if err != nil || u.Hostname() == "" || !validPort(u.Port(), true) ||
			!slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			l.errorf(path, codeValue, "%s must be one or several of nats://host:port, tls://…, ws://… or wss://…, comma separated", path)
			return
		}
	}
}

func (l *loader) checkEmbedded() {
	embedded := l.config.NATS.Embedded
	l.listenAddress("nats.embedded.listen", embedded.Listen, Default().NATS.Embedded.Listen)
	l.required("nats.embedded.store_dir", embedded.StoreDir)
}

// checkStream checks a NATS destination's subject and stream.
func (l *loader) checkStream(path string, d *publish.Destination) {
	l.required(join(path, "subject"), d.Subject)
	l.oneOf(join(path, "mode"), d.Mode, publish.ModeBinary, publish.ModeStructured)
	stream := join(path, "stream")
	if strings.ContainsAny(d.Stream.Name, " .*>/\\\t\r\n") {
		l.errorf(join(stream, "name"), codeValue, "%s.name must not contain spaces, dots, wildcards or slashes", stream)
	}
	for i, subject := range d.Stream.Subjects {
		if at := index(join(stream, "subjects"), i); !validSubject(subject, true) {
			l.errorf(at, codeValue, "%s is no subject", at)
		}
	}
	l.within(join(stream, "replicas"), d.Stream.Replicas, 1, mostReplicas)
	l.between(join(stream, "max_age"), d.Stream.MaxAge, 0, longest)
	l.between(join(stream, "duplicate_window"), d.Stream.DuplicateWindow, 0, longest)
	if d.Stream.Ensure {
		l.required(join(stream, "name"), d.Stream.Name)
		// A default that is too long is shortened by the publisher.
		if age := d.Stream.MaxAge; age > 0 && d.Stream.DuplicateWindow > age && l.own(join(stream, "duplicate_window")) {
			l.errorf(join(stream, "duplicate_window"), codeConflict, "%s.duplicate_window must not be longer than max_age", stream)
		}
	}
	if !d.JetStream && (d.Stream.Ensure || d.Stream.Name != "") {
		l.errorf(stream, codeConflict, "%s has no effect with jetstream false", stream)
	}
}

// validSubject says whether a text is a subject that NATS takes.
func validSubject(subject string, wildcards bool) bool {
	tokens := strings.Split(subject, ".")
	for i, token := range tokens {
		switch {
		case token == "" || strings.ContainsAny(token, " \t\r\n"):
			return false
		case token == "*" || token == ">" && i == len(tokens)-1:
			if !wildcards {
				return false
			}
		case strings.ContainsAny(token, "*>"):
			return false
		}
	}
	return true
}

// warnPorts says when two of our own servers want the same port.
func (l *loader) warnPorts() {
	embedded := l.config.NATS.Embedded
	if !embedded.Enabled {
		return
	}
	adminHost, adminPort, err := net.SplitHostPort(l.config.Admin.Listen)
	natsHost, natsPort, err2 := net.SplitHostPort(embedded.Listen)
	if err != nil || err2 != nil || adminPort != natsPort || adminPort == "0" {
		return
	}
	if anyHost(adminHost) || anyHost(natsHost) || adminHost == natsHost || loopback(adminHost) && loopback(natsHost) {
		l.warnf("nats.embedded.listen", codeSamePort, "nats.embedded.listen and admin.listen want the same port %s", natsPort)
	}
}

func anyHost(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

// embeddedURL is where destinations reach the embedded server, "" if it is to choose a
// port itself: whoever starts it then knows.
func embeddedURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return ""
	}
	if anyHost(host) {
		host = "127.0.0.1"
	}
	return "nats://" + net.JoinHostPort(host, port)
}

// warnUnstreamed names what is sent to the embedded server and no stream there takes: it
// has those that destinations ensure. renderers are those of the destinations, nil for one
// on another server.
func (l *loader) warnUnstreamed(renderers []*publish.Renderer) {
	for i, r := range renderers {
		if lost := r.Unstreamed(renderers); len(lost) > 0 {
			path := index("destinations", i)
			l.warnf(join(path, "subject"), codeStrays, "%s: no stream of the embedded server takes %s: what is sent there waits until somebody creates one; write `stream: {name: %s, ensure: true}`, or `jetstream: false` for messages that nobody stores",
				path, strings.Join(lost, ", "), cmp.Or(l.config.Destinations[i].Stream.Name, "CHECKOUT"))
		}
	}
}

// checkHeartbeat checks the heartbeat section.
func (l *loader) checkHeartbeat() {
	heartbeat := l.config.Heartbeat
	if heartbeat.URL != "" {
		l.webURL("heartbeat.url", heartbeat.URL.Reveal(), "http", "https")
	}
	l.between("heartbeat.every", heartbeat.Every, time.Second, longest)
}
