package vrrp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

// TestKeepalivedBytes reads what keepalived 2.2.7 has put on a wire, and writes the same bytes.
func TestKeepalivedBytes(t *testing.T) {
	for _, c := range []struct {
		name, packet, key string
		want              Advert
	}{
		{"version 2 with a password", v2Pass, "topSecre", Advert{Version: 2, VRID: 51, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.9")}, auth: authPass, pass: [8]byte{'t', 'o', 'p', 'S', 'e', 'c', 'r', 'e'}}},
		{"version 2 with AH", v2AH, "topSecre", Advert{Version: 2, VRID: 51, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.9")}, auth: authAH}},
		{"version 2 with AH to one peer", v2AHOne, "k1k2k3", Advert{Version: 2, VRID: 53, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.53")}, auth: authAH}},
		{"version 3", v3, "topSecre", Advert{Version: 3, VRID: 51, Priority: 100, Interval: 250 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.9"), netip.MustParseAddr("10.77.0.10")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.packet)
			if err != nil {
				t.Fatal(err)
			}
			src, _ := netip.AddrFromSlice(b[12:16])
			dst, _ := netip.AddrFromSlice(b[16:20])
			d := Datagram{Src: src, Dst: dst, TTL: int(b[8]), Header: b[:20], Data: b[20:], AH: b[9] == ProtocolAH}
			a, why := d.decode()
			if why != Fine {
				t.Fatalf("refused: %s", why)
			}
			if a.Version != c.want.Version || a.VRID != c.want.VRID || a.Priority != c.want.Priority || a.Interval != c.want.Interval ||
				!slices.Equal(a.Addresses, c.want.Addresses) || a.auth != c.want.auth || a.auth == authPass && a.pass != c.want.pass {
				t.Fatalf("got %+v", a)
			}
			s := Send{Of: &director.Instance{}, Advert: a, key: [8]byte{}}
			copy(s.key[:], c.key)
			if d.AH {
				var ok bool
				if s.sequence, ok = d.checkAH(s.key); !ok {
					t.Fatal("its sum is not what we compute")
				}
				if _, ok := d.checkAH([8]byte{'x'}); ok {
					t.Fatal("any key fits")
				}
			}
			got := s.Packet(Path{Src: src, Dst: dst, TTL: 255, ID: uint16(b[4])<<8 | uint16(b[5])})
			got[6], got[7], got[10], got[11] = b[6], b[7], b[10], b[11] // the kernel's
			if !bytes.Equal(got, b) {
				t.Fatalf("written\n%x\nread\n%x", got, b)
			}
		})
	}
}

func drawAdvert(t *rapid.T) (Advert, netip.Addr, netip.Addr) {
	a := Advert{Version: rapid.IntRange(2, 3).Draw(t, "version"), VRID: rapid.IntRange(1, 255).Draw(t, "vrid"), Priority: rapid.IntRange(0, 255).Draw(t, "priority")}
	size := 4
	if a.Version == 2 {
		a.Interval = time.Duration(rapid.IntRange(1, 255).Draw(t, "seconds")) * time.Second
		a.auth = byte(rapid.IntRange(0, 1).Draw(t, "auth"))
		copy(a.pass[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "pass"))
	} else {
		a.Interval = time.Duration(rapid.IntRange(1, maxCenti).Draw(t, "centiseconds")) * centisecond
		size = rapid.SampledFrom([]int{4, 16}).Draw(t, "size")
	}
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		ip, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "ip"))
		return ip
	})
	a.Addresses = rapid.SliceOfN(addr, 0, 20).Draw(t, "addresses")
	return a, addr.Draw(t, "src"), addr.Draw(t, "dst")
}

// TestRoundTrip: what is written is read, and one bit more or less is not.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, src, dst := drawAdvert(t)
		b := a.encode(nil, src, dst)
		if len(b) != a.size() {
			t.Fatalf("%d bytes, not %d", len(b), a.size())
		}
		d := Datagram{Src: src, Dst: dst, Data: b}
		got, why := d.decode()
		if why != Fine || got.VRID != a.VRID || got.Priority != a.Priority || got.Interval != a.Interval || got.pass != a.pass || !slices.Equal(got.Addresses, a.Addresses) {
			t.Fatalf("%s: %+v\nof %+v", why, got, a)
		}
		bit := rapid.IntRange(0, len(b)*8-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if got, why := d.decode(); why == Fine && got.sealed == nil {
			t.Fatalf("bit %d does not matter", bit)
		}
	})
}

