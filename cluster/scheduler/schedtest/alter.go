package schedtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Alteration is a recorded CIB after some random changes.
type Alteration struct {
	Root *cib.Node
	Now  time.Time
	Did  []string // the changes, in words
}

// Alter makes one to four random changes to a CIB: to the state of nodes, the
// history of operations, options, resources and constraints. The same seed makes
// the same ones. The CIB has to be of the current schema.
func Alter(root *cib.Node, now time.Time, seed uint64) Alteration {
	m := &alterer{r: rand.New(rand.NewPCG(seed, 0x3d7a7e)), now: now, root: thaw(root)}
	m.look()
	want := 1 + m.r.IntN(4)
	for try := 0; len(m.did) < want && try < 40; try++ {
		if did := changes[m.r.IntN(len(changes))](m); did != "" {
			m.did = append(m.did, did)
			m.look()
		}
	}
	return Alteration{Root: m.root.freeze(), Now: m.now, Did: m.did}
}

// changes are what may be done; each says what it did, "" if it could do nothing.
// A kind of change stands as often as its share.
var changes = slices.Concat(nodeChanges, historyChanges, historyChanges, optionChanges, resourceChanges, resourceChanges, constraintChanges, constraintChanges)

// alterer changes one CIB.
type alterer struct {
	r    *rand.Rand
	now  time.Time
	root *element
	did  []string
	ids  int

	// What is there, refreshed after each change.
	config, status, constraints, resources *element
	nodes, states                          []*element
	all, primitives                        []*element // resources, parents first
	histories, ops                         []*element // <lrm_resource>, <lrm_rsc_op>
}

// element is an XML element that can be changed.
type element struct {
	name string
	attr []cib.Attr
	kids []*element
}

func thaw(n *cib.Node) *element {
	e := &element{name: n.Name(), attr: slices.Clone(n.Attrs())}
	for c := range n.Elements {
		e.kids = append(e.kids, thaw(c))
	}
	return e
}

func (e *element) freeze() *cib.Node {
	n := cib.NewNode(e.name)
	for _, a := range e.attr {
		n = n.WithAttr(a.Name, a.Value)
	}
	list := make([]*cib.Node, len(e.kids))
	for i, c := range e.kids {
		list[i] = c.freeze()
	}
	return n.WithChild(list...)
}

func (e *element) get(name string) string {
	for _, a := range e.attr {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// set sets an attribute, or removes it where the value is "".
func (e *element) set(name, value string) {
	for i, a := range e.attr {
		switch {
		case a.Name != name:
			continue
		case value == "":
			e.attr = slices.Delete(e.attr, i, i+1)
		default:
			e.attr[i].Value = value
		}
		return
	}
	if value != "" {
		e.attr = append(e.attr, cib.Attr{Name: name, Value: value})
	}
}

// child returns the first child of that name, made if it is not there.
func (e *element) child(name string) *element {
	for _, c := range e.kids {
		if c.name == name {
			return c
		}
	}
	c := &element{name: name}
	e.kids = append(e.kids, c)
	return c
}

func (e *element) remove(c *element) {
	e.kids = slices.DeleteFunc(e.kids, func(k *element) bool { return k == c })
}

func (e *element) clone() *element {
	c := &element{name: e.name, attr: slices.Clone(e.attr)}
	for _, k := range e.kids {
		c.kids = append(c.kids, k.clone())
	}
	return c
}

// parent finds whose child c is.
func (e *element) parent(c *element) *element {
	for _, k := range e.kids {
		if k == c {
			return e
		}
		if p := k.parent(c); p != nil {
			return p
		}
	}
	return nil
}

// walk visits the element and all below it.
func (e *element) walk(visit func(*element)) {
	visit(e)
	for _, k := range e.kids {
		k.walk(visit)
	}
}

func newElement(name string, pairs ...string) *element { return thaw(cib.NewNode(name, pairs...)) }

// look notes what is there.
func (m *alterer) look() {
	m.config, m.status = m.root.child("configuration"), m.root.child("status")
	m.constraints, m.resources = m.config.child("constraints"), m.config.child("resources")
	m.nodes = m.config.child("nodes").kids
	m.states, m.all, m.primitives, m.histories, m.ops = nil, nil, nil, nil, nil
	m.resources.walk(func(e *element) {
		switch e.name {
		case "primitive":
			m.primitives = append(m.primitives, e)
			fallthrough
		case "group", "clone", "master", "bundle":
			m.all = append(m.all, e)
		}
	})
	m.status.walk(func(e *element) {
		switch e.name {
		case "node_state":
			m.states = append(m.states, e)
		case "lrm_resource":
			m.histories = append(m.histories, e)
		case "lrm_rsc_op":
			m.ops = append(m.ops, e)
		}
	})
}

// setPair sets an nvpair below the first set of that name ("" removes it).
func (m *alterer) setPair(holder *element, set, name, value string) {
	holder.walk(func(e *element) {
		if e.name == set && holder.has(e) {
			for _, p := range slices.Clone(e.kids) {
				if p.name == "nvpair" && p.get("name") == name {
					e.remove(p)
				}
			}
		}
	})
	if value == "" {
		return
	}
	s := holder.child(set)
	if s.get("id") == "" {
		s.set("id", m.id())
	}
	s.kids = append(s.kids, newElement("nvpair", "id", m.id(), "name", name, "value", value))
}

func (e *element) has(c *element) bool { return slices.Contains(e.kids, c) }

// pairNames lists the names in the sets below holder.
func pairNames(holder *element, set string) []string {
	var list []string
	for _, s := range holder.kids {
		for _, p := range s.kids {
			if s.name == set && p.name == "nvpair" && p.get("name") != "" {
				list = append(list, p.get("name"))
			}
		}
	}
	return list
}

func (m *alterer) id() string {
	m.ids++
	return "altered-" + strconv.Itoa(m.ids)
}

func (m *alterer) percent(p int) bool { return m.r.IntN(100) < p }

func (m *alterer) pick(list ...string) string {
	if len(list) == 0 {
		return ""
	}
	return list[m.r.IntN(len(list))]
}

func (m *alterer) one(list []*element) *element {
	if len(list) == 0 {
		return nil
	}
	return list[m.r.IntN(len(list))]
}

func (m *alterer) score() string {
	return m.pick("INFINITY", "INFINITY", "-INFINITY", "-INFINITY", "100", "1", "0", "-1", "-100", "1000")
}

// ago is a time some while before now, in seconds since the epoch.
func (m *alterer) ago(seconds int) string {
	return strconv.FormatInt(m.now.Unix()-int64(seconds), 10)
}

func did(format string, args ...any) string { return fmt.Sprintf(format, args...) }
