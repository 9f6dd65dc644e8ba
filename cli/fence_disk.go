package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/agent/fence/disk"
	"github.com/takt-ha/takt/agent/fence/native"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

// newFenceDiskCommand is `takt fence disk`: the shared disks of fence_takt_disk. It
// needs no daemon.
func newFenceDiskCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "disk",
		Short: "Make and look at the shared disks of fence_takt_disk",
		Long: "Nodes that share disks can be fenced through them: each reads its slot there, and\n" +
			"obeys what it says. Name all disks of a set each time, one or three.",
		Example: "  takt fence disk create /dev/disk/by-id/a /dev/disk/by-id/b /dev/disk/by-id/c\n" +
			"  takt fence add pill fence_takt_disk devices=/dev/disk/by-id/a,/dev/disk/by-id/b,/dev/disk/by-id/c\n" +
			"  takt fence disk message n2 test /dev/disk/by-id/a /dev/disk/by-id/b /dev/disk/by-id/c",
	}
	cmd.AddCommand(newFenceDiskCreateCommand(g), newFenceDiskListCommand(g), newFenceDiskMessageCommand(g), newFenceDiskDumpCommand(g))
	return cmd
}

// openSet returns the set of the disks that the arguments name.
func openSet(op string, args []string) (*disk.Set, error) {
	paths, err := native.DiskParams(map[string]string{"devices": strings.Join(args, ",")})
	if err != nil {
		return nil, errs.E(op, errs.Invalid, "", "Name one or three disks by their whole paths.", err)
	}
	return disk.NewSet(disk.Options{}, paths...), nil
}

// diskError gives an error of the disks its kind, and the faults of each disk.
func diskError(op string, err error) error {
	kind := errs.Unavailable
	switch {
	case err == nil:
		return nil
	case errors.Is(err, disk.ErrForeign):
		kind = errs.Conflict
	case errors.Is(err, disk.ErrNoSlot), errors.Is(err, os.ErrNotExist):
		kind = errs.NotFound
	case errors.Is(err, context.DeadlineExceeded):
		kind = errs.Timeout
	case errors.Is(err, os.ErrPermission):
		kind = errs.Permission
	}
	return errs.E(op, kind, "", "", err)
}

func newFenceDiskCreateCommand(g *globals) *cobra.Command {
	var opts disk.CreateOptions
	var watchdog time.Duration
	var dir string
	cmd := &cobra.Command{
		Use:   "create DISK…",
		Short: "Make a set of fence disks; what is on them is lost",
		Long: "Writes an empty set. A disk that holds anything is refused, unless --force says\n" +
			"that it may be lost. Do it again only while no node watches the disks.\n\n" +
			"A node counts as off when twice the watchdog's time-out has passed since the order.",
		Example: "  takt fence disk create /dev/disk/by-id/a /dev/disk/by-id/b /dev/disk/by-id/c --watchdog 5s",
		Args:    cobra.RangeArgs(1, disk.MostDisks),
		RunE: func(cmd *cobra.Command, args []string) error {
			const op = "make fence disks"
			set, err := openSet(op, args)
			if err != nil {
				return err
			}
			if id, err := identity.Load(dir); err == nil {
				raw, _ := hex.DecodeString(id.ClusterID) // Load has seen that it is one
				copy(opts.Cluster[:], raw)
			} else {
				fmt.Fprintln(cmd.ErrOrStderr(), "This machine is no member of a cluster yet: any cluster will take the disks for its own.")
			}
			opts.Times = disk.DefaultTimes(watchdog)
			h, err := set.Create(cmd.Context(), opts)
			if err != nil {
				return diskError(op, err)
			}
			return reportDisks(cmd, g, set, h)
		},
	}
	cmd.Flags().IntVar(&opts.Slots, "slots", disk.DefaultSlots, "for how many nodes")
	cmd.Flags().DurationVar(&watchdog, "watchdog", 5*time.Second, "the longest time-out of a node's watchdog")
	cmd.Flags().BoolVar(&opts.Force, "force", false, "overwrite what is on the disks")
	cmd.Flags().StringVar(&dir, "dir", identity.DefaultDir, "folder of the identity: whose disks they are")
	return cmd
}

