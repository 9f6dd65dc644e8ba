package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

// TestMain makes "takt" a command of the scripts: this binary, run again.
func TestMain(m *testing.M) {
	tool := func() {
		code, _ := AgentTool(append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...), os.Stdout, os.Stderr)
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){
		"crm_attribute": tool, "crm_master": tool, "attrd_updater": tool, "crm_node": tool,
		"takt": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, testPrograms())) },
	})
}

// testPrograms stand in for the daemon: bootstrap leaves a mark, or fails where
// the test wants it to; the daemon and the pulse say what they were given.
func testPrograms() Programs {
	return Programs{
		Bootstrap: func(p Paths, id *identity.Identity, f Founding) error {
			if os.Getenv("BOOTSTRAP_FAILS") != "" {
				return errs.E("make a cluster", errs.Other, p.State, "", errors.New("no space left on device"))
			}
			if err := os.MkdirAll(p.State, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(p.State, "profile"), []byte(id.Name+" "+f.Profile+"\n"), 0o600)
		},
		Daemon: func(_ context.Context, p Paths, log *slog.Logger) error {
			log.Info("daemon", "dir", p.Dir, "state", p.State, "run", p.Run, "socket", p.Socket, "calls", p.CallLog)
			return nil
		},
		Pulse: func(_ context.Context, socket string, log *slog.Logger) error {
			log.Info("pulse", "socket", socket)
			return nil
		},
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TAKT_SOCKET", filepath.Join(e.WorkDir, "takt.sock"))
			e.Setenv("TZ", "UTC")
			// The race detector's runtime waits a second at each process's exit.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			volumeEnvironment(e)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serveFake, "replace": replaceIn, "await": awaitLine},
	})
}

// serveFake is the script command "serve [SCREEN]": a daemon whose answers are
// fixed, on the script's socket.
func serveFake(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	socket := ts.Getenv("TAKT_SOCKET")
	b := &fake{asked: ts.MkAbs("asked"), status: healthy()}
	if len(args) > 0 && args[0] == "no-quorum" {
		b.status = noQuorum()
	}
	go func() { done <- api.Serve(ctx, socket, api.NewServer(b, log), log) }()
	ts.Defer(func() { cancel(); <-done })
	c := api.NewClient(socket)
	defer c.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.Status(ctx); err == nil {
			return
		}
		select {
		case err := <-done:
			ts.Fatalf("serve: %v", err)
		default:
		}
	}
}

// fake is a daemon with fixed answers; it writes what it is asked into a file.
type fake struct {
	asked  string
	status *api.Status
}

