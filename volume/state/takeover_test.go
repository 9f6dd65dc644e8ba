package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/takt-ha/takt/volume"
)

// TestTakeoverAtAnyMoment: of three replicas in a cluster the primary crashes, and one of the survivors is promoted so many
// messages later, with the resync between the two in any stage. In the end both are up to date and agree.
func TestTakeoverAtAnyMoment(t *testing.T) {
	for before := range 3 {
		for after := range 40 {
			s := &story{t: t}
			for line := range strings.Lines(fmt.Sprintf(`setup 3 cluster skip-first
				start a b c
				ask a primary
				write a 0 1
				slowly write a 2
				slowly deliver %d
				slowly crash a
				slowly deliver %d
				slowly ask b primary
				run
				write b 5
				tick 1s`, before, after)) {
				s.line(strings.Fields(line))
			}
			if end := s.w.status(); strings.Count(end, " UpToDate io=") != 2 || strings.Contains(end, "Paused") {
				t.Errorf("crash after %d messages, promotion %d later:\n%s\n%s", before, after, s.out.String(), end)
			}
		}
	}
}

// TestTwoPromotions: two nodes that may both be primary are promoted so many messages apart, and the first one hears of the
// cluster's record before or after it hears of the other node. Whoever was refused tries again, and in the end both are, and neither has
// taken the other one for somebody who took over.
func TestTwoPromotions(t *testing.T) {
	for apart := range 20 {
		for heard := range 20 {
			s := &story{t: t}
			for line := range strings.Lines(fmt.Sprintf(`setup 2 cluster two skip-first
				start a b
				slowly ask a primary
				slowly deliver %d
				slowly ask b primary
				slowly deliver %d
				slowly quorate a
				run
				ask a primary
				ask b primary
				write a 0
				write b 1`, apart, heard)) {
				s.line(strings.Fields(line))
			}
			if end := s.w.status(); strings.Count(end, ": Primary UpToDate io=open") != 2 {
				t.Errorf("%d messages apart, told %d later:\n%s\n%s", apart, heard, s.out.String(), end)
			}
		}
	}
}

// TestAtAnyMoment: what happens in a cluster at any distance from what happened before ends with all replicas up to date, in step and equal.
func TestAtAnyMoment(t *testing.T) {
	for name, script := range map[string]string{
		"a node returns, and a link breaks":                  "setup 3 cluster skip-first|start a b c|ask a primary|write a 0 1|slowly write a 2|slowly crash a|run|ask b primary|write b 3|slowly start a|slowly deliver %d|slowly write b 4|slowly deliver %d|slowly cut b c|run|heal b c|tick 2s|tick 2s",
		"a node returns, and the next one crashes":           "setup 3 cluster skip-first|start a b c|ask a primary|write a 0 1|slowly crash a|run|ask b primary|write b 3|slowly start a|slowly deliver %d|slowly write b 4|slowly deliver %d|slowly crash b|run|ask c primary|ask a primary|start b|tick 2s|tick 2s",
		"the primary changes during a resync":                "setup 3 cluster skip-first|start a b c|ask a primary|write a 0 1|crash c|write a 2 3|slowly start c|slowly deliver %d|slowly ask a secondary|slowly deliver %d|slowly ask b primary|run|tick 2s|ask b primary|write b 5|tick 2s",
		"the primary crashes during a verify":                "setup 3 cluster skip-first|start a b c|ask a primary|write a 0 1|slowly ask b verify|slowly deliver %d|slowly write a 2|slowly crash a|slowly deliver %d|slowly ask b primary|run|write b 4|start a|tick 2s|tick 2s",
		"the primary's resync ends, and a third one crashes": "setup 3 cluster|start a b c|ask a primary force|write a 0 1|slowly ask a invalidate|slowly deliver %d|slowly write a 0|slowly crash c|slowly deliver %d|slowly write a 1|run|start c|tick 2s|tick 2s",
		"one of two primaries crashes, and returns":          "setup 2 cluster two skip-first|start a b|ask a primary|ask b primary|write a 0|write b 1|slowly crash a|slowly deliver %d|slowly write b 3|slowly start a|slowly deliver %d|slowly ask a primary|run|tick 2s|tick 2s|ask b secondary force|tick 2s",
	} {
		t.Run(name, func(t *testing.T) {
			for first := range 16 {
				for second := range 8 {
					s := &story{t: t}
					for line := range strings.SplitSeq(fmt.Sprintf(script, first, second), "|") {
						s.line(strings.Fields(line))
					}
					s.w.checkRest()
					end := s.w.status()
					if strings.Count(end, " UpToDate io=") != len(s.w.nodes) || strings.Contains(end, "Paused") || strings.Contains(end, "io=error") || strings.Contains(end, "io=frozen") || strings.Contains(end, ": Connecting") || strings.Contains(end, ": StandAlone") {
						t.Errorf("after %d and %d messages:\n%s\n%s", first, second, s.out.String(), end)
					}
				}
			}
		})
	}
}

// TestPromotionBesideAnother: a node is being promoted when one that has agreed to it leaves and is promoted itself. The
// first one hears of the cluster's new record before it hears that the other one has left, and must not make itself a member of that.
func TestPromotionBesideAnother(t *testing.T) {
	for first := range 20 {
		for second := range 10 {
			s := &story{t: t}
			for line := range strings.Lines(fmt.Sprintf(`setup 3 cluster skip-first
				start a b c
				slowly hold a c
				slowly ask a primary
				slowly deliver %d
				slowly hold a b
				slowly ask b disconnect
				slowly ask b primary
				slowly quorate b
				slowly release a c
				slowly deliver %d
				slowly quorate a
				slowly write b 0
				slowly crash b
				slowly release a b
				run
				ask a primary
				write a 1`, first, second)) {
				s.line(strings.Fields(line))
			}
		}
	}
}

// TestOldPrimaryOwnBlocks: a primary whose own disk is Outdated works with another replica's data. What its disk has
// beyond that counts for nobody: whoever is resynced from it hears that nobody is known to be equal. (Property test, seed 605.)
func TestOldPrimaryOwnBlocks(t *testing.T) {
	s := &story{t: t}
	for _, line := range []string{"setup 3 quorum=majority", "start a b c", "ask a primary force", "write a 0"} {
		s.line(strings.Fields(line))
	}
	m := s.w.nodes[0].m
	if m.equals() != 0b111 {
		t.Fatalf("equal are %b, want all", m.equals())
	}
	m.setDisk(volume.Outdated, "newer data is on another node")
	if m.equals() != 0 {
		t.Errorf("equal to an old disk are %b", m.equals())
	}
}
