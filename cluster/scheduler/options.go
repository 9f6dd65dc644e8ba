package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// unpackOptions reads the cluster's properties. An option that is set to
// something that is not understood has its default.
func (w *working) unpackOptions() {
	c := rule.Context{View: w.view, Now: w.now}
	pairs := c.Merge(nil, w.root.Path("configuration", "crm_config"), "cluster_property_set",
		rule.Options{First: "cib-bootstrap-options"})
	w.recheckAt(c.Change)
	o := &w.options
	o.all = make(map[string]string, len(pairs))
	for _, p := range pairs {
		o.all[p.Name] = p.Value
	}
	o.quorate = truth(w.root.Attr("have-quorum"))
	o.unpackFencing()
	o.unpackResourceDefaults()
	o.unpackHealth()
	o.noQuorum = w.readNoQuorumPolicy()
	w.haveFencing = o.watchdogFencing || w.shares.haveFencing()
	w.utilization = o.placement != "default"
}

// text is an option's value under its present or its old spelling
// (fencing-* for stonith-*, underscores of Heartbeat 2).
func (o *options) text(name string) string {
	if v := o.all[name]; v != "" {
		return v
	}
	if rest, ok := strings.CutPrefix(name, "stonith-"); ok {
		if v := o.all["fencing-"+rest]; v != "" {
			return v
		}
	}
	return o.all[strings.ReplaceAll(name, "-", "_")]
}

func (o *options) flag(name string, def bool) bool {
	if v, ok := cib.ParseBool(o.text(name)); ok {
		return v
	}
	return def
}

func (o *options) score(name string, def Score) Score {
	if s, ok := cib.ParseScore(o.text(name)); ok {
		return Score(s)
	}
	return def
}

func (o *options) unpackFencing() {
	o.fencing = o.flag("stonith-enabled", true)
	o.startupFencing = o.flag("startup-fencing", true)
	o.concurrentFencing = o.flag("concurrent-fencing", false)
	o.fenceTimeout = milliseconds(o.text("stonith-timeout"), 60_000)
	o.watchdogFencing = o.flag("have-watchdog", false)
	o.priorityFencingDelay = milliseconds(o.text("priority-fencing-delay"), 0)
	switch o.fenceAction = o.text("stonith-action"); o.fenceAction {
	case "off", "reboot":
	case "poweroff":
		o.fenceAction = "off"
	default:
		o.fenceAction = "reboot"
	}
}

func (o *options) unpackResourceDefaults() {
	o.symmetric = o.flag("symmetric-cluster", true)
	o.maintenance = o.flag("maintenance-mode", false)
	o.stopAll = o.flag("stop-all-resources", false)
	o.stopOrphans = o.flag("stop-orphan-resources", true)
	o.stopOrphanActions = o.flag("stop-orphan-actions", true)
	o.removeAfterStop = o.flag("remove-after-stop", false)
	o.probes = o.flag("enable-startup-probes", true)
	o.shutdownLock = o.flag("shutdown-lock", false)
	o.shutdownLockLimit = milliseconds(o.text("shutdown-lock-limit"), 0)
	o.timeoutDefault = o.text("default-action-timeout")
	o.name = o.text("cluster-name")
	switch o.placement = o.text("placement-strategy"); o.placement {
	case "utilization", "minimal", "balanced":
	default:
		o.placement = "default"
	}
}

func (o *options) unpackHealth() {
	o.healthStrategy = strings.ToLower(firstOf(o.text("node-health-strategy"), "none"))
	switch o.healthStrategy {
	case "migrate-on-red":
		o.healthRed = -Infinity
	case "only-green":
		o.healthRed, o.healthYellow = -Infinity, -Infinity
	case "progressive", "custom":
		o.healthRed = o.score("node-health-red", -Infinity)
		o.healthYellow = o.score("node-health-yellow", 0)
		o.healthGreen = o.score("node-health-green", 0)
		if o.healthStrategy == "progressive" {
			o.healthBase = o.score("node-health-base", 0)
		}
	default:
		o.healthStrategy = "none"
	}
}

// readNoQuorumPolicy: a partition that has never had quorum since it booted
// does not fence itself, it stops; nor does one that cannot fence.
func (w *working) readNoQuorumPolicy() noQuorumPolicy {
	switch w.options.text("no-quorum-policy") {
	case "ignore":
		return quorumIgnore
	case "freeze":
		return quorumFreeze
	case "demote":
		return quorumDemote
	case "suicide", "fence":
		switch {
		case !w.options.fencing:
			w.warn("no-quorum-policy: a node cannot be fenced while stonith-enabled is false: resources are stopped instead; set stonith-enabled=true or no-quorum-policy=stop")
		case w.options.quorate || atoi(w.root.Attr("no-quorum-panic")) != 0:
			return quorumFence
		}
	}
	return quorumStop
}