// reportDisks says what was made, and what to know of it.
func reportDisks(cmd *cobra.Command, g *globals, set *disk.Set, h disk.Header) error {
	var warnings []string
	for _, f := range set.Inspect(cmd.Context(), -1) {
		warnings = append(warnings, f.Text)
	}
	if g.json() {
		return printJSON(cmd, map[string]any{"disks": set.Paths(), "slots": h.Slots, "watchdog_ms": h.Times.Watchdog.Milliseconds(), "wait_ms": h.Times.Wait.Milliseconds(), "warnings": warnings})
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%d fence disks for %d nodes: a node counts as off %s after the order.\n", h.Disks, h.Slots, h.Times.Wait)
	for _, w := range warnings {
		fmt.Fprintln(out, painterFor(out).paint(warn, "! "+w))
	}
	fmt.Fprintf(out, "Next: takt fence add NAME fence_takt_disk devices=%s\n", strings.Join(set.Paths(), ","))
	return nil
}

// diskSlot is a line of takt fence disk list.
type diskSlot struct {
	Slot     int       `json:"slot"`
	Node     string    `json:"node"`
	State    string    `json:"state"`
	Watchdog int64     `json:"watchdog_ms"` // 0: not armed
	Written  time.Time `json:"written"`     // by the node's clock
	Order    string    `json:"order,omitempty"`
	From     string    `json:"from,omitempty"`
	Settled  bool      `json:"settled,omitempty"`
	Over     bool      `json:"over,omitempty"` // the node has booted since
}

func newFenceDiskListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list DISK…",
		Short:   "List the nodes that have a slot, and their orders",
		Example: "  takt fence disk list /dev/disk/by-id/a",
		Args:    cobra.RangeArgs(1, disk.MostDisks),
		RunE: func(cmd *cobra.Command, args []string) error {
			const op = "read fence disks"
			set, err := openSet(op, args)
			if err != nil {
				return err
			}
			_, slots, err := set.Slots(cmd.Context())
			if err != nil {
				return diskError(op, err)
			}
			list := []diskSlot{}
			for _, s := range slots {
				list = append(list, slotLine(s))
			}
			if g.json() {
				return printJSON(cmd, list)
			}
			renderSlots(cmd.OutOrStdout(), list, painterFor(cmd.OutOrStdout()), time.Local)
			return nil
		},
	}
}

func slotLine(s disk.Slot) diskSlot {
	l := diskSlot{Slot: s.Index, Node: s.Owner.Node, State: s.Owner.State.String(), Watchdog: s.Owner.Watchdog.Milliseconds(), Written: s.Owner.At}
	if s.Pill.Order != disk.NoOrder {
		l.Order, l.From, l.Settled, l.Over = s.Pill.Order.String(), s.Pill.From, s.Pill.Settled, s.Over()
	}
	return l
}

func renderSlots(w io.Writer, list []diskSlot, p painter, zone *time.Location) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No node has watched these disks yet.")
	}
	t := table{painter: p}
	for _, l := range list {
		dog := cell{"no watchdog armed", bad}
		if l.Watchdog > 0 {
			dog = cell{"watchdog " + (time.Duration(l.Watchdog) * time.Millisecond).String(), plain}
		}
		order := ""
		switch {
		case l.Order != "" && l.Over:
			order = "last order: " + l.Order + " from " + l.From + ", over"
		case l.Order != "" && l.Settled:
			order = "off by the order " + l.Order + " from " + l.From
		case l.Order != "":
			order = "ordered " + l.Order + " by " + l.From
		}
		t.add(cell{fmt.Sprint(l.Slot), dim}, cell{clean(l.Node), bold}, cell{l.State, plain}, dog, cell{"written " + l.Written.In(zone).Format("2006-01-02 15:04:05"), dim}, cell{clean(order), plain})
	}
	t.write(w)
}

