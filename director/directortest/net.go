// Package directortest makes networks for tests: machines are threads in network namespaces of their own, on one bridge.
package directortest

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside marks a test that runs in namespaces of its own.
const inside = "TAKT_TEST_INSIDE"

// Inside runs the test in user and network namespaces of its own, by executing it again; there it returns true. It skips the test where one
// of the programs is missing, or namespaces are not permitted.
func Inside(t *testing.T, programs ...string) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	for _, program := range append(programs, "ip") {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skip("no namespaces here:", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("inside: %s", out)
	}
	t.Logf("%s", out)
	return false
}

// Run runs a program in the namespace of the calling thread; its failure is the test's.
func Run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Bridge makes a bridge; it skips the test where the kernel has none.
func Bridge(t *testing.T, name string) {
	t.Helper()
	if err := exec.Command("ip", "link", "add", name, "type", "bridge").Run(); err != nil {
		t.Skip("no bridges in this kernel:", err)
	}
	Run(t, "ip", "link", "set", name, "up")
}

// Machine is a thread in a network namespace of its own.
type Machine struct {
	T    *testing.T
	Name string
	work chan func()
	gone chan struct{} // what it was to do has ended the test
	tid  int
}

// NewMachine returns a machine without a network.
func NewMachine(t *testing.T, name string) *Machine {
	m := &Machine{T: t, Name: name, work: make(chan func()), gone: make(chan struct{})}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		defer close(m.gone)
		err := unix.Unshare(unix.CLONE_NEWNET)
		m.tid = unix.Gettid()
		ready <- err
		for f := range m.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(m.work) })
	m.Run("ip", "link", "set", "lo", "up")
	return m
}

// Plug gives the machine an interface with addresses, such as 10.0.0.1/24, on a bridge of the test's namespace.
func (m *Machine) Plug(bridge, device string, addresses ...string) {
	m.T.Helper()
	end := m.Port(device)
	Run(m.T, "ip", "link", "add", end, "type", "veth", "peer", "name", device, "netns", strconv.Itoa(m.tid))
	Run(m.T, "ip", "link", "set", end, "master", bridge, "up")
	m.Run("ip", "link", "set", device, "up")
	for _, a := range addresses {
		args := []string{"ip", "address", "add", a, "dev", device}
		if strings.Contains(a, ":") {
			args = append(args, "nodad")
		}
		m.Run(args...)
	}
}

// Port is the other end of a machine's interface, in the test's namespace.
func (m *Machine) Port(device string) string { return m.Name + "-" + device }

// Do runs f on the machine. If f ends the test, it ends here, too.
func (m *Machine) Do(f func()) {
	done := make(chan struct{})
	select {
	case m.work <- func() { f(); close(done) }:
	case <-m.gone:
		m.T.FailNow()
	}
	select {
	case <-done:
	case <-m.gone:
		m.T.FailNow()
	}
}

// Run runs a program on the machine.
func (m *Machine) Run(args ...string) {
	m.T.Helper()
	m.Do(func() { Run(m.T, args...) })
}

// Output returns what a program on the machine prints.
func (m *Machine) Output(args ...string) (out string) {
	m.Do(func() {
		b, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			m.T.Errorf("%s: %v", strings.Join(args, " "), err)
		}
		out = string(b)
	})
	return out
}

// Serve makes the machine answer on TCP and UDP with its name: a datagram is answered with its own text and the name.
func (m *Machine) Serve(at netip.AddrPort) {
	m.T.Helper()
	m.Do(func() {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			m.T.Error(err)
			return
		}
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			m.T.Error(err)
			return
		}
		m.T.Cleanup(func() { udp.Close(); tcp.Close() })
		go m.echo(udp)
		go m.greet(tcp)
	})
}

func (m *Machine) echo(c *net.UDPConn) {
	for b := make([]byte, 100); ; {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = c.WriteToUDPAddrPort([]byte(string(b[:n])+" "+m.Name), from)
		}
	}
}

// greet says the name at once, and answers each line with it until the client hangs up.
func (m *Machine) greet(l *net.TCPListener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			b := make([]byte, 100)
			for {
				if _, err := c.Write([]byte(m.Name + "\n")); err != nil {
					return
				}
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
	}
}
