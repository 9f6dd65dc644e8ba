package ipvs

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/director"
)

// drawService draws any service that the kernel takes.
func drawService(t *rapid.T) service {
	s := service{scheduler: rapid.SampledFrom([]string{"rr", "wlc", "lblcr", "mh"}).Draw(t, "scheduler"), flags: rapid.Uint32().Draw(t, "flags") & ofService,
		timeout: rapid.Uint32().Draw(t, "timeout"), engine: rapid.SampledFrom([]string{"", "sip"}).Draw(t, "engine")}
	six := rapid.Bool().Draw(t, "IPv6")
	if rapid.Bool().Draw(t, "by mark") {
		s.id.Key = director.ServiceKey{Mark: rapid.Uint32Min(1).Draw(t, "mark"), IPv6: six}
	} else {
		s.id.Key.Addr = drawAddress(t, six)
		s.id.Protocol = rapid.SampledFrom([]director.Protocol{director.TCP, director.UDP, director.SCTP}).Draw(t, "protocol")
	}
	s.mask = rapid.IntRange(1, s.addressBits()).Draw(t, "mask")
	return s
}

func drawAddress(t *rapid.T, six bool) netip.AddrPort {
	b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
	port := rapid.Uint16().Draw(t, "port")
	if six {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), port)
}

func drawServer(t *rapid.T) server {
	d := server{addr: drawAddress(t, rapid.Bool().Draw(t, "IPv6")), method: rapid.SampledFrom([]uint32{masquerade, tunneling, direct}).Draw(t, "method"),
		weight: rapid.Uint32().Draw(t, "weight"), upper: rapid.Uint32().Draw(t, "upper"), lower: rapid.Uint32().Draw(t, "lower")}
	if d.method == tunneling {
		d.tunnel = tunnel{rapid.Uint8Max(2).Draw(t, "kind"), rapid.Uint16().Draw(t, "port"), rapid.Uint16Max(2).Draw(t, "flags")}
	}
	return d
}

// TestCodec: what is written is read as it was.
func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := command{addServer, drawService(t), drawServer(t)}
		_, b := c.encode()
		if d, _, err := decodeServer(b, c.service.ipv6()); err != nil || d != c.server {
			t.Errorf("%+v: %+v, %v", c.server, d, err)
		}
		c.verb = setService
		_, b = c.encode()
		if s, _, err := decodeService(b); err != nil || s != c.service {
			t.Errorf("%+v: %+v, %v", c.service, s, err)
		}
		d := syncd{State: sending, Interface: "eth0", ID: rapid.Uint32().Draw(t, "id"), MaxLen: rapid.Uint16().Draw(t, "maxlen"), Port: rapid.Uint16().Draw(t, "port"),
			TTL: rapid.Uint8().Draw(t, "ttl"), Group: drawAddress(t, rapid.Bool().Draw(t, "group of IPv6")).Addr()}
		if have, err := decodeDaemon(d.encode()); err != nil || have != d {
			t.Errorf("%+v: %+v, %v", d, have, err)
		}
	})
}

