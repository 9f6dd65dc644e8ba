package scheduler

import (
	"maps"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// options are the cluster's properties as far as they bear on decisions.
type options struct {
	symmetric, maintenance, stopAll    bool
	fencing, startupFencing            bool
	stopOrphans, stopOrphanOps, probes bool
	startFailureFatal, quorate         bool
	noQuorum, placement, name          string
	all                                map[string]string
}

func (w *working) unpackOptions() {
	sets := map[string]string{}
	main := w.view.Root.Path("configuration", "crm_config")
	match := func(set *cib.Node) bool { return w.setApplies(set, ruleContext{}) }
	first := func(set *cib.Node) bool { return set.ID() == "cib-bootstrap-options" && match(set) }
	maps.Copy(sets, w.view.Pairs(main, "cluster_property_set", first))
	for name, value := range w.view.Pairs(main, "cluster_property_set", match) {
		if _, dup := sets[name]; !dup {
			sets[name] = value
		}
	}
	o := &w.options
	o.all = sets
	flag := func(def bool, names ...string) bool {
		for _, name := range names {
			if v, ok := cib.ParseBool(sets[name]); ok {
				return v
			}
		}
		return def
	}
	o.symmetric = flag(true, "symmetric-cluster", "symmetric_cluster")
	o.maintenance = flag(false, "maintenance-mode")
	o.stopAll = flag(false, "stop-all-resources")
	o.fencing = flag(true, "stonith-enabled", "fencing-enabled", "stonith_enabled")
	o.startupFencing = flag(true, "startup-fencing", "startup_fencing")
	o.stopOrphans = flag(true, "stop-orphan-resources", "stop_orphan_resources")
	o.stopOrphanOps = flag(true, "stop-orphan-actions", "stop_orphan_actions")
	o.probes = flag(true, "enable-startup-probes")
	o.startFailureFatal = flag(true, "start-failure-is-fatal")
	o.quorate, _ = cib.ParseBool(w.root.Attr("have-quorum"))
	o.noQuorum = firstOf(sets["no-quorum-policy"], sets["no_quorum_policy"], "stop")
	o.placement = firstOf(sets["placement-strategy"], "default")
	o.name = sets["cluster-name"]
	if o.noQuorum == "ignore" {
		o.quorate = true
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// milliseconds reads a duration; def if it is absent or not understood.
func milliseconds(s string, def int64) int64 {
	if s == "" {
		return def
	}
	d, err := cib.Duration(s)
	if err != nil {
		return def
	}
	return int64(d / time.Millisecond)
}
