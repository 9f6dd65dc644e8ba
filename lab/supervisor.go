package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// supervisorSocket is the control socket in the laboratory's folder.
const supervisorSocket = "lab.sock"

// supervisorConfig is what Up tells the supervisor, as its one argument.
type supervisorConfig struct {
	Dir      string   `json:"dir"`
	Exe      string   `json:"exe"`
	Nodes    []string `json:"nodes"` // with the client
	Links    int      `json:"links"`
	Env      []string `json:"env"`  // beside the nodes' own
	Root     bool     `json:"root"` // really root: no user namespace around it
	Attached bool     `json:"attached"`
	Purge    bool     `json:"purge"`

	Boot time.Duration `json:"boot"` // see Options
}

// supervisor owns the bridges and the nodes' first processes.
type supervisor struct {
	config supervisorConfig
	log    *slog.Logger

	mu      sync.Mutex // guards what follows; held while a node changes
	nodes   map[string]*machine
	cuts    map[cut]bool
	outlets map[string]outlet // how the power switch behaves, where not as usual
	timers  map[string]*timer // the nodes' watchdogs; does not change
}

// cut is one direction between two nodes on one link, or (empty from) a port
// taken down.
type cut struct {
	from, node string
	link       int
}

func (c cut) String() string {
	if c.from == "" {
		return fmt.Sprintf("%s link %d", c.node, c.link)
	}
	return fmt.Sprintf("%s -> %s link %d", c.from, c.node, c.link)
}

// supervise is the supervisor's main: it builds everything, reports on
// descriptor 3 and serves until told "down", or until its lifeline (standard
// input) ends if it is attached.
func supervise(argument string) error {
	ready := os.NewFile(3, "ready")
	unix.CloseOnExec(3)
	s, listener, err := buildSupervisor(argument)
	if err != nil {
		fmt.Fprintln(ready, strings.ReplaceAll(err.Error(), "\n", " "))
		return err
	}
	if _, err := io.WriteString(ready, "ok\n"); err != nil {
		return err
	}
	ready.Close()
	if s.config.Attached {
		go s.watchLifeline()
	}
	return s.serve(listener)
}

func buildSupervisor(argument string) (*supervisor, *net.UnixListener, error) {
	s := &supervisor{log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		nodes: make(map[string]*machine), cuts: make(map[cut]bool), outlets: map[string]outlet{}, timers: map[string]*timer{}}
	if err := json.Unmarshal([]byte(argument), &s.config); err != nil {
		return nil, nil, fmt.Errorf("read supervisor configuration: %w", err)
	}
	if err := ownProc(); err != nil {
		return nil, nil, err
	}
	if err := s.offerRealtime(); err != nil {
		return nil, nil, err
	}
	if err := makeBridges(s.config.Links); err != nil {
		return nil, nil, err
	}
	if err := s.addPower(); err != nil {
		return nil, nil, err
	}
	for _, name := range s.config.Nodes {
		if err := s.start(name); err != nil {
			return nil, nil, err
		}
	}
	l, err := listenSocket(filepath.Join(s.config.Dir, supervisorSocket))
	return s, l, err
}

// ownProc shows the supervisor its own PID namespace.
func ownProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc (a container that hides parts of its own /proc forbids it): %w", err)
	}
	return nil
}

// offerRealtime lets nodes have real-time priority if the supervisor may give it.
func (s *supervisor) offerRealtime() error {
	if !s.config.Root {
		return nil
	}
	if err := raiseLimits(); err != nil {
		s.log.Info("nodes keep this process's resource limits", "error", err)
	}
	if err := mayRealtime(); err != nil {
		s.log.Warn("nodes run without real-time priority", "error", err)
		return nil
	}
	b, err := newBroker(s.config.Dir, s.log)
	if err != nil {
		return fmt.Errorf("start real-time broker: %w", err)
	}
	go b.serve()
	return nil
}

// watchLifeline ends everything when the process that holds the other end of
// standard input is gone.
func (s *supervisor) watchLifeline() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.end()
}

// end is the death of PID 1: the kernel kills all nodes.
func (s *supervisor) end() {
	removeRuntime(s.config.Dir, s.config.Nodes)
	if s.config.Purge {
		if err := os.RemoveAll(s.config.Dir); err != nil {
			s.log.Error("folder not removed", "error", err)
		}
	}
	os.Exit(0)
}

func (s *supervisor) serve(l *net.UnixListener) error {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return fmt.Errorf("accept on %s: %w", supervisorSocket, err)
		}
		go s.handle(conn)
	}
}

func (s *supervisor) handle(conn *net.UnixConn) {
	defer conn.Close()
	var q request
	if err := json.NewDecoder(io.LimitReader(conn, 64<<10)).Decode(&q); err != nil {
		return
	}
	p, err := s.answer(q)
	if err != nil {
		p.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(p) // a caller that left does not need it
	if q.Op == "down" {
		s.end()
	}
}

func (s *supervisor) answer(q request) (p response, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.known(CutOptions{Node: q.Node}); err != nil {
		return p, err
	}
	switch q.Op {
	case "status":
		p.Nodes, p.Cuts = s.statusLocked(), s.cutsLocked()
	case "crash":
		if err = s.crashLocked(q.Node); err == nil {
			err = s.notePowerLocked(q.Node, "off")
		}
	case "start":
		if err = s.startLocked(q.Node); err == nil {
			err = s.notePowerLocked(q.Node, "on")
		}
	case "pause", "resume":
		err = s.pauseLocked(q.Node, q.Op == "pause")
	case "power":
		err = s.outletRequestLocked(q)
	case "cut":
		err = s.cutLocked(q.Cuts)
	case "heal":
		err = s.healLocked(q.Heal)
	case "down":
	default:
		err = errors.New("unknown request " + q.Op)
	}
	return p, err
}
