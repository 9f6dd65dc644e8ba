package main

import (
	"net"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// pinger asks the address every millisecond and keeps the longest time between two answers.
type pinger struct {
	conn *icmp.PacketConn
	quit chan struct{}
	work sync.WaitGroup
	gap  time.Duration
}

func (n *network) ping() (*pinger, error) {
	p := &pinger{quit: make(chan struct{})}
	err := n.client.do(func() (err error) {
		p.conn, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	})
	if err != nil {
		return nil, err
	}
	p.work.Go(p.ask)
	p.work.Go(p.listen)
	return p, nil
}

func (p *pinger) ask() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	to := &net.IPAddr{IP: net.ParseIP(virtual)}
	for seq := 0; ; seq++ {
		b, _ := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Seq: seq & 0xffff}}).Marshal(nil)
		_, _ = p.conn.WriteTo(b, to) // without a route for a moment there is no answer either
		select {
		case <-tick.C:
		case <-p.quit:
			return
		}
	}
}

func (p *pinger) listen() {
	last := time.Now()
	b := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if m, err := icmp.ParseMessage(1, b[:n]); err != nil || m.Type != ipv4.ICMPTypeEchoReply {
			continue
		}
		now := time.Now()
		p.gap, last = max(p.gap, now.Sub(last)), now
	}
}

func (p *pinger) stop() time.Duration {
	close(p.quit)
	_ = p.conn.Close()
	p.work.Wait()
	return p.gap
}
