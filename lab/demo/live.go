package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"
)

// maxFeed bounds the remembered lines of the feed.
const maxFeed = 500

// Live shows the cluster at a terminal and does what keys say, until q, Ctrl-C or
// ctx ends it.
func (s *Session) Live(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	m := &model{session: s, ctx: ctx, width: 100, height: 30}
	program := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out))
	var feeding sync.WaitGroup
	feeding.Go(func() {
		s.feed(ctx, func(text string) { program.Send(lineMsg(text)) }, func(v snapshot) { program.Send(v) })
	})
	_, err := program.Run()
	cancel()
	feeding.Wait()
	m.acting.Wait()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, tea.ErrProgramKilled) {
		return nil // Ctrl-C or the context: the ordinary ways to leave
	}
	return err
}

type lineMsg string // one line of the feed

type saidMsg string // what an action did

// model is the terminal program's state; only its Update changes it.
type model struct {
	session       *Session
	ctx           context.Context // ends actions with the program
	acting        sync.WaitGroup
	snap          snapshot
	lines         []string
	said          string
	width, height int
}

// Init starts nothing: the feed runs beside the program.
func (m *model) Init() tea.Cmd { return nil }

// Update takes in a key, a line, a snapshot or a new window size.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch v := msg.(type) {
	case lineMsg:
		m.lines = append(m.lines, string(v))
		m.lines = m.lines[max(0, len(m.lines)-maxFeed):]
	case snapshot:
		m.snap = v
	case saidMsg:
		m.said = string(v)
	case tea.WindowSizeMsg:
		m.width, m.height = v.Width, v.Height
	case tea.KeyPressMsg:
		key := v.String()
		if key == "q" || key == "ctrl+c" {
			return m, tea.Quit
		}
		return m, m.action(key)
	}
	return m, nil
}

// action runs beside the program, which must not wait for it.
func (m *model) action(key string) tea.Cmd {
	m.acting.Add(1)
	return func() tea.Msg {
		defer m.acting.Done()
		return saidMsg(said(m.session.act(m.ctx, key)))
	}
}

func said(text string, err error) string {
	if err != nil {
		return "not done: " + err.Error()
	}
	return text
}

// View shows it all.
func (m *model) View() tea.View {
	v := tea.NewView(screen(m.snap, m.lines, m.said, m.width, m.height))
	v.AltScreen = true
	return v
}

// Plain is Live without a terminal: lines out, a key a line in. It ends with q,
// with ctx, or when in ends.
func (s *Session) Plain(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // guards out
	say := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, text)
	}
	say(keys)
	go func() { // ends with its input; the program does, too
		defer cancel()
		scanner := bufio.NewScanner(in)
		for scanner.Scan() && ctx.Err() == nil {
			key := strings.TrimSpace(scanner.Text())
			if key == "q" {
				return
			}
			if key != "" {
				say(said(s.act(ctx, key)))
			}
		}
	}()
	s.feed(ctx, say, func(snapshot) {})
	return nil
}
