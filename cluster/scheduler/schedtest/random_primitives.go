package schedtest

func (g *generator) primitive(parent *resource) *resource {
	r := g.newResource("primitive", "p", parent)
	r.class, r.provider, r.typ = "ocf", "pacemaker", "Dummy"
	promotable := parent != nil && (parent.promotable || parent.parent != nil && parent.parent.promotable)
	if promotable {
		r.typ = "Stateful"
	} else if g.percent(8) {
		r.class, r.provider, r.typ = g.pick("lsb", "systemd"), "", "exampled"
	}
	r.params = g.some(30, []pair{{"state", g.pick("a", "b")}, {"fake", "x"}})
	r.meta = g.commonMeta(promotable)
	g.primitiveMeta(r)
	g.operations(r, promotable)
	if g.has(Utilization) {
		r.use = g.some(70, []pair{{"cpu", g.pick("1", "2", "3")}, {"memory", g.pick("256", "512", "1024")}})
	}
	if g.with(Templates, 40) && r.class == "ocf" {
		g.putTemplate(r)
	}
	return r
}

// some keeps each pair with a chance in percent.
func (g *generator) some(p int, list []pair) []pair {
	var kept []pair
	for _, x := range list {
		if g.percent(p) {
			kept = append(kept, x)
		}
	}
	return kept
}

func (g *generator) commonMeta(promotable bool) []pair {
	var list []pair
	maybe := func(f Features, p int, name string, values ...string) {
		if g.with(f, p) {
			list = append(list, pair{name, g.pick(values...)})
		}
	}
	if g.has(TargetRole) && g.percent(30) {
		roles := []string{"Stopped", "Stopped", "Started"}
		if promotable || g.percent(5) {
			roles = append(roles, "Unpromoted", "Promoted", "Slave", "Master")
		}
		list = append(list, pair{"target-role", g.pick(roles...)})
	}
	maybe(Unmanaged, 20, "is-managed", "false", "true")
	maybe(Unmanaged, 10, "maintenance", "true")
	maybe(Priority, 40, "priority", "1", "5", "10", "-1", "INFINITY")
	maybe(Stickiness, 40, "resource-stickiness", "1", "10", "100", "INFINITY", "-10")
	return list
}

func (g *generator) primitiveMeta(r *resource) {
	maybe := func(f Features, p int, name string, values ...string) {
		if g.with(f, p) {
			r.meta = append(r.meta, pair{name, g.pick(values...)})
		}
	}
	maybe(Failures, 40, "migration-threshold", "1", "2", "3", "INFINITY", "0")
	maybe(Failures, 30, "failure-timeout", "60s", "10min", "1h")
	maybe(Migration, 60, "allow-migrate", "true", "true", "false")
	maybe(MultipleActive, 50, "multiple-active", "stop_start", "stop_only", "block", "stop_unexpected")
	maybe(Requires, 50, "requires", "nothing", "quorum", "fencing")
	maybe(Unfencing, 15, "requires", "unfencing")
	maybe(Colocations, 15, "critical", "false", "true")
	if g.with(Defaults, 10) {
		r.meta = append(r.meta, pair{"provides", "x"})
	}
	r.meta = unique(r.meta)
}

func (g *generator) operations(r *resource, promotable bool) {
	if g.percent(70) {
		op := operation{name: "monitor", interval: "10s", ms: 10_000}
		if promotable {
			op.role = g.pick("Unpromoted", "Slave", "")
		}
		r.ops = append(r.ops, op)
	}
	if promotable && g.percent(70) {
		r.ops = append(r.ops, operation{name: "monitor", interval: "11s", ms: 11_000, role: g.pick("Promoted", "Promoted", "Master")})
	}
	if g.with(Recurring, 10) {
		r.ops = append(r.ops, operation{name: "monitor", interval: "20", ms: 20_000, role: g.pick("Stopped", "Started", "")})
	}
	for _, name := range []string{"start", "stop", "promote", "demote", "migrate_to", "migrate_from"} {
		rare := name == "promote" || name == "demote"
		if g.percent(15) && (promotable || !rare) {
			r.ops = append(r.ops, operation{name: name, interval: g.pick("0", "0s")})
		}
	}
	for i := range r.ops {
		op := &r.ops[i]
		if g.percent(30) {
			op.timeout = g.pick("20s", "30", "1min")
		}
		if g.with(OnFail, 50) {
			op.onFail = g.pick(onFailValues(op.name)...)
		}
		op.disabled = op.ms > 0 && g.with(Recurring, 5)
	}
}

func onFailValues(op string) []string {
	switch op {
	case "monitor":
		return []string{"ignore", "block", "stop", "restart", "standby", "fence", "demote"}
	case "promote":
		return []string{"ignore", "block", "stop", "restart", "standby", "fence", "demote"}
	case "stop":
		return []string{"ignore", "block", "fence"}
	}
	return []string{"ignore", "block", "stop", "restart", "standby", "fence"}
}

// putTemplate moves part of a primitive into a new template.
func (g *generator) putTemplate(r *resource) {
	t := &resource{id: g.id("tmpl"), kind: "template", class: r.class, provider: r.provider, typ: r.typ}
	if g.percent(50) {
		t.ops, r.ops = r.ops, nil
	}
	if g.percent(50) {
		t.meta, r.meta = r.meta, nil
	}
	t.params = append(t.params, r.params...)
	r.params = nil
	r.template = t.id
	g.extra = append(g.extra, t.element(g))
	// What the primitive has by its template counts when its history is made.
	r.ops, r.params = append(r.ops, t.ops...), append(r.params, t.params...)
}
