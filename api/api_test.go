package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a fake that records what it was asked.
type backend struct {
	asked  []string
	err    error
	events []Event
	live   chan Event // further events while following
}

func (b *backend) note(format string, args ...any) (*Outcome, error) {
	b.asked = append(b.asked, fmt.Sprintf(format, args...))
	return &Outcome{Text: "done", Settled: true}, b.err
}

func (b *backend) Status(context.Context) (*Status, error) {
	_, err := b.note("status")
	return &Status{Cluster: "web", Node: "n1"}, err
}

func (b *backend) CIB(_ context.Context, q CIBQuery) (string, error) {
	_, err := b.note("cib %q %v", q.XPath, q.Secrets)
	return "<cib/>", err
}

func (b *backend) Apply(_ context.Context, a Apply) (*Outcome, error) {
	return b.note("apply %s %v by %s", a.Source, a.DryRun, a.User)
}

func (b *backend) Attribute(_ context.Context, a Attribute) (*Attribute, error) {
	_, err := b.note("attribute %s of %q, %s", a.Name, a.Node, a.Kind)
	a.Value = "10"
	return &a, err
}

func (b *backend) SetAttribute(_ context.Context, a Attribute) (*Outcome, error) {
	return b.note("set attribute %s of %q to %q by %s", a.Name, a.Node, a.Value, a.User)
}

func (b *backend) VolumeSet(ctx context.Context, name string, yield func(VolumeSet) error) error {
	b.note("set of %s", name)
	for v := range uint64(2) {
		if err := yield(VolumeSet{Version: v + 1, Members: []string{"n1"}}); err != nil {
			return err
		}
	}
	return b.err
}

func (b *backend) ChangeVolumeSet(_ context.Context, name string, c VolumeChange) (*VolumeSet, error) {
	_, err := b.note("set of %s from %d to %v", name, c.Version, c.Members)
	return &VolumeSet{Version: c.Version + 1, Members: c.Members}, err
}

func (b *backend) VolumeKey(_ context.Context, name string) (*VolumeKey, error) {
	_, err := b.note("key of %s", name)
	return &VolumeKey{}, err
}

func (b *backend) Resource(_ context.Context, id, verb string, v Verb) (*Outcome, error) {
	return b.note("resource %s %s %q by %s", id, verb, v.Node, v.User)
}

func (b *backend) Node(_ context.Context, name, verb string, v Verb) (*Outcome, error) {
	return b.note("node %s %s by %s", name, verb, v.User)
}

func (b *backend) Events(ctx context.Context, q EventQuery, yield func(Event) error) error {
	b.note("events %+v", q)
	for _, e := range b.events {
		if err := yield(e); err != nil {
			return err
		}
	}
	for q.Follow {
		select {
		case e := <-b.live:
			if err := yield(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return b.err
}

func (b *backend) Fence(context.Context) (*Fence, error) {
	_, err := b.note("fence")
	return &Fence{Enabled: true}, err
}

func (b *backend) FenceNode(_ context.Context, name, verb string, v FenceVerb) (*Outcome, error) {
	return b.note("fence %s %s force=%v by %s", verb, name, v.Force, v.User)
}

func (b *backend) Force(_ context.Context, v Force) (*Forcing, error) {
	_, err := b.note("force %q by %s", v.Seen, v.User)
	return &Forcing{Text: "would do", Seen: "x", Done: v.Seen != ""}, err
}

func (b *backend) Acknowledge(_ context.Context, v Verb) (*Outcome, error) {
	return b.note("acknowledge by %s", v.User)
}

func (b *backend) Token(context.Context) (*Token, error) {
	_, err := b.note("token")
	return &Token{Text: "takt1.x"}, err
}

func (b *backend) Leave(_ context.Context, v Verb) (*Outcome, error) {
	return b.note("leave %v", v.Force)
}

func (b *backend) Shutdown(_ context.Context, keep bool) error {
	_, err := b.note("shutdown %v", keep)
	return err
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start serves a backend on a unix socket.
func start(t *testing.T, b Backend) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "takt.sock")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- serve(ctx, l, NewServer(b, quiet()), quiet()) }()
	c := NewClient(path)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the socket was left behind")
		}
	})
	return c
}

