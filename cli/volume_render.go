package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
)

// renderVolumes prints volumes in words, an empty line between them.
func renderVolumes(out io.Writer, p painter, all []volume.Status, more bool) {
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(out)
		}
		renderVolume(out, p, s, more)
	}
}

// renderVolume prints a volume in words; with more, its counters and generations too.
func renderVolume(out io.Writer, p painter, s volume.Status, more bool) {
	fmt.Fprintln(out, volumeHead(p, s))
	if s.Running {
		renderFront(out, p, s)
	}
	if more {
		renderMore(out, p, s)
	}
	verb := "wait"
	if s.Failing {
		verb = "fail"
	}
	for _, why := range s.Frozen {
		fmt.Fprintf(out, "  %s\n", p.paint(bad, "requests "+verb+": "+clean(why)))
	}
	if s.Running && !s.Quorum && len(s.Frozen) == 0 {
		fmt.Fprintf(out, "  %s\n", p.paint(bad, "no quorum"))
	}
	for _, c := range s.Peers {
		renderPeer(out, p, s, c, more)
	}
	for _, a := range s.Advice {
		fmt.Fprintf(out, "  %s\n", p.paint(warn, "→ "+clean(a)))
	}
}

func volumeHead(p painter, s volume.Status) string {
	text := p.paint(bold, clean(s.Name)) + " on " + clean(s.Node) + ": "
	switch {
	case !s.Running && s.Client:
		return text + p.paint(warn, "not up") + ", without a disk of its own"
	case !s.Running:
		text += p.paint(warn, "not up")
		if s.Current != "" {
			text += fmt.Sprintf("; its disk was last %s", diskText(p, s.Disk))
		}
	default:
		text += roleText(p, s.Role) + ", " + ownDisk(p, s)
	}
	if s.Size > 0 {
		text += ", " + humanSize(s.Size)
	}
	return text
}

// ownDisk is the disk's state; that a node has none by design is nothing bad.
func ownDisk(p painter, s volume.Status) string {
	if s.Client {
		return "without a disk of its own"
	}
	return diskText(p, s.Disk)
}

func renderFront(out io.Writer, p painter, s volume.Status) {
	switch {
	case s.Device != "":
		fmt.Fprintf(out, "  device %s (%s)\n", clean(s.Device), clean(strings.TrimSuffix(s.Front+": "+s.FrontWhy, ": ")))
	case s.FrontWhy != "":
		fmt.Fprintf(out, "  device %s\n", p.paint(dim, "none: "+clean(s.FrontWhy)))
	}
	fmt.Fprintf(out, "  nbd    %s\n", clean(s.NBDSocket))
	renderRecord(out, p, s)
}

// renderRecord is what the cluster has recorded about the replicas.
func renderRecord(out io.Writer, p painter, s volume.Status) {
	switch {
	case s.Set == nil:
	case !s.Set.Known:
		fmt.Fprintf(out, "  record %s\n", p.paint(warn, "the cluster has not said yet whose data is up to date"))
	case s.Set.Version == 0:
		fmt.Fprintf(out, "  record %s\n", p.paint(dim, "nothing is recorded yet"))
	default:
		text := "up to date are " + clean(strings.Join(s.Set.Members, ", ")) + fmt.Sprintf(" (version %d)", s.Set.Version)
		if !s.Set.Member && !s.Client {
			text = p.paint(warn, text)
		}
		fmt.Fprintf(out, "  record %s\n", text)
	}
}

func renderMore(out io.Writer, p painter, s volume.Status) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %s %s\n", p.paint(dim, pad(name, 10)), clean(text))
		}
	}
	line("disk", s.Backing)
	line("metadata", s.Meta)
	line("generation", s.Current)
	if s.Running {
		line("since up", fmt.Sprintf("%s read, %s written, %d writes of the activity log, %d of bitmaps", humanSize(int64(s.Read)), humanSize(int64(s.Written)), s.ALWrites, s.BitWrites))
	}
}

