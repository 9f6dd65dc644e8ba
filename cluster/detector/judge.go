package detector

// Judge appends the verdicts that follow from what was heard by the last
// Advance. Links come before their peer, peers in order of ids.
func (d *Detector) Judge(out []Verdict) []Verdict {
	u := d.clock.undisturbed()
	for i := range d.peers {
		p := &d.peers[i]
		out = d.judgeLinks(p, u, out)
		out = d.judgePeer(p, u, out)
	}
	return out
}

func (d *Detector) judgeLinks(p *peer, u int64, out []Verdict) []Verdict {
	for k := range d.cfg.Links {
		t := &p.links[k]
		up := p.up[k] && !t.silent(u, d.cfg.Deadtime) && !t.deaf(d.cfg.Deadtime) || t.fresh(u, d.cfg.Deadtime)
		if up == p.up[k] {
			continue
		}
		p.up[k] = up
		v := Verdict{Kind: LinkUp, Peer: p.id, Link: k, Heard: seen(t.heard)}
		if !up {
			v.Kind, v.Cause, v.Silent = LinkDown, d.cause(t, u), d.missing(t, u)
		}
		out = append(out, v)
	}
	return out
}

func (d *Detector) judgePeer(p *peer, u int64, out []Verdict) []Verdict {
	v := Verdict{Peer: p.id, Manager: p.manager, Heard: seen(p.all.heard)}
	fresh := p.all.fresh(u, d.cfg.Deadtime)
	over := p.all.silent(u, d.cfg.Deadtime) || p.all.deaf(d.cfg.Deadtime)
	switch {
	case p.state == alive && p.manager == Leaving:
		p.state = gone
		v.Kind, v.Cause = PeerLost, Left
	case p.state == alive && over:
		p.state = lost
		v.Kind, v.Cause, v.Silent = PeerLost, d.cause(&p.all, u), d.missing(&p.all, u)
	case p.state == unknown && over && u-p.since >= d.cfg.Deadtime:
		p.state = lost
		v.Kind, v.Cause, v.Silent = PeerLost, NeverSeen, u-p.since
	case p.state != alive && fresh && p.manager != Leaving:
		p.state, p.told = alive, p.manager
		v.Kind = PeerUp
	case p.state == alive && p.manager != p.told:
		p.told = p.manager
		v.Kind = PeerManager
	default:
		return out
	}
	return append(out, v)
}

// cause says which direction is missing.
func (d *Detector) cause(t *track, u int64) Cause {
	if t.silent(u, d.cfg.Deadtime) {
		return Silent
	}
	return Deaf
}

// missing says for how long.
func (d *Detector) missing(t *track, u int64) int64 {
	if t.silent(u, d.cfg.Deadtime) {
		return u - t.heardU
	}
	return t.heardU - t.mutualU
}

// seen maps never to 0, for verdicts.
func seen(t int64) int64 {
	if t == never {
		return 0
	}
	return t
}

// Next returns when the shell must wake at the latest: at the first moment at
// which a verdict can fall due, or after Step. wish is when the shell itself
// wants to wake (to send); lateness counts from the earliest of these.
func (d *Detector) Next(wish int64) int64 {
	next := min(wish, d.clock.now+d.cfg.Step)
	for i := range d.peers {
		p := &d.peers[i]
		if p.state == unknown {
			next = d.due(next, p.since)
		}
		if p.state == alive {
			next = d.due(next, p.all.heardU)
		}
		for k := range d.cfg.Links {
			if p.up[k] {
				next = d.due(next, p.links[k].heardU)
			}
		}
	}
	return d.clock.plan(max(next, d.clock.now))
}

// due returns the earlier of next and the dead time after undisturbed time since.
func (d *Detector) due(next, since int64) int64 {
	return min(next, since+d.cfg.Deadtime+d.clock.excused)
}
