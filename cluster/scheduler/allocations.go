package scheduler

// allocations say where each primitive goes and why. Scores and terms are
// written out only where they were asked for: they are one entry for each
// resource and node.
func (w *working) allocations() []Allocation {
	var list []Allocation
	for _, top := range w.resources {
		for r := range top.primitives {
			list = append(list, w.allocation(r))
		}
	}
	return list
}

func (w *working) allocation(r *resource) Allocation {
	a := Allocation{Resource: r.id, Role: r.next, Blocked: r.blocked}
	if r.chosen != nil {
		a.Node = r.chosen.name
	}
	if r.chosen == nil && r.managed || r.next == "" {
		a.Role = Stopped
	}
	for _, n := range r.running {
		a.From = append(a.From, n.name)
	}
	a.Reason = w.allocationReason(r)
	if !w.wantScores {
		return a
	}
	a.Scores = make(map[string]Score, len(w.nodes))
	for _, n := range w.nodes {
		if at := r.allowed.get(n); at.present {
			a.Scores[n.name] = at.score
		}
		if why := n.whyUnavailable(); why != "" {
			a.Terms = append(a.Terms, Term{Node: n.name, Score: -Infinity, Kind: TermState, Why: why})
		}
	}
	for i := range r.terms {
		a.Terms = w.appendTerm(a.Terms, &r.terms[i])
	}
	return a
}

// appendTerm puts a term into words; one of every node becomes one for each.
func (w *working) appendTerm(list []Term, t *term) []Term {
	p := Term{Score: t.score, Kind: t.kind, Object: t.object}
	if t.why != nil {
		p.Why = t.why()
	}
	if t.node != nil {
		p.Node = t.node.name
		return append(list, p)
	}
	for _, n := range w.nodes {
		p.Node = n.name
		list = append(list, p)
	}
	return list
}

// allocationReason says in one sentence where a resource goes, or why nowhere.
func (w *working) allocationReason(r *resource) string {
	switch {
	case r.blocked:
		return r.id + " is left alone" + colon(firstOf(r.blockedWhy, r.failure))
	case !r.managed && r.maintenance:
		return r.id + " is left alone: it is in maintenance"
	case !r.managed:
		return r.id + " is left alone: it is not managed"
	case r.chosen == nil:
		return r.id + " runs nowhere" + colon(w.whyNowhere(r))
	case r.waiting() != nil:
		return r.id + " waits to run on " + r.chosen.name + colon(w.whyNot(r.waiting()))
	case r.runs(r.chosen):
		return r.id + " stays on " + r.chosen.name
	case len(r.running) > 0:
		return r.id + " moves from " + names(r.running) + " to " + r.chosen.name
	}
	return r.id + " runs on " + r.chosen.name
}

// waiting is the start that a resource needs and that cannot happen now, nil if
// there is none.
func (r *resource) waiting() *action {
	if a := r.find(taskStart, 0, r.chosen); a != nil && !a.is(optional) && !a.is(runnable) {
		return a
	}
	return nil
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// whyNowhere is what keeps a resource from every node.
func (w *working) whyNowhere(r *resource) string {
	switch {
	case r.waits != "":
		return r.waits
	case r.orphan:
		return "it is not configured any more"
	case r.stoppedWhy != "":
		return r.stoppedWhy
	case r.next == Stopped && r.metaOf("target-role") != "":
		return "its target-role is Stopped"
	}
	why := ""
	for _, n := range w.nodes {
		one := n.whyUnavailable()
		for i := len(r.terms) - 1; one == "" && i >= 0; i-- {
			if t := &r.terms[i]; t.score <= -Infinity && (t.node == n || t.node == nil) && t.why != nil {
				one = n.name + ": " + t.why()
			}
		}
		if one == "" || one == why {
			continue
		}
		if why != "" {
			return why + ", and other nodes are no better"
		}
		why = one
	}
	if why == "" {
		return "no node is allowed"
	}
	return why
}
