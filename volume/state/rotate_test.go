package state

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/volume"
)

// A primary that goes on without one of its peers tells the others of the new generation before it writes it down: no crash
// in between leaves it with a generation that nobody else has.
func TestToldFirst(t *testing.T) {
	s := &story{t: t}
	for _, line := range []string{"setup 3", "start a b c", "ask a primary force", "write a 0"} {
		s.line(strings.Fields(line))
	}
	m := s.w.nodes[0].m
	m.Step(PeerDown{Peer: 2})
	m.Step(Wrote{})
	const next = volume.Generation(0x4711 << 1)
	told, written := -1, -1
	for i, e := range m.Step(Drawn{Generation: next, Unix: 1}) {
		switch e := e.(type) {
		case Tell:
			if e.Peer == 1 && e.Said.Kind == "generation" && e.Said.Gen.Current == next {
				told = i
			}
		case WriteSuper:
			if e.Super.Gen.Current == next && written < 0 {
				written = i
			}
		}
	}
	if told < 0 || written < 0 || told > written {
		t.Errorf("told as effect %d, written as effect %d", told, written)
	}
}
