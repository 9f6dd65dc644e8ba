package netif

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
)

var hw = net.HardwareAddr{2, 0, 0, 0, 0, 1}

func TestGratuitousARP(t *testing.T) {
	want := []byte{
		255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9,
	}
	if got := gratuitousARP(hw, hw, netip.MustParseAddr("10.0.0.9"), 1); !bytes.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	shared := net.HardwareAddr{3, 0, 0, 0, 0, 9}
	copy(want[22:], shared) // the sender in the packet; the frame comes from the link
	if got := gratuitousARP(hw, shared, netip.MustParseAddr("10.0.0.9"), 1); !bytes.Equal(got, want) {
		t.Fatalf("shared: got  %v\nwant %v", got, want)
	}
}

func TestAdvertisement(t *testing.T) {
	ip := netip.MustParseAddr("2001:db8::9")
	frame := advertisement(hw, hw, ip, true)
	if len(frame) != 14+40+32 || !bytes.Equal(frame[:6], []byte{0x33, 0x33, 0, 0, 0, 1}) || frame[14+7] != 255 || frame[54] != 136 || frame[58] != 0xa0 {
		t.Fatalf("got %v", frame)
	}
	// The sum over a message with its right checksum is zero.
	if sum := checksum(ip.As16(), netip.MustParseAddr("ff02::1").As16(), frame[54:]); sum != 0 {
		t.Fatalf("checksum is off by %#x", sum)
	}
}

func TestLoopbackNeedsNoAnnouncement(t *testing.T) {
	if err := Announce(Link{Name: "lo", Loopback: true}, netip.MustParseAddr("127.0.0.2")); err != nil {
		t.Fatal(err)
	}
}
