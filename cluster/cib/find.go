package cib

// Find returns the element with this id, anywhere outside of the status
// section; nil if there is none. Elements whose id refers to another one
// (resource_ref, obj_ref, the role of an ACL target) are not it. Where a node
// has the same id as a resource, as Pacemaker Remote nodes do, it is the resource.
func Find(root *Node, id string) *Node {
	chain := findChain(root, id)
	if chain == nil {
		return nil
	}
	return chain[len(chain)-1]
}

// findChain returns the way from the root to the element with this id.
func findChain(root *Node, id string) []*Node {
	if root == nil || id == "" {
		return nil
	}
	for _, space := range []idSpace{commonIDs, nodeIDs, targetIDs} {
		if chain := findIn(nil, root, root, id, space); chain != nil {
			return chain
		}
	}
	return nil
}

func findIn(chain []*Node, n, root *Node, id string, space idSpace) []*Node {
	if n.ID() == id && idSpaceOf(n, last(chain)) == space {
		return append(chain, n)
	}
	for _, c := range n.children {
		if c.kind == elementKind && !isStatus(c, n, root) {
			if found := findIn(append(chain, n), c, root, id, space); found != nil {
				return found
			}
		}
	}
	return nil
}

func last(chain []*Node) *Node {
	if len(chain) == 0 {
		return nil
	}
	return chain[len(chain)-1]
}

// isStatus reports whether n is the status section of the document.
func isStatus(n, parent, root *Node) bool {
	return parent == root && n.name == "status" && root.name == "cib"
}

// idSpace is where an id must be unique. Ids of nodes and of ACL targets are
// names from outside, of machines and users, and may equal a resource's.
type idSpace uint8

const (
	noID idSpace = iota // the id refers to another element
	commonIDs
	nodeIDs
	targetIDs
)

func idSpaceOf(n, parent *Node) idSpace {
	switch n.name {
	case "resource_ref", "obj_ref":
		return noID
	case "role":
		if p := parent.Name(); p == "acl_target" || p == "acl_group" {
			return noID
		}
	case "node":
		return nodeIDs
	case "acl_target", "acl_group", "acl_user":
		return targetIDs
	}
	return commonIDs
}
