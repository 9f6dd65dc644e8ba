package scheduler

import "github.com/takt-ha/takt/cluster/cib"

func (w *working) unpackTicketConstraint(c *cib.Node) {
	if c.Attr("ticket") == "" {
		w.warn("ticket constraint " + c.ID() + " names no ticket: it is ignored")
		return
	}
	sets := w.readSets(c)
	if c.Child("resource_set") == nil {
		sets = []*resourceSet{w.nameAsSet(c, c.Attr("rsc"), c.Attr("rsc-role"), "")}
	}
	for _, s := range sets {
		members, all := s.found()
		for _, r := range members {
			w.addTicketConstraint(c, r, readRole(s.role))
		}
		if !all {
			return
		}
	}
}

func (w *working) addTicketConstraint(c *cib.Node, r *resource, role Role) {
	if role == Started {
		role = ""
	}
	k := &ticketConstraint{id: c.ID(), ticket: w.ticketNamed(c.Attr("ticket")), rsc: r, role: role}
	switch c.Attr("loss-policy") {
	case "fence":
		if k.loss = lossFence; !w.options.fencing {
			w.warn("ticket constraint " + c.ID() + ": loss-policy=fence is taken as stop, because fencing is off")
			k.loss = lossStop
		}
	case "freeze":
		k.loss = lossFreeze
	case "demote":
		k.loss = lossDemote
	case "stop":
		k.loss = lossStop
	default:
		if role == Promoted {
			k.loss = lossDemote
		}
	}
	r.ticketed = append(r.ticketed, k)
	if !k.ticket.granted || k.ticket.standby {
		w.loseTicket(r, k)
	}
}

// loseTicket applies the loss (or standby) of a ticket to all that is below r.
func (w *working) loseTicket(r *resource, k *ticketConstraint) {
	for _, c := range r.children {
		w.loseTicket(c, k)
	}
	if len(r.children) > 0 {
		return
	}
	ban := func(why string) {
		for _, n := range w.nodes {
			r.prefer(n, -Infinity, TermTicket, k.ticket.id, func() string { return why })
		}
	}
	forAll := k.role != Promoted || k.loss == lossStop
	switch {
	case k.ticket.granted:
		if forAll {
			ban("ticket " + k.ticket.id + " is in standby")
		}
	case len(r.running) == 0:
		if forAll {
			ban("ticket " + k.ticket.id + " is not granted to this site")
		}
	case k.loss == lossStop, k.loss == lossDemote && k.role != Promoted:
		ban("ticket " + k.ticket.id + " was taken away")
	case k.loss != lossDemote && k.role != "" && k.role != r.role:
		// Only what has the role that needs the ticket is fenced or left alone.
	case k.loss == lossFence:
		ban("ticket " + k.ticket.id + " was taken away")
		for _, n := range r.running {
			w.fenceNode(n, "ticket "+k.ticket.id+" was taken away while "+r.id+" ran (loss-policy=fence)", false)
		}
	case k.loss == lossFreeze:
		r.managed, r.blocked = false, true
		r.blockedWhy = "ticket " + k.ticket.id + " was taken away (loss-policy=freeze)"
	}
}
