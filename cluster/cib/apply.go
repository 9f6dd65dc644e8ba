package cib

import (
	"errors"
	"fmt"
	"strings"

	"github.com/takt-ha/takt/internal/errs"
)

// Apply returns the document after the operations, in their order; all of
// them, or an *errs.Error that names the operation and why it is refused.
// What no operation touches is shared with the document before.
//
// Outside of the status section no id may occur twice afterwards. Nothing else
// is validated, and the version is not changed.
func Apply(root *Node, ops []Op) (*Node, error) {
	configured := false
	for i, op := range ops {
		next, err := applyOp(root, op)
		if err != nil {
			return nil, op.explain(i, len(ops), err)
		}
		configured = configured || sectionsChanged(root, next)
		root = next
	}
	if !configured {
		return root, nil
	}
	if id, first, second := duplicateID(root); id != "" {
		return nil, errs.E("change CIB", errs.Exists, fmt.Sprintf("id %q", id), "Give one of them another id.",
			fmt.Errorf("a <%s> and a <%s> would both have this id", first, second))
	}
	return root, nil
}

// sectionsChanged reports whether anything outside of the status section differs.
func sectionsChanged(a, b *Node) bool {
	if len(a.children) != len(b.children) {
		return true
	}
	for i, c := range a.children {
		if c != b.children[i] && (c.name != "status" || b.children[i].name != "status") {
			return true
		}
	}
	return false
}

// duplicateID finds the first id that two elements outside of the status have.
func duplicateID(root *Node) (id, first, second string) {
	seen := make(map[idKey]*Node)
	walkConfiguration(root, func(n, parent *Node) bool {
		key := idKey{idSpaceOf(n, parent), n.ID()}
		if key.id == "" || key.space == noID {
			return true
		}
		if other := seen[key]; other != nil {
			id, first, second = key.id, other.name, n.name
			return false
		}
		seen[key] = n
		return true
	})
	return id, first, second
}

// idKey is what must be unique.
type idKey struct {
	space idSpace
	id    string
}

// walkConfiguration calls visit for each element outside of the status
// section, in document order, until it returns false.
func walkConfiguration(root *Node, visit func(n, parent *Node) bool) {
	var down func(n, parent *Node) bool
	down = func(n, parent *Node) bool {
		if !visit(n, parent) {
			return false
		}
		for _, c := range n.children {
			if c.kind == elementKind && !isStatus(c, n, root) && !down(c, n) {
				return false
			}
		}
		return true
	}
	if root != nil {
		down(root, nil)
	}
}

func applyOp(root *Node, op Op) (*Node, error) {
	var piece *Node
	switch op.Kind {
	case Create, Modify, Replace:
		if op.XML == "" {
			return nil, refuse(errs.Invalid, "Give the element as XML.", "the operation has no XML")
		}
		var err error
		if piece, err = Parse([]byte(op.XML)); err != nil {
			return nil, err
		}
	case Delete:
	default:
		return nil, refuse(errs.Invalid, "Use create, modify, replace or delete.", "%q is no kind of operation", op.Kind)
	}
	chain, err := op.locate(root)
	if err != nil {
		return nil, err
	}
	if chain == nil {
		return op.absent(root, piece)
	}
	target := chain[len(chain)-1]
	switch op.Kind {
	case Create:
		return append1(root, chain, piece)
	case Modify:
		if piece.name != target.name {
			return nil, refuse(errs.Invalid, "Give the element under its own name, or use replace.", "a <%s> cannot be modified into a <%s>", target.name, piece.name)
		}
		return rebuild(chain, merge(target, piece))
	case Replace:
		return rebuild(chain, piece)
	}
	return rebuild(chain, nil)
}

// locate returns the way to the element that the operation names, nil if it is absent.
func (op Op) locate(root *Node) ([]*Node, error) {
	if (op.ID == "") == (op.Path == "") {
		return nil, refuse(errs.Invalid, "Give one of id and path.", "an operation names its element by exactly one of id and path")
	}
	if op.ID != "" {
		return findChain(root, op.ID), nil
	}
	return locatePath(root, op.Path)
}

