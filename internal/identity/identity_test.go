package identity

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takt-ha/takt/internal/errs"
)

func links(texts ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range texts {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// create makes a cluster in a temporary folder.
func create(t *testing.T, place Place, l ...netip.AddrPort) *Identity {
	t.Helper()
	if len(l) == 0 {
		l = links("192.0.2.1:694", "[2001:db8::1]:694")
	}
	id, err := Create(place, "web", "n1", l)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCreateAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "takt")
	made := create(t, Place{Dir: dir})
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.Node, loaded.Node, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if hex.EncodeToString(made.ClusterKey) != hex.EncodeToString(loaded.ClusterKey) {
		t.Error("cluster key differs")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 6 {
		t.Errorf("want 6 files, got %v", entries)
	}
	for _, e := range entries {
		if fi, _ := e.Info(); fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o, want 600", e.Name(), fi.Mode().Perm())
		}
	}
	if fi, _ := os.Stat(dir); fi.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %o, want 700", fi.Mode().Perm())
	}
	if want := "takt://" + made.ClusterID + "/node/1"; loaded.Cert.URIs[0].String() != want {
		t.Errorf("URI %s, want %s", loaded.Cert.URIs[0], want)
	}
}

func TestCreateRefusesWhatIsThere(t *testing.T) {
	base := t.TempDir()
	place := Place{Dir: filepath.Join(base, "etc"), State: filepath.Join(base, "state"), Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	first := create(t, place)
	if _, err := Create(place, "web", "n1", first.Links); errs.KindOf(err) != errs.Exists || !strings.Contains(errs.HintOf(err), "--force") {
		t.Errorf("a second identity: %v", err)
	}
	os.MkdirAll(filepath.Join(place.State, "store"), 0o700)
	os.Remove(filepath.Join(place.Dir, nodeFile))
	if _, err := Create(place, "web", "n1", first.Links); errs.KindOf(err) != errs.Exists || !strings.Contains(err.Error(), "store") {
		t.Errorf("old state: %v", err)
	}
	os.WriteFile(filepath.Join(place.Dir, "other.conf"), nil, 0o600)
	place.Force = true
	second := create(t, place)
	if second.ClusterID == first.ClusterID {
		t.Error("the new cluster has the old one's id")
	}
	for _, name := range []string{"etc/aside-20260102-030405/ca.key", "state/aside-20260102-030405/store", "etc/other.conf"} {
		if _, err := os.Stat(filepath.Join(base, name)); err != nil {
			t.Error(err)
		}
	}
	place.Force = false
	if err := Retire(place.Dir, place.State, place.Now); err != nil {
		t.Fatal(err)
	}
	create(t, place) // what was set aside is not in the way
}

func TestCreateRefusesBadInput(t *testing.T) {
	good := links("192.0.2.1:694")
	for _, c := range []struct {
		cluster, node string
		links         []netip.AddrPort
		want          string
	}{
		{"", "n1", good, "cluster name"},
		{"web", "-n1", good, "node name"},
		{"web", "n 1", good, "node name"},
		{"web", "n1", nil, "0 links"},
		{"web", "n1", links("0.0.0.0:694"), "network interface"},
		{"web", "n1", links("192.0.2.1:0"), "ADDRESS:PORT"},
		{"web", "n1", append(good, good...), "twice"},
	} {
		_, err := Create(Place{Dir: t.TempDir()}, c.cluster, c.node, c.links)
		if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q %v: %v, want %q", c.cluster, c.node, c.links, err, c.want)
		}
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	if _, err := Load(t.TempDir()); errs.KindOf(err) != errs.NotFound {
		t.Errorf("no identity: %v", err)
	}
	other := create(t, Place{Dir: t.TempDir()})
	for name, want := range map[string]string{caKey: "does not belong", nodeKey: "does not belong", caCert: "ca.key", nodeCert: "node.key"} {
		dir := t.TempDir()
		create(t, Place{Dir: dir})
		foreign, _ := os.ReadFile(other.path(name))
		os.WriteFile(filepath.Join(dir, name), foreign, 0o600)
		if _, err := Load(dir); errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), want) {
			t.Errorf("foreign %s: %v", name, err)
		}
	}
	dir := t.TempDir()
	id := create(t, Place{Dir: dir})
	os.WriteFile(id.path(keyFile), []byte("deadbeef"), 0o600)
	if _, err := Load(dir); errs.KindOf(err) != errs.Corrupt || strings.Contains(err.Error(), "deadbeef") {
		t.Errorf("short key: %v", err)
	}
}

