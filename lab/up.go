package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// Lab is a running laboratory. Its methods may be called from several
// goroutines, and from another process than the one that made it, see Open.
type Lab struct {
	dir      string
	state    State
	lifeline *os.File // held open while attached; nil otherwise
}

// Up builds a laboratory and, unless o.Bare, forms a cluster in it; it returns
// when every node is an online voter. What a killed predecessor left in o.Dir is
// cleaned first; a running one is an error of kind Exists. If Up fails or ctx
// ends, nothing is left running.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := clearStale(o.Dir); err != nil {
		return nil, err
	}
	l, err := launch(ctx, o)
	if err != nil {
		return nil, err
	}
	if !o.Bare {
		if err := l.form(ctx); err != nil {
			return nil, errors.Join(err, l.Down(context.WithoutCancel(ctx), false))
		}
	}
	return l, nil
}

// Open finds the laboratory that runs in dir; an error of kind NotFound if none does.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	s, err := readState(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil || !s.alive() {
		return nil, errs.E("open laboratory", errs.NotFound, dir, "Start one with: takt lab up --dir "+dir, errors.New("none runs there"))
	}
	return &Lab{dir: dir, state: *s}, nil
}

// clearStale removes what a laboratory that no longer runs left behind.
func clearStale(dir string) error {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.alive() {
		return errs.E("start laboratory", errs.Exists, dir, "End it with: takt lab down --dir "+dir,
			fmt.Errorf("one runs there already (process %d)", s.PID))
	}
	removeRuntime(dir, append(s.Nodes, Client))
	for _, node := range s.Nodes { // a new cluster must not meet the old one's state
		for _, sub := range []string{"etc", "var", wantedFile} {
			if err := os.RemoveAll(filepath.Join(dir, "nodes", node, sub)); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeRuntime removes sockets, mount points and the record, and keeps logs and
// the nodes' /etc/takt and /var/lib/takt.
func removeRuntime(dir string, nodes []string) {
	for _, n := range nodes {
		for _, name := range []string{controlFile, watchdogFile, "root"} {
			_ = os.Remove(filepath.Join(dir, "nodes", n, name)) // Remove, never RemoveAll: a mount point must be empty
		}
	}
	for _, name := range []string{supervisorSocket, powerFile, brokerFile, stateFile} {
		_ = os.Remove(filepath.Join(dir, name))
	}
}

// launch starts the supervisor in namespaces of its own and waits until all
// nodes are up.
func launch(ctx context.Context, o Options) (*Lab, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	l := &Lab{dir: o.Dir, state: State{Version: 1, Links: o.Links, Profile: o.Profile, Exe: o.Exe, Bare: o.Bare,
		Fence: o.Fence, Watchdog: o.Watchdog.Milliseconds(), Witness: o.Witness}}
	for i := 1; i <= o.Nodes; i++ {
		l.state.Nodes = append(l.state.Nodes, NodeName(i))
	}
	ready, readyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	cmd, err := l.supervisorCommand(o, readyW)
	if err != nil {
		readyW.Close()
		return nil, err
	}
	err = l.run(cmd)
	readyW.Close()
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, ready); err != nil {
		_ = cmd.Process.Kill()
		_ = l.awaitEnd(context.WithoutCancel(ctx))
		removeRuntime(l.dir, append(l.state.Nodes, Client))
		return nil, errs.E("start laboratory", errs.Other, o.Dir, "See "+filepath.Join(o.Dir, "supervisor.log")+".", err)
	}
	return l, nil
}

func (l *Lab) supervisorCommand(o Options, ready *os.File) (*exec.Cmd, error) {
	root, err := reallyRoot()
	if err != nil {
		return nil, err
	}
	c := supervisorConfig{Dir: o.Dir, Exe: o.Exe, Nodes: append(append([]string(nil), l.state.Nodes...), Client), Links: o.Links, Env: o.Env,
		Root: root, Attached: o.Attached, Purge: o.Attached && o.Purge, Boot: o.Boot}
	argument, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.Exe, "lab", "supervisor", string(argument))
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{ready}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if !root {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd, nil
}

// reallyRoot tells root, which may make namespaces without a user namespace,
// from a user, also from one that is called root in a namespace without the
// right to administer it.
func reallyRoot() (bool, error) {
	if os.Geteuid() != 0 {
		return false, nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0, nil
}

// run starts the command with its log and, if attached, its lifeline, and
// records it.
func (l *Lab) run(cmd *exec.Cmd) error {
	out, err := os.OpenFile(filepath.Join(l.dir, "supervisor.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	cmd.Stdin = stdin
	if err := cmd.Start(); err != nil {
		lifeline.Close()
		return errs.E("start laboratory", errs.Permission, l.dir, namespaceHint(err), err)
	}
	l.lifeline = lifeline // without Attached the supervisor does not look at it
	l.state.PID = cmd.Process.Pid
	if l.state.StartTime, err = processStart(l.state.PID); err == nil {
		err = l.state.write(l.dir)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("record laboratory: %w", err)
	}
	go cmd.Wait() // reaps it, if this process is still there when it ends
	return nil
}

// awaitReady reads the supervisor's verdict.
func awaitReady(ctx context.Context, ready *os.File) error {
	stop := context.AfterFunc(ctx, func() { ready.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReader(ready).ReadString('\n')
	line = strings.TrimSpace(line)
	switch {
	case line == "ok":
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case line != "":
		return errors.New(line)
	case err != nil:
		return errors.New("the supervisor ended while starting")
	}
	return nil
}

// Down ends all processes of the laboratory, waits until they are gone and
// removes its runtime files; purge removes the whole folder with the logs.
func (l *Lab) Down(ctx context.Context, purge bool) error {
	_, err := call(filepath.Join(l.dir, supervisorSocket), request{Op: "down"}, 5*time.Second)
	if err != nil && l.state.alive() {
		if err := unix.Kill(l.state.PID, unix.SIGKILL); err != nil && err != unix.ESRCH {
			return errs.E("end laboratory", errs.Permission, l.dir, "", err)
		}
	}
	if err := l.awaitEnd(ctx); err != nil {
		return err
	}
	if l.lifeline != nil {
		l.lifeline.Close()
	}
	removeRuntime(l.dir, append(append([]string(nil), l.state.Nodes...), Client))
	if purge {
		return os.RemoveAll(l.dir)
	}
	return nil
}

// awaitEnd waits until the supervisor is gone; the kernel has then ended every
// process below it.
func (l *Lab) awaitEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for l.state.alive() {
		select {
		case <-ctx.Done():
			return errs.E("end laboratory", errs.Timeout, l.dir, fmt.Sprintf("Look at process %d.", l.state.PID), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
