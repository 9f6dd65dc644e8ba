package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"slices"
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
	if err := <-m.done; err != nil {
		return nil, err
	}
	return m, m.run("ip", "link", "set", "lo", "up")
}

func newMachines(names ...string) (list []*machine, err error) {
	for _, name := range names {
		m, err := newMachine(name)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// do runs f on the machine's thread.
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

// all runs commands on the machine until one fails.
func (m *machine) all(commands ...string) error {
	for _, c := range commands {
		if err := m.run(strings.Fields(c)...); err != nil {
			return err
		}
	}
	return nil
}

// sysctl sets what is of this namespace.
func (m *machine) sysctl(name, value string) error {
	return m.run("sysctl", "-q", "-w", name+"="+value)
}

// command is a process to be started on a machine. It ends with this program.
func command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// end ends a process and all that it has started.
func end(c *exec.Cmd) {
	if c == nil || c.Process == nil || c.ProcessState != nil {
		return
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	_ = c.Wait()
	kill.Stop()
}

// cable joins two machines.
func cable(a *machine, aDevice, aAddress string, b *machine, bDevice, bAddress string) error {
	return errors.Join(
		a.all("ip link add "+aDevice+" type veth peer name "+bDevice+" netns "+strconv.Itoa(b.tid), "ip link set "+aDevice+" up", "ip address add "+aAddress+" dev "+aDevice),
		b.all("ip link set "+bDevice+" up", "ip address add "+bAddress+" dev "+bDevice))
}

// network is a client and two directors on a switch of their own.
type network struct {
	hub, client, a, b *machine
	dir               string // for what runs there
}

const virtual = "10.9.0.100"

func newNetwork(dir string) (*network, error) {
	list, err := newMachines("hub", "client", "a", "b")
	if err != nil {
		return nil, err
	}
	n := &network{hub: list[0], client: list[1], a: list[2], b: list[3], dir: dir}
	if err := n.hub.all("ip link add br0 type bridge", "ip link set br0 up"); err != nil {
		return nil, err
	}
	for i, m := range list[1:] {
		err := errors.Join(
			n.hub.all("ip link add p-"+m.name+" type veth peer name eth0 netns "+strconv.Itoa(m.tid), "ip link set p-"+m.name+" master br0 up"),
			m.all("ip link set eth0 up", fmt.Sprintf("ip address add 10.9.0.%d/24 dev eth0", i+1)))
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// clean takes away what a killed process has left.
func (n *network) clean() error {
	return errors.Join(n.hub.all("ip link set p-a up"), n.a.all("ip address flush dev eth0 to "+virtual), n.b.all("ip address flush dev eth0 to "+virtual))
}

// holds waits until a machine has the address.
func (n *network) holds(m *machine) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		has, err := m.has(virtual)
		if has || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not get %s", m.name, virtual)
}

// has asks the kernel itself: programs that are started all the time would be a load.
func (m *machine) has(address string) (has bool, err error) {
	err = m.do(func() error {
		all, err := net.InterfaceAddrs()
		has = slices.ContainsFunc(all, func(a net.Addr) bool { return strings.HasPrefix(a.String(), address+"/") })
		return err
	})
	return has, err
}
