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

	"github.com/takt-ha/takt/api"
)

func newMonCommand(g *globals) *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "mon",
		Short: "Watch the cluster live",
		Long: "Shows what \"takt status\" shows, again and again; q ends it. Without a terminal it\n" +
			"prints the screen whenever it has changed. With -o json: one line a change.",
		Example: "  takt mon\n  takt mon --interval 200ms",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 50*time.Millisecond {
				return usage(cmd, fmt.Errorf("--interval %s: want 50ms or more", every))
			}
			client := g.client()
			if g.json() || !isTerminal(cmd.OutOrStdout()) || !isTerminal(cmd.InOrStdin()) {
				return watch(cmd, g, client, every)
			}
			return live(cmd, client, every)
		},
	}
	cmd.Flags().DurationVar(&every, "interval", 500*time.Millisecond, "time between two looks")
	return cmd
}

// watch prints the screen whenever it has changed, until ctx ends.
func watch(cmd *cobra.Command, g *globals, c statuser, every time.Duration) error {
	out, p := cmd.OutOrStdout(), painterFor(cmd.OutOrStdout())
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := ""
	for {
		s, err := c.Status(cmd.Context())
		if cmd.Context().Err() != nil {
			return nil
		}
		if now := look(s, err); now != last {
			last = now
			if err := printLook(cmd, g, out, p, s, err); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-cmd.Context().Done():
			return nil
		}
	}
}

// look is what a change is judged by: the screen without its clock and counters.
func look(s *api.Status, err error) string {
	if err != nil {
		return "! " + err.Error()
	}
	still := *s
	still.Time = time.Time{}
	still.Pulse = nil
	still.Links = append([]api.LinkStatus(nil), s.Links...)
	for i := range still.Links {
		l := &still.Links[i]
		l.RTT, l.Received, l.Lost, l.Late = 0, 0, 0, 0
	}
	var b strings.Builder
	renderStatus(&b, &still, painter{}, time.UTC)
	return b.String()
}

func printLook(cmd *cobra.Command, g *globals, out io.Writer, p painter, s *api.Status, err error) error {
	switch {
	case err != nil:
		fmt.Fprintf(cmd.ErrOrStderr(), "takt: %s\n", cleanLines(err.Error()))
		return nil
	case g.json():
		return printLine(out, s)
	}
	renderStatus(out, s, p, time.Local)
	_, err = fmt.Fprintln(out, strings.Repeat("─", 72))
	return err
}

// live runs the full-screen view.
func live(cmd *cobra.Command, c statuser, every time.Duration) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	m := monitor{ctx: ctx, client: c, every: every, painter: painterFor(cmd.OutOrStdout())}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(cmd.InOrStdin()), tea.WithOutput(cmd.OutOrStdout())).Run()
	if errors.Is(err, tea.ErrInterrupted) || cmd.Context().Err() != nil {
		return nil
	}
	return err
}

// monitor is the model of the live view: the last answer, and how far it is
// scrolled down.
type monitor struct {
	ctx     context.Context
	client  statuser
	every   time.Duration
	painter painter

	status *api.Status
	err    error
	top    int // first line shown
	height int // of the terminal, 0 until known
}

type answered struct {
	status *api.Status
	err    error
}

type due struct{}

// Init asks for the first time.
func (m monitor) Init() tea.Cmd { return m.ask }

func (m monitor) ask() tea.Msg {
	ctx, cancel := context.WithTimeout(m.ctx, 5*time.Second)
	defer cancel()
	s, err := m.client.Status(ctx)
	return answered{s, err}
}

// Update handles keys, the terminal's size, and answers.
func (m monitor) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "ctrl+c", "esc":
			return m, tea.Quit
		case "down", "j":
			m.top++
		case "up", "k":
			m.top = max(0, m.top-1)
		case "pgdown", "space":
			m.top += max(1, m.height-2)
		case "pgup":
			m.top = max(0, m.top-max(1, m.height-2))
		}
	case tea.WindowSizeMsg:
		m.height = msg.Height
	case answered:
		if m.err = msg.err; msg.err == nil {
			m.status = msg.status
		}
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return due{} })
	case due:
		return m, m.ask
	}
	return m, nil
}

// View draws the screen.
func (m monitor) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	return v
}

// screen is the text of the view, cut to the terminal's height.
func (m monitor) screen() string {
	var b strings.Builder
	if m.err != nil {
		fmt.Fprintf(&b, "%s\n", m.painter.paint(bad, "takt: "+clean(m.err.Error())))
		if m.status != nil {
			fmt.Fprintf(&b, "%s\n\n", m.painter.paint(dim, "last seen:"))
		}
	}
	switch {
	case m.status != nil:
		renderStatus(&b, m.status, m.painter, time.Local)
	case m.err == nil:
		b.WriteString("asking …\n")
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	foot := m.painter.paint(dim, "q quits, ↑ ↓ scroll")
	if m.height == 0 {
		return strings.Join(append(lines, "", foot), "\n")
	}
	room := max(1, m.height-2)
	top := min(m.top, max(0, len(lines)-room))
	lines = lines[top:min(len(lines), top+room)]
	return strings.Join(append(lines, "", foot), "\n")
}
