package cib

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/takt-ha/takt/internal/errs"
)

// Finding is one thing that is wrong in a document.
type Finding struct {
	Path    string `json:"path"`              // e.g. /cib/configuration/resources/primitive[@id='web']/@type
	Line    int    `json:"line,omitempty"`    // in the source, 0 if unknown
	Message string `json:"message"`           // what is wrong
	Remedy  string `json:"remedy"`            // what would be right, a full sentence
	Warning bool   `json:"warning,omitempty"` // the cluster can run it nevertheless
}

// String prints "line L: path: message. Remedy".
func (f Finding) String() string {
	where := f.Path
	if f.Line > 0 {
		where = fmt.Sprintf("line %d: %s", f.Line, f.Path)
	}
	end := "."
	if strings.HasSuffix(f.Message, "?") {
		end = ""
	}
	return fmt.Sprintf("%s: %s%s %s", where, f.Message, end, f.Remedy)
}

// ValidationError is a document that a cluster must not run.
type ValidationError struct {
	Findings []Finding // in document order, at least one
}

// Error lists all findings, a line each.
func (e *ValidationError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// AgentCheck looks at a resource's agent and parameters and returns what is
// wrong: an unknown agent, a parameter that is missing or malformed. Parameters
// that a rule decides are not among params.
type AgentCheck func(class, provider, typ string, params map[string]string) []AgentProblem

// AgentProblem is one thing that is wrong with a resource's agent.
type AgentProblem struct {
	Param   string // the parameter that it is about, "" if none
	Message string // what is wrong, without a full stop
	Remedy  string // what would be right, a full sentence; "" points to takt agents info
}

// Validate checks a whole document, <cib>, against all that is known of the
// CIB; see the schema table in this package. It returns an *errs.Error of kind
// Invalid around a *ValidationError with all findings, or nil.
//
// The status section is the cluster's own and not checked. validate-with="none"
// switches the checks of values off, as in Pacemaker; structure, ids and
// references are checked nevertheless.
func Validate(root *Node) error { return ValidateWith(root, nil) }

// ValidateWith is Validate, with each resource's agent checked, too.
func ValidateWith(root *Node, agent AgentCheck) error {
	findings := slices.DeleteFunc(Check(root, agent), func(f Finding) bool { return f.Warning })
	if len(findings) == 0 {
		return nil
	}
	return errs.E("validate CIB", errs.Invalid, "", findings[0].Remedy, &ValidationError{findings})
}

// Check returns what Validate would complain about, and warnings: what the
// cluster can run, though not as it is written. agent may be nil.
func Check(root *Node, agent AgentCheck) []Finding { return check(root, agent, false) }

// CheckTolerant is Check with Pacemaker's leniency: a value for which Pacemaker
// logs a complaint and goes on with a default is a warning, while Check holds
// that a change which brings one in is better refused.
func CheckTolerant(root *Node) []Finding { return check(root, nil, true) }

func check(root *Node, agent AgentCheck, tolerant bool) []Finding {
	v := validator{agent: agent, tolerant: tolerant, ids: make(map[idKey]*Node), byKind: make(map[refKey]bool), values: root.Attr("validate-with") != "none"}
	if root.Name() != "cib" {
		v.path = []string{"/" + root.Name()}
		v.report(root, "", "Give a whole document, <cib>…</cib>.", "the root element is <%s>, not <cib>", root.Name())
		return v.findings
	}
	v.root = root
	walkConfiguration(root, v.learn)
	v.element(root, nil)
	return v.findings
}

// validator is one pass over a document.
type validator struct {
	root     *Node
	agent    AgentCheck
	values   bool // check values, too
	tolerant bool // what Pacemaker goes on with is a warning
	ids      map[idKey]*Node
	byKind   map[refKey]bool // what can be referred to
	path     []string        // of the element being checked, a step each
	findings []Finding
}

// refKey is something to refer to: an element's name, or a refKind's own, and its id.
type refKey struct{ space, id string }

// learn collects what references may point at.
func (v *validator) learn(n, parent *Node) bool {
	space, id := idSpaceOf(n, parent), n.ID()
	if id == "" || space == noID {
		return true
	}
	v.byKind[refKey{n.name, id}] = true
	if space == commonIDs || n.name == "node" {
		v.byKind[refKey{"", id}] = true
	}
	switch n.name {
	case "primitive", "group", "clone", "master", "bundle", "template", "tag":
		v.byKind[refKey{"resource", id}] = true
	}
	return true
}

func (v *validator) report(n *Node, attr, remedy, format string, args ...any) {
	path := strings.Join(v.path, "")
	if attr != "" {
		path += "/@" + attr
	}
	v.findings = append(v.findings, Finding{Path: path, Line: n.Line(), Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

// reportSoft is report, of a warning if soft.
func (v *validator) reportSoft(soft bool, n *Node, attr, remedy, format string, args ...any) {
	v.report(n, attr, remedy, format, args...)
	v.findings[len(v.findings)-1].Warning = soft
}

// element checks n and all in it.
func (v *validator) element(n, parent *Node) {
	v.path = append(v.path, "/"+stepOf(n))
	defer func() { v.path = v.path[:len(v.path)-1] }()
	rule, known := schema[n.name]
	if known {
		v.attributes(n, rule)
		v.needs(n, rule)
		v.uniqueID(n, parent)
		v.checkAgent(n)
		v.options(n, parent)
	}
	counts := make(map[string]int)
	for c := range n.Elements {
		counts[c.name]++
		if known && !v.belongs(c, n, rule) {
			continue
		}
		if counts[c.name] == 2 && slices.Contains(rule.once, c.name) {
			v.report(c, "", "Put the content of both into one.", "<%s> has more than one <%s>", n.name, c.name)
		}
		if !isStatus(c, n, v.root) {
			v.element(c, n)
		}
	}
	if (n.name == "clone" || n.name == "master") && counts["primitive"] > 0 && counts["group"] > 0 {
		v.report(n, "", "Make two clones of it.", "clone %s has a primitive and a group", n.ID())
	}
}

// belongs reports whether a child may stand where it does; what nobody knows may.
func (v *validator) belongs(c, parent *Node, rule element) bool {
	if slices.Contains(rule.children, c.name) {
		return true
	}
	v.path = append(v.path, "/"+stepOf(c))
	defer func() { v.path = v.path[:len(v.path)-1] }()
	if _, known := schema[c.name]; known {
		v.report(c, "", "Move it: "+placesOf(c.name)+".", "<%s> does not belong into <%s>", c.name, parent.name)
		return false
	}
	if near := nearest(c.name, rule.children); near != "" {
		v.report(c, "", "Did you mean <"+near+">?", "<%s> is not known in <%s>", c.name, parent.name)
		return false
	}
	return true
}

// placesOf says where an element may stand.
func placesOf(name string) string {
	var in []string
	for _, parent := range slices.Sorted(maps.Keys(schema)) {
		if slices.Contains(schema[parent].children, name) {
			in = append(in, "<"+parent+">")
		}
	}
	if len(in) == 0 {
		return "<" + name + "> is the root of a document"
	}
	return "it stands in " + strings.Join(in, ", ")
}

func (v *validator) uniqueID(n, parent *Node) {
	key := idKey{idSpaceOf(n, parent), n.ID()}
	if key.id == "" || key.space == noID {
		return
	}
	if other := v.ids[key]; other != nil {
		v.report(n, "id", "Give one of them another id.", "id %q is that of a <%s> already%s", key.id, other.name, atLine(other))
		return
	}
	v.ids[key] = n
}

func (v *validator) checkAgent(n *Node) {
	if v.agent == nil || n.name != "primitive" && n.name != "template" {
		return
	}
	class, provider, typ, params := v.agentOf(n)
	if class == "" || typ == "" {
		return
	}
	for _, p := range v.agent(class, provider, typ, params) {
		if p.Remedy == "" {
			p.Remedy = "See takt agents info " + agentName(class, provider, typ) + "."
		}
		v.reportParam(n, p)
	}
}

// reportParam reports at the place that gives the parameter, or at the resource.
func (v *validator) reportParam(n *Node, p AgentProblem) {
	message := strings.TrimSuffix(p.Message, ".")
	for set := range n.Elements {
		if set.name != "instance_attributes" || p.Param == "" {
			continue
		}
		for pair := range set.Elements {
			if pair.Attr("name") == p.Param {
				v.path = append(v.path, "/"+stepOf(set)+"/"+stepOf(pair))
				v.report(pair, "", p.Remedy, "%s", message)
				v.path = v.path[:len(v.path)-1]
				return
			}
		}
	}
	v.report(n, "", p.Remedy, "%s", message)
}

func agentName(class, provider, typ string) string {
	if provider == "" {
		return class + ":" + typ
	}
	return class + ":" + provider + ":" + typ
}

// agentOf returns the agent of a resource and its parameters, those of its
// template included.
func (v *validator) agentOf(n *Node) (class, provider, typ string, params map[string]string) {
	params = make(map[string]string)
	from := n
	if t := n.Attr("template"); t != "" && n.name == "primitive" {
		from = v.root.Path("configuration", "resources").ChildByID("template", t)
		v.collect(from, params)
	}
	v.collect(n, params)
	return from.Attr("class"), from.Attr("provider"), from.Attr("type"), params
}

// collect reads the parameters of the sets that no rule limits; of several
// sets the first wins.
func (v *validator) collect(n *Node, params map[string]string) {
	own := make(map[string]string)
	for set := range n.Elements {
		if set.name != "instance_attributes" {
			continue
		}
		if ref := set.Attr("id-ref"); ref != "" {
			set = last(findIn(nil, v.root, v.root, ref, commonIDs))
		}
		if set.Child("rule") != nil {
			continue
		}
		for pair := range set.Elements {
			if ref := pair.Attr("id-ref"); ref != "" {
				pair = last(findIn(nil, v.root, v.root, ref, commonIDs))
			}
			if _, twice := own[pair.Attr("name")]; pair.Name() == "nvpair" && !twice {
				own[pair.Attr("name")] = pair.Attr("value")
			}
		}
	}
	maps.Copy(params, own)
}
