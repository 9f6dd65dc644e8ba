package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// CIB returns the CIB, or what an XPath selects of it (api.Backend).
func (a *App) CIB(_ context.Context, q api.CIBQuery) (string, error) {
	root, xpath := a.root(), q.XPath
	if root == nil {
		return "", errs.E("read the CIB", errs.Unavailable, a.id.Cluster, "Wait until the node has caught up; takt status shows it.", nil)
	}
	if !q.Secrets {
		root = hidden(root) // before anything is selected by what it holds
	}
	if xpath == "" {
		return root.Indent(), nil
	}
	x, err := cib.CompileXPath(xpath)
	if err != nil {
		return "", errs.E("read the CIB", errs.Invalid, xpath, "", err)
	}
	nodes, err := x.Select(root)
	if err != nil {
		return "", errs.E("read the CIB", errs.Invalid, xpath, "", err)
	}
	text := ""
	for _, n := range nodes {
		text += n.Indent()
	}
	if text == "" {
		return "", errs.E("read the CIB", errs.NotFound, xpath, "takt cib query shows the whole.", errors.New("nothing matches"))
	}
	return text, nil
}

// Apply changes the configuration, or says what it would do (api.Backend).
func (a *App) Apply(ctx context.Context, req api.Apply) (*api.Outcome, error) {
	return a.onLeader(ctx,
		func() (*api.Outcome, error) { return a.applyHere(ctx, req) },
		func(c *api.Client) (*api.Outcome, error) { return c.Apply(ctx, req) })
}

func (a *App) applyHere(ctx context.Context, req api.Apply) (*api.Outcome, error) {
	if req.DryRun {
		return a.rehearse(ctx, req)
	}
	before := a.store.State().Root
	out, err := a.change(ctx, api.Verb{Wait: req.Wait, User: req.User}, func(root *cib.Node) (edit, error) {
		after, ops, err := a.checked(root, req)
		if err != nil || len(cib.Diff(root, after)) == 0 {
			return edit{text: req.Source + ": the configuration is so already"}, err
		}
		return edit{text: applyWords(req), ops: ops}, nil
	})
	if err == nil {
		out.Warnings = append(out.Warnings, a.fencing.rehearse(ctx, before, a.store.State().Root)...)
	}
	return out, err
}

// rehearse says what a request would do.
func (a *App) rehearse(ctx context.Context, req api.Apply) (*api.Outcome, error) {
	root := a.store.State().Root
	after, _, err := a.checked(root, req)
	if err != nil {
		return nil, err
	}
	t := scheduler.Schedule(after, time.Now())
	return &api.Outcome{
		Text: req.Source + ": nothing was changed (dry run)", CIBVersion: cib.VersionOf(root).String(),
		Changes: differences(root, after), Actions: actionLines(t), Settled: true,
		Warnings: append(t.Warnings, a.fencing.rehearse(ctx, root, after)...),
	}, nil
}

// applyWords says what a request does: a document is applied, and single changes
// say it themselves ("add the fence device ilo").
func applyWords(req api.Apply) string {
	if len(req.Ops) > 0 {
		return req.Source
	}
	return "apply " + req.Source
}

// checked is plan for a request whose outcome is valid, by the schema and by what
// the agents say.
func (a *App) checked(root *cib.Node, req api.Apply) (*cib.Node, []cib.Op, error) {
	after, ops, err := a.plan(root, req)
	if err != nil {
		return nil, nil, err
	}
	if err := cib.ValidateWith(after, a.checkAgent); err != nil {
		return nil, nil, errs.E(applyWords(req), errs.Invalid, "", "Nothing was changed. Correct the places above and try again.", listed(err, ops, req))
	}
	return after, ops, nil
}

// plan turns a request into operations and gives the CIB that they lead to, in
// which elements still know their lines in the request.
func (a *App) plan(root *cib.Node, req api.Apply) (*cib.Node, []cib.Op, error) {
	if len(req.Ops) > 0 {
		var ops []cib.Op
		for _, op := range req.Ops {
			ops = append(ops, cib.Op{Kind: cib.OpKind(op.Kind), ID: op.ID, Path: op.Path, Parent: op.Parent, XML: op.XML})
		}
		if err := restoredOps(root, ops); err != nil {
			return nil, nil, err
		}
		after, err := cib.Apply(root, ops)
		return after, ops, err
	}
	given, err := cib.Parse([]byte(req.XML))
	if err != nil {
		return nil, nil, errs.E("apply", errs.Invalid, req.Source, "Nothing was changed.", err)
	}
	given, _ = cib.Upgrade(given) // a whole document of an old schema, to what it means today
	sections, err := sectionsOf(given)
	if err != nil {
		return nil, nil, errs.E("apply", errs.Invalid, req.Source, "Nothing was changed.", err)
	}
	after := root
	var ops []cib.Op
	for _, s := range sections {
		if s.Name() == "nodes" {
			if s, err = mergeNodes(root.Path("configuration", "nodes"), s); err != nil {
				return nil, nil, errs.E("apply", errs.Invalid, req.Source, "Nothing was changed.", err)
			}
		}
		if s.Name() == "crm_config" {
			s = cib.WithVolumesOf(s, root.Path("configuration", "crm_config"))
		}
		if s, err = restored(root, s); err != nil {
			return nil, nil, err
		}
		section := s
		after = after.WithPath(func(*cib.Node) *cib.Node { return section }, "configuration", s.Name())
		ops = append(ops, cib.Op{Kind: cib.Replace, Path: "/cib/configuration/" + s.Name(), Parent: "/cib/configuration", XML: s.String()})
	}
	return after, ops, nil
}

