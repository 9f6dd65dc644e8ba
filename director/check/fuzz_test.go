package check

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director"
)

// FuzzAnswers: whatever a server says to a check, the check ends, in words and without a panic; one that is passed was answered as the protocol
// wants it.
func FuzzAnswers(f *testing.F) {
	for _, text := range []string{"HTTP/1.0 200 OK\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 204 No\r\nContent-Length: -1\r\n\r\n",
		"220-a\r\n220 b\r\n250 c\r\n221 d\r\n", "220", "\x16\x03\x03\x00\x01\x00", "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x06\x00\x01"} {
		f.Add([]byte(text))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	say := make(chan []byte)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(<-say)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	var probes []probe
	for _, k := range []director.Check{
		{Kind: "HTTP_GET", HTTP: &director.HTTPCheck{URLs: []director.URL{{Path: "/", Regex: "h.*o"}}}},
		{Kind: "HTTP_GET", HTTP: &director.HTTPCheck{Version: "1.1", URLs: []director.URL{{Path: "/", Digest: "5d41402abc4b2a76b9719d911017c592"}}}},
		{Kind: "SSL_GET", HTTP: &director.HTTPCheck{TLS: true, URLs: []director.URL{{Path: "/"}}}},
		{Kind: "SMTP_CHECK", SMTP: &director.SMTPCheck{}},
	} {
		k.Timing.Timeout = patience
		p, err := newProbe(&director.Config{}, &k, at, 1)
		if err != nil {
			f.Fatal(err)
		}
		probes = append(probes, p)
	}
	must := []string{"HTTP/", "HTTP/", "\x16", "220"}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, p := range probes {
			go func() { say <- text }()
			_, err := p(context.Background())
			if err == nil && !strings.HasPrefix(string(text), must[i]) {
				t.Fatalf("%q is good for check %d", text, i)
			}
			if err != nil && (strings.TrimSpace(err.Error()) == "" || strings.Contains(err.Error(), "no answer within")) {
				t.Fatalf("%q makes check %d say %v", text, i, err)
			}
		}
		if len(text) >= 2 {
			id := uint16(text[0])<<8 | uint16(text[1])
			if done, err := answered(text, id); done && err == nil && (len(text) < 12 || text[2]&0x80 == 0 || text[3]&15 != 0) {
				t.Fatalf("%x is taken for an answer", text)
			}
		}
		_ = fits(&director.UDPCheck{Reply: []byte("ab"), Mask: []byte{0xf0}, MinReply: 1, MaxReply: 10}, text)
	})
}
