package scheduler

import (
	"cmp"
	"slices"
	"strings"
)

// notifyEnv is what the agents of a clone with notify=true are told about all
// its instances: what they are, and what happens to them in this transition.
type notifyEnv struct {
	start, stop, promote, demote           []notifyEntry
	active, inactive, promoted, unpromoted []notifyEntry
	pairs                                  map[string]string // meta attributes, by name
}

// notifyEntry is an instance and its node, nil if it has none.
type notifyEntry struct {
	r *resource
	n *node
}

func (e *notifyEnv) set(name, value string) {
	if e.pairs == nil {
		e.pairs = map[string]string{}
	}
	e.pairs[name] = value
}

// collect notes what a primitive is and (changes) what happens to it.
func (e *notifyEnv) collect(r *resource, changes bool) {
	entry := notifyEntry{r, r.current()}
	switch r.role {
	case Stopped:
		e.inactive = append(e.inactive, entry)
	case Started:
		e.active = append(e.active, entry)
	case Unpromoted:
		e.unpromoted = append(e.unpromoted, entry)
		e.active = append(e.active, entry)
	case Promoted:
		e.promoted = append(e.promoted, entry)
		e.active = append(e.active, entry)
	}
	if !changes {
		return
	}
	for i := len(r.actions) - 1; i >= 0; i-- {
		a := r.actions[i]
		// What cannot stop on a node that is fenced is told nevertheless.
		if a.is(optional) || a.node == nil || !a.is(runnable) && !(a.task == taskStop && a.node.unclean) {
			continue
		}
		if list := e.of(a.task); list != nil {
			*list = append(*list, notifyEntry{r, a.node})
		}
	}
}

// of are the instances to which a task will happen.
func (e *notifyEnv) of(task string) *[]notifyEntry {
	switch task {
	case taskStart:
		return &e.start
	case taskStop:
		return &e.stop
	case taskPromote:
		return &e.promote
	case taskDemote:
		return &e.demote
	}
	return nil
}

// describe puts what was collected into words.
func (w *working) describe(r *resource, e *notifyEnv) {
	for _, task := range notifiedTasks {
		e.list("notify_"+task, *e.of(task))
	}
	e.list("notify_active", e.active)
	e.list("notify_unpromoted", e.unpromoted)
	e.list("notify_slave", e.unpromoted) // the names that older agents know
	e.list("notify_promoted", e.promoted)
	e.list("notify_master", e.promoted)
	ids, _ := join(e.inactive)
	e.set("notify_inactive_resource", ids)
	w.listNodes(r, e)
}

// listNodes names the nodes where instances may be, and all there are; with
// container-attribute-target=host also the hosts of guests in their place.
func (w *working) listNodes(r *resource, e *notifyEnv) {
	var available, all, hosts []string
	for _, n := range w.nodes {
		if r.allowed.get(n).present {
			available = append(available, n.name)
		}
		all = append(all, n.name)
		if n.isGuest() && len(n.connection.container.running) > 0 {
			n = n.connection.container.current()
		}
		hosts = append(hosts, n.name)
	}
	e.set("notify_available_uname", words(available))
	e.set("notify_all_uname", words(all))
	if strings.EqualFold(r.metaOf("container-attribute-target"), "host") {
		e.set("notify_all_hosts", words(hosts))
	}
}

// list sets the names of instances, and those of their nodes.
func (e *notifyEnv) list(name string, list []notifyEntry) {
	ids, nodes := join(list)
	e.set(name+"_resource", ids)
	e.set(name+"_uname", nodes)
}

// join are the names of instances, each once, and those of their nodes.
func join(list []notifyEntry) (ids, nodes string) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b notifyEntry) int {
		return cmp.Or(strings.Compare(a.r.id, b.r.id), strings.Compare(a.place(), b.place()))
	})
	var resources, places []string
	for i, entry := range list {
		if i > 0 && list[i-1].r == entry.r {
			continue
		}
		resources = append(resources, entry.r.id)
		if entry.n != nil {
			places = append(places, entry.n.name)
		}
	}
	return words(resources), words(places)
}

func (e notifyEntry) place() string {
	if e.n == nil {
		return ""
	}
	return e.n.name
}

// words are names with blanks between them; agents expect one blank for none.
func words(list []string) string {
	if len(list) == 0 {
		return " "
	}
	return strings.Join(list, " ")
}
