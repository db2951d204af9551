package publish

import (
	"net/netip"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true, "2002:808:808::1": false,
		"172.32.0.1": true, "100.128.0.1": true, "2003::1": true,
		"0.0.0.0": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.2": false, "168.63.129.16": false,
		"169.254.169.254": false, "172.31.255.255": false, "192.0.0.8": false, "192.168.1.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:a9fe:a9fe": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b:1::808:808": false, "2002:7f00:1::": false, "2002:a9fe:a9fe::": false,
		"2001::1": false, "2001:db8::1": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public %v", text, got)
		}
	}
}
