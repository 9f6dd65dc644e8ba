package schedtest

import (
	"regexp"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// Signature names the class of a difference: the first line of what Compare or
// a Worker said, with kinds in place of names, so that many findings of one
// cause fall together.
func Signature(diff []string, root *cib.Node) string {
	if len(diff) == 0 {
		return ""
	}
	kinds := map[string]string{}
	for r := range root.Path("configuration", "resources").Elements {
		addKinds(kinds, r, "")
	}
	for n := range root.Path("configuration", "nodes").Elements {
		kinds[n.Attr("uname")] = "NODE"
	}
	line, _, _ := strings.Cut(diff[0], ": want ")
	return word.ReplaceAllStringFunc(line, func(w string) string {
		if k, ok := kinds[w]; ok {
			return k
		}
		if base, _, numbered := strings.Cut(w, ":"); numbered && kinds[base] != "" {
			return kinds[base]
		}
		if m := ofBundle.FindStringSubmatch(w); m != nil && kinds[m[1]] == "bundle" {
			return "bundle's-" + m[2]
		}
		return numbers.ReplaceAllString(w, "N")
	})
}

var (
	word     = regexp.MustCompile(`[A-Za-z0-9_.:-]+`)
	numbers  = regexp.MustCompile(`\d+`)
	ofBundle = regexp.MustCompile(`^(b\d+)-(?:(docker|podman|ip)-)?[\d.]+$`)
)

// addKinds names each resource by what it is and what it is in.
func addKinds(kinds map[string]string, r *cib.Node, in string) {
	kind := r.Name()
	switch {
	case kind == "master" || metaValue(r, "promotable") == "true":
		kind = "promotable"
	case metaValue(r, "globally-unique") == "true":
		kind = "unique-clone"
	case kind == "primitive" && r.Attr("class") == "stonith":
		kind = "fence-device"
	case kind == "primitive" && r.Attr("type") == "remote":
		kind = "remote"
	case kind == "primitive" && metaValue(r, "remote-node") != "":
		kind = "guest-container"
		kinds[metaValue(r, "remote-node")] = "GUEST"
	}
	if in != "" {
		kind += "-in-" + in
	}
	kinds[r.ID()] = kind
	for c := range r.Elements {
		if c.Name() == "primitive" || c.Name() == "group" {
			addKinds(kinds, c, kind)
		}
	}
}

// metaValue is a meta attribute as it stands at the resource itself.
func metaValue(r *cib.Node, name string) string {
	for set := range r.Elements {
		for p := range set.Elements {
			if set.Name() == "meta_attributes" && p.Attr("name") == name {
				return p.Attr("value")
			}
		}
	}
	return ""
}
