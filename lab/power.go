package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// powerFile is the socket of the laboratory's power switch, in its folder: what a
// switched power strip is to a rack. One request a line, one answer a line:
//
//	off NODE, on NODE   ok
//	status NODE         on | off
//	list                the nodes' names, separated by blanks
//
// Whatever cannot be done is answered by "error WORDS". In a node the socket is
// PowerSocket, too.
const powerFile = "power.sock"

// PowerSocket is the power switch as a node finds it.
const PowerSocket = "/run/lab/power.sock"

// powerLogFile is written a line of PowerEvent each time a node loses its power or
// gets it back.
const powerLogFile = "power.jsonl"

// PowerDelay is how long the switch takes to switch, unless told otherwise.
const PowerDelay = 50 * time.Millisecond

// PowerFault is what the switch does wrong for a node.
type PowerFault string

// The faults.
const (
	PowerWorks PowerFault = ""     // nothing
	PowerFails PowerFault = "fail" // it answers with an error
	PowerLies  PowerFault = "lie"  // it says ok without doing it; status tells the truth
	PowerHangs PowerFault = "hang" // it does not answer
)

// PowerOptions says how the switch behaves for a node.
type PowerOptions struct {
	Node  string        // "" for all
	Delay time.Duration // of an action; < 0 leaves it as it is
	Fault PowerFault
}

// PowerEvent is a line of D/power.jsonl.
type PowerEvent struct {
	Time int64  `json:"time"` // Unix ns, when it was done
	Node string `json:"node"`
	What string `json:"what"` // off, on, watchdog
}

// outlet is how the switch behaves for one node; supervisor.mu guards it.
type outlet struct {
	delay time.Duration
	fault PowerFault
}

// servePower answers the power switch's connections.
func (s *supervisor) servePower(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			s.log.Error("the power switch has ended", "error", err)
			return
		}
		go s.switchPower(conn)
	}
}

// switchPower serves one connection. An action goes to its end even if who asked
// for it is gone: a real switch does not know either.
func (s *supervisor) switchPower(conn *net.UnixConn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		answer, err := s.power(words)
		if err != nil {
			answer = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if _, err := fmt.Fprintln(conn, answer); err != nil {
			return
		}
	}
}

func (s *supervisor) power(words []string) (string, error) {
	if len(words) == 1 && words[0] == "list" {
		return strings.Join(s.plugs(), " "), nil
	}
	if len(words) != 2 {
		return "", errors.New("say off NODE, on NODE, status NODE or list")
	}
	what, node := words[0], words[1]
	if !slices.Contains(s.plugs(), node) {
		return "", fmt.Errorf("no node %q hangs on this switch", node)
	}
	o := s.outletOf(node)
	if what != "status" {
		time.Sleep(o.delay) // the switch is slow hardware; what it has done it knows
	}
	switch {
	case o.fault == PowerHangs:
		select {}
	case o.fault == PowerFails:
		return "", fmt.Errorf("the outlet of %s does not answer", node)
	case what == "status":
		return s.powerStatus(node), nil
	case what != "off" && what != "on":
		return "", fmt.Errorf("unknown action %q", what)
	case o.fault == PowerLies:
		return "ok", nil
	}
	return "ok", s.setPower(node, what, what)
}

// plugs are the nodes on the switch: the client is not.
func (s *supervisor) plugs() []string {
	return slices.DeleteFunc(slices.Clone(s.config.Nodes), func(n string) bool { return n == Client })
}

func (s *supervisor) outletOf(node string) outlet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outletLocked(node)
}

func (s *supervisor) outletLocked(node string) outlet {
	if o, ok := s.outlets[node]; ok {
		return o
	}
	return outlet{delay: PowerDelay}
}

func (s *supervisor) powerStatus(node string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[node].running() {
		return "on"
	}
	return "off"
}

// setPower switches a node; that it is so already is no error.
func (s *supervisor) setPower(node, power, what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	running := s.nodes[node].running()
	var err error
	switch {
	case power == "off" && running:
		err = s.crashLocked(node)
	case power == "on" && !running:
		err = s.startLocked(node)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return s.notePowerLocked(node, what)
}

// notePowerLocked remembers when a node lost its power: whoever judges what ran
// where has to know. s.mu is held.
func (s *supervisor) notePowerLocked(node, what string) error {
	line, err := json.Marshal(PowerEvent{Time: time.Now().UnixNano(), Node: node, What: what})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.config.Dir, powerLogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// outletRequestLocked takes PowerOptions; s.mu is held.
func (s *supervisor) outletRequestLocked(q request) error {
	if !slices.Contains([]PowerFault{PowerWorks, PowerFails, PowerLies, PowerHangs}, PowerFault(q.Fault)) {
		return fmt.Errorf("unknown fault %q: say fail, lie or hang", q.Fault)
	}
	for _, node := range s.plugs() {
		if q.Node != "" && q.Node != node {
			continue
		}
		o := s.outletLocked(node)
		o.fault = PowerFault(q.Fault)
		if q.Delay >= 0 {
			o.delay = time.Duration(q.Delay) * time.Millisecond
		}
		s.outlets[node] = o
	}
	return nil
}

// Power changes how the power switch behaves.
func (l *Lab) Power(o PowerOptions) error {
	if o.Node != "" {
		if err := l.check(o.Node); err != nil {
			return err
		}
	}
	_, err := l.control(request{Op: "power", Node: o.Node, Delay: o.Delay.Milliseconds(), Fault: string(o.Fault)})
	return err
}

// PowerLog returns who lost its power when, by the power switch, by a watchdog or
// by Crash and Start, oldest first.
func (l *Lab) PowerLog() ([]PowerEvent, error) {
	data, err := os.ReadFile(filepath.Join(l.dir, powerLogFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []PowerEvent
	for line := range strings.Lines(string(data)) {
		var e PowerEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("read %s: %w", powerLogFile, err)
		}
		list = append(list, e)
	}
	return list, nil
}
