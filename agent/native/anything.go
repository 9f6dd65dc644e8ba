package native

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
)

func anythingMetadata() *agent.Metadata {
	return &agent.Metadata{
		Name: "anything", Version: "1.0", API: "1.1", ShortDesc: "any program, supervised",
		LongDesc: "Runs a program that stays in the foreground, in a session of its own. Its exit is noticed at once. It goes on when the daemon restarts.",
		Parameters: []agent.Parameter{
			{Name: "binfile", Type: "string", Required: true, ShortDesc: "the program", LongDesc: "A path, or a name that is looked up in the usual folders."},
			{Name: "cmdline_options", Type: "string", ShortDesc: "its arguments", LongDesc: "Split into words as a shell does, with quotes; nothing is expanded."},
			{Name: "workdir", Type: "string", ShortDesc: "the folder to start it in", LongDesc: "Default: /."},
			{Name: "pidfile", Type: "string", ShortDesc: "file to write its number to", LongDesc: "For others to read; the agent keeps its own note."},
			{Name: "logfile", Type: "string", Default: "/dev/null", ShortDesc: "where its standard output is appended"},
			{Name: "errlogfile", Type: "string", ShortDesc: "where its standard error is appended", LongDesc: "Default: as logfile."},
			{Name: "user", Type: "string", ShortDesc: "who it runs as", LongDesc: "Default: as the daemon."},
			{Name: "env", Type: "string", ShortDesc: "NAME=VALUE words for its environment"},
			{Name: "ready", Type: "string", ShortDesc: "tcp:HOST:PORT that must accept before start has succeeded"},
			{Name: "monitor_hook", Type: "string", ShortDesc: "shell command that must succeed at each monitor, and before start has succeeded"},
			{Name: "stop_timeout", Type: "time", ShortDesc: "how long it may take to end after SIGTERM", LongDesc: "Then it gets SIGKILL. Default: two thirds of the operation's time-out."},
		},
		Actions: actions(),
	}
}

// anything supervises a program.
func (s *Set) anything() kind {
	meta := anythingMetadata()
	return kind{
		meta:     meta,
		validate: func(inv agent.Invocation) error { _, err := readProgram(meta, inv); return err },
		run: func(ctx context.Context, inv agent.Invocation) error {
			path, err := s.stateFile(meta.Name, inv.Resource)
			if err != nil {
				return err
			}
			switch inv.Action {
			case agent.Start:
				return s.startProgram(ctx, meta, inv, path)
			case agent.Stop:
				return s.stopProgram(ctx, meta, inv, path)
			}
			return s.monitorProgram(ctx, meta, inv, path)
		},
		watch: func(ctx context.Context, inv agent.Invocation) string { return s.watchProgram(ctx, meta.Name, inv) },
	}
}

// program is a command line and what belongs to it.
type program struct {
	path, dir  string
	args, env  []string
	out, err   string
	credential *syscall.Credential
	ready      string // host:port, "" if not asked for
}

func readProgram(meta *agent.Metadata, inv agent.Invocation) (*program, error) {
	get := func(name string) string { return param(meta, inv, name) }
	p := &program{dir: get("workdir"), out: get("logfile"), err: get("errlogfile")}
	var err error
	if p.path, err = findProgram(get("binfile")); err != nil {
		return nil, err
	}
	if p.args, err = splitWords(get("cmdline_options")); err != nil {
		return nil, fail(agent.ErrConfigured, "parameter cmdline_options: %v", err)
	}
	extra, err := splitWords(get("env"))
	if err != nil {
		return nil, fail(agent.ErrConfigured, "parameter env: %v", err)
	}
	for _, pair := range extra {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			return nil, fail(agent.ErrConfigured, "parameter env: %q is not NAME=VALUE", pair)
		}
	}
	if p.dir == "" {
		p.dir = "/"
	}
	if info, err := os.Stat(p.dir); err != nil || !info.IsDir() {
		return nil, fail(agent.ErrInstalled, "parameter workdir: %s is not a folder", p.dir)
	}
	home := "/"
	if name := get("user"); name != "" {
		if p.credential, home, err = readUser(name); err != nil {
			return nil, err
		}
	}
	p.env = append([]string{"PATH=" + agent.SearchPath, "HOME=" + home, "LC_ALL=C.UTF-8"}, extra...)
	if v := get("ready"); v != "" {
		address, ok := strings.CutPrefix(v, "tcp:")
		if _, _, err := net.SplitHostPort(address); !ok || err != nil {
			return nil, fail(agent.ErrConfigured, "parameter ready=%q: want tcp:HOST:PORT", v)
		}
		p.ready = address
	}
	return p, nil
}

