package ipvs

import (
	"fmt"
	"time"

	"github.com/takt-ha/takt/director"
)

func (s *syncd) encode() (a attributes) {
	var in attributes
	in.u32(daemonState, s.State)
	in.text(daemonInterface, s.Interface)
	in.u32(daemonID, s.ID)
	if s.MaxLen > 0 {
		in.u16(daemonMaxLen, s.MaxLen)
	}
	switch {
	case s.Group.Is4():
		in.bytes(daemonGroup4, s.Group.AsSlice())
	case s.Group.Is6():
		in.bytes(daemonGroup6, s.Group.AsSlice())
	}
	if s.Port > 0 {
		in.u16(daemonPort, s.Port) // in the machine's order
	}
	if s.TTL > 0 {
		in.u8(daemonTTL, s.TTL)
	}
	a.nest(attrDaemon, in)
	return a
}

// decodeDaemon reads one of the answers to cmdGetDaemon.
func decodeDaemon(b []byte) (s syncd, err error) {
	in, err := inside(b, attrDaemon)
	if err != nil {
		return s, err
	}
	return s, each(in, func(kind uint16, v value) {
		switch kind {
		case daemonState:
			s.State = v.u32()
		case daemonInterface:
			s.Interface = v.text()
		case daemonID:
			s.ID = v.u32()
		case daemonMaxLen:
			s.MaxLen = v.u16()
		case daemonGroup4:
			s.Group = v.address(inet4)
		case daemonGroup6:
			s.Group = v.address(inet6)
		case daemonPort:
			s.Port = v.u16()
		case daemonTTL:
			s.TTL = v.field(1)[0]
		}
	})
}

// encodeTimeouts is those that are given.
func encodeTimeouts(t director.Timeouts) (a attributes) {
	for _, x := range []struct {
		kind uint16
		time time.Duration
	}{{attrTimeoutTCP, t.TCP}, {attrTimeoutTCPFin, t.TCPFin}, {attrTimeoutUDP, t.UDP}} {
		if x.time > 0 {
			a.u32(x.kind, seconds(x.time))
		}
	}
	return a
}

func decodeTimeouts(b []byte) (t director.Timeouts, err error) {
	to := map[uint16]*time.Duration{attrTimeoutTCP: &t.TCP, attrTimeoutTCPFin: &t.TCPFin, attrTimeoutUDP: &t.UDP}
	return t, each(b, func(kind uint16, v value) {
		if d := to[kind]; d != nil {
			*d = time.Duration(v.u32()) * time.Second
		}
	})
}

// decodeVersion reads which IPVS the kernel has.
func decodeVersion(b []byte) (string, error) {
	v, err := inside(b, infoVersion)
	n := v.u32()
	return fmt.Sprintf("%d.%d.%d", n>>16&0xff, n>>8&0xff, n&0xff), err
}