func TestEveryRequestReachesTheBackend(t *testing.T) {
	b := &backend{events: []Event{{Seq: 1, Text: "one"}, {Seq: 2, Text: "two"}}}
	c := start(t, b)
	me := localCaller(uint32(os.Geteuid())).String()
	ctx := t.Context()
	check := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	check(c.Status(ctx))
	check(c.CIB(ctx, CIBQuery{XPath: "//a[@b='c d']", Secrets: true}))
	check(c.Apply(ctx, Apply{XML: "<cib/>", Source: "f.xml", DryRun: true, User: "takt cib apply"}))
	check(c.Resource(ctx, "a b/c", "move", Verb{Node: "n2", User: "takt resource move"}))
	check(c.Node(ctx, "n1", "standby", Verb{}))
	check(c.Fence(ctx))
	check(c.FenceNode(ctx, "n2", "off", FenceVerb{Force: true, User: "takt fence off"}))
	check(c.Force(ctx, Force{Seen: "x"}))
	check(c.Acknowledge(ctx, Verb{}))
	check(c.Token(ctx))
	check(c.Leave(ctx, Verb{Force: true}))
	check(nil, c.Shutdown(ctx, true))
	var got []string
	check(nil, c.Events(ctx, EventQuery{After: 7, AllNodes: true, Resource: "web", Limit: 3}, func(e Event) error {
		got = append(got, e.Text)
		return nil
	}))
	want := []string{"status", `cib "//a[@b='c d']" true`, "apply f.xml true by " + me + " (takt cib apply)", `resource a b/c move "n2" by ` + me + " (takt resource move)",
		"node n1 standby by " + me, "fence", "fence off n2 force=true by " + me + " (takt fence off)", `force "x" by ` + me, "acknowledge by " + me, "token", "leave true", "shutdown true", "events {After:7 Follow:false AllNodes:true Resource:web Limit:3}"}
	if diff := cmp.Diff(want, b.asked); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	b := &backend{}
	c := start(t, b)
	for kind := errs.Other; kind <= errs.Stale; kind++ {
		b.err = errs.E("move resource", kind, "web", "Do something else.", errors.New("no"))
		_, err := c.Resource(t.Context(), "web", "move", Verb{})
		if err == nil || err.Error() != "move resource web: no" || errs.KindOf(err) != kind || errs.HintOf(err) != "Do something else." {
			t.Errorf("%s: %v (%s)", kind, err, errs.KindOf(err))
		}
		err = c.Events(t.Context(), EventQuery{}, func(Event) error { return nil })
		if errs.KindOf(err) != kind {
			t.Errorf("events, %s: %v", kind, err)
		}
	}
	b.events = []Event{{Seq: 1}}
	n := 0
	err := c.Events(t.Context(), EventQuery{}, func(Event) error { n++; return nil })
	if n != 1 || errs.KindOf(err) != errs.Stale {
		t.Errorf("an error after %d events: %v", n, err)
	}
}

