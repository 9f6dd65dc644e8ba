package netif

import (
	"net"
	"net/netip"
	"testing"
)

// A broadcast address is there only if somebody asks for it.
func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{"192.0.2.10/24": "192.0.2.255", "10.1.2.3/9": "10.127.255.255", "192.0.2.10/30": "192.0.2.11",
		"192.0.2.10/31": "", "192.0.2.10/32": "", "2001:db8::1/64": ""} {
		got := Broadcast(netip.MustParsePrefix(prefix))
		if got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
			t.Errorf("%s: %s, want %q", prefix, got, want)
		}
	}
	a := Address{Prefix: netip.MustParsePrefix("192.0.2.10/24")}
	if b := a.toAdd().Broadcast; !b.Equal(net.IPv4zero) {
		t.Errorf("unasked the library is told %s", b)
	}
	a.Broadcast = netip.MustParseAddr("192.0.2.255")
	if b := a.toAdd().Broadcast; b.String() != "192.0.2.255" {
		t.Errorf("asked for, it is %s", b)
	}
}
