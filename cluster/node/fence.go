package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// claim is what quorum wants fenced in a tie.
type claim struct {
	nodes    map[cib.NodeID]bool
	watchdog bool // the watchdogs of those outside may prove it, too
}

// asker is who waits for a request to the fencer.
type asker struct {
	ref    *controller.Ref // the controller
	claim  cib.NodeID      // a claim, about this node
	answer uint64          // an operator
	target string
	off    bool // it is to be switched off, maybe for a moment
}

// off is a proof that a node is off, until it is heard again.
//
// A proof counts only once nobody in contact with this node has heard the other one for
// a dead time: a device that switches another machine than the one it is asked for is
// a common mistake, and would let everything run twice. That this node does not hear the
// other one is not enough. It may be heard one way only, or by a third node.
//
//	Confirmed ──gone────────────────────────▶ spread
//	    └──heard──▶ waits ──gone─────────────▶ spread
//	                  └──heard for too long─▶ void
type off struct {
	Off
	doubt   time.Time // not gone until this time, it is not off; zero: the proof is spread
	answers []func(ok bool, words string)
}

// voided is a proof that was given up: its node lives.
type voided struct {
	at    time.Time // of the proof
	words string
}

// tellAuthority tells the fencer whether this node may fence: it leads a quorate
// cluster, or claims one.
func (m *Machine) tellAuthority() {
	acting, why := m.Acting()
	a := fencer.Authority{May: m.unfit() == "" && (acting && m.leading() || m.quorum.Claims())}
	a.Finish = !a.May && m.unfit() == "" && m.place == quorum.Half && m.hold.On
	switch {
	case a.May:
	case acting:
		a.Why = "another node coordinates the cluster"
		if m.log.Leader == 0 {
			a.Why = "nobody coordinates the cluster now"
		}
	default:
		a.Why = why
	}
	if a == m.told.authority {
		return
	}
	m.told.authority = a
	m.toFencer(a)
}

// ask gives a request to the fencer, and remembers who waits for it.
func (m *Machine) ask(who asker, r fencer.Request) {
	m.nextID++
	r.ID, r.Random = m.nextID, 0
	if m.cfg.Random != nil {
		r.Random = m.cfg.Random()
	}
	m.asked[r.ID] = who
	m.toFencer(fencer.Asked{Request: r})
}

// askFor is the controller's request.
func (m *Machine) askFor(f controller.Fence) {
	m.ask(asker{ref: &f.Ref, target: f.Name, off: f.Action != string(fencer.On)}, fencer.Request{
		Target: fencer.Node(f.Name), Action: fencer.Action(f.Action), Reason: f.Reason,
		By: fmt.Sprintf("transition %d.%d", f.Ref.Term, f.Ref.Transition), Delay: f.Delay,
	})
}

// claimWith begins, goes on with or ends the fencing of a claim.
func (m *Machine) claimWith(e quorum.Fence) {
	m.claim = claim{nodes: map[cib.NodeID]bool{}, watchdog: e.Watchdog}
	if len(e.Nodes) == 0 {
		// Whatever it may do from now on, what it began for the claim is recalled:
		// who is to be switched off may be a healthy member again.
		m.told.authority = fencer.Authority{Why: e.Why}
		m.toFencer(m.told.authority)
		return
	}
	open := map[cib.NodeID]bool{}
	for _, who := range m.asked {
		open[who.claim] = true
	}
	m.tellMembers()
	m.tellAuthority()
	for _, id := range e.Nodes {
		m.claim.nodes[id] = true
		if open[id] {
			continue
		}
		m.ask(asker{claim: id, target: m.name(id)}, fencer.Request{
			Target: fencer.Node(m.name(id)), Action: m.knows.action, Reason: e.Why, By: "claim of " + m.cfg.Name, Delay: e.Delay,
		})
	}
}

func (m *Machine) onFenceRequest(in FenceRequest) {
	refuse := func(why string) { m.emit(Answer{ID: in.ID, Err: why}) }
	switch id, known := m.nodeID(in.Target); {
	case !known:
		refuse(fmt.Sprintf("there is no node %q", in.Target))
	case id == m.cfg.Self && in.Action != fencer.On && m.leading():
		m.handOver("it is to be fenced by " + in.By)
		refuse(fmt.Sprintf("%s coordinates the cluster and does not fence itself: it hands the lead over; ask again", in.Target))
	default:
		m.ask(asker{answer: in.ID, target: in.Target}, fencer.Request{
			Target: fencer.Node(in.Target), Action: in.Action, Reason: in.Reason, By: in.By, Delay: -1, Check: in.Check, Try: in.Try,
		})
	}
}

