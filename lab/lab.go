package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Dir returns the laboratory's folder, absolute.
func (l *Lab) Dir() string { return l.dir }

// State returns the laboratory's record.
func (l *Lab) State() State { return l.state }

// Nodes returns the nodes' names, n1 first, without the client.
func (l *Lab) Nodes() []string { return slices.Clone(l.state.Nodes) }

// Status is what the supervisor sees now.
type Status struct {
	Lab   State        `json:"lab"`
	Nodes []NodeStatus `json:"nodes"` // the client last
	Cuts  []string     `json:"cuts"`  // "n1 link 2", "n1 -> n2 link 1"
}

// Status returns every node's state and addresses, and the cuts.
func (l *Lab) Status() (*Status, error) {
	p, err := l.control(request{Op: "status"})
	if err != nil {
		return nil, err
	}
	return &Status{Lab: l.state, Nodes: p.Nodes, Cuts: p.Cuts}, nil
}

// Crash ends a node as a power failure does: it falls silent, then all its
// processes die at once. /etc/takt and /var/lib/takt stay.
func (l *Lab) Crash(node string) error { return l.onNode("crash", node) }

// Start powers a crashed node on, with empty /run and /tmp; its daemon runs
// again if it did before.
func (l *Lab) Start(node string) error { return l.onNode("start", node) }

// Pause stops every process of a node (SIGSTOP) until Resume; its kernel still
// answers.
func (l *Lab) Pause(node string) error { return l.onNode("pause", node) }

// Resume lets a paused node go on.
func (l *Lab) Resume(node string) error { return l.onNode("resume", node) }

// CutOptions says what to cut or heal.
type CutOptions struct {
	Node   string `json:"node,omitempty"`    // whose cable; Heal: "" for all
	Link   int    `json:"link,omitempty"`    // from 1; 0 for all links
	From   string `json:"from,omitempty"`    // peer: cut only between Node and it; "" pulls Node's cable
	OneWay bool   `json:"one_way,omitempty"` // with From: drop only what Node sends to From
}

// Cut pulls a node's cable on a link or all links, or silently drops what two
// nodes send each other. Several cuts come at once, within a few milliseconds on
// an idle machine; one that is wrong refuses all. Cuts outlive a crash of the node.
func (l *Lab) Cut(cuts ...CutOptions) error {
	_, err := l.control(request{Op: "cut", Cuts: cuts})
	return err
}

// Heal takes back the cuts that o selects; the zero value all of them.
func (l *Lab) Heal(o CutOptions) error {
	_, err := l.control(request{Op: "heal", Heal: o})
	return err
}

// KillDaemon sends a node's daemon SIGKILL; it is started again at once.
func (l *Lab) KillDaemon(node string) error { return l.daemon(node, "daemon-kill") }

// StartDaemon starts a node's daemon and keeps it running.
func (l *Lab) StartDaemon(node string) error { return l.daemon(node, "daemon-start") }

// StopDaemon ends a node's daemon with SIGTERM and keeps it down.
func (l *Lab) StopDaemon(node string) error { return l.daemon(node, "daemon-stop") }

// UnkeepDaemon leaves a node's daemon running, and has nobody start it again when it ends.
func (l *Lab) UnkeepDaemon(node string) error { return l.daemon(node, "daemon-unkeep") }

// Signal sends a signal to every process of a node whose command line (words
// separated by one space) contains match; an error of kind NotFound if none does.
func (l *Lab) Signal(node, match string, sig syscall.Signal) error {
	if err := l.check(node); err != nil {
		return err
	}
	p, err := call(l.controlPath(node), request{Op: "kill", Match: match, Signal: int(sig)}, 10*time.Second)
	if err != nil {
		return errs.E("signal processes of", errs.Other, node, "", err)
	}
	if p.Count == 0 {
		return errs.E("signal processes of", errs.NotFound, node, "", fmt.Errorf("no command line contains %q", match))
	}
	return nil
}

// Logs returns what a node's daemon has written.
func (l *Lab) Logs(node string) ([]byte, error) {
	if err := l.check(node); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(l.dir, "nodes", node, daemonLog))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it never ran
	}
	return data, err
}

func (l *Lab) check(node string) error {
	if l.state.has(node) {
		return nil
	}
	return errs.E("find node", errs.NotFound, node, "The nodes are "+strings.Join(l.state.Nodes, ", ")+" and "+Client+".", nil)
}

func (l *Lab) onNode(op, node string) error {
	if err := l.check(node); err != nil {
		return err
	}
	_, err := l.control(request{Op: op, Node: node})
	return err
}

func (l *Lab) daemon(node, op string) error {
	if err := l.check(node); err != nil {
		return err
	}
	_, err := call(l.controlPath(node), request{Op: op}, 90*time.Second)
	if err != nil {
		return errs.E(strings.Replace(op, "-", " ", 1), errs.Other, node, "", err)
	}
	return nil
}

func (l *Lab) controlPath(node string) string {
	return filepath.Join(l.dir, "nodes", node, controlFile)
}

func (l *Lab) control(q request) (*response, error) {
	p, err := call(filepath.Join(l.dir, supervisorSocket), q, 30*time.Second)
	if err != nil {
		if !l.state.alive() {
			return nil, errs.E(q.Op, errs.Unavailable, l.dir, "The laboratory has ended: start it again with takt lab up.", err)
		}
		return nil, errs.E(q.Op, errs.Conflict, q.Node, "", err)
	}
	return p, nil
}

// await calls check every 50 ms until it reports true, an error, or ctx ends;
// what describes the wait for the error message.
func await(ctx context.Context, what string, check func() (bool, string)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, why := check()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", what, why, ctx.Err())
		case <-tick.C:
		}
	}
}
