package mesh

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Dial opens a connection to a peer over the first link that answers. Links
// that work are tried before those that the pulse calls dead, each with a head
// start over the next; the losers of the race are closed.
func (m *Mesh) Dial(ctx context.Context, peer uint64, proto string) (net.Conn, error) {
	object := fmt.Sprintf("node %d (%s)", peer, proto)
	m.mu.Lock()
	p, ok := m.peers[peer]
	order := m.linkOrderLocked(p)
	m.mu.Unlock()
	if !ok {
		return nil, errs.E("connect to", errs.NotFound, object, "The node is not in the configuration of this one.", nil)
	}
	if len(order) == 0 {
		return nil, errs.E("connect to", errs.Unavailable, object, "Give the node an address on at least one link.", nil)
	}
	conn, err := m.race(ctx, p, proto, order)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, errIdentity):
		return nil, errs.E("connect to", errs.Permission, object, "Another node answers at its address, or one of them was set up anew; let it join again.", err)
	default:
		return nil, errs.E("connect to", errs.Unavailable, object, "Check that the daemon runs there and that a link works (takt status).", err)
	}
}

// linkOrderLocked returns the links to try, live ones first. Call it under m.mu.
func (m *Mesh) linkOrderLocked(p Peer) []int {
	var live, dead []int
	for link, a := range p.Addrs {
		switch {
		case !a.IsValid():
		case m.down[linkKey{p.ID, link}]:
			dead = append(dead, link)
		default:
			live = append(live, link)
		}
	}
	return append(live, dead...)
}

type attempt struct {
	conn net.Conn
	err  error
}

// race dials the links one after the other, the next after NextLink or at once
// when one has failed, and returns the first that succeeds.
func (m *Mesh) race(ctx context.Context, p Peer, proto string, order []int) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(m.ctx, cancel)
	defer stop()
	results := make(chan attempt)
	next := time.NewTimer(0)
	defer next.Stop()
	running, i := 0, 0
	var failed []error
	for i < len(order) || running > 0 {
		var start <-chan time.Time
		if i < len(order) {
			start = next.C
		}
		select {
		case <-start:
			link := order[i]
			i, running = i+1, running+1
			go func() { // its parent is this loop, or drain below
				c, err := m.dialLink(ctx, p, link, proto)
				results <- attempt{c, err}
			}()
			next.Reset(m.cfg.NextLink)
		case a := <-results:
			running--
			if a.err == nil {
				cancel()
				drain(results, running)
				return a.conn, nil
			}
			failed = append(failed, a.err)
			next.Reset(0)
		}
	}
	return nil, errors.Join(failed...)
}

// drain waits for the cancelled attempts and closes what connected too late.
func drain(results <-chan attempt, running int) {
	for range running {
		if a := <-results; a.conn != nil {
			_ = a.conn.Close()
		}
	}
}

func (m *Mesh) dialLink(ctx context.Context, p Peer, link int, proto string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.LinkTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: m.localAddr(link, p.Addrs[link]), KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", p.Addrs[link].String())
	if err != nil {
		return nil, fmt.Errorf("link %d: %w", link, err)
	}
	raw := c.(*net.TCPConn)
	tune(raw, m.cfg.UserTimeout)
	conn := tls.Client(raw, m.clientTLS(p, proto))
	tc := &trackedConn{Conn: conn, raw: raw, mesh: m, link: link, peer: p.ID}
	if !m.track(tc) {
		return nil, fmt.Errorf("link %d: %w", link, net.ErrClosed)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = tc.Close()
		return nil, fmt.Errorf("link %d: %w", link, err)
	}
	return tc, nil
}

// localAddr makes a connection leave over its link: from the address that this
// node has on it.
func (m *Mesh) localAddr(link int, to netip.AddrPort) net.Addr {
	if link >= len(m.cfg.Listen) {
		return nil
	}
	own := m.cfg.Listen[link].Addr()
	if !own.IsValid() || own.IsUnspecified() || own.Is4() != to.Addr().Is4() {
		return nil
	}
	return &net.TCPAddr{IP: own.AsSlice(), Zone: own.Zone()}
}
