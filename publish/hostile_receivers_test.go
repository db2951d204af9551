package publish_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"checkout-notifier/publish"
)

// stranger is a receiver that speaks for itself. gone stops it and waits until
// every connection to it has ended, which is up to us: it closes those alone
// that it is done with.
func stranger(t *testing.T, config *tls.Config, receive func(net.Conn)) (address string, gone func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				if config == nil {
					receive(c)
					return
				}
				secure := tls.Server(c, config)
				if secure.HandshakeContext(t.Context()) == nil {
					receive(secure)
				}
			})
		}
	})
	return l.Addr().String(), func() {
		t.Helper()
		l.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			open.Wait()
		}()
		select {
		case <-done:
		case <-time.After(slack):
			t.Fatal("a connection is left behind")
		}
	}
}

func takeRequest(c net.Conn) bool {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

// waits until the other side closes the connection.
func waits(c net.Conn) { io.Copy(io.Discard, c) }

// writes answers and closes the connection.
func writes(text string) func(net.Conn) {
	return func(c net.Conn) {
		if takeRequest(c) {
			io.WriteString(c, text)
		}
	}
}

// says answers and keeps the connection.
func says(text string) func(net.Conn) {
	return then(writes(text), waits)
}

func then(steps ...func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		for _, step := range steps {
			step(c)
		}
	}
}

// drips answers so slowly that it is never done.
func drips(text, slowly string) func(net.Conn) {
	return then(writes(text), func(c net.Conn) {
		for i := range len(slowly) {
			if _, err := io.WriteString(c, slowly[i:i+1]); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// floods answers, and says one thing for ever.
func floods(text, more string) func(net.Conn) {
	return then(writes(text), func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, more); err != nil {
				return
			}
		}
	})
}

// reset ends a connection the rude way.
func reset(c net.Conn) {
	if plain, ok := c.(*net.TCPConn); ok {
		plain.SetLinger(0)
	}
}

// issuer is an authority of our own, and what it has signed.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

var authorityOnce = sync.OnceValues(func() (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &issuer{certificate: certificate, key: key}, err
})

func ours(t *testing.T) *issuer {
	t.Helper()
	a, err := authorityOnce()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// trusted is the file of our authority's certificate.
func trusted(t *testing.T) (file string) {
	t.Helper()
	return writePEM(t, "CERTIFICATE", ours(t).certificate.Raw)
}

func writePEM(t *testing.T, kind string, der []byte) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// issue makes a certificate for the local address; change makes it a bad one.
func issue(t *testing.T, change func(c *x509.Certificate)) tls.Certificate {
	t.Helper()
	a := ours(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "receiver"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := a.certificate, a.key
	if template.Subject.CommonName == "self-signed" {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func badTLS(t *testing.T) []hostility {
	with := func(change func(c *x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{issue(t, change)}}
	}
	old := with(nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	answer := says(ok + "Content-Length: 2\r\n\r\nok")
	list := []hostility{
		{name: "expired certificate", tls: with(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		{name: "another's certificate", tls: with(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} })},
		{name: "self-signed certificate", tls: with(func(c *x509.Certificate) { c.Subject.CommonName = "self-signed" })},
		{name: "TLS 1.0", tls: old},
		{name: "HTTP on the port of TLS", receive: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }},
		{name: "SSH on the port of TLS", receive: func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") }},
		{name: "closed instead of a handshake", receive: func(net.Conn) {}},
	}
	for i := range list {
		list[i].class, list[i].lost = publish.ClassTLS, true
		if list[i].receive == nil {
			list[i].receive = answer
		}
	}
	return append(list,
		hostility{name: "good TLS", tls: with(nil), receive: answer, accept: true, status: 200, answer: 2},
		hostility{name: "TLS, and silence", tls: with(nil), receive: says(""), class: publish.ClassTimeout, slow: true},
		hostility{name: "a handshake without end", change: overTLS, receive: waits, class: publish.ClassTimeout, lost: true, slow: true},
		hostility{name: "a handshake byte by byte", change: overTLS, class: publish.ClassTimeout, lost: true, slow: true,
			receive: func(c net.Conn) {
				for _, err := io.WriteString(c, "\x16\x03\x03\x40\x00"); err == nil; _, err = io.WriteString(c, "\x02") {
					time.Sleep(20 * time.Millisecond)
				}
			}},
	)
}

func overTLS(d *publish.Destination) { d.URL = "https" + d.URL[len("http"):] }
