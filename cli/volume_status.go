package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/daemon"
	"github.com/takt-ha/takt/volume/disk"
)

func newVolumeStatusCommand(v *volumes) *cobra.Command {
	var o struct {
		proc, watch, more bool
		every             time.Duration
	}
	cmd := &cobra.Command{
		Use:   "status [NAME...|all]",
		Short: "Show volumes: roles, disks, connections, progress",
		Long: "Shows each volume with its peers, how far a resync or verify is, and what can be done where\n" +
			"something is not as it should be. A volume that is not up is shown from its file and its metadata.\n" +
			"With -o json and one NAME the answer is one object, else a list.",
		Example:           "  takt volume status\n  takt volume status r0 -o json\n  takt volume status --watch\n  takt volume status --proc",
		Args:              nameArgs(true),
		ValidArgsFunction: v.completeVolumes(true, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			one := len(args) == 1 && args[0] != "all"
			look := func(ctx context.Context) ([]volume.Status, error) {
				names, err := v.chosen(args)
				if err != nil {
					return nil, err
				}
				return v.statuses(ctx, names)
			}
			show := func(out io.Writer, p painter, all []volume.Status) error {
				switch {
				case v.json() && one:
					return jsonOf(cmd, o.watch, all[0])
				case v.json():
					return jsonOf(cmd, o.watch, all)
				case o.proc:
					renderProc(out, all)
				default:
					renderVolumes(out, p, all, o.more)
				}
				return nil
			}
			if !o.watch {
				all, err := look(cmd.Context())
				if err != nil {
					return err
				}
				return show(cmd.OutOrStdout(), painterFor(cmd.OutOrStdout()), all)
			}
			if o.every < 50*time.Millisecond {
				return usage(cmd, fmt.Errorf("--interval %s: want 50ms or more", o.every))
			}
			return watchVolumes(cmd, look, show, o.every, v.json())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.proc, "proc", false, "the compact lines that DRBD 8 showed in /proc/drbd")
	f.BoolVarP(&o.watch, "watch", "w", false, "again and again; on a terminal q ends it, else it prints what has changed")
	f.BoolVarP(&o.more, "verbose", "v", false, "also addresses, counters and generations")
	f.DurationVar(&o.every, "interval", 500*time.Millisecond, "with --watch: time between two looks")
	return cmd
}

func jsonOf(cmd *cobra.Command, line bool, value any) error {
	if line {
		return printLine(cmd.OutOrStdout(), value)
	}
	return printJSON(cmd, value)
}

// statuses asks all chosen volumes; those that are not up are described from what is on disk.
func (v *volumes) statuses(ctx context.Context, names []string) ([]volume.Status, error) {
	all := []volume.Status{}
	for _, name := range names {
		c := v.client(name)
		s, err := c.Status(ctx)
		c.Close()
		if errs.KindOf(err) == errs.Unavailable && ctx.Err() == nil {
			s, err = v.atRest(name)
		}
		if err != nil {
			return all, err
		}
		if s.Peers == nil {
			s.Peers = []volume.ConnectionInfo{}
		}
		all = append(all, s)
	}
	return all, nil
}

// atRest is the status of a volume whose process does not run: from its file and its metadata.
func (v *volumes) atRest(name string) (volume.Status, error) {
	f, err := v.find(name)
	if err != nil {
		return volume.Status{}, err
	}
	self := selfOf(f.Config)
	s := volume.Status{Name: name, Node: self.Name, Minor: f.Minor, Backing: self.Disk, Meta: self.Meta, Client: self.Disk == "none", NBDSocket: v.paths(name).NBD, Front: f.Front, Size: f.Size}
	for _, n := range f.Nodes {
		if n.ID != f.Self {
			s.Peers = append(s.Peers, volume.ConnectionInfo{Node: n.ID, Name: n.Name, Address: n.Address, Disk: volume.DUnknown, Protocol: n.Protocol, TLS: !f.Net.Plain})
		}
	}
	if s.Client {
		s.Advice = []string{"It is not up: takt volume up " + name}
		return s, nil
	}
	super, _, err := disk.Inspect(osfs.OS{}, daemon.DiskOptions(f.Config))
	if errs.KindOf(err) == errs.NotFound {
		s.Advice = []string{"There is no " + self.Disk + " yet: \"takt volume create " + name + "\" makes this node's replica."}
		return s, nil
	}
	if err != nil {
		s.Advice = []string{err.Error() + ".", orElse(errs.HintOf(err), "\"takt volume create "+name+"\" prepares the disk.")}
		return s, nil
	}
	s.Disk, s.Size = super.Disk, super.Size
	if super.Gen.Current != 0 {
		s.Current = fmt.Sprintf("%016X", uint64(super.Gen.Current))
	}
	if super.Crashed {
		s.Advice = append(s.Advice, "It was primary and was not taken down: what may differ is compared when it is up again.")
	}
	s.Advice = append(s.Advice, "It is not up: takt volume up "+name)
	return s, nil
}

// watchVolumes shows again and again, until the user or the context ends it.
func watchVolumes(cmd *cobra.Command, look func(context.Context) ([]volume.Status, error), show func(io.Writer, painter, []volume.Status) error, every time.Duration, json bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if !json && isTerminal(out) && isTerminal(cmd.InOrStdin()) {
		m := volumeMonitor{ctx: ctx, every: every, look: func(ctx context.Context) string {
			var b strings.Builder
			all, err := look(ctx)
			if err != nil {
				return painterFor(out).paint(bad, "takt: "+clean(err.Error()))
			}
			_ = show(&b, painterFor(out), all) // into memory
			return b.String()
		}}
		_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(cmd.InOrStdin()), tea.WithOutput(out)).Run()
		if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
			return nil
		}
		return err
	}
	return watchLines(ctx, out, look, show, every)
}

// watchLines prints what has changed, for a program or a file.
func watchLines(ctx context.Context, out io.Writer, look func(context.Context) ([]volume.Status, error), show func(io.Writer, painter, []volume.Status) error, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := ""
	for {
		all, err := look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var b strings.Builder
		renderVolumes(&b, painter{}, all, false)
		if now := b.String(); now != last {
			last = now
			if err := show(out, painterFor(out), all); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// volumeMonitor is the model of the live view: the last screen.
type volumeMonitor struct {
	ctx   context.Context
	every time.Duration
	look  func(context.Context) string
	text  string
	lines int // of the terminal, 0 until known
}

// Init looks for the first time.
func (m volumeMonitor) Init() tea.Cmd { return m.ask }

func (m volumeMonitor) ask() tea.Msg {
	ctx, cancel := context.WithTimeout(m.ctx, 5*time.Second)
	defer cancel()
	return m.look(ctx)
}

// Update handles keys, the terminal's size, and screens.
func (m volumeMonitor) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if k := msg.String(); k == "q" || k == "ctrl+c" || k == "esc" {
			return m, tea.Quit
		}
	case tea.WindowSizeMsg:
		m.lines = msg.Height
	case string:
		m.text = msg
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return due{} })
	case due:
		return m, m.ask
	}
	return m, nil
}

// View draws the screen, cut to the terminal's height.
func (m volumeMonitor) View() tea.View {
	lines := strings.Split(strings.TrimRight(m.text, "\n"), "\n")
	if m.lines > 2 && len(lines) > m.lines-2 {
		lines = lines[:m.lines-2]
	}
	v := tea.NewView(strings.Join(append(lines, "", "q quits"), "\n"))
	v.AltScreen = true
	return v
}
