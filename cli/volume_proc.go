package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/takt-ha/takt/volume"
)

// renderProc prints the lines of DRBD 8's /proc/drbd: one for each volume and peer, its counters in KiB, and how far
// a resync or verify is.
func renderProc(out io.Writer, all []volume.Status) {
	fmt.Fprintf(out, "version: takt %s\n", Version)
	for _, s := range all {
		if !s.Running {
			fmt.Fprintf(out, "%2d: cs:Unconfigured\n", s.Minor)
			continue
		}
		peers := s.Peers
		if len(peers) == 0 {
			peers = []volume.ConnectionInfo{{State: volume.StandAlone, Disk: volume.DUnknown}}
		}
		for _, c := range peers {
			procPeer(out, s, c)
		}
	}
}

func procPeer(out io.Writer, s volume.Status, c volume.ConnectionInfo) {
	io := "r"
	if len(s.Frozen) > 0 {
		io = "s"
	}
	fmt.Fprintf(out, "%2d: cs:%s ro:%s/%s ds:%s/%s %s %s-----\n", s.Minor, c.State, s.Role, c.Role, s.Disk, c.Disk, c.Protocol, io)
	fmt.Fprintf(out, "    ns:%d nr:%d dw:%d dr:%d al:%d bm:%d lo:%d pe:%d ua:0 ap:%d ep:1 wo:f oos:%d\n",
		c.Sent>>10, c.Received>>10, s.Written>>10, s.Read>>10, s.ALWrites, s.BitWrites, s.InFlight, c.Pending, s.InFlight, c.OutOfSync>>10)
	if c.Sync == nil {
		return
	}
	what := "sync'ed:"
	if c.State == volume.VerifyS || c.State == volume.VerifyT {
		what = "verified:"
	}
	fmt.Fprintf(out, "\t%s %s %.1f%% finish: %s speed: %s K/sec\n", bar(c.Sync.Percent), what, c.Sync.Percent, clock(c.Sync.Left), thousands(c.Sync.Rate>>10))
}

// thousands writes 12345 as 12,345, as the kernel does there.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