func TestRenew(t *testing.T) {
	id := create(t, Place{Dir: t.TempDir()})
	if did, err := id.Renew(time.Now()); did || err != nil {
		t.Errorf("a fresh certificate was renewed: %v %v", did, err)
	}
	late := id.Cert.NotAfter.Add(-time.Hour)
	if did, err := id.Renew(late); !did || err != nil {
		t.Fatalf("an old certificate was not renewed: %v", err)
	}
	again, err := Load(id.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if left := again.Cert.NotAfter.Sub(late); left < renewBefore {
		t.Errorf("renewed for %s only", left)
	}
}

func TestTokenBook(t *testing.T) {
	id := create(t, Place{Dir: t.TempDir()})
	now := time.Unix(1_800_000_000, 0)
	book := NewTokenBook()
	book.now = func() time.Time { return now }
	if _, err := book.Issue(id, time.Minute); errs.KindOf(err) != errs.Invalid {
		t.Errorf("too short a validity: %v", err)
	}
	issue := func() *Token {
		tok, err := book.Issue(id, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	refused := func(secret []byte, want string) {
		t.Helper()
		err := book.Redeem(secret)
		if errs.KindOf(err) != errs.Permission || !strings.Contains(err.Error(), want) {
			t.Errorf("redeem: %v, want %q", err, want)
		}
	}
	used, late := issue(), issue()
	if err := book.Redeem(used.Secret[:]); err != nil {
		t.Fatal(err)
	}
	refused(used.Secret[:], "used already")
	refused(make([]byte, secretLen), "did not issue")
	refused(nil, "did not issue")
	now = now.Add(time.Hour)
	refused(late.Secret[:], "expired")
	now = now.Add(MaxTokenLife)
	issue()
	refused(late.Secret[:], "did not issue")
}

func TestTokenHidesItsSecret(t *testing.T) {
	id := create(t, Place{Dir: t.TempDir()})
	tok, _ := NewTokenBook().Issue(id, time.Hour)
	req := JoinRequest{Secret: tok.Secret[:], Name: "n2"}
	for _, text := range []string{fmt.Sprint(tok.Secret), fmt.Sprintf("%#v", tok.Secret), fmt.Sprint(req), fmt.Sprint(id), fmt.Sprintf("%+v", id)} {
		for _, secret := range [][]byte{tok.Secret[:], id.ClusterKey} {
			if strings.Contains(text, hex.EncodeToString(secret)) || strings.Contains(text, fmt.Sprint(secret)) || strings.Contains(text, base64.StdEncoding.EncodeToString(secret)) {
				t.Errorf("a secret is printed: %s", text)
			}
		}
	}
}

func FuzzParseToken(f *testing.F) {
	t := Token{Addrs: links("192.0.2.1:694", "[fe80::1%eth0]:694"), Expires: time.Unix(1_800_000_000, 0)}
	f.Add(t.String())
	f.Add("takt1.")
	f.Add("takt1.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := ParseToken(text)
		if err != nil {
			return
		}
		again, err := ParseToken(tok.String())
		if err != nil || again.String() != tok.String() {
			t.Fatalf("not stable: %v", err)
		}
	})
}

func TestTokenRoundTripAndDamage(t *testing.T) {
	tok := Token{Addrs: links("192.0.2.1:694", "[2001:db8::1]:694"), Expires: time.Unix(1_800_000_000, 0)}
	copy(tok.Secret[:], randomBytes(secretLen))
	text := tok.String()
	got, err := ParseToken(" " + text[:20] + "\n" + text[20:] + "\n") // as a mail program breaks it
	if err != nil || got.Secret != tok.Secret || len(got.Addrs) != 2 || got.Addrs[1] != tok.Addrs[1] || !got.Expires.Equal(tok.Expires) {
		t.Fatalf("%v %v", got, err)
	}
	for i := len(tokenPrefix); i < len(text); i++ {
		if _, err := ParseToken(text[:i]); err == nil {
			t.Errorf("cut at %d: accepted", i)
		}
		broken := []byte(text)
		broken[i] ^= 1
		if _, err := ParseToken(string(broken)); err == nil {
			t.Errorf("changed at %d: accepted", i)
		}
	}
}

// admitter admits nodes as a daemon does.
type admitter struct {
	id   *Identity
	book *TokenBook
	next uint64
}

func (a *admitter) Join(_ context.Context, req JoinRequest) (*JoinAnswer, error) {
	if err := a.book.Redeem(req.Secret); err != nil {
		return nil, err
	}
	a.next++
	return a.id.Answer(req, a.next, "<cib/>")
}

// plainListener hides that its connections are TLS from net/http, which would
// look the protocol's name up among those that it knows.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// serve offers joins on a loopback port and returns an identity whose link it is.
func serve(t *testing.T, alpn string) *admitter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback network here: ", err)
	}
	id := create(t, Place{Dir: t.TempDir()}, l.Addr().(*net.TCPAddr).AddrPort())
	cert, err := id.TLS()
	if err != nil {
		t.Fatal(err)
	}
	a := &admitter{id: id, book: NewTokenBook(), next: 1}
	srv := &http.Server{Handler: Handler(a), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(plainListener{tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, NextProtos: []string{alpn}})})
	}()
	t.Cleanup(func() { srv.Close(); <-done })
	return a
}

