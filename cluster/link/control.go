package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// The control protocol: frames of a 4-byte big-endian length and JSON, a
// request from the daemon, a message to it. See DESIGN.md.
const (
	maxFrame   = 1 << 20
	maxBacklog = 1 << 20 // bytes that may wait for a daemon that does not read
)

// Types of requests.
const (
	askConfigure = "configure"
	askView      = "view"
	askStatus    = "status"
	askSent      = "sent" // answered when Rounds more rounds of heartbeats went out
	askBeat      = "beat" // a sign of life, not answered
	askReset     = "reset"
	askStop      = "stop"
)

type request struct {
	ID     uint64  `json:"id"`
	Type   string  `json:"type"`
	Config *Config `json:"config,omitempty"`
	View   *View   `json:"view,omitempty"`
	Rounds uint64  `json:"rounds,omitempty"`
	Why    string  `json:"why,omitempty"`
	// Before: an earlier life of the pulse had armed the watchdog.
	Before bool `json:"before,omitempty"`
}

// message is an event, or the answer to the request with that ID. ID 0 with a
// Status is the greeting.
type message struct {
	ID     uint64  `json:"id,omitempty"`
	Event  *Event  `json:"event,omitempty"`
	Status *Status `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
	Kind   string  `json:"kind,omitempty"` // of the error, see errs
	Hint   string  `json:"hint,omitempty"`
}

// control is the pulse's end of the control socket. One daemon at a time.
type control struct {
	listener int
	lock     int
	path     string
	conn     int // -1 without a daemon
	in, out  []byte
	waits    []wait
}

// wait is a request to be answered once a number of rounds was sent.
type wait struct{ id, round uint64 }

// listen makes the socket, readable by its owner alone. A lock file beside it
// keeps a second pulse away and tells a stale socket from a live one.
func (c *control) listen(path string) error {
	c.listener, c.conn, c.lock, c.path = -1, -1, -1, path
	lock, err := unix.Open(path+".lock", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open the lock file: %w", err)
	}
	c.lock = lock
	if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		c.path = "" // the socket is another's
		c.close()
		return fmt.Errorf("another pulse holds the lock file: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.close()
		return fmt.Errorf("remove the stale socket: %w", err)
	}
	c.listener, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = unix.Fchmod(c.listener, 0o600) // before it has a name
	}
	if err == nil {
		err = unix.Bind(c.listener, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.Listen(c.listener, 4)
	}
	if err != nil {
		c.close()
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

func (c *control) close() {
	if c.listener >= 0 && c.path != "" {
		_ = os.Remove(c.path)
	}
	for _, fd := range []*int{&c.conn, &c.listener, &c.lock} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}

func (c *control) poll() unix.PollFd {
	p := unix.PollFd{Fd: int32(c.conn), Events: unix.POLLIN}
	if len(c.out) > 0 {
		p.Events |= unix.POLLOUT
	}
	return p
}

// serve reads what the daemon asks, sends what happened, and accepts a new daemon.
func (c *control) serve(l *loop) {
	if c.conn >= 0 && l.fds[2].Revents != 0 {
		c.read(l)
	}
	if l.fds[1].Revents != 0 {
		c.accept(l)
	}
	if c.conn < 0 {
		l.eng.Events() // the next daemon gets the state, not the story
		return
	}
	evs := l.eng.Events()
	for i := range evs {
		c.push(l, &message{Event: &evs[i]})
	}
	for i := 0; i < len(c.waits); {
		if l.eng.rounds < c.waits[i].round {
			i++
			continue
		}
		c.push(l, &message{ID: c.waits[i].id})
		if c.conn < 0 {
			return // dropped for not reading
		}
		c.waits = append(c.waits[:i], c.waits[i+1:]...)
	}
	c.flush(l)
}

// accept takes a daemon of the same user or root, unless one is attached.
func (c *control) accept(l *loop) {
	fd, _, err := unix.Accept4(c.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	switch {
	case err != nil || (cred.Uid != 0 && int(cred.Uid) != os.Geteuid()):
		refuseConn(fd, errs.Permission, "this pulse belongs to another user")
		return
	case c.conn >= 0:
		refuseConn(fd, errs.Conflict, "another daemon is attached to this pulse")
		return
	}
	c.conn, c.in, c.out, c.waits = fd, nil, nil, nil
	l.eng.Attach(l.now())
	st := l.status()
	c.push(l, &message{Status: &st})
	for _, ev := range l.eng.Present() {
		c.push(l, &message{Event: &ev})
	}
}

// refuseConn tells a caller why it is turned away.
func refuseConn(fd int, kind errs.Kind, why string) {
	if b, err := frame(nil, &message{Error: why, Kind: kind.String()}); err == nil {
		_, _ = unix.Write(fd, b)
	}
	_ = unix.Close(fd)
}

// detach forgets the daemon. Heartbeats say so from now on, unless it left.
func (c *control) detach(l *loop, why string) {
	if c.conn < 0 {
		return
	}
	l.opt.Log.Info("daemon detached", "reason", why)
	_ = unix.Close(c.conn)
	c.conn, c.in, c.out, c.waits = -1, nil, nil, nil
	l.eng.Detach()
}

// read takes what has arrived and answers every complete request in it.
func (c *control) read(l *loop) {
	var chunk [4096]byte
	for range 64 {
		n, err := unix.Read(c.conn, chunk[:])
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != nil || n == 0:
			c.detach(l, "connection closed")
			return
		}
		c.in = append(c.in, chunk[:n]...)
		for len(c.in) >= 4 {
			size := binary.BigEndian.Uint32(c.in)
			if size > maxFrame {
				c.detach(l, "a frame is too long")
				return
			}
			if len(c.in) < 4+int(size) {
				break
			}
			c.request(l, c.in[4:4+size])
			if c.conn < 0 {
				return
			}
			c.in = c.in[4+size:]
		}
	}
}

// request does what the daemon asks.
func (c *control) request(l *loop, b []byte) {
	var r request
	if err := json.Unmarshal(b, &r); err != nil {
		c.detach(l, "a request is not JSON")
		return
	}
	m := &message{ID: r.ID}
	switch {
	case r.Type == askConfigure && r.Config != nil:
		m.fail(l.configure(*r.Config))
	case r.Type == askView && r.View != nil:
		if r.Before {
			l.eng.Inherit()
		}
		l.eng.SetView(*r.View, l.now())
	case r.Type == askBeat:
		l.eng.Beat(l.now())
		return
	case r.Type == askReset:
		m.fail(l.reset(r.Why))
	case r.Type == askStatus:
		st := l.status()
		m.Status = &st
	case r.Type == askSent && r.Rounds <= 1000:
		c.waits = append(c.waits, wait{r.ID, l.eng.rounds + r.Rounds})
		return
	case r.Type == askStop:
		l.stopped = true
	default:
		m.fail(errs.E("ask pulse", errs.Invalid, r.Type, "Daemon and pulse differ in version: stop the pulse and start it again.", errors.New("unknown request")))
	}
	c.push(l, m)
	if l.stopped {
		c.flush(l)
	}
}

// fail makes the message an error, if err is one.
func (m *message) fail(err error) {
	if err != nil {
		m.Error, m.Kind, m.Hint = err.Error(), errs.KindOf(err).String(), errs.HintOf(err)
	}
}

// push queues a message; a daemon that reads too slowly is dropped, and gets
// the whole state when it attaches again.
func (c *control) push(l *loop, m *message) {
	if c.conn < 0 {
		return
	}
	b, err := frame(c.out, m)
	if err != nil {
		l.opt.Log.Error("cannot encode a message to the daemon", "err", err)
		return
	}
	if c.out = b; len(c.out) > maxBacklog {
		c.detach(l, "it does not read its events")
	}
}

// flush writes as much as the daemon takes.
func (c *control) flush(l *loop) {
	for c.conn >= 0 && len(c.out) > 0 {
		n, err := unix.SendmsgN(c.conn, c.out, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != nil:
			c.detach(l, "connection closed")
			return
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
}

// frame appends one framed message to b.
func frame(b []byte, m any) ([]byte, error) {
	j, err := json.Marshal(m)
	if err != nil {
		return b, err
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(j))), j...), nil
}
