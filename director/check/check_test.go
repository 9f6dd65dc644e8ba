package check

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClock(t *testing.T) {
	begin := time.Unix(1000, 0)
	c := clock{timing: director.CheckTiming{Loop: 10 * time.Second, Retry: 2, RetryDelay: time.Second, Warmup: 4 * time.Second}, up: true}
	if at := c.first(begin, 0.5); at != begin.Add(2*time.Second) {
		t.Errorf("first at %v", at)
	}
	now := begin
	for i, s := range []struct {
		ok, tell, up bool
		next         time.Duration
	}{
		{true, true, true, 10 * time.Second}, // the first is told in any case
		{true, false, true, 10 * time.Second},
		{false, false, true, 3 * time.Second}, // took 2 s, and is tried again a second later
		{false, false, true, 3 * time.Second},
		{false, true, false, 10 * time.Second},
		{false, false, false, 10 * time.Second},
		{true, true, true, 10 * time.Second},
		{false, false, true, 3 * time.Second},
		{true, false, true, 10 * time.Second},
	} {
		c.begun = now
		tell, next := c.ended(s.ok, now.Add(2*time.Second))
		if tell != s.tell || c.up != s.up || next.Sub(now) != s.next {
			t.Fatalf("step %d: told %v, up %v, next after %v; want %+v", i, tell, c.up, next.Sub(now), s)
		}
		now = next
	}
	c.begun = now
	if _, next := c.ended(true, now.Add(time.Minute)); next.Before(now.Add(time.Minute)) {
		t.Error("a check that took long is due in the past")
	}
}

// listen serves each connection by f.
func listen(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); f(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func datagrams(t *testing.T, answer func([]byte) []byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 2000); ; {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if a := answer(b[:n]); a != nil {
				_, _ = c.WriteTo(a, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// vain is how long a check waits that is to wait in vain; patience bounds all others, and is no measure of anything.
const vain, patience = 300 * time.Millisecond, time.Minute

// vainly gives a check little time where the words with which it is to fail say that it was over.
func vainly(k director.Check, words string) director.Check {
	if strings.Contains(words, "no answer within") {
		k.Timing.Timeout = vain
	}
	return k
}

// ask runs a check once.
func ask(t *testing.T, k director.Check, at netip.AddrPort) (int, error) {
	t.Helper()
	if k.Timing.Timeout == 0 {
		k.Timing.Timeout = patience
	}
	p, err := newProbe(&director.Config{Files: []director.TrackedFile{{Name: "f", Path: k.Pos.File}}}, &k, at, 10)
	if err != nil {
		t.Fatal(err)
	}
	return p(context.Background())
}

// expect compares a failure with words, "" for none.
func expect(t *testing.T, what string, err error, words string) {
	t.Helper()
	if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
		t.Errorf("%s: %v, want %q", what, err, words)
	}
}

func script(lines ...string) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, 1000)
		for _, l := range lines {
			if _, err := io.WriteString(c, l); err != nil {
				return
			}
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	}
}

// hang reads until the client goes.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func drip(c net.Conn) {
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
	}
}

