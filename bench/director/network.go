package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a thread in a network namespace of its own; a process that it starts is there, too.
type machine struct {
	name string
	work chan func() error
	done chan error
	tid  int
}

func newMachine(name string) (*machine, error) {
	m := &machine{name: name, work: make(chan func() error), done: make(chan error)}
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		m.tid = unix.Gettid()
		m.done <- err
		for f := range m.work {
			m.done <- f()
		}
	}()
	return m, <-m.done
}

func (m *machine) do(f func() error) error {
	m.work <- f
	return <-m.done
}

func (m *machine) run(args ...string) error { return m.do(func() error { return run(args...) }) }

func run(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// network is the client, the bridge and two directors.
type network struct{ client, a, b *machine }

const virtual = "10.9.0.100"

func newNetwork() (*network, error) {
	n := &network{}
	if err := errors.Join(run("ip", "link", "add", "br0", "type", "bridge"), run("ip", "link", "set", "br0", "up")); err != nil {
		return nil, err
	}
	for i, m := range []**machine{&n.client, &n.a, &n.b} {
		var err error
		name := []string{"client", "a", "b"}[i]
		if *m, err = newMachine(name); err != nil {
			return nil, err
		}
		err = errors.Join((*m).run("ip", "link", "set", "lo", "up"),
			run("ip", "link", "add", "p-"+name, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa((*m).tid)),
			run("ip", "link", "set", "p-"+name, "master", "br0", "up"),
			(*m).run("ip", "link", "set", "eth0", "up"), (*m).run("ip", "address", "add", fmt.Sprintf("10.9.0.%d/24", i+1), "dev", "eth0"))
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// system is who holds the address.
type system struct {
	name string
	argv []string
}

// start runs a director on a machine.
func (s system) start(m *machine, dir string, priority int, advert time.Duration) (*exec.Cmd, error) {
	conf := filepath.Join(dir, s.name+"-"+m.name+".conf")
	text := fmt.Sprintf("vrrp_instance v {\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n priority %d\n advert_int %g\n virtual_ipaddress {\n %s/24\n }\n}\n",
		priority, advert.Seconds(), virtual)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	argv := append([]string(nil), s.argv...)
	if s.name == "takt" {
		argv = append(argv, "--name", m.name, "--dir", dir, conf)
	} else {
		argv = append(argv, "-f", conf, "-p", conf+".pid", "-r", conf+".vrrp.pid")
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, m.do(cmd.Start)
}

// once starts both, ends the master, and returns how long the address was away.
func (n *network) once(s system, what step, dir string) (gap time.Duration, err error) {
	a, err := s.start(n.a, dir, 150, what.advert)
	if err != nil {
		return 0, err
	}
	defer end(a)
	if err := n.holds(n.a, true); err != nil {
		return 0, err
	}
	b, err := s.start(n.b, dir, 100, what.advert)
	if err != nil {
		return 0, err
	}
	defer end(b)
	time.Sleep(max(5*what.advert, 300*time.Millisecond)) // both know each other
	p, err := n.ping()
	if err != nil {
		return 0, err
	}
	time.Sleep(100 * time.Millisecond)
	if what.crash {
		err = run("ip", "link", "set", "p-a", "down")
		_ = syscall.Kill(-a.Process.Pid, syscall.SIGKILL)
	} else {
		err = a.Process.Signal(syscall.SIGTERM)
	}
	if err == nil {
		err = n.holds(n.b, true)
	}
	time.Sleep(200 * time.Millisecond)
	gap = p.stop()
	end(a)
	end(b)
	return gap, errors.Join(err, n.clean())
}

// end ends a process and all that it has started.
func end(c *exec.Cmd) {
	if c.ProcessState != nil {
		return
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	_ = c.Wait()
	kill.Stop()
}

// clean takes away what a killed process has left.
func (n *network) clean() error {
	return errors.Join(run("ip", "link", "set", "p-a", "up"), n.a.run("ip", "address", "flush", "dev", "eth0", "to", virtual), n.b.run("ip", "address", "flush", "dev", "eth0", "to", virtual))
}

// holds waits until a machine has the address.
func (n *network) holds(m *machine, want bool) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var out []byte
		if err := m.do(func() (err error) {
			out, err = exec.Command("ip", "-br", "address", "show", "eth0").Output()
			return err
		}); err != nil {
			return err
		}
		if strings.Contains(string(out), virtual+"/") == want {
			return nil
		}
	}
	return fmt.Errorf("%s does not get %s", m.name, virtual)
}
