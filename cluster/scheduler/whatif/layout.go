package whatif

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// layout is what the configuration says about the resources by name.
type layout struct {
	view     *cib.View
	nodes    map[string]string    // id → name of members
	tops     map[string]string    // primitive → what holds it on the top level
	bundles  []string             // ids of bundles: prefixes of what they imply
	xml      map[string]*cib.Node // primitives
	kind     map[string]string    // top level → element name
	priority map[string]int       // by top level
	unique   map[string]bool      // primitives in globally unique clones
	fences   map[string]bool      // primitives that are fence devices
	// countsByOperation: failures are counted for each operation, not for the resource.
	countsByOperation bool
}

// atLeast reports whether a crm_feature_set is this or a later one.
func atLeast(set string, want ...int) bool {
	parts := strings.Split(set, ".")
	for i, w := range want {
		n := 0
		if i < len(parts) {
			n, _ = strconv.Atoi(parts[i])
		}
		if n != w {
			return n > w
		}
	}
	return true
}

func newLayout(root *cib.Node) *layout {
	l := &layout{view: cib.NewView(root), nodes: memberNames(root), tops: map[string]string{}, xml: map[string]*cib.Node{},
		kind: map[string]string{}, priority: map[string]int{}, unique: map[string]bool{}, fences: map[string]bool{},
		countsByOperation: atLeast(root.Attr("crm_feature_set"), 3, 0, 13)}
	defaults := l.view.Pairs(root.Path("configuration", "rsc_defaults"), "meta_attributes", nil)
	for top := range root.Path("configuration", "resources").Elements {
		if top.Name() == "template" {
			continue
		}
		l.kind[top.ID()] = top.Name()
		if top.Name() == "bundle" {
			l.bundles = append(l.bundles, top.ID())
		}
		l.priority[top.ID()] = score(cmp.Or(l.meta(top)["priority"], defaults["priority"]))
		unique, _ := cib.ParseBool(l.meta(top)["globally-unique"])
		l.add(top, top.ID(), unique)
	}
	return l
}

func (l *layout) add(n *cib.Node, top string, unique bool) {
	if n.Name() == "primitive" {
		l.tops[n.ID()], l.xml[n.ID()] = top, n
		class := cmp.Or(n.Attr("class"), l.view.ByID(n.Attr("template")).Attr("class"))
		l.unique[n.ID()], l.fences[n.ID()] = unique, class == "stonith"
		if p := l.meta(n)["priority"]; p != "" {
			l.priority[top] = max(l.priority[top], score(p))
		}
		return
	}
	for c := range n.Elements {
		switch c.Name() {
		case "primitive", "group", "clone", "master":
			l.add(c, top, unique)
		}
	}
}

// meta are the meta attributes of a resource and of its template.
func (l *layout) meta(n *cib.Node) map[string]string {
	pairs := l.view.Pairs(n, "meta_attributes", nil)
	for name, value := range l.view.Pairs(l.view.ByID(n.Attr("template")), "meta_attributes", nil) {
		if _, own := pairs[name]; !own {
			pairs[name] = value
		}
	}
	return pairs
}

func score(text string) int {
	n, _ := cib.ParseScore(text)
	return n
}

// base is the name of a resource without the number of its instance.
func base(resource string) string {
	b, number, numbered := strings.Cut(resource, ":")
	if numbered && number != "" && strings.Trim(number, "0123456789") == "" {
		return b
	}
	return resource
}

// top is what holds an instance on the top level: a group, clone, bundle, or
// the resource itself.
func (l *layout) top(resource string) string {
	if t := l.tops[base(resource)]; t != "" {
		return t
	}
	for _, b := range l.bundles {
		if strings.HasPrefix(resource, b+"-") {
			return b
		}
	}
	return base(resource)
}

// skips reports what is not looked at: fence devices, which work where they do
// not run, and what a bundle's container brings along (address, connection).
func (l *layout) skips(resource string) bool {
	if l.fences[base(resource)] {
		return true
	}
	if l.tops[base(resource)] != "" {
		return false
	}
	for _, b := range l.bundles {
		if rest, ok := strings.CutPrefix(resource, b+"-"); ok {
			return strings.HasPrefix(rest, "ip-") || strings.Trim(rest, "0123456789") == ""
		}
	}
	return false
}

// monitor is the operation by which a failure of the instance shows. noticed is
// false if no recurring monitor is configured for what it is.
func (l *layout) monitor(resource string, role scheduler.Role) (operation string, interval int64, noticed bool) {
	n := l.xml[base(resource)]
	if n == nil {
		return "monitor", int64(time.Minute / time.Millisecond), true // implied by a bundle
	}
	for _, owner := range []*cib.Node{n, l.view.ByID(n.Attr("template"))} {
		for op := range owner.Child("operations").Elements {
			if op = l.view.Deref(op); op.Attr("name") != "monitor" || !fits(op.Attr("role"), role) {
				continue
			}
			if on, ok := cib.ParseBool(op.Attr("enabled")); ok && !on {
				continue
			}
			if d, err := cib.Duration(op.Attr("interval")); err == nil && d > 0 {
				return "monitor", int64(d / time.Millisecond), true
			}
		}
	}
	return "asyncmon", 0, false
}

// fits reports whether a monitor with this role attribute runs in a role.
func fits(configured string, role scheduler.Role) bool {
	switch strings.ToLower(configured) {
	case "stopped":
		return false
	case "promoted", "master":
		return role == scheduler.Promoted
	}
	return role != scheduler.Promoted || configured == ""
}

// naturalCompare orders names as people do: n2 before n10.
func naturalCompare(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			p, q := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
