package state

import (
	"fmt"
	"strings"
	"testing"
)

// TestGenerationPassedOn: a replica that a primary takes for one that cannot have its generation may have got it from a third one. What the
// primary acknowledges must not be missing where somebody is promoted later, whatever came in between.
func TestGenerationPassedOn(t *testing.T) {
	for name, script := range map[string]string{
		// The peer was told of the generation, but not of the writes in it; passes it on; agrees to a promotion; and gives
		// up its data, so that it looks like one that cannot have passed on anything.
		"by a peer that comes back without data": `start a b c|ask a primary force|cut a c|slowly write a 0|slowly deliver %d|slowly cut a b|run|
			slowly ask c primary|slowly ask b invalidate|slowly deliver %d|slowly heal a b|run|write a 0|write c 0|heal a c|tick 1s|tick 1s`,
		// The primary was primary before, when it began the generation.
		"since the reign before": `start a b c|ask c primary force|write c 0|cut a b|cut a c|write c 1|ask c secondary|heal a b|
			ask c primary|slowly write c 2|slowly deliver %d|cut b c|run|ask a primary|write a 2|slowly write c 2|slowly deliver %d|write a 2|crash a|heal b c|tick 1s|ask b primary|write b 2`,
		// The peer was away for a moment, and is in step again.
		"by a peer that was away for a moment": `start a b c|ask a primary force|cut a b|write a 0|cut a c|run|heal a c|write a 1|slowly write a 1|slowly deliver %d|
			cut a c|run|slowly deliver %d|ask b primary|write b 1|write a 1|heal a b|heal a c|tick 1s|tick 1s|write c 1|write a 1`,
	} {
		t.Run(name, func(t *testing.T) {
			for first := range 24 {
				for second := range 24 {
					s := &story{t: t}
					s.line(strings.Fields("setup 3 quorum=majority"))
					s.w.exclusive = true
					s.w.fault = func(format string, a ...any) {
						t.Fatalf("after %d and %d messages:\n%s\n%s\n"+format, append([]any{first, second, s.out.String(), s.w.status()}, a...)...)
					}
					for line := range strings.SplitSeq(fmt.Sprintf(script, first, second), "|") {
						s.line(strings.Fields(line))
					}
				}
			}
		})
	}
}
