package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nodeConfig is what the supervisor tells a node-init on its standard input.
type nodeConfig struct {
	Name  string   `json:"name"`
	Dir   string   `json:"dir"` // the laboratory's folder
	Exe   string   `json:"exe"`
	Links int      `json:"links"`
	Env   []string `json:"env"` // NAME=VALUE, beside the node's own; see Options
}

// nodeInit is a node's PID 1: it furnishes the namespaces, reports on descriptor
// 3 ("ok" or what went wrong) and then serves ctl.sock until it is killed.
func nodeInit() error {
	ready := os.NewFile(3, "ready")
	unix.CloseOnExec(3)
	n, err := furnish(os.Stdin)
	if err != nil {
		fmt.Fprintln(ready, strings.ReplaceAll(err.Error(), "\n", " "))
		return err
	}
	if _, err := io.WriteString(ready, "ok\n"); err != nil {
		return err
	}
	ready.Close()
	return n.serve()
}

// node is a running node-init.
type node struct {
	config  nodeConfig
	reaper  *reaper
	service *service
	control *net.UnixListener
	log     *slog.Logger
}

func furnish(stdin io.Reader) (*node, error) {
	n := &node{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err := json.NewDecoder(stdin).Decode(&n.config); err != nil {
		return nil, fmt.Errorf("read node configuration: %w", err)
	}
	home := filepath.Join(n.config.Dir, "nodes", n.config.Name)
	root := rootfs{at: filepath.Join(home, "root"), lab: n.config.Dir, node: home, exe: n.config.Exe}
	if err := root.enter(); err != nil {
		return nil, err
	}
	if err := unix.Sethostname([]byte(n.config.Name)); err != nil {
		return nil, fmt.Errorf("set host name: %w", err)
	}
	if err := n.interfaces(); err != nil {
		return nil, err
	}
	var err error
	if n.control, err = listenSocket(filepath.Join(home, controlFile)); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", controlFile, err)
	}
	n.reaper = newReaper()
	n.service = newService(n.reaper, home, n.environment(), n.log)
	return n, nil
}

// interfaces brings up lo and gives every cable its address.
func (n *node) interfaces() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	for k := 1; k <= n.config.Links; k++ {
		dev, err := netlink.LinkByName(interfaceName(k))
		if err != nil {
			return fmt.Errorf("find %s: %w", interfaceName(k), err)
		}
		addr, err := netlink.ParseAddr(Address(n.config.Name, k) + "/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(dev, addr); err != nil {
			return fmt.Errorf("add %s to %s: %w", addr, interfaceName(k), err)
		}
		if err := netlink.LinkSetUp(dev); err != nil {
			return fmt.Errorf("bring up %s: %w", interfaceName(k), err)
		}
	}
	return nil
}

// environment is what the daemon, and a command that brings nothing of its own, gets.
func (n *node) environment() []string {
	env := []string{
		"PATH=" + binDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "TAKT_LAB_NODE=" + n.config.Name,
	}
	if _, err := os.Stat(brokerPath); err == nil {
		env = append(env, "TAKT_RT_SOCKET="+brokerPath)
	}
	for _, e := range n.config.Env {
		env = append(env, strings.ReplaceAll(e, "{node}", n.config.Name))
	}
	return env
}

// serve answers control connections, each in a goroutine that ends with it; the
// process itself ends only by a signal, and everything in the node with it.
func (n *node) serve() error {
	n.service.resume()
	for {
		conn, err := n.control.AcceptUnix()
		if err != nil {
			return fmt.Errorf("accept on %s: %w", controlFile, err)
		}
		go n.handle(conn)
	}
}
