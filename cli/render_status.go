package cli

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
)

// renderStatus writes one screen about a cluster, in the zone's time.
func renderStatus(w io.Writer, s *api.Status, p painter, zone *time.Location) {
	renderHead(w, s, p, zone)
	renderAlarms(w, s, p)
	renderNodes(w, s, p)
	renderLinks(w, s, p)
	title := "Resources"
	if !s.Quorum.Quorate && len(s.Resources) > 0 {
		title = "Resources, as " + clean(s.Node) + " knew them when it was quorate last"
	}
	section(w, p, title)
	if len(s.Resources) == 0 {
		fmt.Fprintln(w, "  none yet: add them with \"takt cib apply FILE\"")
	}
	renderResources(w, s, p)
	renderFailures(w, s, p, zone)
	renderPending(w, s, p)
	if len(s.Warnings) > 0 {
		section(w, p, "Warnings")
		for _, text := range s.Warnings {
			fmt.Fprintf(w, "  %s\n", p.paint(warn, "! "+clean(text)))
		}
	}
}

func section(w io.Writer, p painter, title string) { fmt.Fprintf(w, "\n%s\n", p.paint(bold, title)) }

func renderHead(w io.Writer, s *api.Status, p painter, zone *time.Location) {
	quorum := p.paint(good, "quorate")
	if !s.Quorum.Quorate {
		quorum = p.paint(bad, "NO QUORUM")
		if s.Quorum.Standing == "tie" {
			quorum = p.paint(bad, "TIE")
		}
	}
	if s.Quorum.Reason != "" {
		quorum += ": " + clean(s.Quorum.Reason)
	}
	fmt.Fprintf(w, "%s · %s\n", p.paint(bold, "Cluster "+clean(s.Cluster)), quorum)
	for _, text := range append(slices.Clone(s.Quorum.Words), s.Quorum.Waits...) {
		for _, sentence := range strings.SplitAfter(clean(text), ". ") { // a screen cuts what is longer than itself
			fmt.Fprintf(w, "  %s\n", strings.TrimSpace(sentence))
		}
	}
	coordinator := "no coordinator"
	if s.Coordinator != "" {
		coordinator = "coordinator " + clean(s.Coordinator)
	}
	fmt.Fprintln(w, p.paint(dim, fmt.Sprintf("%s · configuration %s · term %d, generation %d · seen by %s at %s · takt %s",
		coordinator, clean(s.CIBVersion), s.Term, s.Generation, clean(s.Node), s.Time.In(zone).Format("2006-01-02 15:04:05"), clean(s.Version))))
}

// renderAlarms writes what a person has to change, and how, in red.
func renderAlarms(w io.Writer, s *api.Status, p painter) {
	for _, a := range s.Alarms {
		fmt.Fprintf(w, "\n%s\n", p.paint(bad, "!! "+clean(a.Text)))
		for _, c := range a.Commands {
			fmt.Fprintf(w, "   %s\n", clean(c))
		}
	}
}

func renderNodes(w io.Writer, s *api.Status, p painter) {
	section(w, p, "Nodes")
	renderNodeTable(w, s, p)
	if s.Pulse != nil && s.Pulse.Realtime != "" {
		fmt.Fprintf(w, "  %s\n", p.paint(dim, fmt.Sprintf("heartbeats of %s: every %d ms, lost after %d ms; %s", clean(s.Node), s.Pulse.Keepalive, s.Pulse.Deadtime, clean(s.Pulse.Realtime))))
	}
}

// renderNodeTable writes a line a node.
func renderNodeTable(w io.Writer, s *api.Status, p painter) {
	t := table{painter: p, indent: "  "}
	for _, n := range s.Nodes {
		t.add(mark(n.State == "online", n.State == "offline"), cell{clean(n.Name), bold}, cell{clean(n.State), nodeStyle(n.State)}, cell{strings.Join(nodeWords(n, s.Node), ", "), plain})
	}
	t.write(w)
}

// mark is a sign that does not depend on colours.
func mark(ok, off bool) cell {
	switch {
	case ok:
		return cell{"●", good}
	case off:
		return cell{"○", bad}
	}
	return cell{"◐", warn}
}

func nodeStyle(state string) style {
	switch state {
	case "online":
		return good
	case "offline":
		return bad
	}
	return warn
}

func nodeWords(n api.NodeStatus, self string) []string {
	var words []string
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	add(n.Voter && !n.Witness, "voter")
	add(n.Witness, "witness")
	add(!n.Voter, "no vote")
	add(n.Coordinator, "coordinator")
	add(n.Standby && !n.Witness, "STANDBY")
	add(n.Maintenance, "MAINTENANCE")
	add(n.Clean, "all stopped")
	add(n.Unheard, "NOT HEARD by "+clean(self)+", though by the coordinator")
	add(n.Unclean != "", "UNCLEAN: "+clean(n.Unclean))
	add(n.Fenced != "", offWords(n.Name, n.Fenced))
	add(n.Name == self, "this node")
	add(n.Watchdog != "", "watchdog "+clean(n.Watchdog))
	return words
}

// offWords says what proves that a node is off, without saying that twice.
func offWords(name, proof string) string {
	return "off: " + clean(strings.TrimPrefix(proof, name+" is off: "))
}