func TestFollow(t *testing.T) {
	b := &backend{events: []Event{{Seq: 1}}, live: make(chan Event)}
	c := start(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []uint64
	err := c.Events(ctx, EventQuery{Follow: true}, func(e Event) error {
		got = append(got, e.Seq)
		if e.Seq == 3 {
			cancel()
			return nil
		}
		// Each event arrives before the next one happens.
		go func() { b.live <- Event{Seq: e.Seq + 1} }()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, path := range []string{filepath.Join(dir, "none.sock"), dead} {
		_, err := NewClient(path).Status(t.Context())
		if errs.KindOf(err) != errs.Unavailable || !strings.Contains(errs.HintOf(err), "systemctl start takt") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if l, err := listen(dead); err != nil {
		t.Errorf("a dead daemon's socket is in the way: %v", err)
	} else {
		if _, err := listen(dead); errs.KindOf(err) != errs.Exists {
			t.Errorf("a living daemon's socket was taken: %v", err)
		}
		l.Close()
	}
	if _, err := listen("/" + strings.Repeat("x", maxPath)); errs.KindOf(err) != errs.Invalid {
		t.Errorf("long path: %v", err)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, []byte("precious"), 0o600)
	if _, err := listen(file); errs.KindOf(err) != errs.Exists {
		t.Errorf("a file: %v", err)
	}
}

// TestAnswerLost: who asked another node that dies over it is told that it may be done,
// and is not sent to start a daemon that runs.
func TestAnswerLost(t *testing.T) {
	for _, cut := range []struct {
		name string
		end  func(near, far net.Conn)
	}{
		{"the other end closes", func(_, far net.Conn) { far.Close() }},
		{"the heartbeats end it here", func(near, _ net.Conn) { near.Close() }},
	} {
		c := NewClientDial("n1", func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				if _, err := far.Read(make([]byte, 4096)); err == nil {
					cut.end(near, far)
				}
			}()
			// A pipe's own words for its end are others than a socket's.
			return &closable{near}, nil
		})
		_, err := c.FenceNode(t.Context(), "n2", "off", FenceVerb{})
		hint := errs.HintOf(err)
		if errs.KindOf(err) != errs.Timeout || !strings.Contains(hint, "may have been done") || strings.Contains(hint, "systemctl") ||
			!strings.Contains(err.Error(), "n1") || !strings.Contains(err.Error(), "before it answered") || strings.Contains(err.Error(), "closed network") {
			t.Errorf("%s: %v; %s", cut.name, err, hint)
		}
		if _, err := c.Status(t.Context()); errs.KindOf(err) != errs.Unavailable || strings.Contains(errs.HintOf(err), "may have been done") {
			t.Errorf("%s: a question: %v; %s", cut.name, err, errs.HintOf(err))
		}
	}
	c := NewClientDial("n1", func(context.Context) (net.Conn, error) { return nil, syscall.ECONNREFUSED })
	if _, err := c.FenceNode(t.Context(), "n2", "off", FenceVerb{}); errs.KindOf(err) != errs.Unavailable || !strings.Contains(errs.HintOf(err), "start it there") {
		t.Errorf("nobody listens: %v; %s", err, errs.HintOf(err))
	}
}

// closable is a pipe that says of its end what a socket says.
type closable struct{ net.Conn }

// Read translates the pipe's own end.
func (c *closable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.ErrClosedPipe) {
		err = &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
	}
	return n, err
}

func TestBadRequests(t *testing.T) {
	b := &backend{}
	h := NewServer(b, quiet())
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/v1/nothing", "", "no such request"},
		{"POST", "/v1/status", "", "no such request"},
		{"POST", "/v1/resources/web/explode", "{}", "explode"},
		{"POST", "/v1/nodes/n1/explode", "{}", "explode"},
		{"POST", "/v1/resources/web/move", `{"wait_ms":-1}`, "wait_ms"},
		{"POST", "/v1/resources/web/move", `{"nodes":"n1"}`, "unknown field"},
		{"POST", "/v1/resources/web/move", `{} {}`, "follows"},
		{"POST", "/v1/resources/web/move", `{"node":"` + strings.Repeat("x", maxBody) + `"}`, "larger than"},
		{"POST", "/v1/cib/apply", `{}`, "either xml or ops"},
		{"POST", "/v1/shutdown", `{"keep":"yes"}`, "keep"},
		{"GET", "/v1/events?after=x", "", "sequence number"},
		{"GET", "/v1/events?limit=-1", "", "limit"},
		{"GET", "/v1/events?follow=perhaps", "", "true or false"},
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		var f Failed
		if err := json.Unmarshal(rec.Body.Bytes(), &f); err != nil || rec.Code < 400 || rec.Code >= 500 || !strings.Contains(f.Error, c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.path, rec.Code, rec.Body)
		}
	}
	if len(b.asked) > 0 {
		t.Errorf("the backend was asked: %v", b.asked)
	}
}

