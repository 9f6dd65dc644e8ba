package cib

import "slices"

// Step names an element in a path: primitive[@id='web'].
func (n *Node) Step() string { return stepOf(n) }

// Strangers returns what the schema knows nothing of: whether n itself may not
// be in parent by it, and the names of those of its attributes that it has no
// place for. Takt keeps them as they are; Pacemaker refuses the document.
func Strangers(n, parent *Node) (element bool, attrs []string) {
	rule, known := schema[n.name]
	if within, ok := schema[parent.Name()]; ok && !known && !slices.Contains(within.children, n.name) {
		return true, nil
	}
	for _, a := range n.Attrs() {
		if known && !rule.knows(a.Name) {
			attrs = append(attrs, a.Name)
		}
	}
	return false, attrs
}
