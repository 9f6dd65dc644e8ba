package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/config"
	"github.com/takt-ha/takt/director/realserver"
	"github.com/takt-ha/takt/importer/keepalived"
	"github.com/takt-ha/takt/internal/errs"
)

// realServer are the flags of the commands about real servers.
type realServer struct {
	*globals
	dir, id, method, on, facing string
	addresses                   []string
}

func newDirectorRealServerCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "realserver",
		Short: "Make this machine a real server of DR or TUN: the address, and silence about it",
		Long: "With direct routing (DR) and tunnels (TUN) a real server gets packets to the virtual address itself,\n" +
			"and answers the client without the director. It must have the address, and must not tell its\n" +
			"neighbours so: they would send it what the director is to have. This prepares the machine on\n" +
			"which it is called, which needs no daemon. NAT needs nothing of this.\n\n" +
			"The addresses are read from the director's own configuration: those of all virtual servers that\n" +
			"have an address of this machine for a real_server. Or they are named: --address, --method.",
		Example: "  takt director realserver apply /etc/keepalived/keepalived.conf\n" +
			"  takt director realserver apply --address 192.0.2.10 --address 2001:db8::10\n" +
			"  takt director realserver show\n  takt director realserver remove",
	}
	cmd.AddCommand(newRealServerApplyCommand(g), newRealServerRemoveCommand(g), newRealServerShowCommand(g))
	return cmd
}

func (r *realServer) command(cmd *cobra.Command, run func(*cobra.Command, *realserver.Host, []realserver.Want, []string) error) *cobra.Command {
	cmd.Args, cmd.ValidArgsFunction = cobra.MaximumNArgs(1), files
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && len(r.addresses) > 0 {
			return usage(cmd, errors.New("either FILE or --address: the file names the addresses"))
		}
		h, err := realserver.Open(r.dir, cmd.Name() != "show")
		if err != nil {
			return err
		}
		defer h.Close()
		wants, notes, err := r.wants(cmd, strings.Join(args, ""), h)
		if err != nil {
			return err
		}
		return run(cmd, h, wants, notes)
	}
	f := cmd.Flags()
	f.StringVar(&r.dir, "dir", "/run/takt", "where the record of what was made is kept; a reboot should empty it")
	f.StringVarP(&r.id, "config-id", "i", "", "what lines of FILE that begin with @ are compared with (default: the host name up to its first dot)")
	f.StringArrayVarP(&r.addresses, "address", "a", nil, "a virtual `IP`; may be given several times")
	f.StringVar(&r.method, "method", "dr", "how packets to --address come: dr or tun")
	f.StringVar(&r.on, "on", "lo", "the interface that holds addresses of DR; one that is not there is made, as a dummy")
	f.StringVar(&r.facing, "interface", "", "where neighbours ask (default: of FILE that with the real server's address; of --address where its network is, or the default route leads)")
	_ = cmd.MarkFlagDirname("dir") // of a flag that is there
	_ = cmd.RegisterFlagCompletionFunc("method", cobra.FixedCompletions([]cobra.Completion{"dr", "tun"}, cobra.ShellCompDirectiveNoFileComp))
	for _, name := range []string{"on", "interface"} {
		_ = cmd.RegisterFlagCompletionFunc(name, interfaceNames)
	}
	return cmd
}

// wants is what the arguments mean; without any, apply reads the usual file, and the others mean what was applied.
func (r *realServer) wants(cmd *cobra.Command, file string, h *realserver.Host) ([]realserver.Want, []string, error) {
	switch {
	case len(r.addresses) > 0:
		wants, err := r.named(cmd)
		return wants, nil, err
	case file == "" && cmd.Name() != "apply":
		return h.Wants(), nil, nil
	}
	file, err := config.Find(file)
	if err != nil {
		return nil, nil, err
	}
	c, err := r.load(file)
	if err != nil {
		return nil, nil, err
	}
	own, err := realserver.Own()
	if err != nil {
		return nil, nil, err
	}
	wants, notes := realserver.Wants(c, own, r.on)
	for i := range wants {
		if r.facing != "" {
			wants[i].Facing = r.facing
		}
	}
	if len(wants) == 0 && cmd.Name() == "apply" {
		hint := "Name them: --address."
		if len(notes) > 0 {
			hint = strings.Join(notes, "\n")
		}
		return nil, nil, errs.E("read configuration", errs.NotFound, file, hint, errors.New("no virtual server of DR or TUN has an address of this machine for a real_server"))
	}
	return wants, notes, nil
}

// named is what --address and its company mean.
func (r *realServer) named(cmd *cobra.Command) (wants []realserver.Want, err error) {
	for _, text := range r.addresses {
		vip, err := netip.ParseAddr(text)
		if err != nil || vip.Zone() != "" || !vip.IsValid() || vip.IsUnspecified() || vip.IsMulticast() || vip.IsLoopback() {
			return nil, usage(cmd, fmt.Errorf("--address %q: want an IP address without a length, such as 192.0.2.10", text))
		}
		vip = vip.Unmap()
		facing := r.facing
		if facing == "" {
			facing = realserver.Facing(vip)
		}
		switch r.method {
		case "dr":
			wants = append(wants, realserver.Direct(vip, r.on, facing))
		case "tun":
			w, err := realserver.Tunnel(vip, vip, director.Tunnel{}, facing)
			if err != nil {
				return nil, err
			}
			wants = append(wants, w)
		default:
			return nil, usage(cmd, fmt.Errorf("--method %q: want dr or tun", r.method))
		}
	}
	return wants, nil
}

// load reads a director's configuration; nothing of this machine is asked, which is another one.
func (r *realServer) load(file string) (*director.Config, error) {
	res, err := config.Load(file, config.Options{ID: r.id, Elsewhere: true})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(res.Findings, func(f keepalived.Finding) bool { return f.Severity == keepalived.Error })
	if res.Config != nil && i < 0 {
		return res.Config, nil
	}
	err = errors.New("it has errors")
	if i >= 0 {
		err = fmt.Errorf("%s: %s", res.Findings[i].Pos, res.Findings[i].Words)
	}
	return nil, errs.E("read configuration", errs.Invalid, file, "See all of them: takt director check --elsewhere "+file, err)
}