func locatePath(root *Node, path string) ([]*Node, error) {
	x, err := CompileXPath(path)
	if err != nil {
		return nil, err
	}
	chains, err := x.chains(root)
	switch {
	case err != nil:
		return nil, err
	case len(chains) > 1:
		return nil, refuse(errs.Conflict, "Narrow the path down to one, for example by [@id='…'].", "the path selects %d elements", len(chains))
	case len(chains) == 0:
		return nil, nil
	}
	return chains[0], nil
}

// absent is what becomes of an operation whose element does not exist.
func (op Op) absent(root, piece *Node) (*Node, error) {
	if op.Optional && (op.Kind == Delete || op.Kind == Modify) {
		return root, nil
	}
	if op.Kind != Replace || op.Parent == "" {
		return nil, refuse(errs.NotFound, "Check the name; takt cib query shows what there is.", "there is no such element")
	}
	chain, err := locatePath(root, op.Parent)
	if err != nil {
		return nil, err
	}
	if chain == nil {
		return nil, refuse(errs.NotFound, "Create the parent first.", "neither the element nor its parent %s exists", op.Parent)
	}
	return append1(root, chain, piece)
}

// append1 appends piece to the last element of chain, unless it is there.
func append1(root *Node, chain []*Node, piece *Node) (*Node, error) {
	parent := chain[len(chain)-1]
	id := piece.ID()
	if id != "" && parent.ChildByID(piece.name, id) != nil {
		return nil, refuse(errs.Exists, "Use modify or replace, or another id.", "<%s> has a <%s> with id %q already", parent.name, piece.name, id)
	}
	if inStatus := len(chain) > 1 && isStatus(chain[1], chain[0], root); id != "" && !inStatus {
		if found := findIn(nil, root, root, id, idSpaceOf(piece, parent)); found != nil && idSpaceOf(piece, parent) != noID {
			other := last(found)
			return nil, refuse(errs.Exists, "Use modify or replace, or another id.", "a <%s> has the id %q already%s", other.name, id, atLine(other))
		}
	}
	return rebuild(chain, parent.WithChild(piece))
}

func atLine(n *Node) string {
	if n.line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", n.line)
}

// rebuild puts repl in the place of the chain's last element, or removes that
// where repl is nil, and returns the new root.
func rebuild(chain []*Node, repl *Node) (*Node, error) {
	if len(chain) == 1 && (repl == nil || repl.name != chain[0].name) {
		return nil, refuse(errs.Invalid, "Delete or replace what is in it.", "the root element <%s> must stay", chain[0].name)
	}
	for i := len(chain) - 1; i > 0; i-- {
		if chain[i] == repl {
			return chain[0], nil
		}
		repl = chain[i-1].WithReplaced(chain[i], repl)
	}
	return repl, nil
}

// merge sets the attributes of patch on n and merges its child elements: into
// the child of the same name and id where there is one, else appended.
func merge(n, patch *Node) *Node {
	for _, a := range patch.attrs {
		if v, ok := n.Lookup(a.Name); !ok || v != a.Value {
			n = n.WithAttr(a.Name, a.Value)
		}
	}
	for c := range patch.Elements {
		old := n.ChildByID(c.name, c.ID())
		switch {
		case old == nil:
			n = n.WithChild(c)
		default:
			if merged := merge(old, c); merged != old {
				n = n.WithReplaced(old, merged)
			}
		}
	}
	return n
}

func refuse(kind errs.Kind, hint, format string, args ...any) error {
	return errs.E("", kind, "", hint, fmt.Errorf(format, args...))
}

// explain wraps an error with the operation that it is about.
func (op Op) explain(i, of int, err error) error {
	object := op.Path
	if op.ID != "" {
		object = fmt.Sprintf("id %q", op.ID)
	}
	if of > 1 {
		object = strings.TrimSpace(fmt.Sprintf("%s (operation %d of %d)", object, i+1, of))
	}
	kind, hint := errs.KindOf(err), errs.HintOf(err)
	var inner *errs.Error
	if errors.As(err, &inner) && inner.Op == "" {
		err = inner.Err
	}
	return errs.E(string(op.Kind)+" in CIB", kind, object, hint, err)
}
