package app

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// findResource returns the element of a resource.
func findResource(root *cib.Node, id string) *cib.Node {
	return findUnder(root.Path("configuration", "resources"), id)
}

func findUnder(parent *cib.Node, id string) *cib.Node {
	for c := range parent.Elements {
		switch c.Name() {
		case "primitive", "group", "clone", "master", "bundle":
			if c.ID() == id {
				return c
			}
			if inner := findUnder(c, id); inner != nil {
				return inner
			}
		}
	}
	return nil
}

func findNode(root *cib.Node, name string) *cib.Node {
	for n := range root.Path("configuration", "nodes").Elements {
		if n.Attr("uname") == name {
			return n
		}
	}
	return nil
}

// primitives returns the ids of the primitives in a resource, itself included.
func primitives(res *cib.Node) []string {
	if res.Name() == "primitive" {
		return []string{res.ID()}
	}
	var ids []string
	for c := range res.Elements {
		if isResource(c) {
			ids = append(ids, primitives(c)...)
		}
	}
	return ids
}

// outermost refuses a member of a group: what is asked for concerns the group.
func outermost(root, res *cib.Node, verb string) error {
	for top := range root.Path("configuration", "resources").Elements {
		if top != res && findUnder(top, res.ID()) != nil {
			return errs.E(verb, errs.Conflict, "resource "+res.ID(),
				fmt.Sprintf("takt resource %s %s", verb, top.ID()),
				fmt.Errorf("it belongs to %s, whose members stay together", top.ID()))
		}
	}
	return nil
}
