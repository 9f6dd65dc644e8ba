package scheduler

import (
	"maps"
	"strings"
)

// orderUnfencing puts an action after unfencing of its node, where the resource
// requires it, or is a device while others require it: devices that unfence
// often cannot even be asked before.
func (w *working) orderUnfencing(r *resource, n *node, a *action, e effect) {
	if !(r.fenceDevice && w.haveUnfence) && r.requires != needsUnfencing {
		return
	}
	// Only an order: else each new resource would have its node unfenced, and
	// with that all others there restarted.
	w.order(w.fenceAction(n, "on", true, "", false), a, e)
	if unfenced, ok := n.attrs["#node-unfenced"]; !ok || unfenced == "0" {
		w.triggerUnfencing(nil, n, "the "+a.task+" of "+r.id+" requires it", nil)
	}
}

// triggerUnfencing makes unfencing necessary because of a change of a fence
// device r (nil: of none in particular), on n or, where that cannot be (or n
// is nil), wherever r may run; dependency, if there is one, comes after it.
func (w *working) triggerUnfencing(r *resource, n *node, why string, dependency *action) {
	switch {
	case !w.haveUnfence, r != nil && !r.fenceDevice:
	case n.canBeUnfenced():
		w.unfence(n, why, dependency)
	case r != nil:
		for _, m := range w.nodes {
			if r.allowed.get(m).present && m.canBeUnfenced() {
				w.unfence(m, why, dependency)
			}
		}
	}
}

func (n *node) canBeUnfenced() bool { return n != nil && n.online && !n.unclean && !n.shutdown }

func (w *working) unfence(n *node, why string, dependency *action) {
	unfence := w.fenceAction(n, "on", false, why, false)
	if dependency != nil {
		w.order(unfence, dependency, onlyOrder)
	}
}

// deviceChanged compares the devices that unfence with what is recorded, in
// attributes of the node, of the time when it was unfenced. It reports whether
// any changed, and what has to be recorded now. Parameters that are kept secret
// do not count.
func (w *working) deviceChanged(n *node) (changed bool, all, secure string) {
	recorded, known := n.attrs["#digests-all"]
	for _, r := range w.unfencingDevices() {
		a, s := w.deviceDigests(r, n)
		if known && !strings.Contains(recorded, a) && !strings.Contains(n.attrs["#digests-secure"], s) {
			changed = true
		}
		all, secure = all+a+",", secure+s+","
	}
	return changed, all, secure
}

// unfencingDevices are the devices concerned, the last first.
func (w *working) unfencingDevices() []*resource {
	var list []*resource
	for _, top := range w.resources {
		for r := range top.primitives {
			if r.fenceDevice && (r.requires == needsUnfencing || strings.EqualFold(r.meta["provides"], "unfencing")) {
				list = append([]*resource{r}, list...)
			}
		}
	}
	return list
}

// deviceDigests are "device:agent:digest" of all parameters of a device, and of
// those that are no secrets.
func (w *working) deviceDigests(r *resource, n *node) (all, secure string) {
	params := maps.Clone(w.paramsOf(r, n))
	delete(params, "pcmk_external_ip") // what it is called with, not what it is
	name := r.id + ":" + r.agentType + ":"
	all = name + ParamsDigest(params)
	for _, secret := range []string{"passwd", "password", "user"} {
		delete(params, secret)
	}
	return all, name + ParamsDigest(params)
}
