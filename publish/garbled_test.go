package publish_test

import (
	"net"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// What nobody but a proxy can have sent is said of the proxy.
func TestAProxyThatGarblesIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write([]byte("SSH-2.0-none\r\n\r\n"))
			_ = c.Close()
		}
	}()
	d := httpDestination("https://shop.example/hooks")
	d.Proxy = secret.String("http://" + l.Addr().String())
	r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
	if !strings.HasPrefix(r.Error, "the proxy does not answer in HTTP: malformed HTTP") || !r.Unsent {
		t.Errorf("result %+v", r)
	}
}
