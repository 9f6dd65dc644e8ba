package main

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// change is that a machine has got the address, or lost it.
type change struct {
	at    time.Time
	which int // 0: a, 1: b
	has   bool
}

// watcher writes down who has the address, as the kernel tells it: nothing that is short is missed, as it would be by asking. Its
// threads have real-time priority, so that they are not late themselves.
type watcher struct {
	quit chan struct{}
	work sync.WaitGroup

	mu      sync.Mutex
	changes []change // guarded by mu
}

func watch(n *network) (*watcher, error) {
	w := &watcher{quit: make(chan struct{})}
	for i, m := range []*machine{n.a, n.b} {
		var socket int
		err := m.do(func() (err error) {
			socket, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
			if err != nil {
				return err
			}
			return errors.Join(unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR}),
				unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200_000}))
		})
		if err != nil {
			return nil, errors.Join(err, w.stop())
		}
		w.work.Go(func() { w.listen(i, socket) })
	}
	return w, nil
}

func (w *watcher) listen(which, socket int) {
	inTime()
	defer unix.Close(socket)
	b := make([]byte, 1<<16)
	for {
		select {
		case <-w.quit:
			return
		default:
		}
		n, _, err := unix.Recvfrom(socket, b, 0)
		if err != nil {
			continue // nothing within the time-out
		}
		now := time.Now()
		messages, _ := syscall.ParseNetlinkMessage(b[:n]) // the kernel's own
		for _, m := range messages {
			if about(&m, netip.MustParseAddr(virtual)) {
				w.mu.Lock()
				w.changes = append(w.changes, change{now, which, m.Header.Type == unix.RTM_NEWADDR})
				w.mu.Unlock()
			}
		}
	}
}

// about says whether a message is about an address.
func about(m *syscall.NetlinkMessage, a netip.Addr) bool {
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	return err == nil && slices.ContainsFunc(attributes, func(r syscall.NetlinkRouteAttr) bool {
		return r.Attr.Type == unix.IFA_LOCAL && string(r.Value) == string(a.AsSlice())
	})
}

// stop ends it.
func (w *watcher) stop() error {
	close(w.quit)
	w.work.Wait()
	return nil
}

// take returns what has changed since the last call.
func (w *watcher) take() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.changes
	w.changes = nil
	return list
}

// story is what a round was for an address that should have stayed where it was.
type story struct {
	moves      int           // how often a machine got it that did not have it
	none, both time.Duration // how long nobody had it, or two
}

// tell judges the changes of a round in which at first a had the address.
func tell(changes []change, began, ended time.Time) (s story) {
	has, last := [2]bool{true, false}, began
	count := func(until time.Time) {
		switch {
		case has[0] && has[1]:
			s.both += until.Sub(last)
		case !has[0] && !has[1]:
			s.none += until.Sub(last)
		}
		last = until
	}
	for _, c := range changes {
		if c.has == has[c.which] {
			continue
		}
		count(c.at)
		if has[c.which] = c.has; c.has {
			s.moves++
		}
	}
	count(ended)
	return s
}
