package schedtest

import "github.com/takt-ha/takt/cluster/cib"

// options makes the cluster's options.
func (g *generator) options() []*cib.Node {
	fencing := "false"
	if g.has(Fencing) {
		fencing = "true"
	}
	list := []pair{{"stonith-enabled", fencing}}
	maybe := func(f Features, p int, name string, values ...string) {
		if g.with(f, p) {
			list = append(list, pair{name, g.pick(values...)})
		}
	}
	maybe(Quorum, 90, "no-quorum-policy", "stop", "freeze", "ignore", "suicide", "demote")
	maybe(Asymmetric, 70, "symmetric-cluster", "false")
	maybe(Unmanaged, 15, "maintenance-mode", "true")
	maybe(Utilization, 80, "placement-strategy", "utilization", "minimal", "balanced", "balanced", "default")
	maybe(Fencing, 20, "startup-fencing", "false")
	maybe(Fencing, 30, "stonith-action", "off", "reboot")
	maybe(Fencing, 20, "concurrent-fencing", "true", "false")
	maybe(Fencing, 15, "priority-fencing-delay", "30s")
	if g.with(Fencing, 10) {
		list = append(list, pair{"have-watchdog", "true"}, pair{"stonith-watchdog-timeout", g.pick("0", "10s")})
	}
	maybe(Health, 90, "node-health-strategy", "none", "migrate-on-red", "only-green", "progressive", "custom")
	maybe(Health, 30, "node-health-base", "10", "-10")
	maybe(Health, 30, "node-health-yellow", "-5", "-100")
	maybe(Health, 30, "node-health-red", "-10", "-INFINITY")
	maybe(Health, 20, "node-health-green", "5")
	maybe(Options, 8, "stop-all-resources", "true")
	maybe(Options, 20, "stop-orphan-resources", "false")
	maybe(Options, 20, "stop-orphan-actions", "false")
	maybe(Options, 25, "start-failure-is-fatal", "false")
	maybe(Options, 15, "enable-startup-probes", "false")
	maybe(Options, 10, "remove-after-stop", "true")
	maybe(Shutdown, 30, "shutdown-lock", "true")
	maybe(Shutdown, 10, "shutdown-lock-limit", "5min")
	maybe(Migration, 5, "migration-limit", "1")
	g.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return []*cib.Node{g.pairs("cluster_property_set", "cib-bootstrap-options", list)}
}

// defaults makes op_defaults or rsc_defaults, nil where there are none.
func (g *generator) defaults(element string) *cib.Node {
	var list []pair
	maybe := func(p int, name string, values ...string) {
		if g.percent(p) {
			list = append(list, pair{name, g.pick(values...)})
		}
	}
	if element == "op_defaults" {
		if !g.has(Defaults) {
			return nil
		}
		maybe(60, "timeout", "30s", "60s", "2min")
		maybe(15, "on-fail", "restart", "block", "ignore", "stop")
		maybe(15, "record-pending", "true", "false")
		maybe(10, "interval", "30s")
	} else {
		if g.with(Stickiness, 50) {
			maybe(100, "resource-stickiness", "1", "100", "INFINITY", "-100")
		}
		if g.has(Defaults) {
			maybe(30, "migration-threshold", "1", "3")
			maybe(30, "failure-timeout", "60s", "1h")
			maybe(10, "target-role", "Stopped", "Started")
			maybe(10, "is-managed", "false")
			maybe(15, "multiple-active", "stop_only", "block", "stop_start")
			maybe(15, "allow-migrate", "true")
			maybe(10, "priority", "5")
		}
	}
	set := g.pairs("meta_attributes", g.id(element+"-"), list)
	if set == nil {
		return nil
	}
	if g.with(Defaults, 35) {
		return cib.NewNode(element).WithChild(set.WithChild(g.rule(element, nil)))
	}
	for _, p := range list {
		if p.name == "timeout" {
			g.opTimeout = p.value
		}
	}
	return cib.NewNode(element).WithChild(set)
}