// FuzzReceive: no datagram makes a machine panic, and none that is not in order moves it. With mend the sums are right, and with key it was made by
// somebody who has the password.
func FuzzReceive(f *testing.F) {
	for _, s := range []string{v2Pass, v2AH, v2AHOne, v3} {
		b, _ := hex.DecodeString(s)
		f.Add(b[20:], byte(255), b[9] == ProtocolAH, false, false)
		f.Add(b[20:], byte(255), b[9] == ProtocolAH, true, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, ttl byte, ah, mend, key bool) {
		cfg := &director.Config{Instances: []director.Instance{
			{Name: "v", Interface: "eth0", Version: 2, VRID: 51, Priority: 100, Advert: time.Second, CheckEach: true, Auth: director.Auth{Kind: "ah", Pass: "topSecret"}},
			{Name: "w", Interface: "eth0", Version: 3, VRID: 52, Priority: 100, Advert: time.Second, CheckEach: true},
			{Name: "x", Interface: "eth0", Version: 2, VRID: 53, Priority: 100, Advert: time.Second, Auth: director.Auth{Kind: "pass", Pass: "topSecret"}},
		}}
		m := New(cfg)
		m.Step(0, Link{"eth0", true})
		for _, name := range []string{"v", "w", "x"} {
			m.Step(0, Source{name, netip.MustParseAddr("10.77.0.1")})
		}
		m.Step(0, Start{})
		header := make([]byte, ipv4Size)
		d := Datagram{Interface: "eth0", Src: netip.MustParseAddr("10.77.0.2"), Dst: netip.MustParseAddr("224.0.0.18"), TTL: int(ttl), AH: ah, Header: header, Data: bytes.Clone(data)}
		if mend {
			mendSums(&d, key)
		}
		before := m.Next()
		for at := time.Second; at < 20*time.Second; at += 1300 * time.Millisecond {
			m.Step(at, Packet{at, d})
			if (ttl != 255 || ah && !key) && at == time.Second && m.Next() != before {
				t.Fatal("an advert that was routed, or whose sender does not have the password, counted")
			}
			if m.Step(at, Tick{}); m.Next() <= at {
				t.Fatalf("at %v it is still due at %v", at, m.Next())
			}
		}
	})
}

// mendSums puts in the sums that belong there.
func mendSums(d *Datagram, key bool) {
	b := d.Data
	if d.AH {
		b = b[min(ahSize, len(b)):]
	}
	if len(b) >= headSize {
		b[6], b[7] = 0, 0
		binary.BigEndian.PutUint16(b[6:], sum(b, int(b[0]>>4), d.Src, d.Dst))
	}
	if d.AH && key && len(d.Data) >= ahSize {
		src := d.Src.As4()
		copy(d.Data[4:8], src[:])
		d.Data[1] = ahWords
		digest := ahDigest([passSize]byte([]byte("topSecret")), d.Header, d.Data)
		copy(d.Data[ahSumAt:], digest[:])
	}
}

// Packets of keepalived 2.2.7, from the IP header on.
const (
	v2Pass  = "45c0002800010000ff70d0440a4d0001e0000012213364010101b2e80a4d0009746f705365637265"
	v2AHOne = "45c0004000010000ff3300000a0900010a090002700400000a09000100000001e60bf0703fcc7203eb2e731f2135960102013c8a0a0900350000000000000000"
	v2AH    = "45c0004000010000ff33d0690a4d0001e0000012700400000a4d000100000001994863c56fb620135601585e2133640102016e740a4d00090000000000000000"
	v3      = "45c0002400010000ff70d0480a4d0001e00000123133640200196b230a4d00090a4d000a"
)
