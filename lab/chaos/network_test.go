package chaos

import (
	"strings"
	"testing"
)

func TestNetwork(t *testing.T) {
	quorate := func(n *network) string {
		var list []string
		for _, name := range n.nodes {
			if n.quorate(name) {
				list = append(list, name)
			}
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		name, want string
		change     func(n *network)
	}{
		{"whole", "n1 n2 n3", func(n *network) {}},
		{"one link", "n1 n2 n3", func(n *network) { n.pull("n1", 1) }},
		{"different links at both ends", "n1 n2 n3", func(n *network) { n.pull("n1", 1); n.pull("n2", 2) }},
		{"isolated", "n2 n3", func(n *network) { n.pull("n1", 0) }},
		{"a pair", "n1 n2 n3", func(n *network) { n.drop("n1", "n2", 0); n.drop("n2", "n1", 0) }},
		{"one way to one", "n1 n2 n3", func(n *network) { n.drop("n1", "n2", 0) }},
		{"one way to all", "n2 n3", func(n *network) { n.drop("n1", "n2", 0); n.drop("n1", "n3", 1); n.pull("n3", 2) }},
		{"a crash", "n1 n3", func(n *network) { n.down["n2"] = true }},
		{"a crash and a cut", "", func(n *network) { n.down["n2"] = true; n.drop("n3", "n1", 0) }},
		{"healed", "n1 n2 n3", func(n *network) { n.pull("n1", 0); n.drop("n1", "n2", 0); n.heal("n1") }},
		{"healed elsewhere", "n2 n3", func(n *network) { n.pull("n1", 0); n.heal("n2") }},
	} {
		n := newNetwork([]string{"n1", "n2", "n3"}, 2)
		c.change(n)
		if got := quorate(n); got != c.want {
			t.Errorf("%s: quorate are %q, want %q", c.name, got, c.want)
		}
	}
}
