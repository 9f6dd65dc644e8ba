package router

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/director/vrrp/wire"
)

// clock is the machine's time: CLOCK_BOOTTIME, which goes on while the machine sleeps.
type clock struct{ drained time.Duration }

func (c *clock) now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("router: no CLOCK_BOOTTIME: " + err.Error()) // every supported kernel has it
	}
	return time.Duration(ts.Nano())
}

// date is when something came, of which the kernel says the wall clock's time, 0 if it does not; ahead is the machine's time less the
// wall clock's, now.
func (c *clock) date(stamp int64, now, ahead time.Duration) time.Duration {
	if stamp == 0 {
		return now
	}
	return max(c.drained, min(time.Duration(stamp)+ahead, now))
}

// maxDrain bounds what is read from one socket in a turn: a flood must not keep adverts from going out.
const maxDrain = 2048

// sockets are those that the instances need.
type sockets struct {
	list []*wire.Socket
	fds  []unix.PollFd
}

// wait sleeps until a socket has something, the loop is roused, or the planned moment comes.
func (s *sockets) wait(wake int, now, planned time.Duration) error {
	s.fds = append(s.fds[:0], unix.PollFd{Fd: int32(wake), Events: unix.POLLIN})
	for _, w := range s.list {
		s.fds = append(s.fds, unix.PollFd{Fd: int32(w.FD()), Events: unix.POLLIN})
	}
	timeout := unix.NsecToTimespec(int64(min(max(planned-now, 0), time.Hour)))
	if _, err := unix.Ppoll(s.fds, &timeout, nil); err != nil && err != unix.EINTR {
		return fmt.Errorf("ppoll: %w", err)
	}
	if s.fds[0].Revents != 0 {
		var rubbish [256]byte
		for {
			if n, err := unix.Read(wake, rubbish[:]); n < len(rubbish) || err != nil {
				break
			}
		}
	}
	return nil
}

// drain reads all that is queued. What came is dated between the last drain and now, whatever the wall clock did meanwhile.
func (s *sockets) drain(c *clock, now time.Duration, take func(vrrp.Packet)) {
	ahead := now - time.Duration(time.Now().UnixNano())
	for _, w := range s.list {
		w.Receive(maxDrain, func(stamp int64, d vrrp.Datagram) {
			take(vrrp.Packet{At: c.date(stamp, now, ahead), Datagram: d})
		})
	}
	c.drained = now
}

// keyOf is the socket that an instance uses.
func keyOf(i *director.Instance) wire.Key {
	k := wire.Key{Device: i.Interface, Label: i.Interface, V6: isV6(i), AH: i.Version == 2 && i.Auth.Kind == "ah"}
	if i.MAC != nil && !i.MAC.XmitBase {
		k.Device = macName(i)
	}
	return k
}

func isV6(i *director.Instance) bool {
	return i.Native6 || len(i.Addresses) > 0 && i.Addresses[0].Prefix.Addr().Is6()
}

func (s *sockets) find(k wire.Key) *wire.Socket {
	for _, w := range s.list {
		if w.Key == k {
			return w
		}
	}
	return nil
}

// open makes the socket of an instance, if it is not there, or belongs to an interface that was made anew.
func (s *sockets) open(i *director.Instance, group netip.Addr, index int) error {
	k := keyOf(i)
	w := s.find(k)
	if w != nil && w.Index() != index {
		s.drop(w)
		w = nil
	}
	if w == nil {
		var err error
		if w, err = wire.Open(k, index); err != nil {
			return err
		}
		s.list = append(s.list, w)
	}
	if len(i.Unicast) > 0 {
		return nil
	}
	return w.Join(group)
}

func (s *sockets) drop(gone *wire.Socket) {
	for k, w := range s.list {
		if w == gone {
			s.list = append(s.list[:k], s.list[k+1:]...)
			break
		}
	}
	gone.Close()
}

// keep closes what no instance uses any more.
func (s *sockets) keep(used []wire.Key) {
	for k := len(s.list) - 1; k >= 0; k-- {
		wanted := false
		for _, u := range used {
			wanted = wanted || u == s.list[k].Key
		}
		if !wanted {
			s.drop(s.list[k])
		}
	}
}

func (s *sockets) close() {
	for len(s.list) > 0 {
		s.drop(s.list[0])
	}
}

// send sends an advert to the group or to each peer; the first error is returned.
func (s *sockets) send(e *vrrp.Send) error {
	w := s.find(keyOf(e.Of))
	if w == nil {
		return fmt.Errorf("there is no socket on %s", e.Of.Interface)
	}
	if len(e.Of.Unicast) == 0 {
		return w.Send(e, vrrp.Path{Src: e.Source, Dst: e.Of.Group, TTL: 255})
	}
	ttl := e.Of.TTL.Send
	if ttl == 0 {
		ttl = 255
	}
	var first error
	for _, u := range e.Of.Unicast {
		if err := w.Send(e, vrrp.Path{Src: e.Source, Dst: u.Addr, TTL: ttl}); err != nil && first == nil {
			first = err
		}
	}
	return first
}
