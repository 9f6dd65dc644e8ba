package demo

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

var (
	titleStyle = lipgloss.NewStyle().Bold(true)
	goodStyle  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	badStyle   = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
	dimStyle   = lipgloss.NewStyle().Faint(true)
)

// minFeed is how many lines of the feed are shown at least.
const minFeed = 5

// screen renders the whole picture as text: pure, so that a test can read it.
func screen(snap snapshot, feed []string, said string, width, height int) string {
	var b strings.Builder
	b.WriteString(titleStyle.Render("takt demo") + "  http://" + ServiceAddress + "\n\n")
	b.WriteString(renderNodes(snap))
	b.WriteString("\n" + renderResources(snap.cluster))
	b.WriteString("\n" + titleStyle.Render("what the client gets") + "\n")
	foot := "\n" + lipgloss.NewStyle().Width(max(40, width)).Render(said) + "\n" + dimStyle.Width(max(40, width)).Render(keys)
	room := max(minFeed, height-lipgloss.Height(b.String())-lipgloss.Height(foot))
	for _, line := range feed[max(0, len(feed)-room):] {
		style := goodStyle
		if strings.Contains(line, "  --  ") {
			style = badStyle
		}
		b.WriteString(style.Render(line) + "\n")
	}
	return b.String() + foot
}

// renderNodes is a line a node: power, membership, links, addresses.
func renderNodes(snap snapshot) string {
	if snap.lab == nil {
		return dimStyle.Render("…") + "\n"
	}
	var b strings.Builder
	for _, n := range snap.lab.Nodes {
		if n.Name == lab.Client {
			continue
		}
		state, style := memberState(snap.cluster, n)
		line := fmt.Sprintf("%-4s %-14s", n.Name, state)
		for k := 1; k <= snap.lab.Lab.Links; k++ {
			line += fmt.Sprintf(" link %d %-4s", k, linkState(snap.lab.Cuts, n, k))
		}
		for _, h := range holders([]lab.NodeStatus{n}) {
			line += "  ◀ " + ServiceAddress + " at " + h
		}
		b.WriteString(style.Render(line) + "\n")
	}
	return b.String()
}

func memberState(c *api.Status, n lab.NodeStatus) (string, lipgloss.Style) {
	if n.State != "running" {
		return n.State, badStyle
	}
	if c == nil {
		return "?", dimStyle
	}
	for _, m := range c.Nodes {
		if m.Name == n.Name {
			style := goodStyle
			if m.State != "online" {
				style = badStyle
			}
			if m.Coordinator {
				return m.State + " (leads)", style
			}
			return m.State, style
		}
	}
	return "unknown", dimStyle
}

func linkState(cuts []string, n lab.NodeStatus, link int) string {
	if n.State == "off" {
		return "off"
	}
	for _, c := range cuts {
		if c == fmt.Sprintf("%s link %d", n.Name, link) {
			return "CUT"
		}
	}
	return "up"
}

func renderResources(c *api.Status) string {
	if c == nil {
		return dimStyle.Render("no running node answers") + "\n"
	}
	var b strings.Builder
	var walk func(all []api.ResourceStatus, indent string)
	walk = func(all []api.ResourceStatus, indent string) {
		for _, r := range all {
			style := badStyle
			switch r.Role {
			case "Started", "Promoted", "Unpromoted":
				style = goodStyle
			}
			b.WriteString(style.Render(fmt.Sprintf("%-12s %-10s %s", indent+r.ID, r.Role, strings.Join(r.Nodes, ", "))) + "\n")
			walk(r.Members, indent+"  ")
		}
	}
	walk(c.Resources, "")
	if !c.Quorum.Quorate {
		b.WriteString(badStyle.Render("no quorum: "+c.Quorum.Reason) + "\n")
	}
	return b.String()
}
