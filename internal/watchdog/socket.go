package watchdog

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// answerPatience is how long a socket may take for an answer.
const answerPatience = 2 * time.Second

var (
	petLine   = []byte("pet\n")
	resetLine = []byte("reset\n")
)

// socketDog is a watchdog behind a unix socket.
type socketDog struct {
	path    string
	conn    *net.UnixConn
	answers *bufio.Reader
	fd      int // of conn, which does not block
	timeout time.Duration
}

func openSocket(path string, timeout time.Duration) (Device, error) {
	nc, err := net.DialTimeout("unix", path, answerPatience)
	if err != nil {
		return nil, failed(path, err)
	}
	d := &socketDog{path: path, conn: nc.(*net.UnixConn), timeout: timeout.Truncate(time.Millisecond)}
	d.answers = bufio.NewReader(d.conn)
	raw, err := d.conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { d.fd = int(fd) })
	}
	if err != nil {
		d.Release()
		return nil, failed(path, err)
	}
	if err := d.ask(fmt.Sprintf("arm %d\n", d.timeout.Milliseconds())); err != nil {
		d.Release()
		return nil, err
	}
	return d, nil
}

// ask sends a request that is answered.
func (d *socketDog) ask(line string) error {
	_ = d.conn.SetDeadline(time.Now().Add(answerPatience))
	_, err := d.conn.Write([]byte(line))
	answer := ""
	if err == nil {
		answer, err = d.answers.ReadString('\n')
	}
	_ = d.conn.SetDeadline(time.Time{})
	op := strings.Fields(line)[0] + " watchdog"
	switch answer = strings.TrimSpace(answer); {
	case err != nil:
		return errs.E(op, errs.Unavailable, d.path, "Check the program behind this socket.", err)
	case answer != "ok":
		return errs.E(op, errs.Invalid, d.path, "Choose another time-out, or another watchdog.", errors.New(answer))
	}
	return nil
}

// Pet sends a line without waiting: a socket that takes nothing is no help.
func (d *socketDog) Pet() error { return d.tell(petLine, "pet watchdog") }

// Reset asks for it at once.
func (d *socketDog) Reset() error { return d.tell(resetLine, "reset this machine") }

func (d *socketDog) tell(line []byte, op string) error {
	n, err := unix.Write(d.fd, line)
	if err == nil && n < len(line) {
		err = unix.EAGAIN
	}
	if err != nil {
		return errs.E(op, errs.Unavailable, d.path, "Check the program behind this socket.", err)
	}
	return nil
}

func (d *socketDog) Disarm() error {
	defer d.Release()
	return d.ask("disarm\n")
}

func (d *socketDog) Release() { _ = d.conn.Close() }

func (d *socketDog) Timeout() time.Duration { return d.timeout }

func (d *socketDog) Remark() string { return "" }
