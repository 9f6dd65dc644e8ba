package native

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/volume"
)

func TestVolumeScore(t *testing.T) {
	peer := func(disk volume.DiskState, state volume.ConnState) []volume.ConnectionInfo {
		return []volume.ConnectionInfo{{Name: "b", State: state, Disk: disk}}
	}
	away, beside := peer(volume.DUnknown, volume.Connecting), peer(volume.UpToDate, volume.Connected)
	recorded := func(member bool, names ...string) *volume.ClusterSet {
		return &volume.ClusterSet{Version: 3, Known: true, Member: member, Members: names}
	}
	c := newTestSet(t).testVolume("volume", "r0")
	for _, x := range []struct {
		name string
		st   volume.Status
		want string
	}{
		{"in the cluster's record", volume.Status{Disk: volume.UpToDate, Set: recorded(true, "a"), Peers: away}, "10000"},
		{"not in it", volume.Status{Disk: volume.UpToDate, Set: recorded(false, "b"), Peers: away}, ""},
		{"not in it, beside one that is", volume.Status{Disk: volume.Inconsistent, Set: recorded(false, "b"), Peers: beside}, "5"},
		{"the cluster has not spoken", volume.Status{Disk: volume.UpToDate, Set: &volume.ClusterSet{}, Peers: beside}, ""},
		{"nothing recorded yet, all there", volume.Status{Disk: volume.UpToDate, Set: &volume.ClusterSet{Known: true}, Peers: beside}, "10000"},
		{"alone, no cluster", volume.Status{Disk: volume.UpToDate, Peers: away}, "1000"},
		{"with all, no cluster", volume.Status{Disk: volume.UpToDate, Peers: beside}, "10000"},
		{"may be old", volume.Status{Disk: volume.Consistent, Peers: away}, "10"},
		{"old", volume.Status{Disk: volume.Outdated, Peers: away}, ""},
		{"a client", volume.Status{Disk: volume.Diskless, Client: true, Peers: beside}, "5"},
		{"a half-done resync alone", volume.Status{Disk: volume.Inconsistent, Peers: away}, ""},
		{"primary and failing", volume.Status{Disk: volume.UpToDate, Role: volume.Primary, Failing: true, Set: recorded(true, "a")}, ""},
	} {
		if got := c.score(x.st); got != x.want {
			t.Errorf("%s: got %q, want %q", x.name, got, x.want)
		}
	}
	if got := newTestSet(t).testVolume("volume", "r0", "adjust_master_score", "0 10 1000 7").score(volume.Status{Disk: volume.UpToDate, Peers: beside}); got != "7" {
		t.Errorf("with scores of its own: %q", got)
	}
	if got := newTestSet(t).testVolume("volume", "r0", "adjust_master_score", "0 10 1000 7").score(volume.Status{Disk: volume.Diskless, Peers: beside}); got != "" {
		t.Errorf("a score of 0 is a wish: %q", got)
	}
}

func (s *Set) testVolume(params ...string) *volumeCall {
	k := &volumeKind{set: s, meta: volumeMetadata()}
	return k.call(invocation("volume", params...))
}

func TestVolumeParameters(t *testing.T) {
	s := newTestSet(t)
	for _, x := range []struct {
		params []string
		want   string // part of why it is refused; "": it is not
	}{
		{[]string{"volume", "r0"}, ""},
		{[]string{"drbd_resource", "r0", "drbdconf", "/etc/drbd.conf", "adjust_master_score", "5 10 1000 10000", "stop_outdates_secondary", "yes"}, ""},
		{nil, "volume is required"},
		{[]string{"volume", "r0", "drbd_resource", "r1"}, "differ"},
		{[]string{"volume", "../r0"}, "no name of a volume"},
		{[]string{"volume", "r0", "dir", "here"}, "absolute"},
		{[]string{"drbd_resource", "r0", "drbdconf", "/root/drbd.conf"}, "drbdconf"},
		{[]string{"volume", "r0", "adjust_master_score", "1 2 3"}, "four"},
		{[]string{"volume", "r0", "adjust_master_score", "1 2 3 many"}, "no score"},
	} {
		inv := invocation("volume", x.params...)
		inv.Action = agent.ValidateAll
		a, _ := s.Agent("volume")
		r := a.Run(t.Context(), inv)
		if ok := r.Code == agent.OK; ok != (x.want == "") || !strings.Contains(r.Reason, x.want) {
			t.Errorf("%v: %v %q, want %q", x.params, r.Code, r.Reason, x.want)
		}
	}
}

// TestVolumeThatIsDown: without a process a volume is stopped, whatever its file says.
func TestVolumeThatIsDown(t *testing.T) {
	s := newTestSet(t)
	inv := invocation("volume", "volume", "r0", "dir", t.TempDir())
	do(t, s, inv, agent.Monitor, agent.NotRunning)
	if r := do(t, s, inv, agent.Stop, agent.OK); r.Promotion == nil || *r.Promotion != "" {
		t.Errorf("a stop leaves the score %v", r.Promotion)
	}
	do(t, s, inv, agent.Demote, agent.NotRunning)
}
