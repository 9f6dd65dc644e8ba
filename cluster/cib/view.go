package cib

import (
	"sort"
	"strconv"
	"strings"
)

// View is the typed reading of a document: elements by id, and attribute sets
// with references resolved. It holds no copy of the document.
type View struct {
	Root *Node
	byID map[string]*Node
}

// NewView indexes the configuration of a <cib> element by id. The status
// section is not indexed.
func NewView(root *Node) *View {
	v := &View{Root: root, byID: map[string]*Node{}}
	v.index(root.Child("configuration"))
	return v
}

func (v *View) index(n *Node) {
	for c := range n.Elements {
		if id := c.ID(); id != "" && v.byID[id] == nil && c.name != "resource_ref" && c.name != "obj_ref" {
			v.byID[id] = c
		}
		v.index(c)
	}
}

// ByID returns the configuration element with this id, nil if there is none.
func (v *View) ByID(id string) *Node { return v.byID[id] }

// Deref returns the element that n stands for: the target of its id-ref, else n.
// A reference to nothing is nil.
func (v *View) Deref(n *Node) *Node {
	for range 8 {
		ref, ok := n.Lookup("id-ref")
		if !ok {
			return n
		}
		target := v.byID[ref]
		if target == n || target.Name() != n.Name() {
			return nil
		}
		n = target
	}
	return nil
}

// Pairs returns the nvpairs of the sets named tag in owner that match, by name.
// Sets with a higher score come first, then those that come first in the
// document; the first value of a name counts.
func (v *View) Pairs(owner *Node, tag string, matches func(set *Node) bool) map[string]string {
	var sets []*Node
	for c := range owner.Elements {
		if c.name == tag {
			if set := v.Deref(c); set != nil && (matches == nil || matches(set)) {
				sets = append(sets, set)
			}
		}
	}
	sort.SliceStable(sets, func(i, j int) bool { return setScore(sets[i]) > setScore(sets[j]) })
	pairs := map[string]string{}
	for _, set := range sets {
		v.addPairs(pairs, set)
	}
	return pairs
}

func (v *View) addPairs(pairs map[string]string, set *Node) {
	for c := range set.Elements {
		if c.name == "attributes" { // Heartbeat 2
			v.addPairs(pairs, c)
			continue
		}
		if c.name != "nvpair" {
			continue
		}
		name := c.Attr("name")
		if t := v.Deref(c); t != nil {
			c = t
		}
		if name == "" {
			name = c.Attr("name")
		}
		value, ok := c.Lookup("value")
		if _, dup := pairs[name]; ok && !dup && value != "#default" {
			pairs[name] = value
		}
	}
}

func setScore(set *Node) int {
	s, _ := ParseScore(set.Attr("score"))
	return s
}

// ParseScore reads a score as written in a CIB: an integer, ±INFINITY in
// capitals, or a colour of node health in any case, which counts 0 unless the
// health strategy gives it a score. It is held to ±1000000; what follows the
// digits is dropped. ok is false for anything else, also for more than 64 bits.
func ParseScore(s string) (score int, ok bool) {
	switch strings.ToLower(s) {
	case "infinity", "+infinity", "-infinity":
		if strings.TrimLeft(s, "+-") != "INFINITY" {
			return 0, false
		}
		if s[0] == '-' {
			return -1_000_000, true
		}
		return 1_000_000, true
	case "red", "yellow", "green":
		return 0, true
	}
	text := strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	if text != "" && (text[0] == '-' || text[0] == '+') {
		end = 1
	}
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0, false
	}
	return int(max(-1_000_000, min(n, 1_000_000))), true
}