func TestJoin(t *testing.T) {
	a := serve(t, JoinALPN)
	tok, err := a.book.Issue(a.id, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	// The first address does not answer: port 1 is closed.
	tok.Addrs = append(links("127.0.0.1:1"), tok.Addrs...)
	dir := t.TempDir()
	id, err := Join(t.Context(), Place{Dir: dir}, tok.String(), "n2", links("192.0.2.2:694"), false)
	if err != nil {
		t.Fatal(err)
	}
	if id.ID != 2 || id.Name != "n2" || id.ClusterID != a.id.ClusterID || string(id.ClusterKey) != string(a.id.ClusterKey) {
		t.Errorf("joined as %v", id)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.SeedCIB != "<cib/>" {
		t.Errorf("seed %q", loaded.SeedCIB)
	}
	if _, err := Join(t.Context(), Place{Dir: t.TempDir()}, tok.String(), "n3", links("192.0.2.3:694"), false); errs.KindOf(err) != errs.Permission || !strings.Contains(err.Error(), "used already") || errs.HintOf(err) != newToken {
		t.Errorf("second use: %v", err)
	}
}

func TestJoinRefusesAnotherCluster(t *testing.T) {
	a, b := serve(t, JoinALPN), serve(t, JoinALPN)
	tok, _ := a.book.Issue(a.id, time.Hour)
	tok.Addrs = b.id.Links // somebody else answers at the address
	_, err := Join(t.Context(), Place{Dir: t.TempDir()}, tok.String(), "n2", links("192.0.2.2:694"), false)
	if errs.KindOf(err) != errs.Unavailable || !strings.Contains(err.Error(), "not the cluster that issued the token") {
		t.Errorf("got %v", err)
	}
	if err := a.book.Redeem(tok.Secret[:]); err != nil {
		t.Errorf("the secret reached the stranger's side: %v", err)
	}
}

func TestJoinRefusesBeforeItSpendsTheToken(t *testing.T) {
	a := serve(t, JoinALPN)
	tok, _ := a.book.Issue(a.id, time.Hour)
	member := t.TempDir()
	create(t, Place{Dir: member})
	for _, c := range []struct {
		place Place
		name  string
		want  errs.Kind
	}{
		{Place{Dir: member}, "n2", errs.Exists},
		{Place{Dir: t.TempDir()}, "n 2", errs.Invalid},
		{Place{Dir: t.TempDir(), Now: time.Now().Add(2 * time.Hour)}, "n2", errs.Permission},
	} {
		if _, err := Join(t.Context(), c.place, tok.String(), c.name, links("192.0.2.2:694"), false); errs.KindOf(err) != c.want {
			t.Errorf("%+v: %v", c.place, err)
		}
	}
	if err := a.book.Redeem(tok.Secret[:]); err != nil {
		t.Error(err)
	}
}

// failing answers every request with one error.
type failing struct{ err error }

func (f failing) Join(context.Context, JoinRequest) (*JoinAnswer, error) { return nil, f.err }

func TestHandlerRefuses(t *testing.T) {
	h := Handler(failing{errors.New("must not be reached")})
	for _, body := range []string{"", "{", `{"secret":"c2VjcmV0","name":"../x"}`, `{"secret":12}`, `{"x":1}`, `{"name":"` + strings.Repeat("a", maxRequest) + `"}`} {
		rec := newRecorder()
		req, _ := http.NewRequest(http.MethodPost, "/join", strings.NewReader(body))
		h.ServeHTTP(rec, req)
		if rec.code != http.StatusBadRequest || strings.Contains(rec.body.String(), "c2VjcmV0") {
			t.Errorf("%.40q: %d %s", body, rec.code, rec.body.String())
		}
	}
}

type recorder struct {
	code   int
	header http.Header
	body   strings.Builder
}

func newRecorder() *recorder                    { return &recorder{code: 200, header: http.Header{}} }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
