package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

// member are the flags of the commands that make this machine a member.
type member struct {
	node  string
	links []string
	paths Paths
	force bool
	// witness: the node votes and runs nothing.
	witness bool
}

// Founding is what a new cluster is told.
type Founding struct {
	Profile string // default or fast
	Witness bool   // its first node votes and runs nothing
}

func (m *member) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.node, "node", "", "this node's name (default: the host name)")
	f.StringArrayVar(&m.links, "link", nil, "own address ADDR[:PORT] on one network, once for each (default: every global unicast address)")
	f.BoolVar(&m.force, "force", false, "set an older identity and state aside, into dated folders")
	f.BoolVar(&m.witness, "witness", false, "this node votes and runs nothing: the third vote of a cluster of two")
	pathFlags(cmd, &m.paths)
}

func pathFlags(cmd *cobra.Command, p *Paths) {
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", identity.DefaultDir, "folder of the identity: certificates and keys")
	f.StringVar(&p.State, "state", identity.DefaultState, "folder of the log and the history")
	f.StringVar(&p.Run, "run", "/run/takt", "folder of what must not survive a reboot")
}

// resolve returns the node's name and links, from flags or from the machine,
// and says aloud what was taken from the machine.
func (m *member) resolve(cmd *cobra.Command) (string, []netip.AddrPort, error) {
	name := m.node
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", nil, errs.E("find the host name", errs.Other, "", "Name this node with --node.", err)
		}
		name, _, _ = strings.Cut(host, ".")
		fmt.Fprintf(cmd.ErrOrStderr(), "node name: %s (the host name; choose another with --node)\n", name)
	}
	if err := identity.ValidateName(name); err != nil {
		return "", nil, errs.E(cmd.CommandPath(), errs.Invalid, "", "Name this node with --node.", err)
	}
	links, err := m.resolveLinks(cmd.ErrOrStderr())
	if err == nil {
		err = identity.ValidateLinks(links)
	}
	if err != nil {
		return "", nil, errs.E(cmd.CommandPath(), errs.Invalid, "", "Name this node's own addresses with --link.", err)
	}
	return name, links, nil
}

func (m *member) resolveLinks(out io.Writer) ([]netip.AddrPort, error) {
	if len(m.links) == 0 {
		links, err := machineLinks()
		for i, l := range links {
			fmt.Fprintf(out, "link %d: %s (found on this machine; choose others with --link)\n", i+1, l)
		}
		return links, err
	}
	var links []netip.AddrPort
	for _, text := range m.links {
		l, err := parseLink(text)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// parseLink reads ADDR or ADDR:PORT; IPv6 with a port is written [ADDR]:PORT.
func parseLink(text string) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap, nil
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("link %q: want ADDR or ADDR:PORT, as in 192.0.2.1 or [2001:db8::1]:694", text)
	}
	return netip.AddrPortFrom(a, identity.DefaultPort), nil
}

// machineLinks finds one global unicast address an interface that is up, IPv4
// before IPv6, sorted by interface.
func machineLinks() ([]netip.AddrPort, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ifaces, func(a, b net.Interface) int { return a.Index - b.Index })
	var links []netip.AddrPort
	for _, i := range ifaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || len(links) == 8 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		if a, ok := bestAddr(addrs); ok {
			links = append(links, netip.AddrPortFrom(a, identity.DefaultPort))
		}
	}
	if len(links) == 0 {
		return nil, errors.New("this machine has no global unicast address")
	}
	return links, nil
}

func bestAddr(addrs []net.Addr) (netip.Addr, bool) {
	var best netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().IsGlobalUnicast() {
			continue
		}
		if !best.IsValid() || best.Is6() && p.Addr().Is4() {
			best = p.Addr()
		}
	}
	return best, best.IsValid()
}

func newInitCommand(g *globals, p Programs) *cobra.Command {
	var m member
	var name, profile string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a new cluster with this machine as its first node",
		Long: "Makes the cluster's certificate authority and keys, this node's identity and the\n" +
			"first configuration. Where systemd runs, the daemon is enabled and started.",
		Example: "  takt init\n  takt init --name web --node n1 --link 192.0.2.1 --link 198.51.100.1\n  takt init --profile fast",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if profile != "default" && profile != "fast" {
				return usage(cmd, fmt.Errorf("--profile %q: want default or fast", profile))
			}
			m.paths.Socket = g.socket
			return runInit(cmd, g, p, &m, name, profile)
		},
	}
	m.flags(cmd)
	cmd.Flags().StringVar(&name, "name", "takt", "the cluster's name")
	cmd.Flags().StringVar(&profile, "profile", "default", "how fast a dead node is noticed: default (1 s) or fast (200 ms)")
	return cmd
}

func runInit(cmd *cobra.Command, g *globals, p Programs, m *member, cluster, profile string) error {
	node, links, err := m.resolve(cmd)
	if err != nil {
		return err
	}
	place := identity.Place{Dir: m.paths.Dir, State: m.paths.State, Force: m.force}
	id, err := identity.Create(place, cluster, node, links)
	if err != nil {
		return err
	}
	if err := p.Bootstrap(m.paths, id, Founding{Profile: profile, Witness: m.witness}); err != nil {
		// A folder without its configuration must not look like a member.
		return errors.Join(err, retire(m.paths))
	}
	if !g.json() {
		fmt.Fprintf(cmd.OutOrStdout(), "Cluster %q made; this is node %q (profile %s).\n", cluster, node, profile)
	}
	service, err := installService(cmd.Context(), cmd.ErrOrStderr(), m.paths)
	if err != nil {
		return err
	}
	if g.json() {
		return printJSON(cmd, made(id, service))
	}
	say := cmd.OutOrStdout()
	printService(say, m.paths, service)
	fmt.Fprintf(say, "Next: \"takt token\" here prints the command with which a second node joins (takt join TOKEN).\n")
	return nil
}

// joined is what init and join print as JSON.
type joined struct {
	identity.Node
	Service string `json:"service"` // "started", or "manual": start takt daemon yourself
}

func made(id *identity.Identity, service bool) joined {
	j := joined{Node: id.Node, Service: "manual"}
	if service {
		j.Service = "started"
	}
	return j
}

func printService(w io.Writer, p Paths, started bool) {
	if started {
		fmt.Fprintln(w, "The daemon runs as systemd's takt.service and starts at boot.")
		return
	}
	fmt.Fprintf(w, "systemd does not run here: start the daemon with \"%s\".\n", strings.Join(append([]string{"takt"}, daemonArgs(p)...), " "))
}
