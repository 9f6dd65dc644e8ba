package schedtest

import (
	"math/rand/v2"
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// absurd are values that no configuration should have, and some may.
var absurd = []string{"", "-1", "0", "1", "2", "1000000000", "99999999999999999999", "-99999999999999999999", "INFINITY", "-INFINITY",
	"9223372036854775807", "true", "false", "#default", "0s", "P1Y", "Stopped", "Promoted", "Unpromoted", "Started", "block", "stop", "start",
	"promote", "demote", "monitor", "migrate_to", "migrate_from", ":", "a:b:c:d", "-1:193;1:1:7:x", "0:0;1:1:0:x", "host", "stonith", "ocf", "remote"}

// Mutate returns the document with some things in it changed by chance into
// what makes little sense: attributes that have values of others, elements that
// are missing, stand twice, or stand where they do not belong.
func Mutate(root *cib.Node, seed uint64) *cib.Node {
	m := &mutation{r: rand.New(rand.NewPCG(seed, 2))}
	m.collect(root)
	for range 1 + m.r.IntN(6) {
		target := m.nodes[m.r.IntN(len(m.nodes))]
		root = m.change(root, target)
	}
	return root
}

type mutation struct {
	r      *rand.Rand
	nodes  []*cib.Node
	values []string
}

func (m *mutation) collect(n *cib.Node) {
	m.nodes = append(m.nodes, n)
	for _, a := range n.Attrs() {
		m.values = append(m.values, a.Value)
	}
	for c := range n.Elements {
		m.collect(c)
	}
}

// change returns n with the element target below it changed, if it is there still.
func (m *mutation) change(n, target *cib.Node) *cib.Node {
	for c := range n.Elements {
		if c == target {
			return m.disturb(n, c)
		}
		if changed := m.change(c, target); changed != c {
			return n.WithReplaced(c, changed)
		}
	}
	return n
}

// disturb changes one child of a parent.
func (m *mutation) disturb(parent, c *cib.Node) *cib.Node {
	other := m.nodes[m.r.IntN(len(m.nodes))]
	switch m.r.IntN(10) {
	case 0:
		return parent.WithReplaced(c, nil)
	case 1:
		return parent.WithChild(c)
	case 2:
		return parent.WithChild(other)
	case 3:
		return parent.WithReplaced(c, other)
	case 4:
		return parent.WithReplaced(c, c.WithChild(other))
	}
	list := c.Attrs()
	if len(list) == 0 {
		return parent.WithReplaced(c, c.WithAttr("id", m.value()))
	}
	a := list[m.r.IntN(len(list))]
	if m.r.IntN(8) == 0 {
		return parent.WithReplaced(c, c.WithoutAttr(a.Name))
	}
	return parent.WithReplaced(c, c.WithAttr(a.Name, m.value()))
}

// value is one that stands elsewhere in the document, or an absurd one.
func (m *mutation) value() string {
	switch m.r.IntN(3) {
	case 0:
		return absurd[m.r.IntN(len(absurd))]
	case 1:
		return strconv.Itoa(m.r.IntN(1<<m.r.IntN(31)+1) - 1)
	}
	return m.values[m.r.IntN(len(m.values))]
}