func TestCallers(t *testing.T) {
	for _, c := range []struct {
		caller        Caller
		claimed, want string
	}{
		{Caller{Name: "root"}, "takt leave", "root (takt leave)"},
		{Caller{UID: 7}, "", "uid 7"},
		{Caller{Node: 2, Name: "n2"}, "root (takt leave)", "root (takt leave)"},
		{Caller{Node: 2, Name: "n2"}, "", "node 2 (n2)"},
	} {
		if got := c.caller.author(c.claimed); got != c.want {
			t.Errorf("%+v %q: %q, want %q", c.caller, c.claimed, got, c.want)
		}
	}
}

// TestPasswordsAreForRoot: neither a member of the group takt nor another node is shown any.
func TestPasswordsAreForRoot(t *testing.T) {
	for _, c := range []struct {
		caller Caller
		query  string
		want   int
	}{
		{Caller{Name: "root"}, "?secrets=true", http.StatusOK},
		{localCaller(uint32(os.Geteuid())), "?secrets=true", http.StatusOK},
		{Caller{UID: 1 << 30, Name: "alice"}, "?secrets=true", http.StatusForbidden},
		{Caller{UID: 1 << 30, Name: "alice"}, "", http.StatusOK},
		{Caller{Node: 2, Name: "n2"}, "?secrets=true", http.StatusForbidden},
		{Caller{}, "?secrets=true", http.StatusForbidden},
	} {
		b := &backend{}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(WithCaller(t.Context(), c.caller), http.MethodGet, "/v1/cib"+c.query, nil)
		NewServer(b, quiet()).ServeHTTP(w, r)
		if w.Code != c.want || (len(b.asked) > 0) != (c.want == http.StatusOK) {
			t.Errorf("%+v %q: %d, want %d; asked %q", c.caller, c.query, w.Code, c.want, b.asked)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	nobody := admit(t.Context(), a, func(*unix.Ucred) bool { return true }, quiet())
	rec := httptest.NewRecorder()
	h := refuseStrangers(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/v1/status", nil).WithContext(nobody))
	if rec.Code != http.StatusForbidden {
		t.Errorf("a connection without credentials: %d", rec.Code)
	}
	rule := allowed(quiet())
	if !rule(&unix.Ucred{Uid: uint32(os.Geteuid())}) || !rule(&unix.Ucred{Uid: 0}) {
		t.Error("root and the daemon's own user must be allowed")
	}
	if rule(&unix.Ucred{Uid: 4_000_000_000, Gid: 4_000_000_000}) {
		t.Error("a stranger is allowed")
	}
}

func TestServeConn(t *testing.T) {
	b := &backend{}
	server, client := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx := WithCaller(t.Context(), Caller{Node: 2, Name: "n2"})
		ServeConn(ctx, server, NewServer(b, quiet()))
	}()
	c := NewClientDial("n1", func(context.Context) (net.Conn, error) { return client, nil })
	for range 2 { // one connection serves several requests
		if _, err := c.Node(t.Context(), "n1", "online", Verb{User: "root (takt)"}); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	<-done
	if want := []string{"node n1 online by root (takt)", "node n1 online by root (takt)"}; !cmp.Equal(want, b.asked) {
		t.Error(b.asked)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("/v1/cib/apply", `{"xml":"<cib/>","wait_ms":5}`)
	f.Add("/v1/resources/web/move", `{"node":"n1"}`)
	f.Add("/v1/shutdown", `{"keep":true}`)
	h := NewServer(&backend{}, quiet())
	f.Fuzz(func(t *testing.T, path, body string) {
		req, err := http.NewRequest(http.MethodPost, "http://takt"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code >= 500 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	})
}

func FuzzReadEvents(f *testing.F) {
	f.Add(`{"event":{"seq":1}}` + "\n" + `{"failed":{"error":"x","kind":"stale"}}`)
	f.Add("{}\n")
	f.Fuzz(func(t *testing.T, body string) {
		err := readEvents(strings.NewReader(body), func(Event) error { return nil })
		if err == io.EOF {
			t.Fatal("a bare EOF")
		}
	})
}
