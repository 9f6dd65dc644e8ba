package mesh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takt-ha/takt/internal/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

func (a *authority) issue(t *testing.T, cluster string, id uint64) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(fmt.Sprintf("takt://%s/node/%d", cluster, id))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(int64(id) + 1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{fmt.Sprintf("n%d", id)}, URIs: []*url.URL{u}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve starts a node with two links on the loopback.
func serve(t *testing.T, a *authority, cluster string, id uint64) *Mesh {
	t.Helper()
	m, err := New(Config{Self: id, Name: fmt.Sprintf("n%d", id), Cert: a.issue(t, cluster, id), CA: a.pool,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.2:0")}})
	if err != nil {
		t.Fatal(err)
	}
	m.Handle("echo/1", func(_ context.Context, from uint64, c net.Conn) {
		_, _ = fmt.Fprintf(c, "%d\n", from)
		_, _ = io.Copy(c, c)
	})
	m.HandleAnonymous("open/1", func(_ context.Context, from uint64, c net.Conn) { _, _ = fmt.Fprintf(c, "open %d", from) })
	done := make(chan error, 1)
	go func() { done <- m.Serve(context.Background()) }()
	t.Cleanup(func() {
		m.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for len(m.Addrs()) < 2 {
		m.mu.Lock()
		grown := m.boundNew
		enough := len(m.bound) >= 2
		m.mu.Unlock()
		if !enough {
			<-grown
		}
	}
	return m
}

// peerOf describes a running node as others dial it.
func peerOf(m *Mesh) Peer {
	p := Peer{ID: m.cfg.Self, Name: m.cfg.Name, Addrs: make([]netip.AddrPort, 2)}
	for _, a := range m.Addrs() {
		if a.Addr() == netip.MustParseAddr("127.0.0.1") {
			p.Addrs[0] = a
		} else {
			p.Addrs[1] = a
		}
	}
	return p
}

func hello(t *testing.T, c net.Conn) string {
	t.Helper()
	b := make([]byte, 2)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestDialAndLinks(t *testing.T) {
	a := newAuthority(t)
	x, y := serve(t, a, "c1", 1), serve(t, a, "c1", 2)
	x.SetPeers([]Peer{peerOf(y)})
	c, err := x.Dial(t.Context(), 2, "echo/1")
	if err != nil {
		t.Fatal(err)
	}
	if who := hello(t, c); who != "1" {
		t.Errorf("the server saw node %s", who)
	}
	if !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.1:") {
		t.Errorf("went over %s, want link 0", c.RemoteAddr())
	}
	x.SetLink(2, 0, false)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived its link")
	}
	c, err = x.Dial(t.Context(), 2, "echo/1")
	if err != nil {
		t.Fatal(err)
	}
	if hello(t, c); !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.2:") {
		t.Errorf("went over %s, want link 1", c.RemoteAddr())
	}
	y.SetPeers([]Peer{{ID: 1}})
	y.SetLink(1, 1, false) // the accepting end closes, too
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the accepted connection outlived its link")
	}
	if _, err := x.Dial(t.Context(), 9, "echo/1"); errs.KindOf(err) != errs.NotFound {
		t.Errorf("unknown peer: %v", err)
	}
}

func TestWrongIdentity(t *testing.T) {
	a := newAuthority(t)
	x, y := serve(t, a, "c1", 1), serve(t, a, "c1", 2)
	foreign, stranger := serve(t, a, "c2", 3), serve(t, newAuthority(t), "c1", 4)
	as := func(m *Mesh, id uint64, name string) Peer { p := peerOf(m); p.ID, p.Name = id, name; return p }
	x.SetPeers([]Peer{as(y, 5, "n2"), as(foreign, 3, "n3"), as(stranger, 4, "n4")})
	for _, id := range []uint64{5, 3} {
		if _, err := x.Dial(t.Context(), id, "echo/1"); errs.KindOf(err) != errs.Permission {
			t.Errorf("node %d: %v", id, err)
		}
	}
	if _, err := x.Dial(t.Context(), 4, "echo/1"); err == nil {
		t.Error("accepted a certificate of another authority")
	}
	foreign.SetPeers([]Peer{peerOf(x)})
	if c, err := foreign.Dial(t.Context(), 1, "echo/1"); err == nil {
		t.Errorf("a node of another cluster was let in: %v", c.RemoteAddr())
	}
}

func TestAnonymous(t *testing.T) {
	m := serve(t, newAuthority(t), "c1", 1)
	dial := func(proto string) (string, error) {
		c, err := tls.Dial("tcp", peerOf(m).Addrs[0].String(), &tls.Config{RootCAs: m.cfg.CA, ServerName: "n1", NextProtos: []string{proto}})
		if err != nil {
			return "", err
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		return string(b), err
	}
	if got, err := dial("open/1"); err != nil || got != "open 0" {
		t.Errorf("open protocol: %q, %v", got, err)
	}
	if got, err := dial("echo/1"); err == nil {
		t.Errorf("a client without a certificate got %q", got)
	}
}

func TestHTTP(t *testing.T) {
	a := newAuthority(t)
	x, y := serve(t, a, "c1", 1), serve(t, a, "c1", 2)
	x.SetPeers([]Peer{peerOf(y)})
	y.ServeHTTP("web/1", peerEcho())
	askHTTP(t, x.RoundTripper("web/1"))
}

func TestHTTPInMemory(t *testing.T) {
	n := NewMemNetwork()
	x, y := n.Node(1), n.Node(2)
	defer x.Close()
	defer y.Close()
	ServeHTTP(y, "web/1", peerEcho())
	rt := RoundTripper(x, "web/1")
	defer rt.CloseIdleConnections()
	askHTTP(t, rt)
	n.Cut(1, 2)
	if _, err := x.Dial(t.Context(), 2, "web/1"); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("cut: %v", err)
	}
	n.Heal(1, 2)
	askHTTP(t, rt)
}

func peerEcho() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "peer %d", PeerOf(r.Context())) })
}

func askHTTP(t *testing.T, rt http.RoundTripper) {
	t.Helper()
	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+Host(2)+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(b) != "peer 1" {
			t.Fatalf("%q, %v", b, err)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	a := newAuthority(t)
	for name, c := range map[string]Config{
		"no id":          {CA: a.pool, Cert: a.issue(t, "c", 1)},
		"no authority":   {Self: 1, Cert: a.issue(t, "c", 1)},
		"another's name": {Self: 2, CA: a.pool, Cert: a.issue(t, "c", 1)},
	} {
		if _, err := New(c); errs.KindOf(err) != errs.Invalid || errs.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMissingAddressDoesNotStopTheOthers(t *testing.T) {
	a := newAuthority(t)
	m, err := New(Config{Self: 1, Name: "n1", Cert: a.issue(t, "c1", 1), CA: a.pool, ListenRetry: time.Millisecond,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	grown := m.boundNew
	m.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- m.Serve(t.Context()) }()
	<-grown
	m.Close()
	if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
