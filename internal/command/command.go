// Package command runs external programs for Takt: bounded in time and in
// output, and without leaving anything behind.
//
// A program gets a session, and so a process group, of its own. When its time
// is over the whole group and every descendant get SIGTERM, and SIGKILL after
// a grace. A daemon that a program starts and that keeps the program's standard
// output open does not hold Run up: Run returns when the program itself has
// ended and what it wrote has been read. A descendant that has detached itself
// completely (its parent has exited) is the service's own; it is not hunted.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Defaults of Spec.
const (
	DefaultGrace = time.Second
	DefaultLimit = 16 << 10
)

// Spec says what to run.
type Spec struct {
	Path       string              // the program; no search in PATH
	Name       string              // argv[0], Path if empty
	Args       []string            // without argv[0]
	Env        []string            // the whole environment; nothing is inherited
	Dir        string              // working folder, "/" if empty
	Stdin      []byte              // standard input, /dev/null if nil
	Timeout    time.Duration       // 0: only the context limits it
	Grace      time.Duration       // from SIGTERM to SIGKILL, DefaultGrace if 0
	Limit      int                 // bytes kept of each stream, the last ones; DefaultLimit if 0
	Credential *syscall.Credential // who runs it, nil for ourselves
	Started    func(pid int)       // called when it runs; pid is also its group and session
	Signal     syscall.Signal      // first signal at the end of time, SIGTERM if 0
	Sweep      bool                // its group ends with it: for what runs again and again, and is to leave nothing behind
	Leave      bool                // what it leaves in the background goes on, and may write while this process lives
}

// Outcome is how it ended. Exactly one of these holds: Err is set (it never
// ran), TimedOut, Cancelled, Signal is set, or Exit counts.
type Outcome struct {
	Exit      int            // exit status, -1 if there is none
	Signal    syscall.Signal // the signal that ended it, 0 if none
	Stdout    string         // the last Limit bytes
	Stderr    string         // the last Limit bytes
	Output    string         // the last Limit bytes of both, as they came
	Dropped   int64          // bytes that are in the streams and not in Output
	TimedOut  bool           // ended by us: its time was over
	Cancelled bool           // ended by us: the context was cancelled
	Err       error          // it could not be started
	Started   time.Time
	Duration  time.Duration
}

// Run runs the program to its end. It returns at the latest a moment after
// the time-out plus the grace.
func Run(ctx context.Context, spec Spec) Outcome {
	spec.defaults()
	if spec.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, spec.Timeout)
		defer cancel()
	}
	out := Outcome{Exit: -1, Started: time.Now()}
	capture, err := newCapture(spec.Limit)
	if err != nil {
		out.Err = err
		return out
	}
	cmd := spec.command(capture)
	if err := start(ctx, cmd); err != nil {
		capture.finish()
		out.Err = fmt.Errorf("start %s: %w", spec.Path, err)
		return out
	}
	capture.begin()
	if spec.Started != nil {
		spec.Started(cmd.Process.Pid)
	}
	ended := make(chan error, 1)
	go func() {
		if spec.Sweep {
			sweep(cmd.Process.Pid)
		}
		ended <- cmd.Wait()
	}()
	reaped := true
	select {
	case <-ended:
	case <-ctx.Done():
		out.TimedOut = errors.Is(ctx.Err(), context.DeadlineExceeded)
		out.Cancelled = !out.TimedOut
		reaped = terminate(cmd.Process.Pid, spec, ended)
	}
	if spec.Leave && reaped && !out.TimedOut && !out.Cancelled {
		capture.leave()
	} else {
		capture.finish()
	}
	out.Duration = time.Since(out.Started)
	out.fill(capture)
	if reaped {
		out.status(cmd.ProcessState)
	}
	return out
}

func (s *Spec) defaults() {
	if s.Grace <= 0 {
		s.Grace = DefaultGrace
	}
	if s.Limit <= 0 {
		s.Limit = DefaultLimit
	}
	if s.Name == "" {
		s.Name = s.Path
	}
	if s.Dir == "" {
		s.Dir = "/"
	}
	if s.Signal == 0 {
		s.Signal = syscall.SIGTERM
	}
}

func (s *Spec) command(c *capture) *exec.Cmd {
	cmd := &exec.Cmd{
		Path: s.Path, Args: append([]string{s.Name}, s.Args...), Env: s.Env, Dir: s.Dir,
		Stdout: c.out.write, Stderr: c.err.write,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: s.Credential},
		// Bounds the copying of standard input, which a grandchild may hold open unread.
		WaitDelay: 100 * time.Millisecond,
	}
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	if s.Stdin != nil {
		cmd.Stdin = bytes.NewReader(s.Stdin)
	}
	return cmd
}

// start retries ETXTBSY: another thread of ours may have forked while the
// program's file was being written.
func start(ctx context.Context, cmd *exec.Cmd) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := cmd.Start()
		if try == 5 || !errors.Is(err, syscall.ETXTBSY) {
			return err
		}
		time.Sleep(time.Duration(try+1) * time.Millisecond)
		cmd.Process = nil
	}
}

func (o *Outcome) fill(c *capture) {
	o.Stdout, o.Stderr, o.Output, o.Dropped = c.out.tail.String(), c.err.tail.String(), c.both.String(), c.both.dropped
}

func (o *Outcome) status(state *os.ProcessState) {
	if state == nil {
		return
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		o.Signal = ws.Signal()
		return
	}
	o.Exit = state.ExitCode()
}
