package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// ErrRefusedAddress is returned for a destination that resolves to nothing but
// addresses that network.refuse_private forbids.
var ErrRefusedAddress = errors.New("address refused by network.refuse_private")

// special are the ranges that are no public hosts: private, loopback,
// link-local with the metadata services, shared, test, multicast, reserved, and
// the tunnels Teredo (in 2001::/23) and 6to4, which nobody needs any more and
// which lead to whatever IPv4 address they carry.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
	"fec0::/10", "ff00::/8", "64:ff9b:1::/48",
)

// translated is the range by which a host that has IPv6 alone sees the hosts
// that have IPv4 alone (NAT64, RFC 6052); refusing it wholly would cut such a
// host off from them. The last four bytes are the IPv4 address.
var translated = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, text := range list {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}

// public says whether an address belongs to a public host.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	if translated.Contains(ip) {
		b := ip.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return true
}

// guard dials only where it may. The decision is made on the address that is
// about to be connected to, after DNS, so that no answer of a name server and
// no second look-up gets around it. A proxy looks up and dials by itself: then
// only what stands in the URL can be judged, by permitsHost.
type guard struct {
	dialer  net.Dialer
	allowed []netip.Prefix
}

func newGuard(dialer net.Dialer, allow []string) (*guard, error) {
	g := &guard{dialer: dialer}
	var problems []error
	for _, text := range allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("allow_networks: %q is not a CIDR", text))
			continue
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 { // addresses are compared as IPv4
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		g.allowed = append(g.allowed, p.Masked())
	}
	return g, errors.Join(problems...)
}

func (g *guard) permits(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(ip) {
			return true
		}
	}
	return public(ip)
}

// permitsHost judges the host of a URL as far as it can be judged without
// looking it up: an address, localhost, and what only looks like an address,
// which some resolvers take for one (127.1, 0x7f000001, 2130706433).
func (g *guard) permitsHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.permits(ip)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "localhost" {
		return g.permits(netip.MustParseAddr("127.0.0.1")) || g.permits(netip.IPv6Loopback())
	}
	_, err := strconv.ParseUint(last, 0, 64)
	return err != nil && !errors.Is(err, strconv.ErrRange)
}

// PermitsHost says whether the host of a destination's URL, as far as one can tell
// without looking it up, may be reached with network.refuse_private. What is wrong
// with allow_networks is for NewHTTP to say.
func (d *Destination) PermitsHost(host string) bool {
	g, err := newGuard(net.Dialer{}, d.AllowNetworks)
	return err != nil || g.permitsHost(host)
}

// dial is a DialContext. A host of which only some addresses are refused is
// tried at the others.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	refusals := make(chan struct{}, 1)
	permitted := make(chan struct{}, 1)
	d := g.dialer
	d.Control = func(network, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		tcp := network == "tcp4" || network == "tcp6"
		if err != nil || !tcp || !g.permits(at.Addr()) {
			note(refusals)
			return ErrRefusedAddress
		}
		note(permitted)
		return nil
	}
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	if len(refusals) > 0 && len(permitted) == 0 {
		return nil, ErrRefusedAddress
	}
	if errors.Is(err, ErrRefusedAddress) {
		return nil, errors.New("the permitted addresses cannot be connected to")
	}
	return nil, err
}

func note(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
