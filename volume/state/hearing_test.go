package state

import (
	"fmt"
	"strings"
	"testing"
)

// TestPromotedJustAfter: a node without a disk is promoted so many messages after another one's reign began and has ended. What it knows
// of that is old, whatever is on its way: it hears first, and is not refused.
func TestPromotedJustAfter(t *testing.T) {
	for begun := range 12 {
		for ended := range 12 {
			s := &story{t: t}
			for line := range strings.SplitSeq(fmt.Sprintf(`setup 2 client=b|slowly start a b|slowly ask a primary force|slowly deliver %d|
				slowly write a 0|slowly ask a secondary|slowly deliver %d`, begun, ended), "|") {
				s.line(strings.Fields(line))
			}
			for s.w.nodes[0].pump() { // a settles, and tells nobody
			}
			if a, b := s.w.nodes[0], s.w.nodes[1]; a.m.role.String() != "Secondary" || !b.m.peers[0].up() {
				continue
			}
			for _, line := range []string{"ask b primary", "write b 1"} {
				s.line(strings.Fields(line))
			}
			if end := s.w.status(); strings.Contains(s.out.String(), "b: no") || !strings.Contains(end, "b: Primary Diskless io=open") {
				t.Errorf("%d messages, then %d:\n%s\n%s", begun, ended, s.out.String(), end)
			}
		}
	}
}