func newFenceDiskMessageCommand(g *globals) *cobra.Command {
	var yes bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "message NODE test|exit|off|reboot DISK…",
		Short: "Write into a node's slot: a test, or an order",
		Long: "test is answered and does nothing else: it shows that the node reads its slot. exit\n" +
			"has it stop watching. off and reboot switch it off, past the cluster: takt fence off\n" +
			"is the better way while a cluster is there.",
		Example: "  takt fence disk message n2 test /dev/disk/by-id/a",
		Args:    cobra.RangeArgs(3, 2+disk.MostDisks),
		RunE: func(cmd *cobra.Command, args []string) error {
			const op = "write to a fence disk"
			order, err := disk.ParseOrder(args[1])
			if err != nil {
				return usage(cmd, err)
			}
			set, err := openSet(op, args[2:])
			if err != nil {
				return err
			}
			if order != disk.Test && !yes {
				if err := agree(cmd, fmt.Sprintf("Node %s is told %s.", args[0], order)); err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), limit)
			defer cancel()
			return sendMessage(ctx, cmd, g, set, args[0], order)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().DurationVar(&limit, "wait", time.Minute, "wait at most so long for the answer")
	return cmd
}

func sendMessage(ctx context.Context, cmd *cobra.Command, g *globals, set *disk.Set, node string, order disk.Order) error {
	from, err := os.Hostname()
	if err != nil {
		from = "somebody"
	}
	began, words := time.Now(), ""
	if order == disk.Test || order == disk.Exit {
		if err = set.Note(ctx, node, order, from); err == nil {
			words = fmt.Sprintf("%s has read the %s.", node, order)
		}
	} else {
		var sent disk.Sent
		if sent, err = set.Off(ctx, node, order, from); err == nil {
			words = fmt.Sprintf("%s is off: %s.", node, sent.Why)
		}
	}
	if err != nil {
		return diskError("tell "+node+" "+order.String(), err)
	}
	if g.json() {
		return printJSON(cmd, map[string]any{"node": node, "order": order.String(), "text": words, "took_ms": time.Since(began).Milliseconds()})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s (%s)\n", words, time.Since(began).Round(time.Millisecond))
	return nil
}

func newFenceDiskDumpCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "dump DISK…",
		Short:   "Show what is on each fence disk, and what is wrong with it",
		Example: "  takt fence disk dump /dev/disk/by-id/a /dev/disk/by-id/b /dev/disk/by-id/c",
		Args:    cobra.RangeArgs(1, disk.MostDisks),
		RunE: func(cmd *cobra.Command, args []string) error {
			const op = "read fence disks"
			set, err := openSet(op, args)
			if err != nil {
				return err
			}
			disks, _, err := set.Headers(cmd.Context())
			if g.json() {
				if e := printJSON(cmd, dumpJSON(disks)); e != nil {
					return e
				}
				return diskError(op, err)
			}
			out := cmd.OutOrStdout()
			for _, d := range disks {
				if d.Err != nil {
					fmt.Fprintf(out, "%s: %s\n", d.Path, painterFor(out).paint(bad, d.Err.Error()))
					continue
				}
				h := d.Header
				fmt.Fprintf(out, "%s: disk %d of %d of the set %x, cluster %x\n  %d slots, watchdog %s, looked at every %s, off after %s\n", d.Path, h.Index+1, h.Disks, h.Set, h.Cluster, h.Slots, h.Times.Watchdog, h.Times.Loop, h.Times.Wait)
			}
			for _, f := range set.Inspect(cmd.Context(), -1) {
				if !f.Fatal {
					fmt.Fprintln(out, painterFor(out).paint(warn, "! "+f.Text))
				}
			}
			return diskError(op, err)
		},
	}
}

func dumpJSON(disks []disk.Disk) []map[string]any {
	var list []map[string]any
	for _, d := range disks {
		if d.Err != nil {
			list = append(list, map[string]any{"path": d.Path, "error": d.Err.Error()})
			continue
		}
		h := d.Header
		list = append(list, map[string]any{"path": d.Path, "set": hex.EncodeToString(h.Set[:]), "cluster": hex.EncodeToString(h.Cluster[:]), "disk": h.Index + 1, "disks": h.Disks,
			"slots": h.Slots, "watchdog_ms": h.Times.Watchdog.Milliseconds(), "loop_ms": h.Times.Loop.Milliseconds(), "wait_ms": h.Times.Wait.Milliseconds()})
	}
	return list
}
