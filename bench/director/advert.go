package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// vrrp is the protocol's number, and group where its adverts go (RFC 9568, section 5.1).
const vrrp = 112

var group = netip.MustParseAddr("224.0.0.18")

// afterAdvert waits until a certain time after an advert of the first director. When in the interval a master crashes decides a good part of
// how long its address is away: all systems have to crash at the same moments of it.
func (n *network) afterAdvert(wait, limit time.Duration) error {
	var socket int
	err := n.client.do(func() (err error) {
		socket, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, vrrp)
		if err != nil {
			return err
		}
		return errors.Join(unix.SetsockoptIPMreq(socket, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: group.As4(), Interface: [4]byte{10, 9, 0, 1}}),
			unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(limit/time.Second) + 1}))
	})
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if _, _, err := unix.Recvfrom(socket, make([]byte, 1500), 0); err != nil {
		return fmt.Errorf("no advert is heard: %w", err)
	}
	time.Sleep(wait)
	return nil
}
