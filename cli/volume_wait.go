package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// awaiting is how a command waits for the end of what it began.
type awaiting struct {
	// until says whether it is done. An error ends the wait.
	until func(s volume.Status, peer string) (bool, error)
	// soon: it may not have begun yet when the answer comes; so much later it is done if nothing is seen of it.
	soon time.Duration
	end  string // what is said when it is done; "": nothing
	on   bool
	most time.Duration
}

// flags gives a command --wait and --timeout; nil, as a receiver too, is for commands that begin nothing.
func (w *awaiting) flags(cmd *cobra.Command) *awaiting {
	if w == nil {
		return nil
	}
	own := *w
	cmd.Flags().BoolVarP(&own.on, "wait", "w", false, "wait until it is done, and show how far it is")
	cmd.Flags().DurationVar(&own.most, "timeout", 0, "with --wait: at most so long, as in 10m (default: as long as it takes)")
	return &own
}

// selected calls f for the peers that a command is about.
func selected(s volume.Status, peer string, f func(volume.ConnectionInfo)) {
	for _, c := range s.Peers {
		if peer == "" || c.Name == peer {
			f(c)
		}
	}
}

// whole says that nothing is going to happen to a disk: it has everything, or there is none.
func whole(d volume.DiskState) bool { return d == volume.UpToDate || d == volume.Diskless }

// inStep: every peer is connected and has the same data. Where nobody has any yet, being connected is all there is.
func inStep(s volume.Status, peer string) (done bool, err error) {
	data := s.Disk == volume.UpToDate
	selected(s, "", func(c volume.ConnectionInfo) { data = data || c.Disk == volume.UpToDate })
	done = s.Disk != volume.Attaching && s.Disk != volume.Negotiating && (!data || whole(s.Disk))
	selected(s, peer, func(c volume.ConnectionInfo) {
		switch {
		case c.State == volume.StandAlone:
			err = errs.E("connect", errs.Conflict, s.Name+" to "+c.Name, "\"takt volume status\" shows what can be done.", errors.New(orElse(c.Why, "StandAlone")))
		case c.State != volume.Connected || c.Sync != nil || c.OutOfSync > 0 || data && !whole(c.Disk):
			done = false
		}
	})
	return done, err
}

func upToDate(s volume.Status, _ string) (bool, error) {
	busy := false
	selected(s, "", func(c volume.ConnectionInfo) { busy = busy || c.Sync != nil })
	return s.Disk == volume.UpToDate && !busy, nil
}

func peersUpToDate(s volume.Status, peer string) (bool, error) {
	done := true
	selected(s, peer, func(c volume.ConnectionInfo) {
		done = done && c.Disk == volume.UpToDate && c.State == volume.Connected && c.Sync == nil
	})
	return done, nil
}

// verified: the verify has ended; it is an error if it could not be finished or blocks differ.
func verified(s volume.Status, peer string) (done bool, err error) {
	done = true
	selected(s, peer, func(c volume.ConnectionInfo) {
		switch {
		case c.State == volume.VerifyS || c.State == volume.VerifyT:
			done = false
		case c.State < volume.Connected:
			err = errs.E("verify", errs.Unavailable, s.Name+" with "+c.Name, "Connect it, then verify again.", errors.New("the connection was lost before the end"))
		case c.Unproven != "" && err == nil:
			err = errs.E("verify", errs.Unavailable, s.Name+" with "+c.Name, "Verify again.", errors.New("it was ended before its end: "+c.Unproven))
		case c.Found > 0 && err == nil:
			err = errs.E("verify", errs.Corrupt, s.Name+" with "+c.Name, fmt.Sprintf("They are marked: \"takt volume disconnect %s %s\" and \"takt volume connect %s %s\" copy them from the primary.", s.Name, c.Name, s.Name, c.Name),
				fmt.Errorf("%s differ", humanSize(c.Found)))
		}
	})
	if !done {
		return false, nil
	}
	return true, err
}

// await looks until it is done, and shows progress: on a terminal a line that changes, else a line now and then.
func (v *volumes) await(cmd *cobra.Command, c *control.Client, name, peer string, w *awaiting) (*volume.Status, error) {
	ctx, show := cmd.Context(), newProgressLine(cmd, v.json())
	defer show.end()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	began, seen := time.Now(), w.soon == 0
	for {
		s, err := c.Status(ctx)
		if err != nil {
			return nil, err
		}
		done, err := w.until(s, peer)
		switch {
		case err != nil:
			return &s, err
		case !done:
			seen = true
		case seen || time.Since(began) > w.soon:
			return &s, nil
		}
		show.update(s, peer)
		if w.most > 0 && time.Since(began) > w.most {
			return &s, errs.E("wait for volume", errs.Timeout, name, "It goes on; \"takt volume status\" shows how far it is.", fmt.Errorf("it has not ended within %s", w.most))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &s, errs.E("wait for volume", errs.Timeout, name, "It goes on; \"takt volume status\" shows how far it is.", errors.New("interrupted"))
		}
	}
}

// progressLine shows how far it is.
type progressLine struct {
	out      io.Writer
	terminal bool
	quiet    bool
	last     string
	tens     map[string]int
}

func newProgressLine(cmd *cobra.Command, quiet bool) *progressLine {
	return &progressLine{out: cmd.OutOrStdout(), terminal: isTerminal(cmd.OutOrStdout()), quiet: quiet, tens: map[string]int{}}
}

func (l *progressLine) update(s volume.Status, peer string) {
	if l.quiet {
		return
	}
	var words []string
	selected(s, peer, func(c volume.ConnectionInfo) {
		if c.Sync == nil {
			switch {
			case c.State != volume.Connected:
				words = append(words, fmt.Sprintf("%s: %s%s", c.Name, c.State, because(c.Why)))
			case c.OutOfSync > 0:
				words = append(words, fmt.Sprintf("%s: %s, %s, %s differ%s", c.Name, c.State, c.Disk, humanSize(c.OutOfSync), because(c.Why)))
			case !whole(c.Disk) || !whole(s.Disk):
				words = append(words, fmt.Sprintf("%s: %s, %s; %s here", c.Name, c.State, c.Disk, s.Disk))
			}
			return
		}
		text := fmt.Sprintf("%s: %s %s", c.Name, c.State, progressText(*c.Sync))
		if tens := int(c.Sync.Percent) / 10; l.terminal || l.tens[c.Name] != tens+1 {
			l.tens[c.Name] = tens + 1
			words = append(words, text)
		}
	})
	l.show(clean(strings.Join(words, "; ")))
}

func (l *progressLine) show(text string) {
	switch {
	case text == l.last || text == "" && !l.terminal:
	case l.terminal:
		fmt.Fprintf(l.out, "\r%s\x1b[K", text)
	default:
		fmt.Fprintln(l.out, text)
	}
	l.last = text
}

// end leaves an empty line behind on a terminal, so that what follows begins at its left.
func (l *progressLine) end() {
	if l.terminal && !l.quiet {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}
