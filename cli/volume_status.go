package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
)

func newVolumeStatusCommand(v *volumes) *cobra.Command {
	var proc bool
	cmd := &cobra.Command{
		Use:     "status [NAME...]",
		Short:   "Show volumes: roles, disks, connections, progress",
		Example: "  takt volume status\n  takt volume status r0 -o json\n  takt volume status --proc",
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := v.chosen(args)
			if err != nil {
				return err
			}
			all, err := v.statuses(cmd.Context(), names)
			if err != nil {
				return err
			}
			if v.json() {
				if len(args) == 1 && args[0] != "all" {
					return printJSON(cmd, all[0])
				}
				return printJSON(cmd, all)
			}
			out := cmd.OutOrStdout()
			for _, s := range all {
				if proc {
					renderProc(out, s)
				} else {
					renderVolume(out, painterFor(out), s)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&proc, "proc", false, "the compact lines that DRBD 8 showed in /proc/drbd")
	return cmd
}

// renderVolume prints a volume in words.
func renderVolume(out io.Writer, p painter, s volume.Status) {
	fmt.Fprintf(out, "%s on %s: %s, %s", p.paint(bold, s.Name), s.Node, roleText(p, s.Role), diskText(p, s.Disk))
	if s.Size > 0 {
		fmt.Fprintf(out, ", %s", config.FormatSize(s.Size))
	}
	fmt.Fprintln(out)
	if s.Device != "" {
		fmt.Fprintf(out, "  device %s (%s)\n", s.Device, clean(strings.TrimSuffix(s.Front+": "+s.FrontWhy, ": ")))
	} else if s.FrontWhy != "" {
		fmt.Fprintf(out, "  device none: %s\n", clean(s.FrontWhy))
	}
	fmt.Fprintf(out, "  nbd    %s\n", s.NBDSocket)
	for _, why := range s.Frozen {
		fmt.Fprintf(out, "  %s\n", p.paint(bad, "waits: "+clean(why)))
	}
	for _, c := range s.Peers {
		fmt.Fprintf(out, "  %s: %s, %s, %s", c.Name, connText(p, c.State), roleText(p, c.Role), diskText(p, c.Disk))
		if c.OutOfSync > 0 {
			fmt.Fprintf(out, ", %s differ", config.FormatSize(c.OutOfSync))
		}
		if !c.TLS {
			fmt.Fprintf(out, ", %s", p.paint(warn, "not encrypted"))
		}
		fmt.Fprintln(out)
		if c.Why != "" {
			fmt.Fprintf(out, "    %s\n", p.paint(warn, clean(c.Why)))
		}
		if c.Sync != nil {
			fmt.Fprintf(out, "    %s\n", progressText(*c.Sync))
		}
	}
	for _, a := range s.Advice {
		fmt.Fprintf(out, "  %s\n", p.paint(warn, "→ "+clean(a)))
	}
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

// bar is the classic bar: 18 characters.
func bar(percent float64) string {
	n := min(18, max(0, int(percent*18/100)))
	if n == 18 {
		return "[" + strings.Repeat("=", 18) + "]"
	}
	return "[" + strings.Repeat("=", n) + ">" + strings.Repeat(".", 17-n) + "]"
}

// clock writes a time left as DRBD does.
func clock(ms int64) string {
	if ms < 0 {
		return "unknown"
	}
	d := time.Duration(ms) * time.Millisecond
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

func progressText(p volume.Progress) string {
	return fmt.Sprintf("%s %.1f%%, %s/s, %s left", bar(p.Percent), p.Percent, config.FormatSize(p.Rate>>10<<10), clock(p.Left))
}

// renderProc prints the lines of DRBD 8's /proc/drbd.
func renderProc(out io.Writer, s volume.Status) {
	peers := s.Peers
	if len(peers) == 0 {
		peers = []volume.ConnectionInfo{{State: volume.StandAlone, Disk: volume.DUnknown}}
	}
	for _, c := range peers {
		fmt.Fprintf(out, "%2d: cs:%s ro:%s/%s ds:%s/%s %s r-----\n", s.Minor, c.State, s.Role, c.Role, s.Disk, c.Disk, c.Protocol)
		fmt.Fprintf(out, "    ns:%d nr:%d dw:%d dr:%d al:%d bm:%d lo:%d pe:%d ua:0 ap:%d ep:1 wo:f oos:%d\n",
			c.Sent>>10, c.Received>>10, s.Written>>10, s.Read>>10, s.ALWrites, s.BitWrites, s.InFlight, c.Pending, s.InFlight, c.OutOfSync>>10)
		if c.Sync != nil {
			fmt.Fprintf(out, "\t%s %s: %.1f%% (%d/%d)K\n\tfinish: %s speed: %d K/sec\n", bar(c.Sync.Percent), map[bool]string{true: "verified", false: "sync'ed"}[c.State == volume.VerifyS || c.State == volume.VerifyT],
				c.Sync.Percent, (c.Sync.Total-c.Sync.Done)>>10, c.Sync.Total>>10, clock(c.Sync.Left), c.Sync.Rate>>10)
		}
	}
}
