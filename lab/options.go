package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Limits of a laboratory.
const (
	MaxNodes = 64 // nodes, without the client
	MaxLinks = 8  // bridges
	// Client is the name of the node that only asks: it runs no daemon.
	Client = "client"
	// clientIndex is the client's last address octet on every link.
	clientIndex = 250
)

// Options says what to build.
type Options struct {
	Dir     string   // laboratory folder; made if missing; private to the caller
	Nodes   int      // 1–64 nodes beside the client; 0 means 3
	Links   int      // 1–8 bridges; 0 means 2
	Profile string   // "", "default" or "fast": handed to takt init
	Env     []string // NAME=VALUE for daemons and commands in nodes; {node} becomes the node's name
	Exe     string   // the takt binary; "" means this program
	// Fence makes the power switch the cluster's fence device, for every node.
	Fence bool
	// Watchdog, if not 0, gives every node a watchdog with this time-out.
	Watchdog time.Duration
	// Boot is how long a node stays off that its watchdog has reset; 0: it is back at once,
	// as no machine is.
	Boot time.Duration
	// Witness makes the last node a witness: it votes and runs nothing.
	Witness  bool
	Bare     bool // namespaces only: no cluster is formed and no daemon started
	Attached bool // end when the process that called Up ends, even by SIGKILL
	Purge    bool // with Attached: remove Dir, too
}

// withDefaults fills in zero values and makes paths absolute.
func (o Options) withDefaults() (Options, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Links == 0 {
		o.Links = 2
	}
	if o.Profile == "" {
		o.Profile = "default"
	}
	if err := o.Validate(); err != nil {
		return o, err
	}
	if o.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find this program's own file: %w", err)
		}
		o.Exe = exe
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return o, errs.E("make laboratory folder", errs.Permission, dir, "Choose another folder with --dir.", err)
	}
	if o.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return o, err
	}
	o.Exe, err = filepath.EvalSymlinks(o.Exe)
	return o, err
}

// Validate reports the first value that cannot work.
func (o Options) Validate() error {
	bad := func(what, hint string) error {
		return errs.E("start laboratory", errs.Invalid, what, hint, nil)
	}
	switch {
	case o.Dir == "":
		return bad("without a folder", "Name one with --dir D.")
	case o.Nodes < 1 || o.Nodes > MaxNodes:
		return bad(fmt.Sprintf("with %d nodes", o.Nodes), fmt.Sprintf("Use 1 to %d nodes.", MaxNodes))
	case o.Links < 1 || o.Links > MaxLinks:
		return bad(fmt.Sprintf("with %d links", o.Links), fmt.Sprintf("Use 1 to %d links.", MaxLinks))
	case o.Watchdog != 0 && (o.Watchdog < 100*time.Millisecond || o.Watchdog > 10*time.Minute):
		return bad(fmt.Sprintf("with a watchdog of %s", o.Watchdog), "Use 100ms to 10m.")
	case o.Boot < 0 || o.Boot > 10*time.Minute:
		return bad(fmt.Sprintf("with nodes that boot for %s", o.Boot), "Use 0 to 10m.")
	case o.Bare && (o.Fence || o.Watchdog != 0 || o.Witness):
		return bad("without a cluster and with fencing", "Leave --bare out, or --fence, --watchdog and --witness.")
	case o.Witness && o.Nodes < 2:
		return bad("with a witness alone", "Use at least 2 nodes.")
	case o.Profile != "default" && o.Profile != "fast":
		return bad("with profile "+strconv.Quote(o.Profile), "The profiles are default and fast.")
	}
	return nil
}

// NodeName returns the name of node i, from 1: "n1".
func NodeName(i int) string { return "n" + strconv.Itoa(i) }

// nodeIndex is the inverse of NodeName; the client has its own index.
func nodeIndex(name string) (int, bool) {
	if name == Client {
		return clientIndex, true
	}
	i, err := strconv.Atoi(strings.TrimPrefix(name, "n"))
	return i, err == nil && i >= 1 && i <= MaxNodes && name == NodeName(i)
}

// Address returns the address without prefix length that a node has on link k, from 1.
func Address(node string, link int) string {
	i, _ := nodeIndex(node)
	return fmt.Sprintf("10.88.%d.%d", link, i)
}

// hardwareAddr is the node's MAC address on a link: locally administered, so that
// a filter can name a sender and a capture can be read.
func hardwareAddr(node string, link int) [6]byte {
	i, _ := nodeIndex(node)
	return [6]byte{0x02, 0x74, 0x6b, 0x00, byte(link), byte(i)}
}

// portName is the bridge end of a node's cable on a link.
func portName(node string, link int) string {
	if node == Client {
		node = "cl"
	}
	return fmt.Sprintf("%sl%d", node, link)
}

func bridgeName(link int) string    { return fmt.Sprintf("tl%d", link) }
func interfaceName(link int) string { return fmt.Sprintf("eth%d", link) }