func (f *fake) note(format string, args ...any) (*api.Outcome, error) {
	file, err := os.OpenFile(f.asked, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	line := fmt.Sprintf(format, args...)
	_, err = fmt.Fprintln(file, line)
	return &api.Outcome{Text: "done: " + line, Settled: true}, err
}

func (f *fake) Status(context.Context) (*api.Status, error) { return f.status, nil }

func (f *fake) CIB(_ context.Context, q api.CIBQuery) (string, error) {
	if q.XPath != "" {
		return fmt.Sprintf("<selected path='%s' secrets='%v'/>", q.XPath, q.Secrets), nil
	}
	return `<cib epoch="1"><configuration><resources/></configuration><status><node_state id="1"/></status></cib>`, nil
}

func (f *fake) Apply(_ context.Context, a api.Apply) (*api.Outcome, error) {
	if strings.Contains(a.XML, "broken") {
		return nil, errs.E("apply configuration", errs.Invalid, a.Source+":3", "Give it a type attribute.", errors.New("/cib/configuration/resources/primitive[@id='broken']: no type"))
	}
	if err := f.noteOps(a.Ops); err != nil {
		return nil, err
	}
	o, err := f.note("apply %s dry=%v wait=%d", a.Source, a.DryRun, a.Wait)
	o.Changes = []string{"+ primitive web"}
	return o, err
}

// noteOps writes single operations into a file of their own: they may hold secrets,
// which no output may show.
func (f *fake) noteOps(ops []api.Op) error {
	file, err := os.OpenFile(f.asked+"-ops", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, op := range ops {
		if _, err := fmt.Fprintf(file, "%s %s%s %s\n", op.Kind, op.ID, op.Path, op.XML); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Attribute(_ context.Context, a api.Attribute) (*api.Attribute, error) {
	if strings.HasPrefix(a.Name, "no") {
		return nil, errs.E("read an attribute", errs.NotFound, a.Name, "", errors.New("it has no value"))
	}
	a.Value = "42"
	return &a, nil
}

func (f *fake) SetAttribute(_ context.Context, a api.Attribute) (*api.Outcome, error) {
	return f.note("attribute %s of %q in %s%s = %q delete=%v", a.Name, a.Node, a.Kind, a.Set, a.Value, a.Delete)
}

func (f *fake) VolumeSet(context.Context, string, func(api.VolumeSet) error) error { return nil }

func (f *fake) ChangeVolumeSet(context.Context, string, api.VolumeChange) (*api.VolumeSet, error) {
	return &api.VolumeSet{}, nil
}

func (f *fake) VolumeKey(context.Context, string) (*api.VolumeKey, error) {
	return &api.VolumeKey{}, nil
}

func (f *fake) Resource(_ context.Context, id, verb string, v api.Verb) (*api.Outcome, error) {
	if id == "nothing" {
		return nil, errs.E(verb+" resource", errs.NotFound, id, "See \"takt resource list\".", errors.New("there is no such resource"))
	}
	o, err := f.note("resource %s %s node=%q wait=%d force=%v", verb, id, v.Node, v.Wait, v.Force)
	o.Settled = id != "slow"
	return o, err
}

func (f *fake) Node(_ context.Context, name, verb string, v api.Verb) (*api.Outcome, error) {
	return f.note("node %s %s wait=%d", verb, name, v.Wait)
}

func (f *fake) Events(_ context.Context, q api.EventQuery, yield func(api.Event) error) error {
	f.note("events %+v", q)
	return yield(api.Event{Time: noon(), Node: "n1", Kind: "failure", Resource: "web", On: "n2", Text: "monitor: not running", Duration: 12000, Seq: 9})
}

func (f *fake) Fence(context.Context) (*api.Fence, error) {
	_, err := f.note("fence")
	return &api.Fence{Enabled: true}, err
}

func (f *fake) FenceNode(_ context.Context, name, verb string, v api.FenceVerb) (*api.Outcome, error) {
	return f.note("fence %s %s force=%v by %s", verb, name, v.Force, "takt")
}

func (f *fake) Force(_ context.Context, v api.Force) (*api.Forcing, error) {
	_, err := f.note("force %q by %s", v.Seen, "takt")
	return &api.Forcing{Text: "would do", Seen: "x", Done: v.Seen != ""}, err
}

func (f *fake) Acknowledge(_ context.Context, v api.Verb) (*api.Outcome, error) {
	return f.note("acknowledge by %s", "takt")
}

func (f *fake) Token(context.Context) (*api.Token, error) {
	return &api.Token{Text: "takt1.secret", Command: "takt join takt1.secret", Expires: noon().Unix()}, nil
}

func (f *fake) Leave(_ context.Context, v api.Verb) (*api.Outcome, error) {
	return f.note("leave force=%v", v.Force)
}

func (f *fake) Shutdown(_ context.Context, keep bool) error {
	_, err := f.note("shutdown keep=%v", keep)
	return err
}

// steps answers each question with the next step; the last one stays.
type steps []func() (*api.Status, error)

func (s *steps) Status(context.Context) (*api.Status, error) {
	step := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return step()
}

func TestWaitForTheClusterToSettle(t *testing.T) {
	down := func() (*api.Status, error) {
		return nil, errs.E("reach", errs.Unavailable, "", "", errors.New("it does not run"))
	}
	busy := func() (*api.Status, error) { return lostNode(), nil }
	calm := func() (*api.Status, error) { return healthy(), nil }
	denied := func() (*api.Status, error) { return nil, errs.E("reach", errs.Permission, "", "", nil) }
	for _, c := range []struct {
		name  string
		steps steps
		kind  errs.Kind
		text  string
		took  time.Duration
	}{
		{"starts", steps{down, busy, calm}, errs.Other, "", 3 * pollEvery},
		{"calm for a moment", steps{calm, busy, calm}, errs.Other, "", 3 * pollEvery},
		{"never", steps{busy}, errs.Timeout, "start of httpd on n1 has not ended", time.Minute},
		{"down", steps{down}, errs.Timeout, "has not answered", time.Minute},
		{"denied", steps{denied}, errs.Permission, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s, err := askStatus(t.Context(), &c.steps, time.Minute)
				if errs.KindOf(err) != c.kind || c.text != "" && !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v", err)
				}
				if c.kind == errs.Other && (s == nil || err != nil) {
					t.Errorf("got %v, %v", s, err)
				}
				if took := time.Since(begin); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
			})
		})
	}
}

