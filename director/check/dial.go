package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// place is where and how a check connects.
type place struct {
	to      netip.AddrPort
	bind    netip.AddrPort
	device  string
	mark    uint32
	timeout time.Duration // of the connection, and again of the answer
}

// placeOf fills in what a check leaves to its real server.
func placeOf(k *director.Check, real netip.AddrPort) place {
	to := k.Addr
	if !to.Addr().IsValid() {
		to = netip.AddrPortFrom(real.Addr(), to.Port())
	}
	if to.Port() == 0 {
		to = netip.AddrPortFrom(to.Addr(), real.Port())
	}
	return place{to: to, bind: k.Bind, device: k.BindIf, mark: k.Mark, timeout: k.Timing.Timeout}
}

// dial connects. The connection has the time-out for everything that follows; at the end it is reset, so that thousands of checks do not
// leave their ports waiting (RFC 9293, section 3.6.1).
func (p place) dial(ctx context.Context, network string) (net.Conn, error) {
	d := net.Dialer{Timeout: p.timeout, KeepAlive: -1, Control: p.control}
	if p.bind.IsValid() || p.bind.Port() != 0 {
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(p.bind)
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(p.bind)
		}
	}
	c, err := d.DialContext(ctx, network, p.to.String())
	if err != nil {
		return nil, plain(err, p.timeout)
	}
	if t, is := c.(*net.TCPConn); is {
		_ = t.SetLinger(0) // a kindness
	}
	return c, c.SetDeadline(time.Now().Add(p.timeout))
}

func (p place) control(_, _ string, c syscall.RawConn) error {
	if p.device == "" && p.mark == 0 {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		if p.device != "" {
			failed = errors.Join(failed, unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, p.device))
		}
		if p.mark != 0 {
			failed = errors.Join(failed, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(p.mark)))
		}
	})
	return errors.Join(err, failed)
}

// plain says an error of the network in a few words.
func plain(err error, timeout time.Duration) error {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &op) && op.Timeout():
		return fmt.Errorf("no answer within %v", timeout)
	case errors.Is(err, unix.ECONNREFUSED):
		return errors.New("the connection is refused")
	case errors.Is(err, unix.ECONNRESET):
		return errors.New("the connection was reset")
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