func findProgram(name string) (string, error) {
	candidates := []string{name}
	if !strings.ContainsRune(name, '/') {
		candidates = nil
		for _, dir := range filepath.SplitList(agent.SearchPath) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fail(agent.ErrInstalled, "parameter binfile: %s is not an executable file on this node", name)
}

// readUser returns nil for the user that we are already: setting groups needs a right.
func readUser(name string) (*syscall.Credential, string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, "", fail(agent.ErrInstalled, "parameter user: there is no user %s on this node", name)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, "", err
	}
	if int(uid) == os.Geteuid() {
		return nil, u.HomeDir, nil
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if ids, err := u.GroupIds(); err == nil {
		for _, id := range ids {
			if n, err := strconv.ParseUint(id, 10, 32); err == nil {
				c.Groups = append(c.Groups, uint32(n))
			}
		}
	}
	return c, u.HomeDir, nil
}

func (s *Set) startProgram(ctx context.Context, meta *agent.Metadata, inv agent.Invocation, path string) error {
	old, known, err := loadProcess(path)
	if err != nil {
		return err
	}
	if known && old.alive() {
		return s.awaitReady(ctx, meta, inv, old, nil)
	}
	prog, err := readProgram(meta, inv)
	if err != nil {
		return err
	}
	// What a dead one left behind (workers on its port) would be in the way.
	if known {
		if err := old.end(ctx, time.Second); err != nil {
			return err
		}
		s.children.forget(old.PID)
	}
	next := process{Mark: inv.Resource + "." + rand.Text()}
	if err := saveProcess(path, next); err != nil {
		return fmt.Errorf("note the start: %w", err)
	}
	cmd, err := prog.start(next.Mark)
	if err != nil {
		return errors.Join(err, removeFile(path))
	}
	end := s.children.adopt(cmd)
	next.PID = cmd.Process.Pid
	if st, ok := readStat(next.PID); ok {
		next.Start = st.start
	}
	if err := saveProcess(path, next); err != nil {
		return fmt.Errorf("note the process: %w", errors.Join(err, next.end(ctx, time.Second)))
	}
	if file := param(meta, inv, "pidfile"); file != "" {
		if err := writeState(file, []byte(strconv.Itoa(next.PID)+"\n")); err != nil {
			return fmt.Errorf("parameter pidfile: %w", err)
		}
	}
	return s.awaitReady(ctx, meta, inv, next, end)
}

// start starts the program in a session of its own. The files are opened
// before, by us: the user of the program need not be able to.
func (p *program) start(mark string) (*exec.Cmd, error) {
	open := func(name string) (*os.File, error) {
		return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	}
	out, err := open(p.out)
	if err != nil {
		return nil, fmt.Errorf("parameter logfile: %w", err)
	}
	defer out.Close()
	errout := out
	if p.err != "" {
		if errout, err = open(p.err); err != nil {
			return nil, fmt.Errorf("parameter errlogfile: %w", err)
		}
		defer errout.Close()
	}
	cmd := &exec.Cmd{
		Path: p.path, Args: append([]string{p.path}, p.args...), Dir: p.dir, Env: append(p.env, markName+"="+mark), Stdout: out, Stderr: errout,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: p.credential},
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.path, err)
	}
	return cmd, nil
}

