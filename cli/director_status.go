package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/director/pool"
)

func newDirectorStatusCommand(g *globals) *cobra.Command {
	d := &directors{globals: g}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show a director: who holds the addresses, which servers get traffic",
		Example: "  takt director status\n  takt director status -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := d.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, s)
			}
			renderDirector(cmd.OutOrStdout(), painterFor(cmd.OutOrStdout()), s)
			return nil
		},
	}
	d.flags(cmd)
	return cmd
}

func renderDirector(w io.Writer, p painter, s daemon.Status) {
	fmt.Fprintf(w, "director %s, running since %s\n", p.paint(bold, s.Name), s.Since.Format("2006-01-02 15:04:05"))
	if s.Forwarding != "" {
		fmt.Fprintf(w, "%s\n", p.paint(bad, "the kernel does not forward as it should: "+s.Forwarding))
	}
	if s.VRRP != "" {
		fmt.Fprintf(w, "%s\n", p.paint(bad, "nobody looks after the addresses at the moment: "+clean(s.VRRP)))
	}
	for _, words := range s.Warnings {
		fmt.Fprintf(w, "%s\n", p.paint(bad, clean(words)))
	}
	for _, m := range s.Missing {
		if len(s.Servers) > 0 {
			fmt.Fprintf(w, "%s\n", p.paint(dim, "not by "+m.Name+": "+m.Error))
		}
	}
	if len(s.Instances) > 0 {
		fmt.Fprintln(w, "\nAddresses (VRRP):")
		t := table{painter: p, indent: "  "}
		for _, i := range s.Instances {
			t.add(instanceRow(i)...)
		}
		t.write(w)
		for _, i := range s.Instances {
			renderRefused(w, p, i)
		}
	}
	for _, v := range s.Servers {
		renderVirtual(w, p, v)
	}
}

func instanceRow(i daemon.Instance) []cell {
	state := cell{i.State, plain}
	switch i.State {
	case "MASTER":
		state.style = good
	case "FAULT":
		state.style = bad
	}
	priority := fmt.Sprintf("priority %d", i.Priority)
	if i.Priority != i.Base {
		priority += fmt.Sprintf(" (of %d)", i.Base)
	}
	var words []string
	for _, a := range i.Addresses {
		words = append(words, a.String())
	}
	last := strings.Join(words, ", ")
	if i.Reason != "" {
		last += "  " + i.Reason
	}
	return []cell{{i.Name, bold}, state, {fmt.Sprintf("%s, router %d", i.Interface, i.VRID), plain}, {priority, plain}, {last, dim}}
}

// renderRefused says which adverts an instance did not heed: a peer that is configured otherwise, or somebody who should not send any.
func renderRefused(w io.Writer, p painter, i daemon.Instance) {
	for _, why := range slices.Sorted(maps.Keys(i.Refused)) {
		fmt.Fprintf(w, "  %s\n", p.paint(warn, fmt.Sprintf("%s has ignored %s: %s", i.Name, count(int(i.Refused[why]), "advert"), why)))
	}
}

func renderVirtual(w io.Writer, p painter, v daemon.VirtualStatus) {
	state := p.paint(good, "up")
	if !v.Up {
		state = p.paint(bad, "no quorum")
	}
	fmt.Fprintf(w, "\n%s %s, weight %d (quorum %d), %s%s\n", p.paint(bold, v.Name), state, v.Weight, v.Quorum, v.Scheduler, carriers(v.Faces))
	if v.Sorry != "" {
		fmt.Fprintf(w, "  %s\n", p.paint(warn, "the sorry server "+v.Sorry+" serves"))
	}
	if v.Suspended {
		fmt.Fprintf(w, "  %s\n", p.paint(dim, "its checks rest: the address is elsewhere"))
	}
	active := map[string]int{}
	for _, f := range v.Faces {
		switch {
		case f.Error != "":
			fmt.Fprintf(w, "  %s\n", p.paint(bad, "not forwarded: "+f.Error))
		case f.Note != "":
			fmt.Fprintf(w, "  %s\n", p.paint(warn, f.Forwarder+": "+f.Note))
		}
		for at, n := range f.Active {
			active[at] += n
		}
	}
	t := table{painter: p, indent: "  "}
	for _, r := range v.Servers {
		t.add(serverRow(r, active)...)
	}
	t.write(w)
}

// carriers says who forwards a virtual server.
func carriers(faces []daemon.FaceStatus) string {
	var names []string
	for _, f := range faces {
		if f.Forwarder != "" && !slices.Contains(names, f.Forwarder) {
			names = append(names, f.Forwarder)
		}
	}
	return with(" by ", strings.Join(names, " and "))
}

func serverRow(r pool.RealStatus, active map[string]int) []cell {
	state := cell{"up", good}
	switch {
	case !r.Alive:
		state = cell{"down", bad}
	case r.Weight == 0:
		state = cell{"drained", warn}
	case r.Unknown:
		state = cell{"unchecked", dim}
	}
	connections := ""
	if n, known := active[r.Address]; known {
		connections = fmt.Sprintf("%d connections", n)
	}
	return []cell{{r.Name, plain}, state, {fmt.Sprintf("weight %d", r.Weight), plain}, {connections, plain}, {strings.Join(r.Failing, "; "), bad}}
}
