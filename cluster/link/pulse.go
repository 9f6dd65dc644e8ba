package link

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/netif"
	"github.com/takt-ha/takt/internal/realtime"
)

// PulseOptions says how to run a pulse.
type PulseOptions struct {
	Socket     string // path of the control socket; its folder must exist
	Log        *slog.Logger
	Boot       string // names this run of the machine or container: another one for each, and "" where that is not certain
	RTSocket   string // see realtime.Reach; "" means the environment's TAKT_RT_SOCKET
	NoRealtime bool   // leave priority and memory alone: for pulses inside a test
}

// Pulse is the body of the process "takt pulse": it sends and receives
// heartbeats until ctx ends or its daemon stops it. It fails if another pulse
// holds the socket.
func Pulse(ctx context.Context, opt PulseOptions) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	l, err := newLoop(opt)
	if err != nil {
		return errs.E("start pulse", errs.Unavailable, opt.Socket, "Check that no other pulse runs on this socket and that its folder exists.", err)
	}
	defer l.close()
	stop := context.AfterFunc(ctx, l.rouse)
	defer stop()
	defer l.keepReachable(ctx)()
	opt.Log.Info("pulse runs", "socket", opt.Socket, "realtime", l.rt.Words)
	for ctx.Err() == nil && !l.stopped {
		if err := l.step(); err != nil {
			return errs.E("run pulse", errs.Other, opt.Socket, "", err)
		}
	}
	return nil
}

// keepReachable lets the first heartbeat after a cable is back find its way, beside the
// loop, until the function that it returns is called.
func (l *loop) keepReachable(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { netif.KeepReachable(ctx, func() []netip.Addr { return *l.peers.Load() }) })
	return func() {
		cancel()
		ended.Wait()
	}
}

// loop is the one thread of a pulse: it owns the engine and every descriptor.
type loop struct {
	opt     PulseOptions
	rt      realtime.Result
	eng     *Engine
	socks   []*socket
	addrs   map[cib.NodeID][]*rawAddr    // by link
	peers   atomic.Pointer[[]netip.Addr] // the same, for keepReachable
	dog     dogShell
	ctl     control
	wake    [2]int
	waker   sync.Mutex // guards wake against those who rouse a loop that ends
	fds     []unix.PollFd
	ts      unix.Timespec
	timeout unix.Timespec
	drained int64 // when the sockets were read last
	late    lateness
	stopped bool
}

func newLoop(opt PulseOptions) (*loop, error) {
	l := &loop{opt: opt, rt: realtime.Result{Words: "left alone", Granted: true}, wake: [2]int{-1, -1}}
	l.peers.Store(&[]netip.Addr{})
	if err := l.ctl.listen(opt.Socket); err != nil {
		return nil, err
	}
	if err := unix.Pipe2(l.wake[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		l.close()
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	if !opt.NoRealtime {
		// Little is ever allocated here: collect rarely, on one more thread at most.
		runtime.GOMAXPROCS(2)
		debug.SetGCPercent(200)
		debug.SetMemoryLimit(64 << 20)
		if opt.RTSocket == "" {
			opt.RTSocket = os.Getenv("TAKT_RT_SOCKET")
		}
		l.rt = realtime.Reach(opt.RTSocket)
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	l.eng = NewEngine(binary.BigEndian.Uint64(b[:])|1, BootOf(opt.Boot), func() int64 { return time.Now().UnixNano() }, l)
	l.eng.sendAt = l.now()
	return l, nil
}

func (l *loop) close() {
	l.endWatchdog()
	for _, s := range l.socks {
		s.close()
	}
	l.ctl.close()
	l.waker.Lock()
	defer l.waker.Unlock()
	for k, fd := range l.wake {
		if fd >= 0 {
			_ = unix.Close(fd)
			l.wake[k] = -1
		}
	}
}

// now reads CLOCK_BOOTTIME, which goes on while the machine is suspended: a
// node that slept must know.
func (l *loop) now() int64 {
	_, _, e := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&l.ts)), 0)
	if e != 0 {
		panic("link: no CLOCK_BOOTTIME: " + e.Error()) // every supported kernel has it
	}
	return l.ts.Nano()
}

// step waits for the next thing to do and does it.
func (l *loop) step() error {
	planned := l.eng.Next()
	if err := l.wait(planned); err != nil {
		return err
	}
	now := l.now()
	if now >= planned {
		l.late.note(now - planned)
	}
	if l.fds[0].Revents != 0 {
		l.woken(now)
	}
	l.eng.Wake(now)
	l.drain(now)
	if l.eng.due(now) {
		for _, s := range l.socks {
			s.open(now)
		}
	}
	l.eng.Step(now)
	l.ctl.serve(l)
	return nil
}

