package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

func newVolumeEventsCommand(v *volumes) *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "events [NAME...|all]",
		Short: "Show the present state, then everything that happens",
		Long: "First a line \"exists\" for each volume and connection, ended by a line \"-\"; then \"change\" for a new\n" +
			"state and \"note\" for what happened in words, until it is interrupted. With -o json each line is one\n" +
			"object: time_ms, action, kind, name, node, peer, words, state. A volume that goes down says so\n" +
			"with a last note; when none is left the command ends.",
		Example:           "  takt volume events r0\n  takt volume events -o json\n  takt volume events --now",
		Args:              nameArgs(true),
		ValidArgsFunction: v.completeVolumes(true, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := v.chosen(args)
			if err != nil {
				return err
			}
			return v.events(cmd, names, now, len(args) > 0 && args[0] != "all")
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "end after the present state")
	return cmd
}

// errEnough ends a stream whose present state was all that was wanted.
var errEnough = errors.New("enough")

// events follows several volumes at once. A volume that is not up is an error only if it was named.
func (v *volumes) events(cmd *cobra.Command, names []string, now, named bool) error {
	var (
		mu    sync.Mutex // held over out and first
		first error
		all   sync.WaitGroup
	)
	out, p := cmd.OutOrStdout(), painterFor(cmd.OutOrStdout())
	print := func(e volume.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if v.json() {
			return printLine(out, e)
		}
		_, err := fmt.Fprintln(out, volumeEventLine(e, p, time.Local))
		return err
	}
	for _, name := range names {
		all.Go(func() {
			err := v.follow(cmd.Context(), name, now, print)
			if err != nil && (named || errs.KindOf(err) != errs.Unavailable) {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	all.Wait()
	return first
}

func (v *volumes) follow(ctx context.Context, name string, now bool, print func(volume.Event) error) error {
	c := v.client(name)
	defer c.Close()
	node, heard := "", false
	err := c.Events(ctx, func(e volume.Event) error {
		node, heard = e.Node, true
		if err := print(e); err != nil {
			return err
		}
		if now && e.Action == "-" {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || ctx.Err() != nil {
		return nil
	}
	if heard { // the stream stood, so its end is news, not an error
		return print(volume.Event{Time: time.Now().UnixMilli(), Action: "note", Kind: "volume", Name: name, Node: node, Words: "the volume is down here, or its process has ended"})
	}
	return v.orUnknown(name, err)
}

// volumeEventLine renders one event. Columns have fixed widths, because a stream cannot wait for its widest line.
func volumeEventLine(e volume.Event, p painter, zone *time.Location) string {
	about := clean(e.Name)
	if e.Peer != "" {
		about += " ↔ " + clean(e.Peer)
	}
	text := clean(e.Words)
	if e.State != nil {
		text = stateText(p, *e.State)
	}
	line := fmt.Sprintf("%s  %s  %s  %s", p.paint(dim, time.UnixMilli(e.Time).In(zone).Format("2006-01-02 15:04:05.000")), pad(e.Action, 6), pad(about, 14), text)
	if e.Action == "note" {
		line = fmt.Sprintf("%s  %s  %s  %s: %s", p.paint(dim, time.UnixMilli(e.Time).In(zone).Format("2006-01-02 15:04:05.000")), pad(e.Action, 6), pad(about, 14),
			p.paint(noteStyle(e.Kind), clean(e.Kind)), text)
	}
	return strings.TrimRight(line, " ")
}

func noteStyle(kind string) style {
	switch kind {
	case "error", "split-brain":
		return bad
	case "fence", "frozen", "quorum":
		return warn
	}
	return plain
}

// stateText is a state as name:value words, in the order of drbdsetup events2.
func stateText(p painter, s volume.State) string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, p.paint(dim, name+":")+clean(value))
		}
	}
	add("connection", s.Connection)
	add("role", s.Role+s.PeerRole)
	add("disk", s.Disk+s.PeerDisk)
	if s.Size > 0 {
		add("size", humanSize(s.Size))
	}
	if s.Quorum != nil && !*s.Quorum {
		add("quorum", "no")
	}
	if s.Percent != nil {
		add("done", fmt.Sprintf("%.0f%%", *s.Percent))
	}
	if s.OutOfSync != nil && *s.OutOfSync > 0 {
		add("out-of-sync", humanSize(*s.OutOfSync))
	}
	add("suspended", strings.Join(s.Suspended, "; "))
	return strings.Join(words, " ")
}
