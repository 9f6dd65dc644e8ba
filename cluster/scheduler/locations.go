package scheduler

import (
	"regexp"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

func (w *working) unpackLocation(c *cib.Node) {
	if c.Child("resource_set") != nil {
		for _, s := range w.readSets(c) {
			members, all := s.found()
			for _, r := range members {
				w.locateResource(c, r, s.role, s.xml.Attr("score"), nil)
			}
			if !all {
				return
			}
		}
		return
	}
	if id := c.Attr("rsc"); id != "" {
		members, _ := w.nameAsSet(c, id, "", "").found()
		for _, r := range members {
			w.locateResource(c, r, "", "", nil)
		}
	}
	if pattern := c.Attr("rsc-pattern"); pattern != "" {
		w.locatePattern(c, pattern)
	}
}

// locatePattern applies a location to each top-level resource that matches an
// extended regular expression (or does not, after "!").
func (w *working) locatePattern(c *cib.Node, pattern string) {
	expr, invert := strings.CutPrefix(pattern, "!")
	re, err := regexp.CompilePOSIX(expr)
	if err != nil {
		w.warn("location " + c.ID() + ": the pattern is not understood: " + err.Error())
		return
	}
	for _, r := range w.resources {
		groups := re.FindStringSubmatch(r.id)
		switch {
		case groups != nil && !invert:
			w.locateResource(c, r, "", "", groups)
		case groups == nil && invert:
			w.locateResource(c, r, "", "", nil)
		}
	}
}

func (w *working) locateResource(c *cib.Node, r *resource, role, score string, groups []string) {
	score = firstOf(score, c.Attr("score"))
	name, named := c.Lookup("node")
	if !named || score == "" {
		for n := range c.Elements {
			if n.Name() == "rule" {
				w.locateByRule(c, w.view.Deref(n), r, groups)
			}
		}
		return
	}
	n := w.nodeByName[name]
	if n == nil {
		return
	}
	s, _ := cib.ParseScore(score)
	l := &location{id: c.ID(), rsc: r, on: []nodeScore{{n, Score(s)}}, discover: readDiscovery(c)}
	if text := firstOf(role, c.Attr("role")); text != "" {
		switch role := readRole(text); role {
		case "":
			w.warn("location " + c.ID() + ": there is no role " + text + ": the constraint is ignored")
			return
		case Promoted, Stopped:
			l.role = role
		}
	}
	w.addLocation(l)
}

func readDiscovery(c *cib.Node) discovery {
	switch c.Attr("resource-discovery") {
	case "never":
		return discoverNever
	case "exclusive":
		return discoverExclusive
	}
	return discoverAlways
}

func (w *working) addLocation(l *location) {
	l.kind = TermLocation
	w.locations = append(w.locations, l)
	l.keep()
}

// keep notes a location at its resource. An exclusive one counts as such even
// where it is about a role that the resource will not have.
func (l *location) keep() {
	l.rsc.located = append(l.rsc.located, l)
	l.rsc.exclusive = l.rsc.exclusive || l.discover == discoverExclusive
}

// locateByRule makes a location of the nodes for which a rule holds.
func (w *working) locateByRule(c, n *cib.Node, r *resource, groups []string) {
	if n == nil {
		return
	}
	l := &location{id: n.ID(), constraint: c.ID(), rsc: r, discover: readDiscovery(c)}
	if text := n.Attr("role"); text != "" {
		role := readRole(text)
		if role == "" {
			w.warn("location " + c.ID() + ", rule " + n.ID() + ": there is no role " + text + ": the rule is ignored")
			return
		}
		if role != Unpromoted {
			l.role = role
		}
	}
	if l.on = w.ruleNodes(n, r, groups); len(l.on) > 0 {
		w.addLocation(l)
	} else {
		l.keep() // it opts in for nothing, but exclusive discovery still counts
	}
}

// ruleNodes are the nodes for which a rule holds, with its score there. What
// does not depend on the resource is kept for the next one.
func (w *working) ruleNodes(n *cib.Node, r *resource, groups []string) []nodeScore {
	attribute := ""
	score, scored := n.Lookup("score")
	if !scored {
		attribute = firstOf(n.Attr("score-attribute"), n.Attr("score_attribute"))
	}
	// A rule of alternatives does not lift what keeps a node from all resources.
	either := strings.EqualFold(n.Attr("boolean-op"), "or")
	shared := attribute == "" && groups == nil && rule.DependsRule(w.view, n)&rule.OnMatch == 0
	if on, ok := w.ruleCache[n]; ok && shared {
		return on
	}
	if attribute != "" && groups != nil {
		attribute = expandGroups(attribute, groups)
	}
	var on []nodeScore
	for _, m := range w.nodes {
		c := rule.Context{View: w.view, Now: w.now, Attr: m.rawAttr, Match: &rule.Match{Groups: groups,
			Meta:   func(name string) (string, bool) { v := r.metaOf(name); return v, v != "" },
			Params: func(name string) (string, bool) { v, ok := w.paramsOf(r, m)[name]; return v, ok }}}
		if c.Holds(n) {
			s := w.ruleScore(score, attribute, m, r)
			if either {
				s = s.Add(m.weight)
			}
			on = append(on, nodeScore{m, s})
		}
		w.recheckAt(c.Change)
	}
	if shared {
		if w.ruleCache == nil {
			w.ruleCache = map[*cib.Node][]nodeScore{}
		}
		w.ruleCache[n] = on
	}
	return on
}

// ruleScore is the score that a rule gives to a node; a node without the
// attribute named by score-attribute is forbidden.
func (w *working) ruleScore(score, attribute string, m *node, r *resource) Score {
	if attribute != "" {
		value, ok := w.nodeAttr(m, attribute, r)
		if !ok {
			return -Infinity
		}
		score = value
	}
	s, _ := cib.ParseScore(score)
	return Score(s)
}

// expandGroups replaces %0 to %9 by what the pattern matched.
func expandGroups(s string, groups []string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
			if k := int(s[i+1] - '0'); k < len(groups) {
				b.WriteString(groups[k])
			}
			i++
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (n *node) rawAttr(name string) (string, bool) {
	v, ok := n.attrs[name]
	return v, ok
}

// locate makes a location that the configuration does not name; n nil is every node.
func (w *working) locate(r *resource, n *node, s Score, id string, kind TermKind, why string) {
	l := &location{id: id, rsc: r, kind: kind, why: why, on: []nodeScore{{n, s}}}
	if n == nil {
		l.on = make([]nodeScore, 0, len(w.nodes))
		for _, m := range w.nodes {
			l.on = append(l.on, nodeScore{m, s})
		}
	}
	w.locations = append(w.locations, l)
	r.located = append(r.located, l)
}

// words says in words what a location means on a node.
func (l *location) words(n *node, s Score) string {
	if l.why != "" {
		return l.why
	}
	verb := "prefers " + n.name + " by " + s.String()
	switch {
	case s >= Infinity:
		verb = "wants it on " + n.name
	case s <= -Infinity:
		verb = "forbids " + n.name
	case s < 0:
		verb = "avoids " + n.name + " by " + (-s).String()
	}
	if l.constraint != "" {
		return "location " + l.constraint + " (rule " + l.id + ") " + verb
	}
	return "location " + l.id + " " + verb
}
