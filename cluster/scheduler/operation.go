package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// operations reads the configured operations of a resource once for all its
// instances.
func (d *definition) operations(w *working) []*opDef {
	if d.opsRead {
		return d.ops
	}
	d.opsRead = true
	section := w.view.Deref(d.xml.Child("operations"))
	for xml := range section.Elements {
		if xml.Name() != "op" {
			continue
		}
		o := &opDef{id: xml.ID(), name: xml.Attr("name"), interval: milliseconds(xml.Attr("interval"), 0),
			role: readRole(xml.Attr("role")), enabled: true, xml: xml}
		if v, ok := cib.ParseBool(xml.Attr("enabled")); ok {
			o.enabled = v
		}
		for _, other := range d.ops {
			if other.name == o.name && other.interval == o.interval {
				other.repeated, o.repeated = true, true
			}
		}
		d.ops = append(d.ops, o)
	}
	return d.ops
}

// findOp is the configured operation, nil if there is none; disabled ones only if asked for.
func (r *resource) findOp(name string, interval int64, disabled bool) *opDef {
	for _, o := range r.ops {
		if o.interval == interval && (disabled || o.enabled) && strings.EqualFold(o.name, name) {
			return o
		}
	}
	return nil
}

// configOf finds the operation that configures a task under a key; an operation
// "migrate" stands for both ends of a migration, "notify" for all notifications.
func (r *resource) configOf(key string, interval int64) *opDef {
	if o := r.findOp(key, interval, true); o != nil {
		return o
	}
	switch {
	case strings.Contains(key, taskMigrateTo), strings.Contains(key, taskMigrateFrom):
		return r.findOp("migrate", 0, true)
	case strings.Contains(key, "_notify_"):
		return r.findOp(taskNotify, 0, true)
	}
	return nil
}

// mostFrequentMonitor is the enabled recurring monitor with the shortest
// interval, nil if there is none. Probes take their time-out from it.
func (r *resource) mostFrequentMonitor() *opDef {
	var least *opDef
	for _, o := range r.ops {
		if o.enabled && o.interval > 0 && strings.EqualFold(o.name, taskMonitor) && (least == nil || o.interval < least.interval) {
			least = o
		}
	}
	return least
}
