package drbd

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// place reads where a volume is: device, disk, meta-disk. It says whether the statement was one of these.
func (c *converter) place(d *draft, parts map[int]*part, n int, s *Statement) bool {
	if s.Section {
		return false
	}
	switch s.Name {
	case "device":
		c.device(d, partIn(parts, n, s), s)
	case "disk":
		if len(s.Args) != 1 {
			c.find(d, s, Wrong, "want one device or file, or none")
			return true
		}
		partIn(parts, n, s).disk = s.Args[0]
		c.find(d, s, Understood, "disk = %q", s.Args[0])
	case "meta-disk", "flexible-meta-disk":
		c.meta(d, partIn(parts, n, s), s)
	default:
		return false
	}
	return true
}

func (c *converter) device(d *draft, p *part, s *Statement) {
	args := s.Args
	minor := -1
	if n := len(args); n >= 2 && args[n-2] == "minor" {
		if v, err := strconv.Atoi(args[n-1]); err == nil && v >= 0 {
			minor = v
		} else {
			c.find(d, s, Wrong, "want a number after minor")
			return
		}
	} else if n == 1 {
		digits := strings.TrimLeft(strings.TrimPrefix(args[0], "/dev/drbd"), "/_")
		if v, err := strconv.Atoi(digits); err == nil && v >= 0 {
			minor = v
		}
	}
	if minor >= 0 {
		p.minor, p.minorS = minor, true
	}
	c.find(d, s, Understood, "minor %s; the device is called /dev/takt/by-name/NAME in Takt", minorText(minor))
}

func minorText(n int) string {
	if n < 0 {
		return "unknown"
	}
	return strconv.Itoa(n)
}

// meta reads "internal", "DEVICE", "DEVICE[0]" and "DEVICE [0]".
func (c *converter) meta(d *draft, p *part, s *Statement) {
	text := strings.Join(s.Args, "")
	name, rest, indexed := strings.Cut(text, "[")
	switch {
	case name == "":
		c.find(d, s, Wrong, "want internal, or a device or file")
		return
	case indexed && rest != "0]":
		c.find(d, s, Wrong, "several volumes cannot share a device for their metadata: give each a device or a file of its own")
		return
	}
	p.meta = name
	c.find(d, s, Understood, "meta-disk = %q; Takt's metadata is not DRBD's: \"takt volume create\" makes it", name)
}

// address reads "[FAMILY] HOST:PORT" as HOST:PORT, "[HOST]:PORT" for IPv6.
func address(args []string) (string, error) {
	if len(args) == 2 {
		switch args[0] {
		case "ipv4", "ipv6":
		case "sdp", "ssocks":
			return "", fmt.Errorf("the network of kind %s is not possible; use an IP address", args[0])
		default:
			return "", fmt.Errorf("%q: want ipv4 or ipv6 before the address", args[0])
		}
		args = args[1:]
	}
	if len(args) != 1 {
		return "", errors.New("want an address, as in 10.0.0.1:7789")
	}
	at, err := netip.ParseAddrPort(args[0])
	if err == nil && at.Port() != 0 {
		return at.String(), nil
	}
	// Not in the manual, but seen: a host name, or a port after a space.
	host, port, ok := cutPort(args[0])
	if n, err := strconv.Atoi(port); !ok || host == "" || err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%q: want an address with its port, as in 10.0.0.1:7789 or [fd00::1]:7789", args[0])
	}
	return args[0], nil
}

func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.Contains(s[:i], ":") && !strings.HasPrefix(s, "[") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func hostOf(at string) string {
	host, _, _ := cutPort(at)
	return strings.Trim(host, "[]")
}

// withPort adds n to the port of an address.
func withPort(at string, n int) (string, error) {
	host, port, ok := cutPort(at)
	p, err := strconv.Atoi(port)
	if !ok || err != nil || p+n > 65535 {
		return "", fmt.Errorf("address %q: there is no port %d higher", at, n)
	}
	return host + ":" + strconv.Itoa(p+n), nil
}
