package scheduler

import (
	"maps"
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// defaultTimeout is the time-out of operations that name none, in ms.
const defaultTimeout = 20_000

// opDef is a configured operation.
type opDef struct {
	name     string
	interval int64 // ms
	role     Role  // of monitors: the role in which they run
	enabled  bool
	xml      *cib.Node
	meta     map[string]string
}

// unpackOps reads the operations; those of a template count unless the
// resource has one of the same name and interval.
func (w *working) unpackOps(r *resource) {
	r.ops = nil
	seen := map[string]bool{}
	for _, owner := range []*cib.Node{r.xml, r.template} {
		for n := range w.view.Deref(owner.Child("operations")).Elements {
			op := w.view.Deref(n)
			if op.Name() != "op" {
				continue
			}
			d := w.opDef(r, op)
			key := d.name + "_" + strconv.FormatInt(d.interval, 10)
			if d.name == "monitor" && d.interval > 0 && seen[key] {
				w.warn("resource " + r.id + ": two operations " + key + ": the second is ignored; give it another interval")
				continue
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			r.ops = append(r.ops, d)
		}
	}
}

func (w *working) opDef(r *resource, op *cib.Node) *opDef {
	d := &opDef{name: op.Attr("name"), interval: milliseconds(op.Attr("interval"), 0), xml: op}
	d.meta = w.opMeta(r, op, d.name, d.interval)
	d.enabled = d.meta["enabled"] == "" || truth(d.meta["enabled"])
	if d.role = readRole(d.meta["role"]); d.role == "" {
		d.role = Started
	}
	return d
}

// opMeta merges an operation's attributes, its meta sets and op_defaults.
func (w *working) opMeta(r *resource, op *cib.Node, name string, interval int64) map[string]string {
	ctx := r.context(nil)
	ctx.inOp, ctx.op, ctx.interval = true, name, interval
	match := func(set *cib.Node) bool { return w.setApplies(set, ctx) }
	meta := w.view.Pairs(w.root.Path("configuration", "op_defaults"), "meta_attributes", match)
	maps.Copy(meta, w.view.Pairs(op, "meta_attributes", match))
	for _, a := range op.Attrs() {
		if a.Name != "id" && a.Name != "name" && a.Name != "interval" {
			meta[a.Name] = a.Value
		}
	}
	return meta
}

// findOp returns the configured operation, nil if there is none. A probe
// without one of its own takes the monitor with the shortest interval.
func (r *resource) findOp(name string, interval int64) *opDef {
	var shortest *opDef
	for _, d := range r.ops {
		if d.name != name {
			continue
		}
		if d.interval == interval {
			return d
		}
		if d.interval > 0 && (shortest == nil || d.interval < shortest.interval) {
			shortest = d
		}
	}
	if name == "monitor" && interval == 0 {
		return shortest
	}
	return nil
}

// opSettings are the meta attributes with which an operation runs.
func (w *working) opSettings(r *resource, name string, interval int64) (map[string]string, *opDef) {
	d := r.findOp(name, interval)
	if d == nil {
		return w.opMeta(r, nil, name, interval), nil
	}
	return d.meta, d
}

// timeout of an operation, in ms.
func timeoutOf(meta map[string]string) int64 {
	if t := milliseconds(meta["timeout"], defaultTimeout); t > 0 {
		return t
	}
	return defaultTimeout
}

// opParams are the parameters of an operation: the resource's and its own.
func (w *working) opParams(r *resource, d *opDef, m *member) map[string]string {
	params := w.params(r, m)
	if d != nil {
		match := func(set *cib.Node) bool { return w.setApplies(set, ruleContext{node: m}) }
		maps.Copy(params, w.view.Pairs(d.xml, "instance_attributes", match))
	}
	return params
}

// onFail is what a failure of the operation leads to.
func (w *working) onFail(r *resource, name string, interval int64) string {
	meta, _ := w.opSettings(r, name, interval)
	policy := firstOf(meta["on-fail"], meta["on_fail"])
	switch policy {
	case "ignore", "block", "stop", "standby", "fence", "demote", "restart":
	case "nothing":
		policy = "ignore"
	default:
		policy = ""
	}
	if name == "stop" && policy != "block" && policy != "ignore" && policy != "standby" {
		if policy == "" && !w.options.fencing {
			return "block"
		}
		return "fence"
	}
	return firstOf(policy, "restart")
}
