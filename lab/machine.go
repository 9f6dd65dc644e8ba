package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// machine is one node as the supervisor sees it.
//
//	off ──start──▶ running ◀──resume/pause──▶ paused
//	 ▲                │                          │
//	 └────crash───────┴──────────crash───────────┘
type machine struct {
	name   string
	pid    int // of its node-init, in the supervisor's PID namespace
	cmd    *exec.Cmd
	gone   chan struct{} // closed when node-init, and so every process, has ended
	paused bool
	net    *netlink.Handle // into the node's network namespace
}

func (m *machine) running() bool {
	if m == nil {
		return false
	}
	select {
	case <-m.gone:
		return false
	default:
		return true
	}
}

// NodeStatus is one node's state and addresses.
type NodeStatus struct {
	Name      string   `json:"name"`
	State     string   `json:"state"`     // running, paused or off
	Addresses []string `json:"addresses"` // IPv4, without prefix length, as its kernel has them now
}

func (s *supervisor) start(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(name)
}

// startLocked powers a node on; s.mu is held.
func (s *supervisor) startLocked(name string) error {
	if s.nodes[name].running() {
		return fmt.Errorf("node %s runs already", name)
	}
	if err := makeNodeFolders(s.config.Dir, name); err != nil {
		return err
	}
	m, err := s.boot(name)
	if err != nil {
		return fmt.Errorf("start node %s: %w", name, err)
	}
	s.nodes[name] = m
	return s.applyCutsLocked(name)
}

func makeNodeFolders(dir, name string) error {
	for _, sub := range []string{"etc", "var", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, "nodes", name, sub), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// boot clones the node's first process, lays its cables, hands it its
// configuration and waits until it says that it is ready.
func (s *supervisor) boot(name string) (*machine, error) {
	stdin, config, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer config.Close()
	answer, ready, err := os.Pipe()
	if err != nil {
		stdin.Close()
		return nil, err
	}
	defer answer.Close()
	m, err := s.clone(name, stdin, ready)
	stdin.Close()
	ready.Close()
	if err != nil {
		return nil, err
	}
	if err := s.furnish(m, config, answer); err != nil {
		_ = m.cmd.Process.Kill()
		<-m.gone
		_ = removePorts(name, s.config.Links)
		return nil, err
	}
	return m, nil
}

func (s *supervisor) clone(name string, stdin, ready *os.File) (*machine, error) {
	out, err := os.OpenFile(filepath.Join(s.config.Dir, "nodes", name, "init.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(s.config.Exe, "lab", "node-init")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, out
	cmd.ExtraFiles = []*os.File{ready}
	cmd.Env = []string{"GOTRACEBACK=all", "GODEBUG=" + os.Getenv("GODEBUG")}
	ids, whole, err := sameIDs()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: nodeNamespaces, Setsid: true,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: whole}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	m := &machine{name: name, pid: cmd.Process.Pid, cmd: cmd, gone: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(m.gone) }()
	return m, nil
}

// sameIDs maps every id that exists here to itself: all of them for root, only
// 0 (the caller) within an ordinary user's namespace.
func sameIDs() (ids []syscall.SysProcIDMap, whole bool, err error) {
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return nil, false, err
	}
	for line := range strings.Lines(string(data)) {
		var inside, outside, size int
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			return nil, false, fmt.Errorf("read /proc/self/uid_map: %w", err)
		}
		ids = append(ids, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
		whole = whole || size > 1
	}
	return ids, whole, nil
}

func (s *supervisor) furnish(m *machine, config io.Writer, answer io.Reader) error {
	if err := plug(m.name, s.config.Links, m.pid); err != nil {
		return err
	}
	ns, err := netns.GetFromPid(m.pid)
	if err != nil {
		return fmt.Errorf("open its network namespace: %w", err)
	}
	defer ns.Close()
	if m.net, err = netlink.NewHandleAt(ns, unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("enter its network namespace: %w", err)
	}
	c := nodeConfig{Name: m.name, Dir: s.config.Dir, Exe: s.config.Exe, Links: s.config.Links, Env: s.config.Env}
	if err := json.NewEncoder(config).Encode(c); err != nil {
		return fmt.Errorf("hand over configuration: %w", err)
	}
	line, err := bufio.NewReader(answer).ReadString('\n')
	if err != nil {
		return fmt.Errorf("it ended while starting, see nodes/%s/init.log", m.name)
	}
	if line = strings.TrimSpace(line); line != "ok" {
		return fmt.Errorf("%s", line)
	}
	return nil
}

// crashLocked is a power failure: the node falls silent, then all its processes
// die at once; s.mu is held.
func (s *supervisor) crashLocked(name string) error {
	m := s.nodes[name]
	if !m.running() {
		return fmt.Errorf("node %s is off already", name)
	}
	if err := unplug(name, s.config.Links); err != nil {
		return err
	}
	if t := s.timers[name]; t != nil {
		t.disarm()
	}
	if err := m.cmd.Process.Kill(); err != nil && m.running() {
		return fmt.Errorf("kill node %s: %w", name, err)
	}
	select {
	case <-m.gone:
	case <-time.After(10 * time.Second):
		return fmt.Errorf("node %s: its processes did not end within 10 s of SIGKILL", name)
	}
	m.net.Close()
	return removePorts(name, s.config.Links)
}

// pauseLocked stops or continues all processes of a node; s.mu is held.
func (s *supervisor) pauseLocked(name string, pause bool) error {
	m := s.nodes[name]
	if !m.running() {
		return fmt.Errorf("node %s is off", name)
	}
	if !pause {
		m.paused = false
		return thaw(m.pid)
	}
	m.paused = true
	return freeze(m.pid)
}

func (s *supervisor) statusLocked() []NodeStatus {
	var all []NodeStatus
	for _, name := range s.config.Nodes {
		m, st := s.nodes[name], NodeStatus{Name: name, State: "off"}
		if m.running() {
			st.State = "running"
			if m.paused {
				st.State = "paused"
			}
			st.Addresses = m.addresses()
		}
		all = append(all, st)
	}
	return all
}

// addresses lists the node's IPv4 addresses; none if it ends meanwhile.
func (m *machine) addresses() []string {
	list, err := m.net.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range list {
		if !a.IP.IsLoopback() {
			out = append(out, a.IP.String())
		}
	}
	return out
}
