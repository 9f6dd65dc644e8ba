package cib

import (
	"fmt"
	"slices"
	"strings"
)

// DiffKind is what happened to an element or attribute.
type DiffKind string

// The kinds.
const (
	Added   DiffKind = "added"
	Removed DiffKind = "removed"
	Changed DiffKind = "changed"
	Moved   DiffKind = "moved" // it stands at another place among its siblings
)

// Difference is one difference between two documents.
type Difference struct {
	Kind DiffKind `json:"kind"`
	Path string   `json:"path"`          // as in /cib/configuration/resources/primitive[@id='web']/@type; text ends in /text()
	Old  string   `json:"old,omitempty"` // the value before; of an element the whole of it as XML
	New  string   `json:"new,omitempty"` // the value after
}

// String prints the difference in a line: + for what was added, - for what was
// removed, ~ for what was changed or moved.
func (d Difference) String() string {
	switch d.Kind {
	case Added:
		return fmt.Sprintf("+ %s %s", d.Path, d.New)
	case Removed:
		return fmt.Sprintf("- %s %s", d.Path, d.Old)
	case Moved:
		return fmt.Sprintf("~ %s moved: %s -> %s", d.Path, d.Old, d.New)
	}
	return fmt.Sprintf("~ %s %q -> %q", d.Path, d.Old, d.New)
}

// Diff returns the differences from a to b, in the order of b's document, what
// was removed after what stays. Siblings are matched by name and id; those
// without id by what is said to identify them (a node_state's uname, an
// nvpair's name), else by their order. Shared subtrees cost nothing. Comments
// are not compared. Either may be nil.
func Diff(a, b *Node) []Difference {
	var d differ
	switch {
	case a == nil && b == nil:
	case a == nil:
		d.add(Added, "/"+stepOf(b), "", b.String())
	case b == nil:
		d.add(Removed, "/"+stepOf(a), a.String(), "")
	case a.name != b.name:
		d.add(Removed, "/"+a.name, a.String(), "")
		d.add(Added, "/"+b.name, "", b.String())
	default:
		d.element("/"+b.name, a, b)
	}
	return d.out
}

type differ struct{ out []Difference }

func (d *differ) add(kind DiffKind, path, old, new string) {
	d.out = append(d.out, Difference{Kind: kind, Path: path, Old: old, New: new})
}

func (d *differ) element(path string, a, b *Node) {
	if a == b {
		return
	}
	d.attributes(path, a, b)
	if old, new := a.directText(), b.directText(); old != new {
		d.add(Changed, path+"/text()", old, new)
	}
	d.children(path, a, b)
}

func (d *differ) attributes(path string, a, b *Node) {
	for _, attr := range b.attrs {
		old, there := a.Lookup(attr.Name)
		switch {
		case !there:
			d.add(Added, path+"/@"+attr.Name, "", attr.Value)
		case old != attr.Value:
			d.add(Changed, path+"/@"+attr.Name, old, attr.Value)
		}
	}
	for _, attr := range a.attrs {
		if _, there := b.Lookup(attr.Name); !there {
			d.add(Removed, path+"/@"+attr.Name, attr.Value, "")
		}
	}
}

// directText joins the character data that stands in the element itself.
func (n *Node) directText() string {
	var out string
	for _, c := range n.children {
		if c.kind == textKind {
			out += c.text
		}
	}
	return out
}

// sibling is what matches an element with its other version.
type sibling struct {
	step  string // name[@id='…'], and [n] where that is not unique
	index int    // among the element children
	node  *Node
}

// siblings lists the child elements with a step that is unique among them.
func siblings(n *Node) []sibling {
	var out []sibling
	total, seen := make(map[string]int), make(map[string]int)
	for c := range n.Elements {
		step := stepOf(c)
		total[step]++
		out = append(out, sibling{step, len(out), c})
	}
	for i := range out {
		step := out[i].step
		if seen[step]++; total[step] > 1 && seen[step] > 1 {
			out[i].step = fmt.Sprintf("%s[%d]", step, seen[step])
		}
	}
	return out
}

func (d *differ) children(path string, a, b *Node) {
	if slices.Equal(a.children, b.children) {
		return
	}
	if alike(a, b) {
		for i, c := range b.children {
			if c != a.children[i] {
				d.element(path+"/"+stepOf(c), a.children[i], c)
			}
		}
		return
	}
	before, after := siblings(a), siblings(b)
	old := make(map[string]sibling, len(before))
	for _, s := range before {
		old[s.step] = s
	}
	moved := movedSteps(old, after)
	for _, s := range after {
		was, there := old[s.step]
		delete(old, s.step)
		if !there {
			d.add(Added, path+"/"+s.step, "", s.node.String())
			continue
		}
		if moved[s.step] {
			d.add(Moved, path+"/"+s.step, behind(before, was.index), behind(after, s.index))
		}
		d.element(path+"/"+s.step, was.node, s.node)
	}
	for _, s := range before {
		if _, gone := old[s.step]; gone {
			d.add(Removed, path+"/"+s.step, s.node.String(), "")
		}
	}
}

// alike reports whether the same elements, by name and id, stand in the same
// places: the common case of a change deeper down.
func alike(a, b *Node) bool {
	return slices.EqualFunc(a.children, b.children, func(x, y *Node) bool {
		return x == y || x.kind == elementKind && y.kind == elementKind && x.name == y.name && x.ID() != "" && x.ID() == y.ID()
	})
}

// behind says where an element stands.
func behind(list []sibling, index int) string {
	if index == 0 {
		return "first"
	}
	return "after " + list[index-1].step
}

// movedSteps returns the fewest elements whose move explains the new order:
// all but a longest run of them that kept theirs.
func movedSteps(old map[string]sibling, after []sibling) map[string]bool {
	var kept []sibling // those that were there before, with their old index
	for _, s := range after {
		if was, there := old[s.step]; there {
			kept = append(kept, sibling{s.step, was.index, s.node})
		}
	}
	if slices.IsSortedFunc(kept, func(x, y sibling) int { return x.index - y.index }) {
		return nil
	}
	stays := longestIncreasing(kept)
	moved := make(map[string]bool)
	for i, s := range kept {
		if !stays[i] {
			moved[s.step] = true
		}
	}
	return moved
}

// longestIncreasing marks a longest subsequence of increasing old indexes
// (patience sorting).
func longestIncreasing(list []sibling) []bool {
	var tails []int // position of the least end of a run of each length
	prev := make([]int, len(list))
	for i, s := range list {
		at, _ := slices.BinarySearchFunc(tails, s.index, func(t, index int) int { return list[t].index - index })
		prev[i] = -1
		if at > 0 {
			prev[i] = tails[at-1]
		}
		if at == len(tails) {
			tails = append(tails, i)
		} else {
			tails[at] = i
		}
	}
	marks := make([]bool, len(list))
	for i := tails[len(tails)-1]; i >= 0; i = prev[i] {
		marks[i] = true
	}
	return marks
}

// stepOf names an element in a path: by its id where it has one, else by the
// attribute that identifies it among its siblings.
func stepOf(n *Node) string {
	for _, key := range [...]string{"id", "uname", "name", "id-ref"} {
		if v := n.Attr(key); v != "" {
			quote := "'"
			if strings.Contains(v, quote) {
				quote = `"`
			}
			return n.name + "[@" + key + "=" + quote + v + quote + "]"
		}
	}
	return n.name
}
