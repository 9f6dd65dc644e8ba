package state

import (
	"fmt"
	"strings"
	"testing"
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
