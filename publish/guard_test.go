package publish

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// forbidden are the ranges that network.refuse_private is about, written down
// apart from those that it is built of.
var forbidden = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
	"::/128", "::1/128", "::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "64:ff9b:1::/48", "100::/64", "2001:db8::/32", "3fff::/20", "2001::/32",
	"2002::/16", "5f00::/16",
}

// last returns the last address of a range.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

// disguises are the other forms of an IPv4 address in IPv6.
func disguises(ip netip.Addr) []netip.Addr {
	if !ip.Is4() {
		return []netip.Addr{ip.WithZone("eth0")}
	}
	b := ip.As4()
	form := func(prefix string, at int) netip.Addr {
		whole := netip.MustParseAddr(prefix).As16()
		copy(whole[at:], b[:])
		return netip.AddrFrom16(whole)
	}
	return []netip.Addr{form("::ffff:0:0", 12), form("::", 12), form("64:ff9b::", 12), form("64:ff9b:1::", 12), form("2002::", 2), form("2001::", 4), form("2001::", 12)}
}

func TestForbiddenRanges(t *testing.T) {
	g, err := newGuard(net.Dialer{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range forbidden {
		p := netip.MustParsePrefix(text)
		for _, ip := range []netip.Addr{p.Addr(), p.Addr().Next(), last(p).Prev(), last(p)} {
			if !p.Contains(ip) {
				continue // the range is a single address
			}
			for _, form := range append(disguises(ip), ip) {
				if g.permits(form) {
					t.Errorf("%s: %s is permitted", text, form)
				}
			}
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		// What stands beside a forbidden range is public.
		"1.0.0.0": true, "9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "126.255.255.255": true, "128.0.0.0": true,
		"168.63.129.15": true, "168.63.129.17": true, "169.253.255.255": true, "169.255.0.0": true, "172.15.255.255": true, "172.32.0.0": true,
		"191.255.255.255": true, "192.0.1.0": true, "192.0.3.0": true, "192.88.98.255": true, "192.88.100.0": true, "192.167.255.255": true, "192.169.0.0": true,
		"198.17.255.255": true, "198.20.0.0": true, "198.51.99.255": true, "198.51.101.0": true, "203.0.112.255": true, "203.0.114.0": true, "223.255.255.255": true,
		"2003::": true, "2001:200::": true, "2001:4860:4860::8888": true, "2606:4700::1111": true, "fbff:ffff::": true,
		// The same host, as one that has IPv6 alone sees it.
		"8.8.8.8": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::808:808": false,
		// A tunnel leads nowhere that is public.
		"2002:808:808::1": false, "2001:0:808:808::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public %v", text, got)
		}
	}
}

// An allowed network opens itself, in both of its forms, and nothing else.
func TestAllowedNetworksOpenNothingElse(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		p := netip.MustParsePrefix(rapid.SampledFrom(forbidden).Draw(t, "range"))
		b := p.Masked().Addr().AsSlice()
		for i := p.Bits(); i < len(b)*8; i++ {
			if rapid.Bool().Draw(t, "bit") {
				b[i/8] |= 1 << (7 - i%8)
			}
		}
		ip, _ := netip.AddrFromSlice(b)
		return ip
	})
	rapid.Check(t, func(t *rapid.T) {
		base := address.Draw(t, "network")
		p := netip.PrefixFrom(base, rapid.IntRange(1, base.BitLen()).Draw(t, "bits"))
		if base.Is4In6() {
			p = netip.PrefixFrom(base.Unmap(), 32)
		}
		g, err := newGuard(net.Dialer{}, []string{p.String()})
		if err != nil {
			t.Fatal(err)
		}
		ip := address.Draw(t, "address")
		if got, want := g.permits(ip), p.Masked().Contains(ip.Unmap()); got != want {
			t.Fatalf("%s with %s allowed: permitted %v", ip, p, got)
		}
		if !g.permits(base) {
			t.Fatalf("%s with %s allowed: refused", base, p)
		}
		if base.Is4() && !g.permits(netip.AddrFrom16(base.As16())) {
			t.Fatalf("%s as IPv6 with %s allowed: refused", base, p)
		}
	})
}

func TestAllowedNetworkInTheFormOfIPv6(t *testing.T) {
	g, err := newGuard(net.Dialer{}, []string{"::ffff:10.1.0.0/112"})
	if err != nil {
		t.Fatal(err)
	}
	if !g.permits(netip.MustParseAddr("10.1.2.3")) || g.permits(netip.MustParseAddr("10.2.0.0")) {
		t.Error("not the network that was written")
	}
}

// What a proxy would look up or dial cannot be judged, but what stands in the
// URL can.
func TestHostsThatAreJudgedUnseen(t *testing.T) {
	got := make(map[string]bool)
	want := map[string]bool{
		"shop.example": true, "8.8.8.8": true, "2606:4700::1111": true, "shop.7x": true, "10.shop.example": true, "xn--0x7f.example": true, "10.1.2.3": true,
		"127.0.0.1": false, "127.0.0.1.": false, "::1": false, "::ffff:127.0.0.1": false, "fe80::1%eth0": false, "localhost": false, "LOCALHOST.": false, "a.localhost": false,
		"2130706433": false, "0x7f000001": false, "0x7f.1": false, "127.1": false, "0177.0.0.1": false, "017700000001": false, "169.254.169.254": false, "8.8.8": false,
		"99999999999999999999999": false,
	}
	g, err := newGuard(net.Dialer{}, []string{"10.1.0.0/16"})
	if err != nil {
		t.Fatal(err)
	}
	for host := range want {
		got[host] = g.permitsHost(host)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}
