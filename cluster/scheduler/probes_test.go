package scheduler

import (
	"strconv"
	"strings"
	"testing"
)

// probed are the nodes where a resource is probed, with the exit codes that are
// expected unless that is 7.
func probed(r *resource) string {
	var list []string
	for _, a := range r.actions {
		if a.task != taskMonitor || a.interval != 0 {
			continue
		}
		s := a.node.name
		if a.target != exitNotRunning {
			s += ":" + strconv.Itoa(a.target)
		}
		list = append(list, s)
	}
	return strings.Join(list, " ")
}

func TestProbes(t *testing.T) {
	guests := `<resources><primitive id="vm" class="ocf" provider="p" type="VM"><meta_attributes id="m"><nvpair id="mr" name="remote-node" value="g"/></meta_attributes></primitive>
		<primitive id="a" class="ocf" provider="p" type="A"/><primitive id="f" class="stonith" type="x"/></resources>`
	for _, c := range []struct {
		name, rsc, want string
		change          func(w *working, r *resource)
	}{
		{"everywhere, guests of stopped machines excepted", "a", "n1 n2 n3", nil},
		{"not where it is known", "a", "n1 n3", func(w *working, r *resource) { r.setKnown(w.nodes[2]) }},
		{"not on nodes that are not there", "a", "n1 n3", func(w *working, r *resource) { w.nodes[2].online = false }},
		{"not on nodes that have to be fenced", "a", "n1 n3", func(w *working, r *resource) { w.nodes[2].unclean = true }},
		{"not where discovery is switched off", "a", "n1 n3", func(w *working, r *resource) { w.nodes[2].noDiscovery = true }},
		{"not where a location says never", "a", "n1 n3", func(w *working, r *resource) { r.allowed.at(w.nodes[2]).discover = discoverNever }},
		{"only where a location says exclusive", "a", "n2", func(w *working, r *resource) {
			r.exclusive = true
			r.allowed.at(w.nodes[2]).discover = discoverExclusive
		}},
		{"no orphans", "a", "", func(w *working, r *resource) { r.orphan = true }},
		{"not at all, if that is switched off", "a", "", func(w *working, r *resource) { w.options.probes = false }},
		{"what runs is expected to run", "a", "n1:0 n2 n3", func(w *working, r *resource) { r.role, r.running = Started, w.nodes[1:2] }},
		{"and to be promoted", "a", "n1:8 n2 n3", func(w *working, r *resource) { r.role, r.running = Promoted, w.nodes[1:2] }},
		{"on a running guest, too", "a", "g n1 n2 n3", runGuest},
		{"but no virtual machines there", "vm", "n1:0 n2 n3", runGuest},
		{"and no fence devices", "f", "n1 n2 n3", runGuest},
		{"nor on a guest that will stop", "a", "n1 n2 n3", func(w *working, r *resource) {
			runGuest(w, r)
			w.byID["vm"].next = Stopped
		}},
	} {
		w := unpacked(t, noFencing, guests)
		if len(w.nodes) != 4 || w.nodes[0].name != "g" {
			t.Fatalf("the nodes are %v", w.nodes)
		}
		for _, n := range w.nodes[1:] {
			n.online, n.unclean = true, false
		}
		r := w.byID[c.rsc]
		if c.change != nil {
			c.change(w, r)
		}
		w.scheduleProbes()
		if got := probed(r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// runGuest lets the virtual machine run on n1, with its node up.
func runGuest(w *working, _ *resource) {
	vm := w.byID["vm"]
	vm.role, vm.running, vm.chosen = Started, w.nodes[1:2], w.nodes[1]
	w.nodes[0].online, w.nodes[0].unclean = true, false
}
