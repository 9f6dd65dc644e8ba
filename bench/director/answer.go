package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// answer serves TCP, with system calls and threads alone: nothing of a language's runtime is to be in the figures. At the first address a
// connection is closed at once, at a second one it is read until its end.
func answer(addresses []string) error {
	failed := make(chan error)
	for i, address := range addresses {
		for range 2 {
			s, err := listen(address)
			if err != nil {
				return err
			}
			go func() {
				runtime.LockOSThread()
				failed <- accept(s, i == 1)
			}()
		}
	}
	return <-failed
}

func listen(address string) (int, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return s, errors.Join(unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(s, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}), unix.Listen(s, 4096))
}

func accept(socket int, read bool) error {
	for {
		c, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return err
		case !read:
			unix.Close(c)
			continue
		}
		go func() {
			defer unix.Close(c)
			for b := make([]byte, 256<<10); ; {
				if n, err := unix.Read(c, b); n <= 0 || err != nil {
					return
				}
			}
		}()
	}
}

// flows uses a path for a second, and prints how many connections a second were opened and closed, or how many MB a second went through, and
// how many seconds of a processor that took here each second.
func flows(args []string) error {
	if len(args) < 2 {
		return errors.New("want what to do, and an address")
	}
	switch args[0] {
	case "follow":
		return follow(args[1:])
	case "spread":
		return spread(args[1:])
	}
	to, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	use := map[string]func(netip.AddrPort, *atomic.Bool, *atomic.Int64) error{"connect": connect, "stream": stream}[args[0]]
	var end atomic.Bool
	var count atomic.Int64
	var work sync.WaitGroup
	failed := make(chan error, 4)
	for range cap(failed) {
		work.Go(func() {
			runtime.LockOSThread()
			if err := use(to, &end, &count); err != nil {
				failed <- err
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // all are under way
	began, before, used := time.Now(), count.Load(), cpuTime()
	time.Sleep(time.Second)
	v, cpu := float64(count.Load()-before)/time.Since(began).Seconds(), cpuTime()-used
	end.Store(true)
	if len(failed) > 0 {
		return <-failed
	}
	if args[0] == "stream" {
		v /= 1e6
	}
	fmt.Println(v, cpu.Seconds()/time.Since(began).Seconds())
	os.Exit(0) // who waits for an answer need not get it
	return nil
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // of oneself it does not fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// connect opens connections, waits until the server has closed them, and resets them: no port is left waiting.
func connect(to netip.AddrPort, end *atomic.Bool, count *atomic.Int64) error {
	b := make([]byte, 1)
	for !end.Load() {
		s, err := dial(to)
		if err != nil {
			return err
		}
		_, _ = unix.Read(s, b) // its end
		_ = unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(s)
		count.Add(1)
	}
	return nil
}

func stream(to netip.AddrPort, end *atomic.Bool, count *atomic.Int64) error {
	s, err := dial(to)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for b := make([]byte, 128<<10); !end.Load(); {
		n, err := unix.Write(s, b)
		if err != nil {
			return err
		}
		count.Add(int64(n))
	}
	return nil
}

func dial(to netip.AddrPort) (int, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for {
		err = unix.Connect(s, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		unix.Close(s)
		return -1, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return s, nil
}
