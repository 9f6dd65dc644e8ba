package state

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/volume"
)

// TestPartedUnflushed: a primary without data of its own parts from its peer by force, and what that had not flushed is lost with the power of
// its machine: the primary does not go on as if nothing had happened. From the same boot nothing is lost, and it goes on.
func TestPartedUnflushed(t *testing.T) {
	for boot, stops := range map[string]bool{"the same": false, "another": true} {
		s := &story{t: t}
		for _, line := range []string{"setup 2 client=b", "start a b", "ask a primary force", "ask a secondary", "ask b primary", "write b 0"} {
			s.line(strings.Fields(line))
		}
		m := s.w.nodes[1].m
		a := m.peer(0)
		a.boot = "the same"
		m.Step(Asked{Verb: "disconnect", Peer: 0, Force: true})
		m.Step(PeerDown{Peer: 0, Unflushed: 4096})
		if m.role != volume.Primary || m.stopped != "" {
			t.Fatalf("role %v, stopped %q", m.role, m.stopped)
		}
		m.backFrom(a, boot)
		if got := m.stopped != ""; got != stops {
			t.Errorf("%s boot: stopped %v: %s", boot, got, m.stopped)
		}
	}
}
