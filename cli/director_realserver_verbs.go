package cli

import (
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/director/realserver"
	"github.com/takt-ha/takt/internal/errs"
)

// realServerAnswer is what apply and show say to programs.
type realServerAnswer struct {
	Wanted  []realserver.Want `json:"wanted"`
	Items   []realserver.Item `json:"items"`
	Changed []string          `json:"changed"` // names of items
	Missing int               `json:"missing"`
	Notes   []string          `json:"notes"`
}

func newRealServerApplyCommand(g *globals) *cobra.Command {
	r := &realServer{globals: g}
	return r.command(&cobra.Command{
		Use:   "apply [FILE]",
		Short: "Give this machine the virtual addresses, and keep it silent about them",
		Long: "First silence (arp_ignore and arp_announce, for all interfaces and the one that faces the director;\n" +
			"IPv6 needs none), then each address, alone in its network, on lo; with TUN on the end of a tunnel\n" +
			"(tunl0, ip6tnl0, sit0, gre0), which is brought up, or made, with reverse path filtering no stricter\n" +
			"than loose. What is there already is left as it is, and not taken away by \"remove\".\n\n" +
			"It adds to what earlier calls have made, and may be called again at any time: after a failure it\n" +
			"goes on where it was. Nothing outlives a reboot: call it when the network is up.\n\n" +
			"Without FILE it is /etc/takt/director.conf, or else /etc/keepalived/keepalived.conf.",
		Example: "  takt director realserver apply /etc/keepalived/keepalived.conf\n  takt director realserver apply --address 192.0.2.10\n" +
			"  takt director realserver apply --address 192.0.2.10 --method tun\n  takt director realserver apply --address 192.0.2.10 --on dummy0 --interface eth0",
	}, func(cmd *cobra.Command, h *realserver.Host, wants []realserver.Want, notes []string) error {
		items, changed, err := h.Apply(wants)
		if err != nil {
			return err
		}
		return r.answer(cmd, realServerAnswer{Wanted: h.Wants(), Items: items, Changed: changed, Notes: notes})
	})
}

func newRealServerShowCommand(g *globals) *cobra.Command {
	r := &realServer{globals: g}
	return r.command(&cobra.Command{
		Use:   "show [FILE]",
		Short: "Say what of it is in force, and what is missing",
		Long: "Compares what FILE or --address ask for with this machine; without them, what earlier calls of\n" +
			"\"apply\" have asked for. When something is missing the exit status is 8. Nothing is changed.",
		Example: "  takt director realserver show\n  takt director realserver show /etc/keepalived/keepalived.conf\n" +
			"  takt director realserver show -o json | jq '.items[] | select(.in_force | not)'",
	}, func(cmd *cobra.Command, h *realserver.Host, wants []realserver.Want, notes []string) error {
		items, err := h.Show(wants)
		if err != nil {
			return err
		}
		return r.answer(cmd, realServerAnswer{Wanted: wants, Items: items, Notes: notes})
	})
}

func newRealServerRemoveCommand(g *globals) *cobra.Command {
	r := &realServer{globals: g}
	return r.command(&cobra.Command{
		Use:   "remove [FILE]",
		Short: "Take away what apply has made",
		Long: "Takes away the addresses that FILE or --address name, or all; with the last one that needs them go\n" +
			"the settings, which get the values that they had before, and the interfaces that were made. What\n" +
			"was there before, and what somebody has changed since, is left, and said.",
		Example: "  takt director realserver remove\n  takt director realserver remove --address 192.0.2.10",
	}, func(cmd *cobra.Command, h *realserver.Host, wants []realserver.Want, _ []string) error {
		list, err := h.Remove(func(w realserver.Want) bool {
			return slices.ContainsFunc(wants, func(o realserver.Want) bool {
				return o.Addr == w.Addr && (o.Method == w.Method || len(r.addresses) > 0 && !cmd.Flags().Changed("method"))
			})
		})
		if err != nil {
			return err
		}
		return r.removed(cmd, list)
	})
}

// answer shows how things stand; something that is missing is an error.
func (r *realServer) answer(cmd *cobra.Command, a realServerAnswer) error {
	for _, i := range a.Items {
		if !i.OK {
			a.Missing++
		}
	}
	if r.json() {
		a.Wanted, a.Items = append([]realserver.Want{}, a.Wanted...), append([]realserver.Item{}, a.Items...)
		a.Changed, a.Notes = append([]string{}, a.Changed...), append([]string{}, a.Notes...)
		if err := printJSON(cmd, a); err != nil {
			return err
		}
	} else {
		renderRealServer(cmd.OutOrStdout(), painterFor(cmd.OutOrStdout()), a)
	}
	if a.Missing > 0 {
		return errs.E(cmd.Name(), errs.Conflict, "real server", "Bring it about: takt director realserver apply.", fmt.Errorf("%d of %d are not in force", a.Missing, len(a.Items)))
	}
	return nil
}

func renderRealServer(w io.Writer, p painter, a realServerAnswer) {
	t := table{painter: p}
	for _, i := range a.Items {
		state := cell{"in force", good}
		switch {
		case !i.OK:
			state = cell{fmt.Sprintf("missing: %s, not %s", i.Now, i.Want), bad}
		case slices.Contains(a.Changed, i.Name):
			state = cell{"done", good}
		}
		what := i.Name
		if i.Kind == "address" {
			what += " " + i.Want
		} else if i.OK {
			what += " = " + i.Now
		}
		t.add(cell{what, plain}, state, cell{i.Words, dim})
	}
	t.write(w)
	if len(a.Items) == 0 {
		fmt.Fprintln(w, "nothing was applied on this machine")
	}
	for _, n := range a.Notes {
		fmt.Fprintln(w, p.paint(warn, clean(n)))
	}
}

func (r *realServer) removed(cmd *cobra.Command, list []realserver.Undoing) error {
	type undone struct {
		What string `json:"what"`
		Left string `json:"left,omitempty"` // why it is still there
		Gone bool   `json:"was_gone"`
	}
	out := []undone{}
	t := table{painter: painterFor(cmd.OutOrStdout())}
	for _, u := range list {
		out = append(out, undone{u.Step.String(), u.Leave, u.Gone})
		state := cell{"undone", good}
		switch {
		case u.Leave != "":
			state = cell{"left: " + u.Leave, warn}
		case u.Gone:
			state = cell{"gone already", dim}
		}
		t.add(cell{u.Step.String(), plain}, state)
	}
	if r.json() {
		return printJSON(cmd, out)
	}
	t.write(cmd.OutOrStdout())
	if len(list) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "there is nothing to take away")
	}
	return nil
}

// interfaceNames completes an interface of this machine.
func interfaceNames(*cobra.Command, []string, string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	list, _ := net.Interfaces() // nothing is offered
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
