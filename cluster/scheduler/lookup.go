package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// executorName is the name that the executor is told: instances that are all
// alike have none of their own, except where the history has one that is not
// wanted any more.
func (r *resource) executorName() string {
	switch {
	case r.orphan && r.recorded != "":
		return r.recorded
	case !r.unique:
		return r.base
	}
	return r.id
}

// unpackTags reads tags, and which resources use which template, into w.tags.
// A template hides a tag of the same name.
func (w *working) unpackTags() {
	for t := range w.root.Path("configuration", "tags").Elements {
		if t.Name() != "tag" || t.ID() == "" {
			continue
		}
		ids := w.tags[t.ID()]
		seen := map[string]bool{"": true}
		for _, id := range ids {
			seen[id] = true
		}
		for ref := range t.Elements {
			if ref.Name() == "obj_ref" && !seen[ref.ID()] {
				seen[ref.ID()] = true
				ids = append(ids, ref.ID())
			}
		}
		w.tags[t.ID()] = ids
	}
	resources := w.root.Path("configuration", "resources")
	users := map[string][]string{}
	collectTemplateUsers(resources, users, map[[2]string]bool{})
	for t := range resources.Elements {
		if t.Name() == "template" {
			w.tags[t.ID()] = users[t.ID()]
		}
	}
}

// collectTemplateUsers notes the resources below an element by the template that
// they use, each once.
func collectTemplateUsers(n *cib.Node, users map[string][]string, seen map[[2]string]bool) {
	for c := range n.Elements {
		if variantOf(c.Name()) == 0 {
			continue
		}
		use := [2]string{c.Attr("template"), c.ID()}
		if use[0] != "" && !seen[use] {
			seen[use] = true
			users[use[0]] = append(users[use[0]], use[1])
		}
		collectTemplateUsers(c, users, seen)
	}
}
