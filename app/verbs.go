package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Resource does something to a resource (api.Backend).
func (a *App) Resource(ctx context.Context, id, verb string, v api.Verb) (*api.Outcome, error) {
	return a.onLeader(ctx,
		func() (*api.Outcome, error) {
			return a.change(ctx, v, func(root *cib.Node) (edit, error) { return a.resourceEdit(ctx, root, id, verb, v) })
		},
		func(c *api.Client) (*api.Outcome, error) { return c.Resource(ctx, id, verb, v) })
}

// resourceEdit turns what is asked for into a change of the CIB.
func (a *App) resourceEdit(ctx context.Context, root *cib.Node, id, verb string, v api.Verb) (edit, error) {
	res := findResource(root, id)
	if res == nil {
		if e := retryOrphan(root, id, v.Node); len(e.ops) > 0 && (verb == "cleanup" || verb == "refresh") {
			return e, nil
		}
		return edit{}, errs.E(verb, errs.NotFound, "resource "+id, "takt status lists the resources.", nil)
	}
	if v.Node != "" && findNode(root, v.Node) == nil {
		return edit{}, errs.E(verb, errs.NotFound, "node "+v.Node, "takt status lists the nodes.", nil)
	}
	switch verb {
	case "move":
		return a.move(root, res, v)
	case "ban":
		return a.ban(root, res, v)
	case "clear":
		return clearConstraints(root, id), nil
	case "start":
		return setMeta(res, "target-role", "Started"), nil
	case "stop":
		return setMeta(res, "target-role", "Stopped"), nil
	case "manage":
		return setMeta(res, "is-managed", "true"), nil
	case "unmanage":
		return setMeta(res, "is-managed", "false"), nil
	case "restart":
		return restart(root, res)
	case "cleanup", "refresh":
		return a.cleanup(ctx, root, res, verb, v.Node)
	}
	return edit{}, errs.E(verb, errs.Invalid, "resource "+id, "", fmt.Errorf("there is no such verb; there are %s", strings.Join(api.ResourceVerbs(), ", ")))
}

// setMeta sets a meta attribute of a resource.
func setMeta(res *cib.Node, name, value string) edit {
	changed := setPair(res, "meta_attributes", res.ID()+"-meta_attributes", name, value)
	return edit{
		text: fmt.Sprintf("set %s=%s for %s", name, value, res.ID()),
		ops:  []cib.Op{{Kind: cib.Replace, ID: res.ID(), XML: changed.String()}},
	}
}

// setPair sets a name/value pair in an element's attribute set, which is made
// under setID if it is missing.
func setPair(n *cib.Node, setName, setID, name, value string) *cib.Node {
	set := n.Child(setName)
	pair := cib.NewNode("nvpair", "id", setID+"-"+name, "name", name, "value", value)
	if set == nil {
		return n.WithChild(cib.NewNode(setName, "id", setID).WithChild(pair))
	}
	for nv := range set.Elements {
		if nv.Attr("name") == name {
			return n.WithReplaced(set, set.WithReplaced(nv, nv.WithAttr("value", value)))
		}
	}
	return n.WithReplaced(set, set.WithChild(pair))
}

// Node does something to a node (api.Backend).
func (a *App) Node(ctx context.Context, name, verb string, v api.Verb) (*api.Outcome, error) {
	return a.onLeader(ctx,
		func() (*api.Outcome, error) {
			return a.change(ctx, v, func(root *cib.Node) (edit, error) { return nodeEdit(root, name, verb) })
		},
		func(c *api.Client) (*api.Outcome, error) { return c.Node(ctx, name, verb, v) })
}

// nodeEdit turns what is asked for into a change of the CIB.
func nodeEdit(root *cib.Node, name, verb string) (edit, error) {
	node := findNode(root, name)
	if node == nil {
		return edit{}, errs.E(verb, errs.NotFound, "node "+name, "takt status lists the nodes.", nil)
	}
	attr := map[string][2]string{
		"standby": {"standby", "on"}, "online": {"standby", "off"},
		"maintenance": {"maintenance", "true"}, "ready": {"maintenance", "false"},
	}
	pair, ok := attr[verb]
	if !ok {
		return edit{}, errs.E(verb, errs.Invalid, "node "+name, "", fmt.Errorf("there is no such verb; there are %s", strings.Join(api.NodeVerbs(), ", ")))
	}
	if verb == "online" && isWitness(node) {
		return edit{}, errs.E(verb, errs.Conflict, "node "+name, "Let it leave and join without --witness to make it an ordinary node.", errors.New("it is a witness: it votes and runs nothing"))
	}
	changed := setPair(node, "instance_attributes", "nodes-"+node.ID(), pair[0], pair[1])
	return edit{
		text: fmt.Sprintf("%s: %s=%s", name, pair[0], pair[1]),
		ops:  []cib.Op{{Kind: cib.Replace, Path: "/cib/configuration/nodes/node[@id='" + node.ID() + "']", XML: changed.String()}},
	}, nil
}
