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
