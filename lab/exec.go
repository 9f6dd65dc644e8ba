package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// ExitError is a command in a node that ended with another status than 0.
type ExitError struct {
	Node   string
	Argv   []string
	Code   int    // 128+N if signal N ended it, 126 or 127 if it could not be started
	Stderr string // what it wrote there, where it was kept
}

// Error names node, command, status and the last of its own words.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s on %s: exit status %d", strings.Join(e.Argv, " "), e.Node, e.Code)
	if words := strings.TrimSpace(e.Stderr); words != "" {
		text += ": " + words
	}
	return text
}

// Command is a command to run in a node.
type Command struct {
	Node   string
	Argv   []string
	Env    []string // beside the node's own
	Dir    string   // "" or a folder that the node lacks: /
	Stdin  *os.File // nil: /dev/null
	Stdout *os.File // nil: /dev/null
	Stderr *os.File // nil: /dev/null
	// Signals, if set, are passed on to the command's process group.
	Signals <-chan os.Signal
}

// Exec runs a command in a node and returns what it wrote to standard output;
// *ExitError if its exit status is not 0. If ctx ends, the command is killed.
func (l *Lab) Exec(ctx context.Context, node string, argv ...string) ([]byte, error) {
	var out, errOut bytes.Buffer
	code, err := l.stream(ctx, Command{Node: node, Argv: argv}, &out, &errOut)
	if err == nil && code != 0 {
		err = &ExitError{Node: node, Argv: argv, Code: code, Stderr: errOut.String()}
	}
	return out.Bytes(), err
}

// outputGrace is how long output is read after a command has ended: what it left
// running may hold its standard output for ever.
const outputGrace = 200 * time.Millisecond

// stream runs a command and copies its output to writers.
func (l *Lab) stream(ctx context.Context, c Command, out, errOut io.Writer) (int, error) {
	outEnd, outCopy, err := copyPipe(out)
	if err != nil {
		return 0, err
	}
	errEnd, errCopy, err := copyPipe(errOut)
	if err != nil {
		outEnd.Close()
		outCopy()
		return 0, err
	}
	c.Stdout, c.Stderr = outEnd, errEnd
	code, err := l.Run(ctx, c)
	outEnd.Close()
	errEnd.Close()
	outCopy()
	errCopy()
	return code, err
}

// copyPipe returns a pipe's writing end, and a function that waits until all that
// was written is in w, or outputGrace has passed.
func copyPipe(w io.Writer) (*os.File, func(), error) {
	r, end, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := io.Copy(w, r); errors.Is(err, os.ErrDeadlineExceeded) {
			takeRest(w, r)
		}
	}()
	return end, func() {
		r.SetReadDeadline(time.Now().Add(outputGrace))
		<-done
		r.Close()
	}, nil
}

// takeRest copies what is in a pipe now: on a busy machine a deadline can pass before anybody has looked.
func takeRest(w io.Writer, r *os.File) {
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 1<<20) // as much as a pipe can hold
	_ = raw.Control(func(fd uintptr) {
		for room := buf; len(room) > 0; {
			n, err := unix.Read(int(fd), room)
			if err != nil || n == 0 {
				return
			}
			_, _ = w.Write(room[:n])
			room = room[n:]
		}
	})
}

// Run runs a command in a node with the caller's own files and returns its exit
// status. If ctx ends, the command is killed. It closes none of the files.
func (l *Lab) Run(ctx context.Context, c Command) (int, error) {
	if err := l.check(c.Node); err != nil {
		return 0, err
	}
	conn, err := dialSocket(l.controlPath(c.Node))
	if err != nil {
		return 0, errs.E("reach node", errs.Unavailable, c.Node, "Is it running? See: takt lab status --dir "+l.dir, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // node-init kills the command then
	defer stop()
	if err := sendCommand(conn, c); err != nil {
		return 0, errs.E("run in node", errs.Other, c.Node, "", err)
	}
	done := make(chan struct{})
	defer close(done)
	go passSignals(conn, c.Signals, done)
	p, err := readResponse(bufio.NewReader(conn))
	if ctx.Err() != nil {
		return 0, errs.E("run in node", errs.Timeout, c.Node, "", ctx.Err())
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return 0, errs.E("run in node", errs.Unavailable, c.Node, "", errors.New("the node went down while the command ran"))
	}
	if err != nil {
		return 0, errs.E("run in node", errs.Other, c.Node, "", err)
	}
	return p.Exit, nil
}

// sendCommand writes the request with the three descriptors on its first bytes.
// A parent's copies of the descriptors stay open; that matters to a reader of a
// pipe only, see stream.
func sendCommand(conn *net.UnixConn, c Command) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	var fds []int
	for _, f := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
		if f == nil {
			f = null
		}
		fds = append(fds, int(f.Fd()))
	}
	line, err := json.Marshal(request{Op: "exec", Argv: c.Argv, Env: c.Env, Dir: c.Dir})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	n, _, err := conn.WriteMsgUnix(line, unix.UnixRights(fds...), nil)
	if err == nil && n < len(line) {
		_, err = conn.Write(line[n:])
	}
	return err
}

func passSignals(conn *net.UnixConn, signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case sig, ok := <-signals:
			if !ok {
				return
			}
			if s, ok := sig.(syscall.Signal); ok {
				_ = json.NewEncoder(conn).Encode(request{Signal: int(s)})
			}
		}
	}
}

// Interactive runs a command with this program's own files, folder and signals,
// as `takt lab exec` does, and returns its exit status.
func (l *Lab) Interactive(ctx context.Context, node string, argv []string) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	var env []string
	for _, name := range []string{"TERM", "LANG", "LC_ALL", "NO_COLOR", "COLUMNS", "LINES"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return l.Run(ctx, Command{Node: node, Argv: argv, Env: env, Dir: dir,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals})
}
