package kernel

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/director/directortest"
)

// connection is one that is open, to a server that answers each line with its name.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// dial opens a TCP connection from the client and returns who answers it; "-" is nobody.
func (s *scene) dial(to netip.AddrPort, from netip.Addr) (c *connection, who string) {
	if c = s.connect(to, from); c == nil {
		return nil, "-"
	}
	return c, c.hear()
}

// connect opens a connection, to a server that may say nothing.
func (s *scene) connect(to netip.AddrPort, from netip.Addr) *connection {
	d := net.Dialer{Timeout: 5 * time.Second}
	if from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	var conn net.Conn
	var err error
	s.client.Do(func() { conn, err = d.Dial("tcp", to.String()) })
	if err != nil {
		return nil
	}
	s.t.Cleanup(func() { conn.Close() })
	return &connection{conn, bufio.NewReader(conn)}
}

// hear returns the next line, or "-".
func (c *connection) hear() string {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second)) // of a socket
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "-"
	}
	return strings.TrimSpace(line)
}

// ask says something and returns who answers.
func (c *connection) ask() string {
	if _, err := c.Write([]byte("x")); err != nil {
		return "-"
	}
	return c.hear()
}

// answers is who answered so many connections, one after the other, by name: "r1:2 r3:1".
func (s *scene) answers(n int, to string, from ...string) string {
	s.t.Helper()
	var local netip.Addr
	if len(from) > 0 {
		local = netip.MustParseAddr(from[0])
	}
	count := map[string]int{}
	for range n {
		c, who := s.dial(netip.MustParseAddrPort(to), local)
		count[who]++
		if c != nil {
			c.Close()
		}
	}
	return words(count)
}

// datagrams is who answers so many datagrams from one socket.
func (s *scene) datagrams(n int, to string) string {
	s.t.Helper()
	var conn net.Conn
	var err error
	s.client.Do(func() { conn, err = net.Dial("udp", to) })
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	count, b := map[string]int{}, make([]byte, 100)
	for i := range n {
		who := "-"
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // of a socket
		if _, err := fmt.Fprintf(conn, "%d", i); err != nil {
			s.t.Fatal(err)
		}
		if n, err := conn.Read(b); err == nil {
			_, who, _ = strings.Cut(string(b[:n]), " ")
		}
		count[who]++
	}
	return words(count)
}

func words(count map[string]int) string {
	var out []string
	for _, who := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%s:%d", who, count[who]))
	}
	return strings.Join(out, " ")
}

// want compares who answered.
func (s *scene) want(what, have, want string) {
	s.t.Helper()
	if have != want {
		s.t.Errorf("%s: answered by %s, want %s\n%s", what, have, want, s.directors[0].table())
	}
}

// one wants the same server each time.
func (s *scene) one(what, have string) {
	s.t.Helper()
	if strings.ContainsAny(have, " -") {
		s.t.Errorf("%s: answered by %s, want one server\n%s", what, have, s.directors[0].table())
	}
}

// cut takes a machine's cable on the servers' network out, or puts it in.
func (s *scene) cut(m *directortest.Machine, out bool) {
	how := map[bool]string{true: "down", false: "up"}[out]
	directortest.Run(s.t, "ip", "link", "set", m.Port("e0"), how)
}

// none is no address of one's own choice.
var none netip.Addr

func at(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}