func renderLinks(w io.Writer, s *api.Status, p painter) {
	if len(s.Links) == 0 {
		return
	}
	section(w, p, "Links of "+clean(s.Node))
	t := table{painter: p, indent: "  "}
	for _, l := range s.Links {
		state, st := "up", good
		if !l.Up {
			state, st = "DOWN", bad
		}
		rtt := "–"
		if l.Up && l.RTT >= 0 {
			rtt = fmt.Sprintf("%.1f ms", float64(l.RTT)/1000)
		}
		t.add(mark(l.Up, !l.Up), cell{clean(l.Peer), bold}, cell{fmt.Sprintf("link %d", l.Link), plain}, cell{state, st}, cell{rtt, plain},
			cell{bareAddr(l.Local) + " → " + bareAddr(l.Remote), plain}, cell{fmt.Sprintf("received %d, lost %d, late %d", l.Received, l.Lost, l.Late), dim})
	}
	t.write(w)
}

// bareAddr leaves the port out.
func bareAddr(s string) string {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().String()
	}
	return clean(s)
}

// renderResources writes the tree of resources.
func renderResources(w io.Writer, s *api.Status, p painter) {
	t := table{painter: p, indent: "  "}
	addResources(&t, told(s.Resources, s.Failures), doubts(s), "", true)
	t.write(w)
}

// told leaves out of the resources' reasons the agents' words that stand among the
// failures below.
func told(rs []api.ResourceStatus, failures []api.Failure) []api.ResourceStatus {
	rs = slices.Clone(rs)
	for i := range rs {
		for _, f := range failures {
			if f.Reason != "" {
				rs[i].Why = strings.ReplaceAll(rs[i].Why, ": '"+f.Reason+"'", "")
			}
		}
		rs[i].Members = told(rs[i].Members, failures)
	}
	return rs
}

// doubts says of nodes why what is known to run there may not.
func doubts(s *api.Status) map[string]string {
	list := map[string]string{}
	for _, n := range s.Nodes {
		switch {
		case n.Fenced != "":
			list[n.Name] = "off"
		case n.State == "offline":
			list[n.Name] = "lost"
		case n.Clean:
			list[n.Name] = "all stopped"
		}
	}
	return list
}

func addResources(t *table, rs []api.ResourceStatus, doubts map[string]string, lead string, top bool) {
	for i, r := range rs {
		branch, below := "├─ ", "│  "
		if i == len(rs)-1 {
			branch, below = "└─ ", "   "
		}
		if top {
			branch, below = "", ""
		}
		role, nodes := cell{clean(r.Role), roleStyle(r)}, make([]string, len(r.Nodes))
		for j, n := range r.Nodes {
			if nodes[j] = clean(n); doubts[n] != "" {
				nodes[j], role.style = nodes[j]+" ("+doubts[n]+")", warn
			}
		}
		t.add(cell{lead + branch + clean(r.ID), plain}, cell{clean(r.Agent), dim}, role, cell{strings.Join(nodes, ", "), bold}, cell{strings.Join(resourceWords(r), "; "), warn})
		addResources(t, r.Members, doubts, lead+below, false)
	}
}

func roleStyle(r api.ResourceStatus) style {
	switch r.Role {
	case "Started", "Promoted", "Unpromoted":
		return good
	case "Stopped":
		if r.Disabled {
			return dim
		}
		return bad
	case "Starting", "Stopping", "Promoting", "Demoting", "Migrating":
		return warn
	}
	return bad
}

func resourceWords(r api.ResourceStatus) []string {
	var words []string
	if r.Disabled {
		words = append(words, "disabled")
	}
	if !r.Managed {
		words = append(words, "unmanaged")
	}
	if r.Failures == 1 {
		words = append(words, "1 failure")
	} else if r.Failures > 1 {
		words = append(words, fmt.Sprintf("%d failures", r.Failures))
	}
	if r.Why != "" {
		words = append(words, clean(r.Why))
	}
	return words
}

func renderFailures(w io.Writer, s *api.Status, p painter, zone *time.Location) {
	if len(s.Failures) == 0 {
		return
	}
	section(w, p, "Failures")
	t := table{painter: p, indent: "  "}
	for _, f := range s.Failures {
		how := fmt.Sprintf("rc %d", f.Code)
		if f.Status != "" && f.Status != "done" {
			how = clean(f.Status)
		}
		t.add(cell{"✗ " + clean(f.Resource), bad}, cell{clean(f.Action) + " on " + clean(f.Node), plain}, cell{how, bad},
			cell{f.When.In(zone).Format("2006-01-02 15:04:05"), dim}, cell{"took " + duration(time.Duration(f.Duration)*time.Millisecond), dim}, cell{clean(f.Reason), plain})
	}
	t.write(w)
	var ids []string
	for _, f := range s.Failures {
		if !slices.Contains(ids, f.Resource) {
			ids = append(ids, f.Resource)
		}
	}
	fmt.Fprintf(w, "  %s\n", p.paint(dim, "once mended: takt resource cleanup "+clean(strings.Join(ids, " | "))))
}

func renderPending(w io.Writer, s *api.Status, p painter) {
	if len(s.Pending) == 0 {
		return
	}
	section(w, p, "Pending")
	t := table{painter: p, indent: "  "}
	for _, a := range s.Pending {
		since := ""
		if !a.Since.IsZero() {
			since = "for " + duration(s.Time.Sub(a.Since))
		}
		t.add(cell{"… " + clean(a.Action), warn}, cell{clean(a.Resource), plain}, cell{"on " + clean(a.Node), plain}, cell{since, plain}, cell{fmt.Sprintf("transition %d", a.Transition), dim})
	}
	t.write(w)
}

// duration prints a length of time with the precision that a person wants.
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
