package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// pinger asks the address every millisecond and keeps the longest time between two answers since begin, by the kernel's clock of their arrival. Its threads
// have real-time priority: that the client is late on a loaded machine is not to be in the figures.
type pinger struct {
	socket int
	quit   chan struct{}
	work   sync.WaitGroup

	mu   sync.Mutex
	gap  time.Duration // guarded by mu
	last time.Time     // guarded by mu
}

func (n *network) ping() (*pinger, error) {
	p := &pinger{quit: make(chan struct{}), last: time.Now()}
	err := n.client.do(func() (err error) {
		p.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptInt(p.socket, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptTimeval(p.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	})
	if err != nil {
		return nil, err
	}
	p.work.Go(p.ask)
	p.work.Go(p.listen)
	return p, nil
}

// inTime makes the calling thread one with real-time priority, until its goroutine ends; without the permission its times are less exact.
func inTime() {
	runtime.LockOSThread()
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
}

func (p *pinger) ask() {
	inTime()
	to := &unix.SockaddrInet4{Addr: netip.MustParseAddr(virtual).As4()}
	for seq, next := 0, time.Now(); ; seq++ {
		b, _ := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Seq: seq & 0xffff}}).Marshal(nil)
		_ = unix.Sendto(p.socket, b, 0, to) // without a route for a moment there is no answer either
		next = next.Add(time.Millisecond)
		wait := unix.NsecToTimespec(int64(time.Until(next)))
		_ = unix.Nanosleep(&wait, nil) // none if it is late
		select {
		case <-p.quit:
			return
		default:
		}
	}
}

func (p *pinger) listen() {
	inTime()
	b, control := make([]byte, 1500), make([]byte, 128)
	for {
		select {
		case <-p.quit:
			return
		default:
		}
		n, k, _, _, err := unix.Recvmsg(p.socket, b, control, 0)
		if err == nil && n > 20 && b[20] == byte(ipv4.ICMPTypeEchoReply) { // behind the header of IP
			p.answered(arrival(control[:k]))
		}
	}
}

// begin forgets what was before.
func (p *pinger) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap = 0
}

func (p *pinger) answered(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap, p.last = max(p.gap, at.Sub(p.last)), at
}

// arrival is when the kernel has got a packet.
func arrival(control []byte) time.Time {
	messages, _ := unix.ParseSocketControlMessage(control) // the kernel's own
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

// stop ends it, and returns how long nobody has answered; an outage that lasts is one until now.
func (p *pinger) stop() time.Duration {
	ended := time.Now()
	close(p.quit)
	p.work.Wait()
	_ = unix.Close(p.socket)
	p.answered(ended)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap
}
