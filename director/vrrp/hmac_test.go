package vrrp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

// The packets in the appendix of draft-cassen-vrrp-auth-hmac: router id 51, priority 200, an advert a second, key 1, made at
// 0x68000000.5. That over IPv4 has the checksum of RFC 9568, which is of the message alone.
const (
	vectorKey   = director.Secret("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")
	vector4     = "3133c80100644402c0000264" + "010100006800000080000000" + "1b84bc4e8e43892dc6d98448f8ee2265"
	vector6     = "3133c8010064a2e9fe800000000000000000000000000100" + "010100006800000080000000" + "c8c56146ebfd66ee10ec4d8186461b78"
	vectorStamp = stamp(0x68000000_8000_0000)
)

func vectorSend(vip string) Send {
	return Send{Of: &director.Instance{}, Advert: Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr(vip)}},
		seal: &seal{key: director.HMACKey{ID: 1, Key: vectorKey}, stamp: vectorStamp, version: 3, vrid: 51}}
}

func TestHMACVectors(t *testing.T) {
	want4, _ := hex.DecodeString(vector4)
	s := vectorSend("192.0.2.100")
	got := s.Packet(Path{Src: netip.MustParseAddr("198.51.100.10"), Dst: netip.MustParseAddr("198.51.100.20"), TTL: 255})
	if int(got[2])<<8|int(got[3]) != len(got) {
		t.Errorf("the header says %d bytes of %d", int(got[2])<<8|int(got[3]), len(got))
	}
	got = got[ipv4Size:]
	copy(got[sumAt:], want4[sumAt:][:2])
	if !bytes.Equal(got, want4) {
		t.Errorf("over IPv4\n%x, want\n%x", got, want4)
	}
	want6, _ := hex.DecodeString(vector6)
	s = vectorSend("fe80::100")
	if got := s.Packet(Path{Src: netip.MustParseAddr("fe80::10"), Dst: netip.MustParseAddr("fe80::20"), TTL: 255}); !bytes.Equal(got, want6) {
		t.Errorf("over IPv6\n%x, want\n%x", got, want6)
	}
}

// TestHMACBits: what is written is accepted, and one bit more or less is not, whatever it is about; nor is another sender, or another router id.
func TestHMACBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, src, dst := drawAdvert(t)
		if src == dst {
			return
		}
		wall := time.Duration(rapid.Int64Range(0, 1<<33).Draw(t, "seconds")) * time.Second
		conf := &director.Instance{Version: a.Version, VRID: a.VRID, HMAC: &director.HMAC{Active: 2, Window: 5 * time.Second, Mode: director.HMACEnforce,
			Keys: []director.HMACKey{{ID: 1, Key: "another"}, {ID: 2, Key: vectorKey}}}}
		sender, hears := &instance{conf: conf}, func() *instance { return &instance{conf: conf} }
		s := Send{Of: conf, Advert: a, seal: sender.seal(wall)}
		b := s.Packet(Path{Src: src, Dst: dst, TTL: 255})
		if src.Is4() {
			b = b[ipv4Size:]
		}
		check := func(i *instance, src netip.Addr, b []byte) Reason {
			p := &Packet{Datagram: Datagram{Src: src, Dst: dst, Data: b}}
			got, why := p.decode()
			if why == Fine {
				why, _ = i.checkHMAC(p, &got, wall)
			}
			return why
		}
		i := hears()
		if why := check(i, src, b); why != Fine {
			t.Fatalf("refused: %s", why)
		}
		if why := check(i, src, b); why != Replayed {
			t.Fatalf("a replay: %s", why)
		}
		bit := rapid.IntRange(0, len(b)*8-1).Draw(t, "bit")
		spoilt := slices.Clone(b)
		spoilt[bit/8] ^= 1 << (bit % 8)
		if why := check(hears(), src, spoilt); why == Fine {
			t.Fatalf("bit %d does not matter", bit)
		}
		i = hears()
		other := *conf
		if other.VRID++; true {
			i.conf = &other
		}
		if why := check(i, src, b); why == Fine {
			t.Fatal("it fits another virtual router")
		}
	})
}

// TestStampsGrow: adverts that are made at one moment have different stamps, in their order, also when the clock comes round; and a clock that is
// set back is followed.
func TestStampsGrow(t *testing.T) {
	i := &instance{conf: &director.Instance{HMAC: &director.HMAC{Active: 1, Window: 5 * time.Second, Keys: []director.HMACKey{{ID: 1}}}}}
	var last stamp
	end := (1<<32 - 1) * time.Second
	for k, wall := range []time.Duration{time.Hour, time.Hour, time.Hour + time.Millisecond, time.Hour - 4*time.Second, end / 3, 2 * end / 3, end, end + 2*time.Second} {
		s := i.seal(wall).stamp
		if k > 0 && !s.after(last) {
			t.Errorf("%d: %x after %x", k, s, last)
		}
		last = s
	}
	if s := i.seal(end / 2).stamp; s.from(end/2) != 0 {
		t.Errorf("the clock was set back, and the stamp is %v ahead", s.from(end/2))
	}
	i.conf.HMAC.Monotonic = true
	if last = i.seal(end / 2).stamp; !i.seal(end / 4).stamp.after(last) {
		t.Error("monotonic stamps went back")
	}
}
