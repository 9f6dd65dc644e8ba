package cib

import (
	"fmt"
	"strings"
)

// attributes checks that those that are needed are there, that each has a
// value of its type, and that none is a slip of the pen.
func (v *validator) attributes(n *Node, rule element) {
	var missing []string // known names that are not there
	for _, a := range rule.attrs {
		name, required := strings.CutSuffix(a.name, "!")
		value, there := n.Lookup(name)
		switch {
		case there:
			v.value(n, name, value, a.typ)
		default:
			missing = append(missing, name)
			if required && n.Attr("id-ref") == "" && !slipOf(n, rule, name) {
				v.report(n, "", fmt.Sprintf(`Add %s="…".`, name), "<%s> has no %s", n.name, name)
			}
		}
	}
	for _, a := range n.attrs {
		if rule.knows(a.Name) {
			continue
		}
		if near := nearest(a.Name, missing); near != "" {
			v.report(n, a.Name, "Did you mean "+near+"?", "attribute %s is not known in <%s>", a.Name, n.name)
		}
	}
}

func (e element) knows(attr string) bool {
	for _, a := range e.attrs {
		if strings.TrimSuffix(a.name, "!") == attr {
			return true
		}
	}
	return false
}

// slipOf reports whether the element has an unknown attribute that must be
// meant for name, so that its absence is not reported a second time.
func slipOf(n *Node, rule element, name string) bool {
	for _, a := range n.attrs {
		if !rule.knows(a.Name) && nearest(a.Name, []string{name}) != "" {
			return true
		}
	}
	return false
}

func (v *validator) value(n *Node, name, value string, typ attrType) {
	if typ.ref != noRef {
		v.reference(n, name, value, typ.ref)
		return
	}
	if typ.check == nil || !v.values && name != "id" {
		return
	}
	if wanted := typ.check(value); wanted != "" {
		v.reportSoft(typ.soft || v.tolerant && typ.lenient, n, name, "Write "+wanted+".", "%s of <%s> cannot be %q", name, n.name, value)
	}
}

// maxSuggestions bounds the findings for which names are compared with all
// others: a document in which everything is wrong is not helped by more.
const maxSuggestions = 500

func (v *validator) reference(n *Node, name, value string, kind refKind) {
	key := refKey{"", value}
	what := "element"
	switch kind {
	case resourceRef:
		key.space, what = "resource", "resource, template or tag"
	case templateRef:
		key.space, what = "template", "template"
	case aclRoleRef:
		key.space, what = "acl_role", "<acl_role>"
	case sameRef:
		key.space, what = n.name, "<"+n.name+">"
	}
	if v.byKind[key] {
		return
	}
	remedy := "Add it, or remove the reference."
	if len(v.findings) < maxSuggestions {
		if near := nearest(value, v.namesOf(key.space)); near != "" {
			remedy = "Did you mean " + near + "?"
		}
	}
	v.reportSoft(v.tolerant && kind == anyRef, n, name, remedy, "%s=%q refers to nothing: there is no %s with this id", name, value, what)
}

func (v *validator) namesOf(space string) []string {
	var out []string
	for key := range v.byKind {
		if key.space == space {
			out = append(out, key.id)
		}
	}
	return out
}

// needs checks the groups of which one must be there.
func (v *validator) needs(n *Node, rule element) {
	if n.Attr("id-ref") != "" {
		return
	}
	for _, need := range rule.needs {
		if !need.met(n) && !need.slipped(n, rule) {
			v.report(n, "", need.why, "<%s>%s has no %s", n.name, named(n), need)
		}
	}
}

func named(n *Node) string {
	if n.ID() == "" {
		return ""
	}
	return " " + n.ID()
}

// String lists the alternatives: "rsc and with-rsc, or <resource_set>".
func (d need) String() string {
	out := make([]string, len(d.anyOf))
	for i, alternative := range d.anyOf {
		parts := strings.Split(alternative, "+")
		for j, part := range parts {
			if attr, ok := strings.CutPrefix(part, "@"); ok {
				parts[j] = attr
			} else {
				parts[j] = "<" + part + ">"
			}
		}
		out[i] = strings.Join(parts, " and ")
	}
	return strings.Join(out, ", or ")
}

func (d need) met(n *Node) bool {
	return d.each(func(part string) bool {
		if attr, ok := strings.CutPrefix(part, "@"); ok {
			_, there := n.Lookup(attr)
			return there
		}
		return n.Child(part) != nil
	})
}

// slipped reports whether it would be met but for a slip that is reported elsewhere.
func (d need) slipped(n *Node, rule element) bool {
	return d.each(func(part string) bool {
		if attr, ok := strings.CutPrefix(part, "@"); ok {
			_, there := n.Lookup(attr)
			return there || slipOf(n, rule, attr)
		}
		for c := range n.Elements {
			if c.name == part || schema[c.name].attrs == nil && nearest(c.name, []string{part}) != "" {
				return true
			}
		}
		return false
	})
}

// each reports whether has holds for all parts of an alternative.
func (d need) each(has func(part string) bool) bool {
alternatives:
	for _, alternative := range d.anyOf {
		for part := range strings.SplitSeq(alternative, "+") {
			if !has(part) {
				continue alternatives
			}
		}
		return true
	}
	return false
}
