// Package loopback finds addresses on which tests can have something listen, now or later.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports: below those that the kernel gives to clients (net.ipv4.ip_local_port_range, from 32768 on), so that no
// connection gets one while nobody listens there.
const low, high = 16 << 10, 32 << 10

// Reserve returns an address of 127.0.0.1, as in "127.0.0.1:20000", on which no TCP socket is bound and which no other caller
// gets, in this process or in another one of the same network, until release is called; that may be done more than once.
// It returns an error if it finds none.
func Reserve() (address string, release func(), err error) {
	for range 1000 {
		port := low + rand.IntN(high-low)
		// A name without a file: it goes with the process that holds it, however that ends.
		hold, err := net.Listen("unix", fmt.Sprintf("@takt test port %d", port))
		if err != nil {
			continue // somebody else's
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			hold.Close()
			continue
		}
		l.Close()
		return l.Addr().String(), func() { hold.Close() }, nil
	}
	return "", nil, errors.New("no port from 16384 to 32767 is free on 127.0.0.1")
}