func (m *Machine) onConfirmRequest(in ConfirmRequest) {
	id, known := m.nodeID(in.Target)
	if !known {
		m.emit(Answer{ID: in.ID, Err: fmt.Sprintf("there is no node %q", in.Target)})
		return
	}
	if m.heardElsewhere(id) {
		m.emit(Answer{ID: in.ID, Err: fmt.Sprintf("%s was heard a moment ago, by %s or a node in contact with it: it may be alive. Switch it off, and say so again once takt status calls it gone", in.Target, m.cfg.Name)})
		return
	}
	m.todo = append(m.todo, func() {
		m.confirm = &in
		for _, effect := range m.fencer.Step(m.now, fencer.Confirm{Node: fencer.Node(in.Target), By: in.By}) {
			m.fromFencer(effect)
		}
		m.confirm = nil
	})
}

// heardElsewhere reports whether a peer is lost to this node and yet heard, by others
// or without hearing this node: then it is not gone. Who is isolated cannot tell.
func (m *Machine) heardElsewhere(id cib.NodeID) bool {
	p := m.peers[id]
	return p != nil && p.lost && !p.Alive && !p.Gone && !p.Left && m.place >= quorum.Half
}

// fromFencer does what the fencer decided.
func (m *Machine) fromFencer(e fencer.Effect) {
	switch e := e.(type) {
	case fencer.Execute:
		id, _ := m.nodeID(string(e.Member))
		m.emit(Execute{Execute: e, MemberID: id, Generation: m.log.State.Generation, Term: m.log.Term})
	case fencer.Recall:
		id, _ := m.nodeID(string(e.Member))
		m.emit(Recall{e, id})
	case fencer.Confirmed:
		m.onConfirmed(e.Confirmation)
	case fencer.Ended:
		m.onEnded(e)
	case fencer.Refused:
		if e.Request == 0 && m.confirm != nil {
			m.emit(Answer{ID: m.confirm.ID, Err: e.Why})
		}
		m.answer(e.Request, false, false, e.Why)
	case fencer.Report:
		m.report("fencing", string(e.Target), e.Text)
	case fencer.Wake:
		m.wakes[wakeFencer] = e.At
	}
}

// onEnded tells how an operation ended. A proof that waits is not told of as a success yet, and
// one that was given up meanwhile (a reboot goes on after its off) is none, whatever followed.
func (m *Machine) onEnded(e fencer.Ended) {
	entry := e.Entry
	id, _ := m.nodeID(string(entry.Target))
	if v := m.voided[id]; entry.Proof != nil && entry.Proof.At.Equal(v.at) {
		entry.Success, entry.Proof, entry.Words = false, nil, v.words
	}
	if o := m.off[id]; entry.Proof != nil && o != nil && !o.doubt.IsZero() {
		o.answers = append(o.answers, func(ok bool, words string) {
			if !ok {
				entry.Success, entry.Proof, entry.Words = false, nil, words
			}
			m.emit(Fenced{entry})
		})
	} else {
		m.emit(Fenced{entry})
	}
	for _, request := range e.Requests {
		m.answer(request, entry.Success, entry.Proof != nil, entry.Words)
	}
}

// answer tells who asked for it how a request ended. A reboot whose on failed has
// its proof all the same.
func (m *Machine) answer(id uint64, ok, proven bool, words string) {
	who, known := m.asked[id]
	if !known {
		return
	}
	delete(m.asked, id)
	if target, _ := m.nodeID(who.target); proven {
		if o := m.off[target]; o != nil && !o.doubt.IsZero() {
			o.answers = append(o.answers, func(ok bool, words string) { m.tell(who, ok, ok, words) })
			return
		}
	}
	m.tell(who, ok, proven, words)
}

func (m *Machine) tell(who asker, ok, proven bool, words string) {
	switch {
	case who.ref != nil:
		m.toControl(controller.Fenced{Ref: *who.ref, OK: ok || proven, Words: words})
		if !ok && !proven {
			m.askReset(who.target)
		}
	case who.answer != 0 && ok:
		m.emit(Answer{ID: who.answer, Text: words})
	case who.answer != 0:
		m.emit(Answer{ID: who.answer, Err: words})
	case who.claim != 0 && !ok && !proven && m.claim.nodes[who.claim]:
		m.toQuorum(quorum.Unproven{Node: who.claim, Words: words})
	}
}

