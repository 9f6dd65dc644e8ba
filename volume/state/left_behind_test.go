package state

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/volume"
)

// TestLeftBehindFeedsNobody: a resync is agreed upon between two replicas, and the target follows a new generation of the primary before it
// begins. The source, which was left behind, does not overwrite it.
func TestLeftBehindFeedsNobody(t *testing.T) {
	s := &story{t: t}
	for _, line := range []string{"setup 3", "start a b c", "ask a primary force", "write a 0"} {
		s.line(strings.Fields(line))
	}
	m := s.w.nodes[2].m
	b := m.peer(1)
	b.need, b.going, b.asked = needTarget, true, 1 // c is to be resynced from b, and has asked for it
	next := m.super.Gen
	next.Begin(0x4711 << 1)
	m.Step(PeerSaid{Peer: 0, Said: Said{Kind: "generation", Gen: next, InStep: 0b101, Gets: 0b101}})
	if m.super.Gen.Current != next.Current {
		t.Fatal("c does not follow the primary")
	}
	begun, told := false, false
	for _, e := range m.Step(PeerSaid{Peer: 1, Said: Said{Kind: "sync-begin", Gen: next, Yours: 1}}) { // b has heard of c's generation
		switch e := e.(type) {
		case Sync:
			begun = begun || e.Do == "target"
		case Tell:
			told = told || e.Peer == 1 && e.Said.Kind == "sync-stop"
		}
	}
	if begun || !told || m.disk != volume.UpToDate {
		t.Errorf("begun %v, refused %v, disk %v", begun, told, m.disk)
	}
}
