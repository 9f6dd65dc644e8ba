package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/quorum"
)

// A coordinator whose history gives way sends nothing that claims to be of the new
// one: an executor could not tell it from a command of the coordinator there.
func TestDeposedCoordinatorStampsNothingOfNextGeneration(t *testing.T) {
	s := &script{t: t, now: time.Unix(1_800_000_000, 0), ask: map[cib.NodeID]quorum.Plea{}}
	s.start(&datadriven.TestData{})
	s.step(Peer{Kind: PeerUp, Node: 2, Manager: Up})
	s.step(Standing{Place: quorum.Quorate})
	s.log.Leader, s.log.Ready = 1, true
	asked := 0
	note := func(effects []Effect) {
		for _, e := range effects {
			c, is := e.(Command)
			if !is {
				continue
			}
			if q, is := c.Effect.(controller.Query); is {
				asked++
				if q.Generation != 1 || q.Term != 1 {
					t.Errorf("it asks node %d by generation %d, term %d", q.Node, q.Generation, q.Term)
				}
			}
		}
	}
	note(s.m.Step(s.now, s.log))
	if asked == 0 {
		t.Fatal("it never asked, so the test proves nothing")
	}
	next := s.log
	next.State.Generation, next.State.Index = 2, 20
	next.Leader, next.Ready, next.Term = 2, false, 7
	s.now = s.now.Add(time.Minute) // whom it asked is due to be asked again
	note(s.m.Step(s.now, next))
}
