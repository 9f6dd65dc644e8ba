package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// screens are volumes in the states that matter to people.
func screens() []volume.Status {
	return []volume.Status{
		{
			Name: "r0", Node: "alpha", Running: true, Minor: 0, Role: volume.Primary, Disk: volume.UpToDate, Size: 10 << 30, Quorum: true, NBDSocket: "/run/takt/volumes/r0.nbd",
			Device: "/dev/takt/by-name/r0", Front: "ublk", Backing: "/dev/vg0/r0", Meta: "internal", Current: "854D2C8DD33FEF6C", Read: 123 << 20, Written: 5 << 30, ALWrites: 12, BitWrites: 3, InFlight: 2,
			Peers: []volume.ConnectionInfo{
				{Node: 1, Name: "beta", Address: "10.0.0.2:7789", State: volume.SyncSource, Role: volume.Secondary, Disk: volume.Inconsistent, TLS: true, OutOfSync: 985 << 20, Sent: 39648 << 10, Pending: 7,
					Sync: &volume.Progress{Done: 21 << 20, Total: 1006 << 20, Percent: 2.1, Rate: 19824 << 10, Left: 208000}},
				{Node: 2, Name: "gamma", State: volume.Connecting, Disk: volume.Outdated, Why: "connection refused", Protocol: volume.ProtocolA, OutOfSync: 4 << 10},
			},
		},
		{
			Name: "r1", Node: "alpha", Running: true, Minor: 1, Role: volume.Secondary, Disk: volume.Outdated, Size: 1 << 30, NBDSocket: "/run/takt/volumes/r1.nbd", FrontWhy: "the volume is secondary",
			Set:    &volume.ClusterSet{Version: 4, Members: []string{"beta", "gamma"}, Known: true},
			Frozen: []string{"no quorum: 1 of 3 nodes are in contact, 2 are needed"}, Advice: []string{"Node beta: histories diverged."},
			Peers: []volume.ConnectionInfo{{Node: 1, Name: "beta", State: volume.StandAlone, Disk: volume.DUnknown, Why: "histories diverged\x1b[2J", TLS: true}},
		},
		{
			Name: "r2", Node: "alpha", Running: true, Minor: 2, Role: volume.Secondary, Client: true, Size: 3 << 19, Quorum: true, NBDSocket: "/run/takt/volumes/r2.nbd",
			Peers: []volume.ConnectionInfo{{Node: 1, Name: "beta", State: volume.VerifyT, Role: volume.Primary, Disk: volume.UpToDate, TLS: true,
				Sync: &volume.Progress{Done: 1 << 20, Total: 1 << 20, Percent: 100, Rate: 1 << 30, Left: -1, Found: 8192}}},
		},
		{Name: "r3", Node: "alpha", Minor: 3, Disk: volume.UpToDate, Size: 1 << 40, Current: "1", Advice: []string{"It is not up: takt volume up r3"}, Peers: []volume.ConnectionInfo{{Name: "beta", Address: "10.0.0.2:7790"}}},
		{Name: "r4", Node: "alpha", Minor: 4, Running: true, Role: volume.Primary, Disk: volume.UpToDate, Quorum: true},
	}
}

func TestVolumeScreens(t *testing.T) {
	var words, more, proc strings.Builder
	renderVolumes(&words, painter{}, screens(), false)
	renderVolumes(&more, painter{}, screens()[:1], true)
	renderProc(&proc, screens())
	golden(t, "volumes", words.String())
	golden(t, "volumes-verbose", more.String())
	golden(t, "volumes-proc", strings.Replace(proc.String(), Version, "VERSION", 1))
	golden(t, "volume-unit", volumeUnit("/usr/local/bin/takt"))
}

func TestVolumeEventLines(t *testing.T) {
	yes, percent, differ := false, 42.0, int64(12<<10)
	at := noon().UnixMilli()
	var b strings.Builder
	for _, e := range []volume.Event{
		{Time: at, Action: "exists", Kind: "volume", Name: "r0", Node: "a", State: &volume.State{Role: "Primary", Disk: "UpToDate", Size: 1 << 30, Quorum: &yes, Suspended: []string{"no quorum"}}},
		{Time: at, Action: "exists", Kind: "connection", Name: "r0", Node: "a", Peer: "b", State: &volume.State{Connection: "Connected", PeerRole: "Secondary", PeerDisk: "UpToDate", OutOfSync: &differ}},
		{Time: at, Action: "-", Kind: "volume", Name: "r0", Node: "a"},
		{Time: at, Action: "change", Kind: "connection", Name: "r0", Node: "a", Peer: "b", State: &volume.State{Connection: "SyncSource", Percent: &percent}},
		{Time: at, Action: "note", Kind: "split-brain", Name: "r0", Node: "a", Peer: "b", Words: "histories diverged\n\x1b[2J"},
	} {
		b.WriteString(volumeEventLine(e, painter{}, time.UTC) + "\n")
	}
	golden(t, "volume-events", b.String())
}

func TestMetadataScreen(t *testing.T) {
	c := volume.Config{Name: "r0", Nodes: []volume.Node{{ID: 0, Name: "a", Disk: "/dev/vg/r0", Meta: "internal"}, {ID: 1, Name: "b"}, {ID: 2, Name: "c"}}}
	s := meta.Super{Size: 10 << 30, Disk: volume.Consistent, Crashed: true, PrimaryLost: true, Members: 3, MembersVersion: 9, ActlogSize: 1237, Created: noon().Unix(), Written: noon().Unix()}
	s.Gen.Current, s.Gen.Bitmap[1], s.Gen.History[0], s.Gen.History[1] = 0xabc0, 0xdef0, 0x1230, 0x4560
	s.FullSync[1], s.SyncTargetOf[1], s.PeerOutdated[2] = true, true, true
	var b strings.Builder
	renderMetadata(&b, metadataOf(c, s, false), time.UTC)
	golden(t, "volume-dump-md", b.String())
}

func TestHumanSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1K", 1536: "1.5K", 1 << 20: "1M", 1<<20 - 1: "1.0M", 10 << 30: "10G", 123456789: "118M", 1 << 60: "1024P"} {
		if got := humanSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestBarAndClock(t *testing.T) {
	for percent, want := range map[float64]string{-1: "[>....................]", 0: "[>....................]", 50: "[==========>..........]", 100: "[====================>]", 200: "[====================>]"} {
		if got := bar(percent); got != want {
			t.Errorf("%v: %s", percent, got)
		}
	}
	if got := clock(3661000); got != "1:01:01" {
		t.Error(got)
	}
	if got := thousands(1234567) + thousands(999) + thousands(1000); got != "1,234,5679991,000" {
		t.Error(got)
	}
}
