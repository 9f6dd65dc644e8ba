package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/takt-ha/takt/lab"
)

// keys explains the keys of the live demo.
const keys = "1-9 crash or start that node · l cut or heal link 2 of the active node · L cut all its links · h heal all · m move the group · k kill the service · d kill -9 the daemon · q quit"

// act does what a key stands for and says in a line what it did.
func (s *Session) act(ctx context.Context, key string) (string, error) {
	if i, err := strconv.Atoi(key); err == nil {
		return s.toggleNode(lab.NodeName(i))
	}
	if key == "h" {
		return "all cables are in place again", s.lab.Heal(lab.CutOptions{})
	}
	active, err := s.holder()
	if err != nil {
		return "", err
	}
	switch key {
	case "l":
		return s.toggleLink(active, 2)
	case "L":
		return "all cables of " + active + " are cut", s.lab.Cut(lab.CutOptions{Node: active})
	case "m":
		_, err := s.lab.Exec(ctx, active, "takt", "resource", "move", Group)
		return "the group is to leave " + active, err
	case "k":
		return "the service on " + active + " was killed", s.lab.Signal(active, "lab serve --listen "+ServiceAddress, syscall.SIGKILL)
	case "d":
		return "the daemon on " + active + " was killed", s.lab.KillDaemon(active)
	}
	return "", fmt.Errorf("%q means nothing here; %s", key, keys)
}

// holder is the node that has the service address now.
func (s *Session) holder() (string, error) {
	st, err := s.lab.Status()
	if err != nil {
		return "", err
	}
	all := holders(st.Nodes)
	if len(all) == 0 {
		return "", fmt.Errorf("no node has %s now", ServiceAddress)
	}
	return all[0], nil
}

func (s *Session) toggleNode(node string) (string, error) {
	st, err := s.lab.Status()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(st.Nodes, func(n lab.NodeStatus) bool { return n.Name == node })
	if i < 0 {
		return "", fmt.Errorf("there is no node %s", node)
	}
	if st.Nodes[i].State == "off" {
		return node + " has power again", s.lab.Start(node)
	}
	return node + " lost its power", s.lab.Crash(node)
}

func (s *Session) toggleLink(node string, link int) (string, error) {
	if link > s.lab.State().Links {
		return "", fmt.Errorf("there is no link %d", link)
	}
	st, err := s.lab.Status()
	if err != nil {
		return "", err
	}
	o := lab.CutOptions{Node: node, Link: link}
	where := fmt.Sprintf("link %d of %s", link, node)
	if slices.ContainsFunc(st.Cuts, func(c string) bool { return strings.HasPrefix(c, node+" link "+strconv.Itoa(link)) }) {
		return where + " is healed", s.lab.Heal(o)
	}
	return where + " is cut", s.lab.Cut(o)
}
