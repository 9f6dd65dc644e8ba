package check

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/takt-ha/takt/director"
)

// With a CA it must have vouched for the server, and for its name where the server is asked by name.
func TestSSLFiles(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	dir := t.TempDir()
	write := func(name string, raw []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("ca", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	empty := write("empty", nil)
	for _, c := range []struct {
		name, ca, host, want string
	}{
		{"without a CA", "", "any.test", ""},
		{"the right CA, the right name", good, "example.com", ""},
		{"the right CA, another name", good, "other.test", "certificate is valid for example.com"},
	} {
		k := &director.Check{Kind: "SSL_GET", Timing: director.CheckTiming{Timeout: patience},
			HTTP: &director.HTTPCheck{TLS: true, SNI: true, Host: c.host, URLs: []director.URL{{Path: "/"}}}}
		p, err := newProbe(&director.Config{TLS: director.TLSFiles{CA: c.ca}}, k, netip.MustParseAddrPort(s.Listener.Addr().String()), 1)
		if err != nil {
			t.Fatal(c.name, err)
		}
		_, err = p(context.Background())
		expect(t, c.name, err, c.want)
	}
	for name, f := range map[string]director.TLSFiles{"no certificate": {CA: empty}, "no such file": {CA: filepath.Join(dir, "none")}, "with the key": {Certificate: good, Key: empty}} {
		_, err := tlsOf(f)
		if err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
