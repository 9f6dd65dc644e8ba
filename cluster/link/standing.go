package link

import (
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/internal/mutant"
)

// judgeStanding evaluates the standing and reports a change.
func (e *Engine) judgeStanding(now int64) {
	e.fillInput(now)
	v := quorum.Evaluate(&e.input)
	if v == e.verdict {
		return
	}
	if e.lingers(now, v) {
		return
	}
	place := standings[v.Place()]
	if e.standing == Quorate && mutant.Off(mutant.Isolation) {
		place = Quorate
	}
	moved := place != e.standing
	e.verdict, e.standing, e.reason = v, place, quorum.Explain(&e.input, v, e.name)
	if !moved {
		return
	}
	if place == Quorate {
		e.view.Clean = false // what is begun from now on is not
	}
	e.emit(Event{Kind: StandingMove, Standing: place, Reason: e.reason})
}

// lingers tells whether a tie stands a little longer: the coordinator of the other half is
// heard again, and answers within a round or two if it hears this node, too.
func (e *Engine) lingers(now int64, v quorum.Verdict) bool {
	if e.standing != Tie || v.Cause != quorum.Threatened {
		e.threat = 0
		return false
	}
	return !e.lasts(now, &e.threat)
}

var standings = [...]Standing{quorum.Unheard: Isolated, quorum.Isolated: Isolated, quorum.Half: Tie, quorum.Quorate: Quorate}

// fillInput gathers what the standing depends on.
func (e *Engine) fillInput(now int64) {
	in := &e.input
	in.Now, in.Since, in.Voters, in.Pending = now, e.det.Since(), e.view.Voters, e.view.Pending
	in.Leader, in.Deadtime = e.view.Leader, int64(e.cfg.Deadtime)*ms
	term := e.view.Term
	for i, p := range e.peers {
		c := e.det.Contact(i)
		in.Contacts[i] = quorum.Contact{Peer: p.ID, Mutual: c.Mutual, Heard: c.Heard}
		if p.deadtime > 0 {
			in.Deadtime = min(in.Deadtime, p.deadtime)
		}
		if p.term > term && p.leader != 0 && c.Alive {
			in.Leader, term = p.leader, p.term
		}
	}
	in.Bound = in.Deadtime * 7 / 10
	for i, p := range e.peers {
		in.Contacts[i].HeardChief = p.heardThird(in.Leader)
	}
}