// onConfirmed spreads a proof: votes, the CIB and whoever asks rest on it.
func (m *Machine) onConfirmed(c fencer.Confirmation) {
	id, known := m.nodeID(string(c.Target))
	if !known {
		return
	}
	o := &off{Off: Off{Node: id, Since: c.At, Words: c.Words}}
	if had := m.off[id]; had != nil {
		o.answers = had.answers // who waits for the proof before it is served by this one
	}
	m.off[id] = o
	if m.confirm != nil && c.Means == fencer.ByOperator {
		m.emit(Answer{ID: m.confirm.ID, Text: c.Words})
	}
	if m.mayLive(id) {
		o.doubt = m.now.Add(m.patience())
		m.report("fencing", m.name(id), c.Words+"; that counts once "+m.name(id)+" is heard no more")
		return
	}
	m.spread(o)
}

// mayLive reports whether a node may be heard by somebody here. Who is isolated hears of
// nobody that he is gone, and can only go by himself.
func (m *Machine) mayLive(id cib.NodeID) bool {
	p := m.peers[id]
	switch {
	case p == nil:
		return m.place >= quorum.Half
	case p.Alive:
		return true
	}
	return m.place >= quorum.Half && !p.Gone && !p.Left
}

// leastDeadtime is what the heartbeats make of a shorter dead time where they do not
// run in real time (cluster/link).
const leastDeadtime = 400 * time.Millisecond

// patience is how long a proof waits for its node to fall silent: who is off is gone a
// little more than a dead time later.
func (m *Machine) patience() time.Duration {
	return max(time.Duration(m.knows.timing.Deadtime)*time.Millisecond, leastDeadtime) * 3 / 2
}

// spread tells a proof: votes and the CIB rest on it.
func (m *Machine) spread(o *off) {
	o.doubt = time.Time{}
	m.toQuorum(quorum.Proven{Node: o.Node, Since: o.Since, Words: o.Words})
	m.toControl(controller.Off{Node: o.Node, Since: o.Since, Words: o.Words})
	for _, answer := range o.answers {
		answer(true, o.Words)
	}
	o.answers = nil
}

// confirmedOff reports whether a proof that a node is off counts.
func (m *Machine) confirmedOff(id cib.NodeID) bool {
	o := m.off[id]
	return o != nil && o.doubt.IsZero()
}

// isHeard ends a proof: the node is back. What the controller has asked for about it
// is taken back, too: it was asked for because the node was lost, or the controller
// finds out anew when the node joins.
func (m *Machine) isHeard(p *peer) {
	if o := m.off[p.Node]; o != nil {
		delete(m.off, p.Node)
		for _, answer := range o.answers {
			answer(false, m.name(p.Node)+" is heard again")
		}
	}
	var ids []uint64
	for id, who := range m.asked {
		if who.ref != nil && who.off && who.target == m.name(p.Node) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) > 0 {
		m.toFencer(fencer.Withdraw{Requests: ids, Why: m.name(p.Node) + " is back: what it runs is found out when it joins"})
	}
}

// judgeOff judges the proofs that wait.
func (m *Machine) judgeOff() {
	for _, id := range slices.Sorted(maps.Keys(m.off)) {
		o, p := m.off[id], m.peers[id]
		late := !m.now.Before(o.doubt)
		switch {
		case o.doubt.IsZero():
		case p != nil && !p.Alive && (p.Gone || p.Left), p == nil && late: // nobody ever heard it
			m.spread(o)
		case late:
			m.void(o)
		}
	}
}

// void gives up a proof about a node that lives.
func (m *Machine) void(o *off) {
	delete(m.off, o.Node)
	words := fmt.Sprintf("%s is said to be off and is still heard, by %s or a node in contact with it: %s. Either the device does not do what it says, or it switches another machine: see takt fence list, and test it",
		m.name(o.Node), m.cfg.Name, o.Words)
	m.voided[o.Node] = voided{o.Since, words}
	m.report("failure", m.name(o.Node), words)
	for _, answer := range o.answers {
		answer(false, words)
	}
}

// name returns a node's name, or its number if the configuration does not know it.
func (m *Machine) name(id cib.NodeID) string {
	if n := m.knows.names[id]; n != "" {
		return n
	}
	if id == m.cfg.Self {
		return m.cfg.Name
	}
	return "node " + id.String()
}

// nodeID is the inverse.
func (m *Machine) nodeID(name string) (cib.NodeID, bool) {
	for _, id := range m.knows.ids {
		if m.knows.names[id] == name {
			return id, true
		}
	}
	return 0, false
}

// askReset is for a node that lives and has to be fenced (a stop failed there), where
// there are watchdogs alone: nothing makes its own run out.
func (m *Machine) askReset(target string) {
	id, _ := m.nodeID(target)
	p := m.peers[id]
	if p == nil || !p.Alive || !p.Watchdog.Armed || !m.leading() {
		return
	}
	why := target + " has to be fenced, and no device could do it"
	m.report("fencing", target, why+": it is asked to reset itself")
	m.emit(AskReset{Node: id, Why: why})
}
