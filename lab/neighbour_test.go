package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
)

// standInPulse is `lab beat n1|n2 FILE`: the heartbeats of one of two nodes, and in the
// file a line for each change of the contact with the other one.
func standInPulse(node, file string) error {
	ctx := context.Background()
	socket := "/run/beat.sock"
	go link.Pulse(ctx, link.PulseOptions{Socket: socket, NoRealtime: true})
	c, err := link.Attach(ctx, link.ClientOptions{Socket: socket, Start: func(string) error { return nil }})
	if err != nil {
		return err
	}
	at := func(node string) []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort(Address(node, 1) + ":6700")}
	}
	self, other, name := cib.NodeID(1), cib.NodeID(2), "n2"
	if node == "n2" {
		self, other, name = 2, 1, "n1"
	}
	// The dead time is long: a machine that is slow is no cable that was pulled.
	cfg := link.Config{Cluster: "t", ClusterID: strings.Repeat("0", 31) + "1", Key: bytes.Repeat([]byte{1}, 32), Keepalive: 20, Deadtime: 1000, Strict: true,
		Self: self, Locals: at(node), Peers: []link.Peer{{ID: other, Name: name, Addrs: at(name)}}}
	if err := c.Configure(ctx, cfg); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	for e := range c.Events() {
		if err := json.NewEncoder(out).Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// TestHeartbeatsFindTheirWay pulls a cable for a moment. The kernel, which asked in vain
// for the neighbour meanwhile, is told not to ask again for ten minutes.
func TestHeartbeatsFindTheirWay(t *testing.T) {
	l := bareLab(t, 2, 1)
	const kernel = "/proc/sys/net/ipv4/neigh/eth1/"
	for _, n := range []string{"n1", "n2"} {
		mustExec(t, l, n, "/bin/sh", "-c", "echo 600000 > "+kernel+"retrans_time_ms; echo 600 > "+kernel+"delay_first_probe_time")
		file := filepath.Join(l.Dir(), n+".events")
		mustExec(t, l, n, "/bin/sh", "-c", l.State().Exe+" lab beat "+n+" "+file+" >/tmp/beat.log 2>&1 </dev/null &")
	}
	contact := func(node string) string {
		b, _ := os.ReadFile(filepath.Join(l.Dir(), node+".events"))
		said := ""
		for line := range bytes.Lines(b) {
			var e link.Event
			if json.Unmarshal(line, &e) == nil && (e.Kind == link.PeerUp || e.Kind == link.PeerLost) {
				said = string(e.Kind)
			}
		}
		return said
	}
	both := func(want link.EventKind) {
		t.Helper()
		awaitTrue(t, fmt.Sprintf("both nodes' %s", want), func() bool { return contact("n1") == string(want) && contact("n2") == string(want) })
	}
	both(link.PeerUp)
	must(t, l.Cut(CutOptions{Node: "n1"}))
	both(link.PeerLost)
	awaitTrue(t, "the kernel to ask in vain", func() bool {
		for line := range strings.Lines(mustExec(t, l, "n1", "cat", "/proc/net/arp")) {
			if f := strings.Fields(line); f[0] == Address("n2", 1) {
				return f[2] == "0x0" // no answer yet; see arp(7)
			}
		}
		return false
	})
	must(t, l.Heal(CutOptions{}))
	both(link.PeerUp)
}
