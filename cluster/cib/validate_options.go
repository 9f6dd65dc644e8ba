package cib

// Options whose values are known, in either spelling of those that have two.
// A value that the cluster could not read would silently be the default, so it
// is refused. Options that are not listed may have any value.

var resourceOptions = map[string]attrType{
	"priority": priorityType, "critical": boolType, "is-managed": boolType, "maintenance": boolType,
	"target-role": targetRoleType, "resource-stickiness": scoreType, "migration-threshold": scoreType,
	"failure-timeout": durationType, "allow-migrate": boolType, "allow-unhealthy-nodes": boolType,
	"multiple-active":             enum("block", "stop_only", "stop_start", "stop_unexpected"),
	"requires":                    enum("nothing", "quorum", "fencing", "unfencing"),
	"clone-max":                   countType,
	"clone-node-max":              countType,
	"clone-min":                   countType,
	"globally-unique":             boolType,
	"ordered":                     boolType,
	"interleave":                  boolType,
	"notify":                      boolType,
	"promotable":                  boolType,
	"promoted-max":                countType,
	"promoted-node-max":           countType,
	"master-max":                  countType,
	"master-node-max":             countType,
	"container-attribute-target":  textType,
	"remote-port":                 countType,
	"remote-connect-timeout":      durationType,
	"remote-allow-migrate":        boolType,
	"record-pending":              boolType,
	"enabled":                     boolType,
	"timeout":                     durationType,
	"start-delay":                 durationType,
	"is_managed":                  boolType,
	"resource_stickiness":         scoreType,
	"target_role":                 targetRoleType,
	"migration_threshold":         scoreType,
	"resource-failure-stickiness": scoreType,
}

var clusterOptions = map[string]attrType{
	"symmetric-cluster": boolType, "maintenance-mode": boolType, "stop-all-resources": boolType,
	"stop-orphan-resources": boolType, "stop-orphan-actions": boolType, "start-failure-is-fatal": boolType,
	"stonith-enabled": boolType, "fencing-enabled": boolType, "startup-fencing": boolType, "concurrent-fencing": boolType,
	"enable-startup-probes": boolType, "shutdown-lock": boolType, "remove-after-stop": boolType, "is-managed-default": boolType,
	"enable-acl":                  boolType,
	"no-quorum-policy":            enum("ignore", "freeze", "stop", "demote", "suicide", "fence"),
	"stonith-action":              enum("reboot", "off", "poweroff"),
	"fencing-action":              enum("reboot", "off", "poweroff"),
	"stonith-timeout":             durationType,
	"fencing-timeout":             durationType,
	"claim-delay":                 durationType,
	"takeover-delay":              durationType,
	"stonith-watchdog-timeout":    textType, // also -1, for twice the watchdog's own
	"cluster-delay":               durationType,
	"cluster-recheck-interval":    durationType,
	"dc-deadtime":                 durationType,
	"election-timeout":            durationType,
	"shutdown-escalation":         durationType,
	"transition-delay":            durationType,
	"priority-fencing-delay":      durationType,
	"shutdown-lock-limit":         durationType,
	"node-pending-timeout":        durationType,
	"placement-strategy":          enum("default", "utilization", "minimal", "balanced"),
	"node-health-strategy":        enum("none", "migrate-on-red", "only-green", "progressive", "custom"),
	"node-health-base":            scoreType,
	"node-health-green":           scoreType,
	"node-health-yellow":          scoreType,
	"node-health-red":             scoreType,
	"default-resource-stickiness": scoreType,
}

// optionsOf returns what is known of the options in a set of nvpairs.
func optionsOf(set, parent *Node) map[string]attrType {
	switch {
	case set.Name() == "cluster_property_set":
		return clusterOptions
	case set.Name() == "meta_attributes" && parent.Name() != "alert" && parent.Name() != "recipient":
		return resourceOptions
	}
	return nil
}

// options checks the values of a set of nvpairs.
func (v *validator) options(set, parent *Node) {
	known := optionsOf(set, parent)
	if known == nil || !v.values {
		return
	}
	for pair := range set.Elements {
		value, there := pair.Lookup("value")
		typ := known[pair.Attr("name")]
		if pair.name != "nvpair" || !there || value == "" || typ.check == nil || value == "#default" {
			continue
		}
		if wanted := typ.check(value); wanted != "" {
			v.path = append(v.path, "/"+stepOf(pair))
			v.reportSoft(typ.soft || v.tolerant, pair, "value", "Write "+wanted+".", "%s cannot be %q", pair.Attr("name"), value)
			v.path = v.path[:len(v.path)-1]
		}
	}
}
