package kernel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director/directortest"
)

// examplesVariable names the folder of recorded configurations, which are no part of this repository.
const examplesVariable = "TAKT_EXAMPLES"

// TestExample: a keepalived.conf of somebody's mail and web servers, as it stands but for the names of interfaces.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(os.Getenv(examplesVariable), "director1-keepalived.conf"))
	if err != nil {
		t.Skip("there is no recorded keepalived.conf: ", err)
	}
	each(t, func(t *testing.T, k kind) {
		s := newScene(t, k, 1, false)
		d := s.directors[0]
		s.client.Run("ip", "address", "add", "123.123.123.9/24", "dev", "e0")
		d.Run("ip", "address", "add", "123.123.123.11/24", "dev", "e0")
		d.Run("ip", "address", "add", "192.168.0.11/24", "dev", "e1")
		for i, m := range s.servers[:2] {
			m.Run("ip", "address", "add", fmt.Sprintf("192.168.0.10%d/24", i+1), "dev", "e0")
			m.Run("ip", "address", "add", fmt.Sprintf("192.168.0.20%d/24", i+1), "dev", "e0")
			m.Run("ip", "route", "replace", "default", "via", "192.168.0.1")
			m.Serve(at("0.0.0.0", 993))
			m.Serve(at("0.0.0.0", 995))
			serveHTTP(t, m)
			serveMail(t, m)
		}
		d.start(strings.NewReplacer("eth0", "e0", "eth1", "e1").Replace(string(text)))
		var want []string
		for _, to := range []string{"1:25 -r 192.168.0.10%d:25", "1:993 -r 192.168.0.10%d:993", "1:995 -r 192.168.0.10%d:995", "2:80 -r 192.168.0.20%d:80"} {
			for i := range 2 {
				want = append(want, fmt.Sprintf("-a -t 123.123.123."+to+" -m -w 1", i+1))
			}
		}
		s.await("everything is forwarded", d.has(want...))
		s.await("it has the addresses", func() bool {
			have := output(d.Machine, "ip", "-4", "address")
			return strings.Contains(have, "123.123.123.1/32") && strings.Contains(have, "123.123.123.2/32") && strings.Contains(have, "192.168.0.1/32") && strings.Contains(have, "192.168.0.2/32")
		})
		for _, port := range []uint16{25, 993, 995} {
			if _, who := s.dial(at("123.123.123.1", port), none); !strings.Contains(who, "r1") && !strings.Contains(who, "r2") {
				t.Errorf("port %d: answered by %q", port, who)
			}
		}
		c := s.connect(at("123.123.123.2", 80), none)
		if c == nil {
			t.Fatal("nobody serves HTTP")
		}
		fmt.Fprint(c, "GET /index.html HTTP/1.0\r\n\r\n")
		if page, _ := io.ReadAll(c.in); !strings.Contains(string(page), "page of r") {
			t.Errorf("the page is %q", page)
		}
		d.stop()
		if have := d.table() + output(d.Machine, "ip", "-4", "address"); strings.Contains(have, "-A") || strings.Contains(have, "123.123.123.1/32") {
			t.Errorf("it left\n%s", have)
		}
	})
}

// listen serves connections on a machine.
func listen(t *testing.T, m *directortest.Machine, port uint16) (l net.Listener) {
	t.Helper()
	m.Do(func() {
		var err error
		if l, err = net.Listen("tcp", at("0.0.0.0", port).String()); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { l.Close() })
	return l
}

func serveHTTP(t *testing.T, m *directortest.Machine) {
	l := listen(t, m, 80)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "page of", m.Name) })) //nolint:errcheck // ends with the listener
}

// serveMail greets, and likes all that it hears until it is told to quit.
func serveMail(t *testing.T, m *directortest.Machine) {
	l := listen(t, m, 25)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "220 %s ESMTP\r\n", m.Name)
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if strings.HasPrefix(lines.Text(), "QUIT") {
						fmt.Fprint(c, "221 bye\r\n")
						return
					}
					fmt.Fprint(c, "250 good\r\n")
				}
			}()
		}
	}()
}