// wait sleeps until the planned moment comes or the daemon wants something.
// Datagrams do not wake it: the kernel notes when each arrives, and they are read
// before anything is decided. An idle pulse wakes once a round, not once a datagram.
func (l *loop) wait(planned int64) error {
	l.fds = append(l.fds[:0], unix.PollFd{Fd: int32(l.wake[0]), Events: unix.POLLIN}, unix.PollFd{Fd: int32(l.ctl.listener), Events: unix.POLLIN}, l.ctl.poll())
	l.timeout = unix.NsecToTimespec(max(planned-l.now(), 0))
	if e := l.poll(); e != 0 && e != unix.EINTR {
		return fmt.Errorf("ppoll: %w", e)
	}
	return nil
}

// poll is ppoll(2). In a process of its own it is raw, too: a runtime that knows
// that a thread waits wakes its monitor each time it comes back, which costs
// several times what the heartbeats do. The price is that a collection waits
// for the poll to end, and a pulse hardly ever collects.
func (l *loop) poll() unix.Errno {
	call := unix.Syscall6
	if !l.opt.NoRealtime {
		call = unix.RawSyscall6
	}
	_, _, e := call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&l.fds[0])), uintptr(len(l.fds)), uintptr(unsafe.Pointer(&l.timeout)), 0, 0, 0)
	return e
}

// maxDrain bounds the datagrams read from one socket at a time, so that a flood
// on it cannot keep the loop from its heartbeats.
const maxDrain = 4096

// drain reads everything queued, before any verdict.
func (l *loop) drain(now int64) {
	ahead := now - time.Now().UnixNano() // of the wall clock, in which the kernel stamps
	for k, s := range l.socks {
		for total := 0; total < maxDrain; {
			n := s.receive()
			for i := range n {
				b, from := s.datagram(i)
				l.eng.Receive(l.arrival(s.arrived(i), ahead, now), k, from, b)
			}
			if total += n; n < batch {
				break
			}
		}
	}
	l.drained = now
}

// arrival turns the kernel's stamp into the loop's time. It lies between the last
// drain and now, whatever the wall clock did meanwhile.
func (l *loop) arrival(stamp, ahead, now int64) int64 {
	if stamp == 0 {
		return now
	}
	return max(l.drained, min(stamp+ahead, now))
}

// Send is the engine's: it sends one datagram.
func (l *loop) Send(to cib.NodeID, link int, b []byte) bool {
	s := l.socks[link]
	return s.fd >= 0 && s.send(b, l.addrs[to][link])
}

// configure applies a configuration; the same one again changes nothing.
func (l *loop) configure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if l.eng.det != nil && reflect.DeepEqual(cfg, l.eng.cfg) {
		return nil
	}
	now := l.now()
	l.eng.Configure(cfg, int64(cfg.inForce(l.rt.Granted))*ms, now)
	old := l.socks
	l.socks = nil
	for k, local := range cfg.Locals {
		if k < len(old) && old[k].local == local {
			l.socks = append(l.socks, old[k])
			old[k] = nil
			continue
		}
		l.socks = append(l.socks, newSocket(local))
	}
	for _, s := range old {
		if s != nil {
			s.close()
		}
	}
	l.addrs = map[cib.NodeID][]*rawAddr{}
	var peers []netip.Addr
	for _, p := range l.eng.peers {
		var to []*rawAddr
		for _, a := range p.Addrs {
			to = append(to, newRawAddr(a))
			if a.IsValid() {
				peers = append(peers, a.Addr())
			}
		}
		l.addrs[p.ID] = to
	}
	l.peers.Store(&peers)
	return nil
}

// status returns everything the pulse knows.
func (l *loop) status() Status {
	st := l.eng.Status(l.now())
	st.Realtime = l.rt.Words
	if want := l.eng.cfg.Deadtime; st.Deadtime > want {
		st.Realtime += fmt.Sprintf("; deadtime raised from %d to %d ms", want, st.Deadtime)
	}
	l.late.fill(&st.Late)
	if st.Watchdog != nil && l.dog.device != nil {
		st.Watchdog.Remark = l.dog.device.Remark()
	}
	for i := range st.Peers {
		for k := range st.Peers[i].Links {
			st.Peers[i].Links[k].Reason = l.socks[k].why()
		}
	}
	return st
}
