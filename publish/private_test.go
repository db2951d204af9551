package publish_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

var refusePrivate = publish.HTTPOptions{Network: publish.Network{RefusePrivate: true}}

func TestPrivateAddressesAreRefused(t *testing.T) {
	target, got := callback(t, nil)
	port := target[strings.LastIndexByte(target, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "[::1]", "[::1%25lo]", "[::127.0.0.1]", "169.254.169.254", "[fd00:ec2::254]"} {
		p := newHTTP(t, httpDestination("http://"+host+port), refusePrivate)
		r := p.Publish(t.Context(), message(event.Paid))
		if r.Outcome != event.OutcomeRefused || r.Class != publish.ClassRefusedAddress || !r.Final || !r.Unsent && r.Contact != publish.ContactNone || strings.Contains(r.Error, "127") {
			t.Errorf("%s: %+v", host, r)
		}
		if err := p.Reach(t.Context()); !errors.Is(err, publish.ErrRefusedAddress) {
			t.Errorf("%s: Reach: %v", host, err)
		}
	}
	// Some resolvers take these for 127.0.0.1, and others for names.
	for _, host := range []string{"2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1"} {
		r := newHTTP(t, httpDestination("http://"+host+port), refusePrivate).Publish(t.Context(), message(event.Paid))
		if r.Outcome != event.OutcomeRefused || r.Class != publish.ClassRefusedAddress && r.Class != publish.ClassDNS {
			t.Errorf("%s: %+v", host, r)
		}
	}
	if len(got) != 0 {
		t.Fatalf("%d requests came through", len(got))
	}
	for _, network := range []string{"127.0.0.0/8", "127.0.0.1/32", "::ffff:127.0.0.1/128"} {
		d := httpDestination(target)
		d.AllowNetworks = []string{network}
		p := newHTTP(t, d, refusePrivate)
		if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
			t.Errorf("%s is allowed: %+v", network, r)
		}
		if err := p.Reach(t.Context()); err != nil {
			t.Errorf("%s is allowed: Reach: %v", network, err)
		}
	}
	d := httpDestination(target)
	d.AllowNetworks = []string{"127.0.0.2/32", "10.0.0.0/8", "::/0"}
	if r := newHTTP(t, d, refusePrivate).Publish(t.Context(), message(event.Paid)); r.Class != publish.ClassRefusedAddress {
		t.Errorf("another network is allowed: %+v", r)
	}
}

// A destination with fewer rights never uses a connection of one with more.
func TestDestinationsShareNoConnection(t *testing.T) {
	target, got := callback(t, nil)
	open := httpDestination(target)
	open.AllowNetworks = []string{"127.0.0.1/32"}
	first, second := newHTTP(t, open, refusePrivate), newHTTP(t, httpDestination(target), refusePrivate)
	if r := first.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	if r := second.Publish(t.Context(), message(event.Paid)); r.Class != publish.ClassRefusedAddress || len(got) != 1 {
		t.Errorf("result %+v, %d requests", r, len(got))
	}
}

// names is a name server that answers the n-th question for IPv4 addresses.
func names(t *testing.T, answer func(n int) []string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		asked := 0
		for query := make([]byte, 1500); ; {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			end := 12
			for end < n && query[end] != 0 {
				end += int(query[end]) + 1
			}
			question := query[12 : end+5]
			reply := append(binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(query)), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
			reply = append(reply, question...)
			if kind := question[len(question)-3]; kind == 1 {
				for _, text := range answer(asked) {
					reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
					reply = append(reply, netip.MustParseAddr(text).AsSlice()...)
					reply[7]++
				}
				asked++
			}
			server.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// A name that is public when it is looked at and loopback when it is used: the
// address that is dialled decides. 127.0.0.2 stands for a public address.
func TestNamesThatChange(t *testing.T) {
	var public, inner atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address on this system")
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	serve := func(l net.Listener, count *atomic.Int32) {
		t.Cleanup(func() { l.Close() })
		go func() {
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				count.Add(1)
				writes(ok + "Connection: close\r\nContent-Length: 0\r\n\r\n")(c)
				c.Close()
			}
		}()
	}
	serve(l, &public)
	hidden, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Skip("the port is taken")
	}
	serve(hidden, &inner)
	answers := [][]string{{"127.0.0.2"}, {"127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}, {"127.0.0.1", "10.0.0.1", "169.254.169.254"}, {"127.0.0.2"}}
	d := httpDestination("http://shop.test:" + port)
	d.AllowNetworks = []string{"127.0.0.2/32"}
	o := refusePrivate
	o.Resolver = names(t, func(n int) []string { return answers[n] })
	p := newHTTP(t, d, o)
	for i, want := range []string{"", publish.ClassRefusedAddress, "", publish.ClassRefusedAddress, ""} {
		if r := p.Publish(t.Context(), message(event.Paid)); r.Class != want || r.Final != (want != "") {
			t.Errorf("resolved to %v: %+v", answers[i], r)
		}
	}
	if public.Load() != 3 || inner.Load() != 0 {
		t.Errorf("%d connections to the public address and %d to the inner one", public.Load(), inner.Load())
	}
}

// The operator has named the proxy, and it may be private. What it dials is its
// own affair, but for what the URL says in plain words.
func TestPrivateAddressesBehindAProxy(t *testing.T) {
	proxy, asked := callback(t, nil)
	for host, want := range map[string]string{
		"shop.example": "", "8.8.8.8": "", "10.1.2.3": "",
		"127.0.0.1": publish.ClassRefusedAddress, "localhost": publish.ClassRefusedAddress, "169.254.169.254": publish.ClassRefusedAddress,
		"[::1]": publish.ClassRefusedAddress, "[::ffff:127.0.0.1]": publish.ClassRefusedAddress, "[fe80::1%25eth0]": publish.ClassRefusedAddress,
		"2130706433": publish.ClassRefusedAddress, "0x7f.1": publish.ClassRefusedAddress, "10.9.9.9": publish.ClassRefusedAddress,
	} {
		d := httpDestination("http://" + host + "/hook")
		d.Proxy, d.AllowNetworks = secret.String(proxy), []string{"10.1.0.0/16"}
		p := newHTTP(t, d, refusePrivate)
		r := p.Publish(t.Context(), message(event.Paid))
		if r.Class != want || r.Final != (want != "") {
			t.Errorf("%s: %+v", host, r)
		}
		if want == "" {
			<-asked
		}
		if err := p.Reach(t.Context()); (err != nil) != (want != "") {
			t.Errorf("%s: Reach: %v", host, err)
		}
	}
	if len(asked) != 0 {
		t.Errorf("%d requests came through", len(asked))
	}
}
