package cib

// What became of the cluster options of old: renamed, taken away, or made a
// default for resources or operations.
var (
	renamedOptions = map[string]string{
		"cluster_recheck_interval": "cluster-recheck-interval",
		"dc_deadtime":              "dc-deadtime",
		"election_timeout":         "election-timeout",
		"no_quorum_policy":         "no-quorum-policy",
		"remove_after_stop":        "remove-after-stop",
		"shutdown_escalation":      "shutdown-escalation",
		"startup_fencing":          "startup-fencing",
		"stonith_action":           "stonith-action",
		"stonith_enabled":          "stonith-enabled",
		"stop_orphan_actions":      "stop-orphan-actions",
		"stop_orphan_resources":    "stop-orphan-resources",
		"symmetric_cluster":        "symmetric-cluster",
		"transition_idle_timeout":  "cluster-delay",
	}
	goneOptions = map[string]bool{
		"expected-quorum-votes": true, "notification-agent": true, "notification-recipient": true,
		"default-migration-threshold": true, "default_migration_threshold": true,
		"default-resource-failure-stickiness": true, "default_resource_failure_stickiness": true,
	}
	movedOptions = map[string]movedOption{
		"default-resource-stickiness": {"rsc_defaults", "resource-stickiness"},
		"default_resource_stickiness": {"rsc_defaults", "resource-stickiness"},
		"is-managed-default":          {"rsc_defaults", "is-managed"},
		"is_managed_default":          {"rsc_defaults", "is-managed"},
		"default-action-timeout":      {"op_defaults", "timeout"},
		"default_action_timeout":      {"op_defaults", "timeout"},
	}
)

// movedOption is the section and name that an option has now.
type movedOption struct{ section, name string }

// clusterOptions upgrades crm_config, and the defaults with what moves there.
func (u *upgrader) clusterOptions(config *Node) *Node {
	moved := map[string][]*Node{}
	config = config.Edited(func(section *Node) *Node {
		if section.name != "crm_config" {
			return section
		}
		return section.Edited(func(set *Node) *Node { return u.propertySet(set, moved) })
	})
	for _, section := range [...]string{"op_defaults", "rsc_defaults"} {
		if len(moved[section]) > 0 {
			config = u.addDefaults(config, section, moved[section])
		}
	}
	return config
}

// propertySet upgrades one set; one that has nothing left goes.
func (u *upgrader) propertySet(set *Node, moved map[string][]*Node) *Node {
	if set.name != "cluster_property_set" {
		return set
	}
	ruled := set.Child("rule") != nil
	kept := set.Edited(func(pair *Node) *Node {
		name := pair.Attr("name")
		to, moves := movedOptions[name]
		switch {
		case pair.name != "nvpair":
			return pair
		case renamedOptions[name] != "":
			u.note("cluster option %s is called %s now", name, renamedOptions[name])
			return pair.WithAttr("name", renamedOptions[name])
		case goneOptions[name], name == "cluster-infrastructure" && pair.Attr("value") != "corosync":
			u.note("cluster option %s is gone: it has no effect", name)
			return nil
		case moves && ruled:
			u.note("cluster option %s is gone: a rule decided it; set %s in %s", name, to.name, to.section)
			return nil
		case moves:
			moved[to.section] = append(moved[to.section], pair.WithAttr("name", to.name))
			return nil
		}
		return pair
	})
	if kept != set && kept.Child("nvpair") == nil && !ruled {
		return nil
	}
	return kept
}

// addDefaults puts options into a section of defaults: into its first set
// without a rule. What a set there gives already stays as it is.
func (u *upgrader) addDefaults(config *Node, section string, pairs []*Node) *Node {
	old := config.Child(section)
	var add []*Node
	for _, pair := range pairs {
		name := pair.Attr("name")
		if givenIn(old, name) {
			u.note("the cluster option for %s is gone: %s gives it already", name, section)
			continue
		}
		add = append(add, pair)
	}
	target := plainSet(old, "meta_attributes")
	// Where only rules decide, nothing is added beside them, as in Pacemaker.
	lost := target == nil && old.Child("meta_attributes") != nil
	for _, pair := range add {
		if lost {
			u.note("the cluster option for %s is gone: in %s, rules decide", pair.Attr("name"), section)
		} else {
			u.note("the cluster option for %s is in %s now", pair.Attr("name"), section)
		}
	}
	switch {
	case len(add) == 0 || lost:
		return config
	case target != nil:
		return config.WithReplaced(old, old.WithReplaced(target, target.WithChild(add...)))
	}
	set := NewNode("meta_attributes", "id", u.freshID(section+"-options")).WithChild(add...)
	return config.WithPath(func(n *Node) *Node { return n.WithChild(set) }, section)
}

func givenIn(section *Node, name string) bool {
	for set := range section.Elements {
		if set.name == "meta_attributes" && set.pair(name) != nil {
			return true
		}
	}
	return false
}