func flood(c net.Conn) {
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	for b := make([]byte, 1<<20); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func closed(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestTCP(t *testing.T) {
	_, err := ask(t, director.Check{Kind: "TCP_CHECK"}, listen(t, hang))
	expect(t, "a server", err, "")
	_, err = ask(t, director.Check{Kind: "TCP_CHECK"}, closed(t))
	expect(t, "nobody", err, "the connection is refused")
	_, err = ask(t, director.Check{Kind: "TCP_CHECK", Addr: listen(t, hang), BindIf: "no-such-link"}, closed(t))
	if os.Geteuid() == 0 {
		expect(t, "no such interface", err, "no such device")
	}
}

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s from %s", r.Host, r.Proto) })
	mux.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	plain, secret := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	secret.Config.ErrorLog = log.New(io.Discard, "", 0)
	secret.StartTLS()
	defer plain.Close()
	defer secret.Close()
	at := func(s *httptest.Server) netip.AddrPort { return s.Listener.Addr().(*net.TCPAddr).AddrPort() }
	digest := fmt.Sprintf("%x", md5.Sum([]byte("hello web.test from HTTP/1.0")))
	for _, c := range []struct {
		name string
		at   netip.AddrPort
		http director.HTTPCheck
		want string
	}{
		{"a page", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/ok"}}}, ""},
		{"its digest", at(plain), director.HTTPCheck{Host: "web.test", URLs: []director.URL{{Path: "/ok", Digest: digest}}}, ""},
		{"another digest", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/ok", Digest: digest}}}, "the digest is"},
		{"HTTP/1.1 and a regex", at(plain), director.HTTPCheck{Version: "1.1", URLs: []director.URL{{Path: "/ok", Regex: "HELLO .* http/1.1", ICase: true}}}, ""},
		{"a regex that must not be", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/ok", Regex: "hello", RegexNot: true}}}, "found: true"},
		{"a regex too early", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/ok", Regex: "hello", MinStart: 1}}}, "found: false"},
		{"a failure", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/ok"}, {Path: "/bad"}}}, "/bad: status 503"},
		{"a failure that is wanted", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/bad", Status: [][2]int{{500, 503}}}}}, ""},
		{"elsewhere", at(plain), director.HTTPCheck{URLs: []director.URL{{Path: "/moved"}}}, "status 302"},
		{"TLS", at(secret), director.HTTPCheck{TLS: true, SNI: true, Host: "web.test", URLs: []director.URL{{Path: "/ok"}}}, ""},
		{"TLS where there is none", at(plain), director.HTTPCheck{TLS: true, URLs: []director.URL{{Path: "/ok"}}}, "does not look like a TLS handshake"},
		{"plain where there is TLS", at(secret), director.HTTPCheck{URLs: []director.URL{{Path: "/ok"}}}, "status 400"},
		{"silence", listen(t, hang), director.HTTPCheck{URLs: []director.URL{{Path: "/"}}}, "no answer within 300ms"},
		{"a handshake that hangs", listen(t, hang), director.HTTPCheck{TLS: true, URLs: []director.URL{{Path: "/"}}}, "no answer within 300ms"},
		{"rubbish", listen(t, script("220 mail\r\n")), director.HTTPCheck{URLs: []director.URL{{Path: "/"}}}, "no HTTP answer"},
		{"the end at once", listen(t, func(net.Conn) {}), director.HTTPCheck{URLs: []director.URL{{Path: "/"}}}, ""},
		{"a header without end", listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\nA: b\r\n"); hang(c) }), director.HTTPCheck{URLs: []director.URL{{Path: "/"}}}, "no answer within 300ms"},
		{"a body by drops", listen(t, drip), director.HTTPCheck{URLs: []director.URL{{Path: "/", Regex: "y"}}}, "no answer within 300ms"},
		{"a body without end", listen(t, flood), director.HTTPCheck{URLs: []director.URL{{Path: "/", Regex: "y"}}}, "regex"},
	} {
		kind := map[bool]string{false: "HTTP_GET", true: "SSL_GET"}[c.http.TLS]
		_, err := ask(t, vainly(director.Check{Kind: kind, HTTP: &c.http}, c.want), c.at)
		if c.name == "the end at once" {
			if err == nil {
				t.Error("the end at once: no failure")
			}
			continue
		}
		expect(t, c.name, err, c.want)
	}
}

func TestSMTP(t *testing.T) {
	for _, c := range []struct {
		name, want string
		server     func(net.Conn)
	}{
		{"a mail server", "", script("220-a.test\r\n220 ready\r\n", "250 hello\r\n", "221 bye\r\n")},
		{"one that is busy", "the greeting: the server says \"421 later\", not 220", script("421 later\r\n")},
		{"one that knows no HELO", "HELO: the server says", script("220 x\r\n", "500 what\r\n")},
		{"one that hangs up", "the greeting: the server hung up", func(net.Conn) {}},
		{"one that is silent", "no answer within 300ms", hang},
	} {
		_, err := ask(t, vainly(director.Check{Kind: "SMTP_CHECK"}, c.want), listen(t, c.server))
		expect(t, c.name, err, c.want)
	}
	at := listen(t, script("220 x\r\n", "250 x\r\n", "221 x\r\n"))
	_, err := ask(t, director.Check{Kind: "SMTP_CHECK", SMTP: &director.SMTPCheck{Hosts: []director.SMTPHost{{Addr: at}, {Addr: closed(t)}}}}, at)
	expect(t, "the second of two hosts", err, "the connection is refused")
}

func TestDatagrams(t *testing.T) {
	name := func(code dnsmessage.RCode) func([]byte) []byte {
		return func(q []byte) []byte {
			var m dnsmessage.Message
			if m.Unpack(q) != nil || m.Questions[0].Type != dnsmessage.TypeA || m.Questions[0].Name.String() != "web.test." {
				return nil
			}
			m.Response, m.RCode = true, code
			b, _ := m.Pack()
			return b
		}
	}
	ask1 := func(k director.Check, at netip.AddrPort) error { _, err := ask(t, k, at); return err }
	ask2 := func(k director.Check, at netip.AddrPort) error { k.Timing.Timeout = vain; return ask1(k, at) }
	dns := director.Check{Kind: "DNS_CHECK", DNS: &director.DNSCheck{Type: "A", Name: "web.test"}}
	expect(t, "a name server", ask1(dns, datagrams(t, name(dnsmessage.RCodeSuccess))), "")
	expect(t, "one that fails", ask1(dns, datagrams(t, name(dnsmessage.RCodeServerFailure))), "SERVFAIL")
	expect(t, "one that is silent", ask2(dns, datagrams(t, func([]byte) []byte { return nil })), "no answer within 300ms")
	expect(t, "somebody else's answer", ask2(dns, datagrams(t, func(q []byte) []byte { q[0]++; return name(dnsmessage.RCodeSuccess)(q) })), "no answer within 300ms")
	if _, err := newProbe(&director.Config{}, &director.Check{Kind: "DNS_CHECK", DNS: &director.DNSCheck{Type: "B"}}, closed(t), 1); err == nil {
		t.Error("a record type B is known")
	}

	silent, echo := datagrams(t, func([]byte) []byte { return nil }), datagrams(t, func(q []byte) []byte { return q })
	udp := func(c director.UDPCheck) director.Check { return director.Check{Kind: "UDP_CHECK", UDP: &c} }
	expect(t, "silence is good", ask2(udp(director.UDPCheck{Payload: []byte("a")}), silent), "")
	expect(t, "silence is bad", ask2(udp(director.UDPCheck{Payload: []byte("a"), Require: true}), silent), "no answer")
	expect(t, "nobody", ask1(udp(director.UDPCheck{Payload: []byte("a")}), closed(t)), "refused")
	expect(t, "the right answer", ask1(udp(director.UDPCheck{Payload: []byte("ab"), Require: true, Reply: []byte("aX"), Mask: []byte{0xff, 0}}), echo), "")
	expect(t, "a wrong answer", ask1(udp(director.UDPCheck{Payload: []byte("ab"), Reply: []byte("aX")}), echo), "not as it should be")
	expect(t, "a short answer", ask1(udp(director.UDPCheck{Payload: []byte("ab"), MinReply: 3}), echo), "the answer has 2 bytes")
	if err := ask1(director.Check{Kind: "PING_CHECK"}, netip.MustParseAddrPort("127.0.0.1:0")); err != nil && !strings.Contains(err.Error(), "not permitted") {
		t.Error("ping:", err)
	}
}

func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	program := func(text string) director.Check {
		path := filepath.Join(dir, fmt.Sprintf("%x", md5.Sum([]byte(text))))
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return director.Check{Kind: "MISC_CHECK", Misc: &director.MiscCheck{Run: director.Command{Args: []string{path}, User: "root"}, Timeout: patience}}
	}
	at := netip.MustParseAddrPort("127.0.0.1:1")
	_, err := ask(t, program("exit 0"), at)
	expect(t, "good", err, "")
	_, err = ask(t, program("echo too bad; exit 1"), at)
	expect(t, "bad", err, "ends with 1: too bad")
	dynamic := program("exit 7")
	_, err = ask(t, dynamic, at)
	expect(t, "7", err, "ends with 7")
	dynamic.Misc.Dynamic = true
	if add, err := ask(t, dynamic, at); add != -5 || err != nil {
		t.Errorf("7 instead of 10: %d, %v", add, err)
	}
	long := program("sleep 100 & sleep 100")
	long.Misc.Timeout = 200 * time.Millisecond
	_, err = ask(t, long, at)
	expect(t, "a program that hangs", err, "does not end within 200ms")
	left := filepath.Join(dir, "left")
	_, err = ask(t, program("sleep 1000 >&- 2>&- & echo $! >"+left), at)
	expect(t, "a program that leaves something behind", err, "")
	if pid, err := os.ReadFile(left); err != nil {
		t.Error(err)
	} else {
		goes(t, strings.TrimSpace(string(pid)))
	}

	path := filepath.Join(dir, "weight")
	file := director.Check{Kind: "FILE_CHECK", File: &director.FileCheck{Name: "f", Weight: 3}, Pos: director.Pos{File: path}}
	for _, c := range []struct {
		text, want string
		add        int
	}{{"", "", 0}, {"-2\n", "", -6}, {"many", "does not hold a number", 0}, {"-2147483648", "says so", 0}} {
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		add, err := ask(t, file, at)
		if expect(t, "file "+c.text, err, c.want); add != c.add {
			t.Errorf("file %q: %d", c.text, add)
		}
	}
}

// goes waits until a process is gone, or waits for a parent that asks for it.
func goes(t *testing.T, pid string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Errorf("what a program has left behind runs: %s", stat)
			return
		}
	}
}

// told gathers what a runner tells.
type told struct {
	mu   sync.Mutex
	list []pool.Checked
	news chan struct{}
}

func (o *told) add(c pool.Checked) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, c)
	select {
	case o.news <- struct{}{}:
	default:
	}
}

func (o *told) await(t *testing.T, what string, f func(pool.Checked) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		o.mu.Lock()
		for _, c := range o.list {
			if f(c) {
				o.list = nil
				o.mu.Unlock()
				return
			}
		}
		o.mu.Unlock()
		select {
		case <-o.news:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A runner tells of the first answer and of changes; a reload leaves alone what stays, and what is gone says nothing any more.
func TestRunner(t *testing.T) {
	good, bad := listen(t, hang), closed(t)
	timing := director.CheckTiming{Loop: 20 * time.Millisecond, Warmup: time.Millisecond, Timeout: time.Second}
	config := func(servers ...netip.AddrPort) *director.Config {
		v := director.VirtualServer{Key: director.ServiceKey{Addr: netip.MustParseAddrPort("10.0.0.1:80")}, Protocol: director.TCP}
		for _, s := range servers {
			v.Servers = append(v.Servers, director.RealServer{Addr: s, Weight: 1, Checks: []director.Check{{Kind: "TCP_CHECK", Timing: timing}}})
		}
		return &director.Config{Servers: []director.VirtualServer{v}}
	}
	o := &told{news: make(chan struct{}, 1)}
	r := NewRunner(o.add, slog.New(slog.DiscardHandler))
	defer r.Close()
	if err := r.Set(config(good, bad)); err != nil {
		t.Fatal(err)
	}
	is := func(at netip.AddrPort, up bool) func(pool.Checked) bool {
		return func(c pool.Checked) bool { return c.ID.Real == at && c.Up == up }
	}
	o.await(t, "the server that is down", is(bad, false))
	broken := config(good)
	broken.Servers[0].Servers[0].Checks[0].Kind = "COLOUR_CHECK"
	if err := r.Set(broken); err == nil || !strings.Contains(err.Error(), "COLOUR_CHECK") {
		t.Errorf("a check of no kind: %v", err)
	}
	if err := r.Set(config(bad)); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", bad.String())
	if err != nil {
		t.Skip("the port was taken by somebody else:", err)
	}
	defer l.Close()
	o.await(t, "its return", is(bad, true))
	r.Rest("[10.0.0.1]:tcp:80", true)
}

// BenchmarkTCP is what a check costs, the server's side with it.
func BenchmarkTCP(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	p, err := newProbe(&director.Config{}, &director.Check{Kind: "TCP_CHECK", Timing: director.CheckTiming{Timeout: time.Second}}, l.Addr().(*net.TCPAddr).AddrPort(), 1)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