// bytesOf reads hex with blanks and words behind #.
func bytesOf(t testing.TB, text string) (b []byte) {
	for l := range strings.Lines(text) {
		l, _, _ = strings.Cut(l, "#")
		part, err := hex.DecodeString(strings.Join(strings.Fields(l), ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}

// TestGolden: the bytes that the kernel gets, on a little-endian machine, after linux/ip_vs.h.
func TestGolden(t *testing.T) {
	littleEndian(t)
	s := service{id: director.ID{Key: director.ServiceKey{Addr: at("10.7.0.2:80")}, Protocol: director.TCP}, scheduler: "sh", flags: persistent | scheduler2, timeout: 300, mask: 24}
	mark := service{id: director.ID{Key: director.ServiceKey{Mark: 7, IPv6: true}}, scheduler: "rr", mask: 128}
	d := server{addr: at("10.8.0.1:8000"), method: tunneling, weight: 3, upper: 9, lower: 5, tunnel: tunnel{1, 6080, 2}}
	for _, c := range []struct {
		what    string
		command command
		number  uint8
		want    string
	}{
		{"a service", command{verb: addService, service: s}, 1, `
			54 00 01 80               # service
			06 00 01 00 02 00 00 00   # IPv4
			06 00 02 00 06 00 00 00   # TCP
			14 00 03 00 0a 07 00 02 00 00 00 00 00 00 00 00 00 00 00 00
			06 00 04 00 00 50 00 00   # port 80
			07 00 06 00 73 68 00 00   # sh
			0c 00 07 00 11 00 00 00 ff ff ff ff
			08 00 08 00 2c 01 00 00   # 300 s
			08 00 09 00 ff ff ff 00   # /24
		`},
		{"a mark", command{verb: setService, service: mark}, 2, `
			38 00 01 80
			06 00 01 00 0a 00 00 00   # IPv6
			08 00 05 00 07 00 00 00   # mark 7
			07 00 06 00 72 72 00 00   # rr
			0c 00 07 00 00 00 00 00 ff ff ff ff
			08 00 08 00 00 00 00 00
			08 00 09 00 80 00 00 00   # 128 bits
		`},
		{"a server", command{addServer, mark, d}, 5, `
			14 00 01 80 06 00 01 00 0a 00 00 00 08 00 05 00 07 00 00 00
			60 00 02 80               # destination
			06 00 0b 00 02 00 00 00   # IPv4
			14 00 01 00 0a 08 00 01 00 00 00 00 00 00 00 00 00 00 00 00
			06 00 02 00 1f 40 00 00   # port 8000
			08 00 03 00 02 00 00 00   # tunnel
			08 00 04 00 03 00 00 00   # weight
			08 00 05 00 09 00 00 00 08 00 06 00 05 00 00 00
			05 00 0d 00 01 00 00 00   # gue
			06 00 0e 00 17 c0 00 00   # port 6080
			06 00 0f 00 02 00 00 00   # remcsum
		`},
		{"a server that goes", command{dropServer, mark, d}, 7, `
			14 00 01 80 06 00 01 00 0a 00 00 00 08 00 05 00 07 00 00 00
			28 00 02 80 06 00 0b 00 02 00 00 00
			14 00 01 00 0a 08 00 01 00 00 00 00 00 00 00 00 00 00 00 00
			06 00 02 00 1f 40 00 00
		`},
	} {
		number, b := c.command.encode()
		if want := bytesOf(t, c.want); number != c.number || !slices.Equal(b, want) {
			t.Errorf("%s: command %d\n%s and not\n%s", c.what, number, hex.Dump(b), hex.Dump(want))
		}
	}
}

func littleEndian(t *testing.T) {
	var a attributes
	if a.u16(1, 1); a[0] == 0 {
		t.Skip("the bytes below are of a little-endian machine")
	}
}

// Answers of Linux 6.12 to cmdGetService and cmdGetDest, after five connections.
const (
	serviceAnswer = `
		2c01010006000100020000000600020006000000140003000a0700020000000000000000000000000600040000500000
		07000600736800000c0007001b000000ffffffff080008000200000008000900ffffff005c000a000800010000000000
		080002000000000008000300000000000c00040000000000000000000c00050000000000000000000800060000000000
		08000700000000000800080000000000080009000000000008000a00000000007c000c000c0001000500000000000000
		0c00020000000000000000000c00030000000000000000000c00040000000000000000000c0005000000000000000000
		0c00060000000000000000000c00070000000000000000000c00080000000000000000000c0009000000000000000000
		0c000a000000000000000000`
	serverAnswer = `
		50010200140001000a080002000000000000000000000000060002000050000008000300020000000800040001000000
		05000d000100000006000e0017c0000006000f0002000000080005000000000008000600000000000800070000000000
		0800080000000000080009000000000006000b00020000005c000a000800010000000000080002000000000008000300
		000000000c00040000000000000000000c00050000000000000000000800060000000000080007000000000008000800
		00000000080009000000000008000a00000000007c000c000c00010005000000000000000c0002000000000000000000
		0c00030000000000000000000c00040000000000000000000c00050000000000000000000c0006000000000000000000
		0c00070000000000000000000c00080000000000000000000c00090000000000000000000c000a000000000000000000`
)

// TestAnswers: what a kernel has said.
func TestAnswers(t *testing.T) {
	littleEndian(t)
	s, n, err := decodeService(bytesOf(t, serviceAnswer))
	want := entryOf(&all()[1])
	if err != nil || s != want.service || n != (director.Count{Connections: 5}) {
		t.Errorf("%+v, %+v, %v", s, n, err)
	}
	d, n, err := decodeServer(bytesOf(t, serverAnswer), false)
	if err != nil || d != entryOf(&all()[2]).servers[1] || n != (director.Count{Connections: 5}) {
		t.Errorf("%+v, %+v, %v", d, n, err)
	}
}

func TestTimeoutsAndVersion(t *testing.T) {
	littleEndian(t)
	want := director.Timeouts{TCP: 15 * time.Minute, UDP: 300 * time.Second}
	if have, err := decodeTimeouts(encodeTimeouts(want)); err != nil || have != want {
		t.Errorf("%v, %v", have, err)
	}
	if b := encodeTimeouts(director.Timeouts{TCPFin: 1100 * time.Millisecond}); !slices.Equal(b, bytesOf(t, "08 00 05 00 02 00 00 00")) {
		t.Errorf("% x", b)
	}
	if v, err := decodeVersion(bytesOf(t, "08 00 01 00 01 02 01 00 08 00 02 00 00 10 00 00")); v != "1.2.1" || err != nil {
		t.Errorf("%s, %v", v, err)
	}
}

// FuzzDecode: whatever comes is read or refused, and what was read is written and read again alike.
func FuzzDecode(f *testing.F) {
	f.Add(bytesOf(f, serviceAnswer))
	f.Add(bytesOf(f, serverAnswer))
	f.Add([]byte((&syncd{State: sending, Interface: "lo", Group: netip.MustParseAddr("ff02::1")}).encode()))
	f.Add([]byte{3, 0, 1, 0}) // shorter than its own head
	f.Add([]byte{9, 0, 1, 0}) // longer than there is
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := decodeDaemon(b); err == nil {
			if again, err := decodeDaemon(d.encode()); err != nil || again != d {
				t.Errorf("%+v, %+v, %v", d, again, err)
			}
		}
		if d, _, err := decodeServer(b, false); err == nil {
			c := command{verb: addServer, server: d}
			_, more := c.encode()
			if again, _, err := decodeServer(more, false); err != nil || again != d {
				t.Errorf("%+v, %+v, %v", d, again, err)
			}
		}
		_, _, _ = decodeService(b)
		_, _ = decodeTimeouts(b)
		_, _ = decodeVersion(b)
	})
}
