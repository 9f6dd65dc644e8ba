package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
)

// renderFence writes what fences whom.
func renderFence(w io.Writer, f *api.Fence, p painter, zone *time.Location) {
	if !f.Enabled {
		fmt.Fprintln(w, p.paint(bad, "Fencing is switched off")+" (stonith-enabled=false): \"takt fence add\" switches it on.")
	}
	section(w, p, "Devices")
	if len(f.Devices) == 0 {
		fmt.Fprintln(w, "  none: add one with \"takt fence add NAME AGENT …\"")
	}
	t := table{painter: p, indent: "  "}
	for _, d := range f.Devices {
		ok := d.Usable && (d.Watchdog || d.Anybody || len(d.Targets) > 0)
		t.add(mark(ok, !ok), cell{clean(d.ID), bold}, cell{clean(d.Agent), dim}, cell{"fences " + targetWords(d), plain},
			cell{"run by " + memberWords(d), plain}, testedCell(d, zone))
	}
	t.write(w)
	for _, d := range f.Devices {
		for _, text := range d.Findings {
			fmt.Fprintf(w, "  %s\n", p.paint(warn, "! "+clean(text)))
		}
	}
	section(w, p, "Nodes")
	t = table{painter: p, indent: "  "}
	for _, n := range f.Nodes {
		words := clean(n.Words)
		if n.Off != "" {
			words = "proven " + offWords(n.Name, n.Off)
		}
		t.add(mark(n.Fenceable, !n.Fenceable), cell{clean(n.Name), bold}, cell{words, plain})
	}
	t.write(w)
	renderFenceOpen(w, f, p, zone)
	if list := furtherFindings(f); len(list) > 0 {
		section(w, p, "Findings")
		for _, text := range list {
			fmt.Fprintf(w, "  %s\n", p.paint(warn, "! "+clean(text)))
		}
	}
}

// furtherFindings are those that do not stand under their device already.
func furtherFindings(f *api.Fence) []string {
	return slices.DeleteFunc(slices.Clone(f.Findings), func(text string) bool {
		return slices.ContainsFunc(f.Devices, func(d api.FenceDevice) bool {
			own, is := strings.CutPrefix(text, d.ID+": ")
			return is && slices.Contains(d.Findings, own)
		})
	})
}

func renderFenceOpen(w io.Writer, f *api.Fence, p painter, zone *time.Location) {
	if len(f.Open) == 0 {
		return
	}
	section(w, p, "Under way")
	for _, o := range f.Open {
		fmt.Fprintf(w, "  %s %s, asked at %s: %s\n", clean(o.Action), p.paint(bold, clean(o.Target)), o.Asked.In(zone).Format("15:04:05"), clean(o.Words))
	}
}

func targetWords(d api.FenceDevice) string {
	switch {
	case d.Watchdog:
		return "the node that it is on"
	case d.Anybody:
		return "every node"
	case len(d.Targets) == 0:
		return "nobody"
	}
	return clean(strings.Join(d.Targets, ", "))
}

func memberWords(d api.FenceDevice) string {
	var list []string
	watched := d.Watchdog
	for _, m := range d.Members {
		word := clean(m.Node)
		if m.Working {
			word, watched = word+" (watches it)", true
		}
		list = append(list, word)
	}
	switch words := strings.Join(list, ", "); {
	case len(list) == 0:
		return "nobody"
	case !watched:
		return words + "; NOBODY WATCHES IT"
	default:
		return words
	}
}

func testedCell(d api.FenceDevice, zone *time.Location) cell {
	if d.Watchdog {
		return cell{"nobody can command it", dim}
	}
	if d.Tested.IsZero() {
		return cell{"NEVER TESTED", warn}
	}
	text := "tested " + d.Tested.In(zone).Format("2006-01-02")
	for _, m := range d.Members {
		if m.Tested.Equal(d.Tested) && m.Took > 0 {
			text += fmt.Sprintf(" (%s)", duration(time.Duration(m.Took)*time.Millisecond))
		}
	}
	return cell{text, plain}
}

// renderFenceHistory writes a line an entry, oldest first.
func renderFenceHistory(w io.Writer, list []api.FenceEntry, steps bool, p painter, zone *time.Location) {
	if len(list) == 0 {
		fmt.Fprintln(w, "nobody was fenced as far as this node remembers")
	}
	for _, e := range list {
		result, st := "failed", bad
		if e.Success {
			result, st = "done", good
		}
		fmt.Fprintf(w, "%s  %s %s by %s: %s in %s, %s\n", p.paint(dim, e.Asked.In(zone).Format("2006-01-02 15:04:05")), clean(e.Action),
			p.paint(bold, clean(e.Target)), clean(e.By), p.paint(st, result), duration(e.Ended.Sub(e.Asked)), clean(e.Words))
		if e.Reason != "" {
			fmt.Fprintf(w, "    %s\n", p.paint(dim, "because "+clean(e.Reason)))
		}
		if !steps {
			continue
		}
		for _, s := range e.Steps {
			fmt.Fprintf(w, "    %s  %s %s by %s: %s\n", s.At.In(zone).Format("15:04:05.000"), clean(s.Device), clean(s.Action), clean(s.Member), strings.TrimSpace(clean(s.Outcome)+" "+clean(s.Words)))
		}
	}
}