func renderPeer(out io.Writer, p painter, s volume.Status, c volume.ConnectionInfo, more bool) {
	if !s.Running {
		fmt.Fprintf(out, "  peer %s at %s\n", clean(c.Name), clean(c.Address))
		return
	}
	fmt.Fprintf(out, "  %s: %s", p.paint(bold, clean(c.Name)), connText(p, c.State))
	if c.State >= volume.Connected {
		fmt.Fprintf(out, ", %s, %s", roleText(p, c.Role), diskText(p, c.Disk))
	} else if c.Disk != volume.DUnknown {
		fmt.Fprintf(out, ", %s", diskText(p, c.Disk))
	}
	if c.OutOfSync > 0 {
		fmt.Fprintf(out, ", %s differ", humanSize(c.OutOfSync))
	}
	if c.Protocol != volume.ProtocolC {
		fmt.Fprintf(out, ", protocol %s", c.Protocol)
	}
	if !c.TLS {
		fmt.Fprintf(out, ", %s", p.paint(warn, "not encrypted"))
	}
	fmt.Fprintln(out)
	if c.Why != "" && !advised(s, c.Why) {
		fmt.Fprintf(out, "    %s\n", p.paint(warn, clean(c.Why)))
	}
	if c.Sync != nil {
		fmt.Fprintf(out, "    %s\n", progressText(*c.Sync))
	}
	if more {
		fmt.Fprintf(out, "    %s\n", p.paint(dim, fmt.Sprintf("%s, protocol %s, %s sent, %s received, %d writes under way, %s not flushed there",
			clean(c.Address), c.Protocol, humanSize(int64(c.Sent)), humanSize(int64(c.Received)), c.Pending, humanSize(c.Unflushed))))
	}
}

// advised says whether the advice tells the reason, too: once is enough.
func advised(s volume.Status, why string) bool {
	return slices.ContainsFunc(s.Advice, func(a string) bool { return strings.Contains(a, why) })
}

func roleText(p painter, r volume.Role) string {
	if r == volume.Primary {
		return p.paint(good, r.String())
	}
	return r.String()
}

func diskText(p painter, d volume.DiskState) string {
	switch d {
	case volume.UpToDate:
		return p.paint(good, d.String())
	case volume.Diskless, volume.Failed, volume.Inconsistent, volume.Outdated:
		return p.paint(bad, d.String())
	}
	return p.paint(warn, d.String())
}

func connText(p painter, c volume.ConnState) string {
	switch c {
	case volume.Connected:
		return p.paint(good, c.String())
	case volume.StandAlone:
		return p.paint(bad, c.String())
	}
	return p.paint(warn, c.String())
}

// progressText is a bar, how much, how fast, and how long still.
func progressText(s volume.Progress) string {
	text := fmt.Sprintf("%s %5.1f%%  %s of %s, %s/s", bar(s.Percent), s.Percent, humanSize(s.Done), humanSize(s.Total), humanSize(s.Rate))
	if s.Left >= 0 {
		text += ", " + clock(s.Left) + " left"
	}
	if s.Found > 0 {
		text += fmt.Sprintf(", %s differ", humanSize(s.Found))
	}
	return text
}

// barWidth is how many cells the classic bar of /proc/drbd has between its brackets, the arrow included.
const barWidth = 21

// bar is the classic bar.
func bar(percent float64) string {
	n := min(barWidth-1, max(0, int(percent*(barWidth-1)/100)))
	return "[" + strings.Repeat("=", n) + ">" + strings.Repeat(".", barWidth-1-n) + "]"
}

// clock writes a time left as DRBD does: hours, minutes, seconds.
func clock(ms int64) string {
	if ms < 0 {
		return "?:??:??"
	}
	d := time.Duration(ms) * time.Millisecond
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// humanSize writes bytes with about three digits, in powers of 1024.
func humanSize(n int64) string {
	const units = "KMGTP"
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1023.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if v == float64(int64(v)) || v >= 99.95 {
		return fmt.Sprintf("%.0f%c", v, units[i])
	}
	return fmt.Sprintf("%.1f%c", v, units[i])
}
