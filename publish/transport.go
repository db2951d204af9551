package publish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

const (
	responseHeaders = 64 << 10
	receiveBuffer   = 256 << 10
	writeBuffer     = 16 << 10

	// idleTimeout is shorter than that of usual receivers (Node.js, Apache and
	// uvicorn: five seconds). One that closes a connection just as it is used
	// again costs an attempt, for nobody can tell whether the request was read.
	idleTimeout = 4 * time.Second
)

// newTransport builds a destination's own transport, so that no connection is
// shared with another one, which may have other certificates, or other networks
// to reach.
func newTransport(dest Destination, guard *guard, network Network) (*http.Transport, *dialer, error) {
	config, err := clientTLS(dest.TLS)
	if err != nil {
		return nil, nil, err
	}
	d := &dialer{dial: guard.dialer.DialContext, open: make(map[*openConn]struct{})}
	t := &http.Transport{
		DialContext:            d.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dest.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           dest.Concurrency,
		MaxIdleConnsPerHost:    dest.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: responseHeaders,
		WriteBufferSize:        writeBuffer,
		HTTP2: &http.HTTP2Config{
			// All requests share one connection of HTTP/2. If nobody is left at its
			// other end, they would time out on it until the kernel notices.
			SendPingTimeout: dest.Timeout, PingTimeout: dest.Timeout,
			// What is sent is kept until it is read, and little of it is read.
			MaxReceiveBufferPerStream: 2 * answerRead, MaxReceiveBufferPerConnection: receiveBuffer,
		},
	}
	if dest.Proxy != "" {
		// The transport goes on dialling after the request was given up, so that
		// another one may have the connection; a proxy that takes it and says
		// nothing would keep it. The trace takes the deadline off in the end.
		d.deadline = dest.Timeout
		return t, d, throughProxy(t, dest)
	}
	if network.RefusePrivate {
		d.dial = guard.dial
	}
	return t, d, nil
}

// throughProxy sends everything through the destination's proxy. The operator
// has named it, so that its address is none to be refused.
func throughProxy(t *http.Transport, dest Destination) error {
	u, err := url.Parse(dest.Proxy.Reveal())
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("proxy: not an http, https or socks5 URL")
	}
	t.Proxy = http.ProxyURL(u)
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
		if response.StatusCode != http.StatusOK {
			return proxyRefusal(response.StatusCode)
		}
		return nil
	}
	return nil
}

// clientTLS reads the PEM files of a destination.
func clientTLS(files TLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: no certificate in %s", files.CA)
		}
		config.RootCAs = pool
	}
	if (files.Cert == "") != (files.Key == "") {
		return nil, errors.New("tls: cert and key belong together")
	}
	if files.Cert != "" {
		present, err := clientCertificate(files)
		if err != nil {
			return nil, fmt.Errorf("tls.cert: %w", err)
		}
		config.GetClientCertificate = present
	}
	return config, nil
}

// clientCertificate reads the client's certificate, and again with each handshake:
// it is renewed while the program runs. Files that are just being written, or gone,
// leave it as it was.
func clientCertificate(files TLS) (func(*tls.CertificateRequestInfo) (*tls.Certificate, error), error) {
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	var last atomic.Pointer[tls.Certificate]
	last.Store(&pair)
	return func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if renewed, err := tls.LoadX509KeyPair(files.Cert, files.Key); err == nil {
			last.Store(&renewed)
		}
		if present := last.Load(); asked.SupportsCertificate(present) == nil {
			return present, nil
		}
		return new(tls.Certificate), nil // none, as is usual where it is of no use
	}, nil
}
