package netif

import (
	"context"
	"time"

	"github.com/vishvananda/netlink"
)

// Watch calls changed whenever an address or a link may have changed, and once
// at the beginning; it returns when ctx ends. The caller looks for itself what
// changed: after an overflow of the socket's buffer (ENOBUFS) or another error
// the subscription is made anew, and changed is called, so nothing is missed.
func Watch(ctx context.Context, changed func()) {
	again(ctx, func() { subscription(ctx, changed) })
}

// again repeats what should go on until ctx ends, with pauses that grow while it fails.
func again(ctx context.Context, subscription func()) {
	pause := 10 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		subscription()
		if time.Since(began) > time.Minute {
			pause = 10 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}

// subscription lives until ctx ends or one of the two sockets fails.
func subscription(ctx context.Context, changed func()) {
	done := make(chan struct{})
	addresses, links := make(chan netlink.AddrUpdate, 64), make(chan netlink.LinkUpdate, 64)
	ignore := func(error) {} // the channel closes, which says it all
	if netlink.AddrSubscribeWithOptions(addresses, done, netlink.AddrSubscribeOptions{ErrorCallback: ignore}) != nil {
		changed()
		return
	}
	if netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{ErrorCallback: ignore}) != nil {
		close(done)
		drain(addresses)
		changed()
		return
	}
	changed()
	for open := true; open && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			open = false
		case _, open = <-addresses:
			changed()
		case _, open = <-links:
			changed()
		}
	}
	close(done)
	drain(addresses)
	drain(links)
}

// drain waits until the library's goroutine has ended.
func drain[T any](ch <-chan T) {
	for range ch {
	}
}