func TestMonitorModel(t *testing.T) {
	m := monitor{ctx: t.Context(), client: &steps{func() (*api.Status, error) { return healthy(), nil }}, every: time.Second}
	if !strings.Contains(m.screen(), "asking") {
		t.Error("nothing is shown before the first answer")
	}
	next, cmd := m.Update(m.ask())
	m = next.(monitor)
	if cmd == nil || !strings.Contains(m.screen(), "Cluster web · quorate") {
		t.Errorf("after an answer:\n%s", m.screen())
	}
	next, _ = m.Update(answered{err: errors.New("it does not run")})
	m = next.(monitor)
	if s := m.screen(); !strings.Contains(s, "takt: it does not run") || !strings.Contains(s, "Cluster web") {
		t.Errorf("an error hides what was seen last:\n%s", s)
	}
	m.height, m.top = 6, 1000
	if s := m.screen(); strings.Count(s, "\n") != 5 || !strings.Contains(s, "backup") {
		t.Errorf("scrolled to the end of a small terminal:\n%s", s)
	}
}

func TestHelpIsComplete(t *testing.T) {
	root := newRoot(testPrograms())
	queue := root.Commands()
	for len(queue) > 0 {
		c := queue[0]
		queue = append(queue[1:], c.Commands()...)
		if !c.Hidden && (c.Short == "" || c.Example == "") {
			t.Errorf("%s: has no short help or no example", c.CommandPath())
		}
	}
}

func TestReport(t *testing.T) {
	for kind := errs.Other; kind <= errs.Stale; kind++ {
		var b strings.Builder
		code := report(&b, errs.E("do", kind, "thing", "Try again.", errors.New("no")), false)
		if code != kind.ExitCode() || b.String() != "takt: do thing: no\n  Try again.\n" {
			t.Errorf("%s: %d %q", kind, code, b.String())
		}
	}
	var b strings.Builder
	report(&b, errors.New("an agent says \x1b[2J\nand more"), false)
	if b.String() != "takt: an agent says  [2J\nand more\n" {
		t.Errorf("control characters reach the terminal: %q", b.String())
	}
	b.Reset()
	code := report(&b, errs.E("do", errs.Conflict, "<thing>", "Try again.", errors.New("no")), true)
	if want := `{"error":"do <thing>: no","kind":"conflict","hint":"Try again."}` + "\n"; code != 8 || b.String() != want {
		t.Errorf("as JSON: %d %q", code, b.String())
	}
	if code := report(io.Discard, exitStatus(42), false); code != 42 {
		t.Errorf("exit status: %d", code)
	}
}
