package cli

import (
	"testing"

	"github.com/takt-ha/takt/volume"
)

// TestInStep: a wait for being in step ends when it is so, not in the moment between an attach and its resync.
func TestInStep(t *testing.T) {
	for _, c := range []struct {
		name       string
		own, peers volume.DiskState
		state      volume.ConnState
		out        int64
		want       bool
	}{
		{"in step", volume.UpToDate, volume.UpToDate, volume.Connected, 0, true},
		{"just attached", volume.Inconsistent, volume.UpToDate, volume.Connected, 0, false},
		{"the peer has just attached", volume.UpToDate, volume.Inconsistent, volume.Connected, 0, false},
		{"old", volume.Outdated, volume.UpToDate, volume.Connected, 0, false},
		{"attaching", volume.Attaching, volume.DUnknown, volume.Connected, 0, false},
		{"nobody has data", volume.Inconsistent, volume.Inconsistent, volume.Connected, 0, true},
		{"without a disk", volume.Diskless, volume.UpToDate, volume.Connected, 0, true},
		{"marked", volume.UpToDate, volume.UpToDate, volume.Connected, 4096, false},
		{"away", volume.UpToDate, volume.DUnknown, volume.Connecting, 0, false},
	} {
		s := volume.Status{Name: "r0", Disk: c.own, Peers: []volume.ConnectionInfo{{Name: "b", State: c.state, Disk: c.peers, OutOfSync: c.out}}}
		if got, err := inStep(s, ""); got != c.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}