// awaitReady waits until the program serves, where the parameters say how to
// tell. end is nil for a process that somebody else started.
func (s *Set) awaitReady(ctx context.Context, meta *agent.Metadata, inv agent.Invocation, p process, end *ending) error {
	ready, hook := strings.TrimPrefix(param(meta, inv, "ready"), "tcp:"), param(meta, inv, "monitor_hook")
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if !p.alive() {
			return fail(agent.ErrGeneric, "the program ended at once%s", s.howEnded(p.PID))
		}
		if accepts(ctx, ready) && (hook == "" || s.hook(ctx, meta, inv) == nil) {
			return nil
		}
		var done chan struct{}
		if end != nil {
			done = end.done
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("the program runs and is not ready: %w", ctx.Err())
		case <-done:
		case <-t.C:
		}
		t.Stop()
	}
}

func accepts(ctx context.Context, address string) bool {
	if address == "" {
		return true
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// howEnded gives ", exit status 3" for a child of ours that has ended, else "".
func (s *Set) howEnded(pid int) string {
	e := s.children.find(pid)
	if e == nil {
		return ""
	}
	// The kernel shows the end before the reaper has run.
	select {
	case <-e.done:
		return ": " + e.words
	case <-time.After(100 * time.Millisecond):
		return ""
	}
}

func (s *Set) stopProgram(ctx context.Context, meta *agent.Metadata, inv agent.Invocation, path string) error {
	p, known, err := loadProcess(path)
	if err != nil {
		return err
	}
	if known {
		patience, err := agent.ParseDuration(param(meta, inv, "stop_timeout"))
		if err != nil {
			patience = 10 * time.Second
			if inv.Timeout > 0 {
				patience = inv.Timeout * 2 / 3
			}
		}
		if err := p.end(ctx, patience); err != nil {
			return err
		}
		s.children.forget(p.PID)
	}
	if file := param(meta, inv, "pidfile"); file != "" {
		if err := removeFile(file); err != nil {
			return err
		}
	}
	return removeFile(path)
}

func (s *Set) monitorProgram(ctx context.Context, meta *agent.Metadata, inv agent.Invocation, path string) error {
	p, known, err := loadProcess(path)
	switch {
	case err != nil:
		return err
	case !known:
		return errNotRunning
	case !p.alive():
		return fail(agent.NotRunning, "process %d has ended%s", p.PID, s.howEnded(p.PID))
	case param(meta, inv, "monitor_hook") != "":
		return s.hook(ctx, meta, inv)
	}
	return nil
}

// hook runs monitor_hook as the program's user.
func (s *Set) hook(ctx context.Context, meta *agent.Metadata, inv agent.Invocation) error {
	prog, err := readProgram(meta, inv)
	if err != nil {
		return err
	}
	out := command.Run(ctx, command.Spec{
		Path: "/bin/sh", Args: []string{"-c", param(meta, inv, "monitor_hook")}, Env: prog.env, Dir: prog.dir,
		Credential: prog.credential, Started: agent.OnStart(ctx), Limit: agent.MaxOutput,
	})
	if res := outcome.Result(out); res.Status != agent.Done || res.Code != agent.OK {
		return fail(agent.ErrGeneric, "monitor_hook failed: %s %s", res.Code, res.Reason)
	}
	return nil
}

// watchProgram waits for the end of the process.
func (s *Set) watchProgram(ctx context.Context, name string, inv agent.Invocation) string {
	path, err := s.stateFile(name, inv.Resource)
	if err != nil {
		return err.Error()
	}
	p, known, err := loadProcess(path)
	if err != nil {
		return err.Error()
	}
	if known && p.wait(ctx) != nil {
		return ""
	}
	if !known {
		return "no process was started"
	}
	return fmt.Sprintf("process %d has ended%s", p.PID, s.howEnded(p.PID))
}