// configSections are the parts of the configuration, in schema order.
var configSections = []string{"crm_config", "nodes", "resources", "constraints", "acls", "tags", "alerts", "fencing-topology", "rsc_defaults", "op_defaults", "templates"}

// sectionsOf returns the sections that a whole CIB, a configuration or a
// fragment gives.
func sectionsOf(given *cib.Node) ([]*cib.Node, error) {
	if given.Name() == "cib" {
		given = given.Child("configuration")
		if given == nil {
			return nil, errors.New("<cib> holds no <configuration>")
		}
	}
	if given.Name() != "configuration" {
		for _, name := range configSections {
			if given.Name() == name {
				return []*cib.Node{given}, nil
			}
		}
		return nil, fmt.Errorf("line %d: <%s> is no section of a configuration: give a whole <cib>, a <configuration>, or one of %v", given.Line(), given.Name(), configSections)
	}
	var sections []*cib.Node
	for s := range given.Elements {
		sections = append(sections, s)
	}
	return sections, nil
}

// mergeNodes keeps who the nodes are, which only joining and leaving change,
// and takes their other attributes from what is given.
func mergeNodes(have, given *cib.Node) (*cib.Node, error) {
	merged := have
	for g := range given.Elements {
		old := have.ChildByID("node", g.ID())
		if old == nil || old.Attr("uname") != g.Attr("uname") {
			return nil, fmt.Errorf("line %d: node %s (id %s) is no member: a machine becomes one by takt join", g.Line(), g.Attr("uname"), g.ID())
		}
		n := g
		for set := range old.Elements {
			for nv := range set.Elements {
				if nv.Attr("name") == linksAttr {
					n = setPair(n, "instance_attributes", "nodes-"+old.ID(), linksAttr, nv.Attr("value"))
				}
			}
		}
		merged = merged.WithReplaced(old, n)
	}
	return merged, nil
}

// listed puts each finding of a refused document on a line of its own. What lies
// outside the sections that were given has no line there.
func listed(err error, ops []cib.Op, req api.Apply) error {
	var v *cib.ValidationError
	if !errors.As(err, &v) {
		return err
	}
	text := "the configuration is wrong in one place:"
	if n := len(v.Findings); n > 1 {
		text = fmt.Sprintf("the configuration is wrong in %d places:", n)
	}
	for _, f := range v.Findings {
		given := slices.ContainsFunc(ops, func(op cib.Op) bool { return len(req.Ops) == 0 && strings.HasPrefix(f.Path+"/", op.Path+"/") })
		if !given {
			f.Line, f.Path = 0, "running configuration: "+f.Path
		}
		text += "\n  " + f.String()
	}
	return errors.New(text)
}

// checkAgent says what an agent finds wrong with a resource (cib.AgentCheck).
func (a *App) checkAgent(class, provider, typ string, params map[string]string) []cib.AgentProblem {
	id := agent.ID{Class: class, Provider: provider, Type: typ}
	impl, err := a.agents.Lookup(id)
	if err != nil {
		return []cib.AgentProblem{{Message: err.Error(), Remedy: errs.HintOf(err)}}
	}
	ctx, done := context.WithTimeout(a.ctx, 5*time.Second)
	defer done()
	meta, err := impl.Metadata(ctx)
	if err != nil || meta == nil {
		return nil // an agent that does not describe itself cannot be checked
	}
	var names []string
	for _, p := range meta.Parameters {
		names = append(names, p.Name)
	}
	var problems []cib.AgentProblem
	for _, p := range meta.Problems(params) {
		found := cib.AgentProblem{Param: p.Param, Message: p.Text}
		if near := cib.Nearest(p.Param, names); near != "" && near != p.Param {
			found.Remedy = "Did you mean " + near + "?"
		}
		problems = append(problems, found)
	}
	if why := a.agents.Refuses(ctx, id, params); why != "" && len(problems) == 0 {
		problems = append(problems, cib.AgentProblem{Message: why})
	}
	return problems
}

// differences is a line a difference of two configurations. Passwords are not shown.
func differences(before, after *cib.Node) []string {
	var lines []string
	for _, d := range cib.Diff(comparable(before.Child("configuration"), after.Child("configuration"))) {
		lines = append(lines, d.String())
	}
	return lines
}
