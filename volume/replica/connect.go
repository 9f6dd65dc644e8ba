package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// meeting pairs the two streams of a peer that dials.
type meeting struct {
	mu   sync.Mutex
	half map[string]net.Conn // pair and stream → the first of two
	told map[string]string   // host → why it was refused the last time
}

// listen accepts the peers with a higher id; those with a lower one are dialled.
func (r *Replica) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", r.self().Address)
	if err != nil {
		return nil, err
	}
	r.all.Go(func() {
		<-r.ctx.Done()
		l.Close()
	})
	r.all.Go(func() {
		m := &meeting{half: map[string]net.Conn{}, told: map[string]string{}}
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				pause(r.ctx, time.Second) // no descriptors: the next one may be accepted again
				continue
			}
			r.all.Go(func() { r.accept(m, c.(*net.TCPConn)) })
		}
	})
	return l, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (r *Replica) accept(m *meeting, tcp *net.TCPConn) {
	w, err := newWire(tcp)
	if err != nil {
		return
	}
	from := w.remote.String()
	stop := context.AfterFunc(r.ctx, func() { w.Close() })
	defer stop()
	c, g, err := r.welcome(w)
	if err != nil {
		w.Close()
		r.notAccepted(m, from, err)
		return
	}
	p := r.peers[g.From]
	p.mu.Lock()
	wanted := p.dial
	p.mu.Unlock()
	if !wanted {
		w.Close()
		return
	}
	other := map[string]string{"data": "control", "control": "data"}[g.Stream]
	m.mu.Lock()
	first, ok := m.half[g.Pair+other]
	delete(m.half, g.Pair+other)
	if !ok {
		m.half[g.Pair+g.Stream] = c
	}
	m.mu.Unlock()
	if !ok {
		// The other half must come soon.
		pause(r.ctx, greetLimit)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.half[g.Pair+g.Stream] == c {
			delete(m.half, g.Pair+g.Stream)
			c.Close()
		}
		return
	}
	data, control := c, first
	if g.Stream == "control" {
		data, control = first, c
	}
	p.serve(data, control)
}

// notAccepted says why somebody was refused: once, since a stranger tries again each second. If the address is that of one
// missing peer alone, its status says so, too.
func (r *Replica) notAccepted(m *meeting, from string, err error) {
	var alert *net.OpError // of crypto/tls; the kind of an alert cannot be asked
	if errors.As(err, &alert) && alert.Op == "remote error" && alert.Err.Error() == "tls: bad certificate" {
		err = errWrongKey // so he says of ours
	}
	host, _, _ := net.SplitHostPort(from) // of a connection that stands
	m.mu.Lock()
	news := m.told[host] != err.Error()
	if len(m.told) > mostStrangers {
		clear(m.told)
	}
	m.told[host] = err.Error()
	m.mu.Unlock()
	if news {
		r.log.Warn("a connection was not accepted", "from", from, "error", err)
	}
	var missing []*peer
	r.eachPeer(func(p *peer) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if at, _, _ := net.SplitHostPort(p.node.Address); at == host && p.link == nil && p.dial && p.node.ID > r.cfg.Self {
			missing = append(missing, p)
		}
	})
	if len(missing) == 1 {
		missing[0].mu.Lock()
		missing[0].stranger = err.Error()
		missing[0].mu.Unlock()
	}
}

// mostStrangers is how many hosts are remembered that were refused.
const mostStrangers = 64

// dialler connects to a peer with a lower id for as long as that is wanted.
func (p *peer) dialler() {
	for p.r.ctx.Err() == nil {
		p.mu.Lock()
		want := p.dial && p.link == nil
		p.mu.Unlock()
		if want {
			if err := p.connectOnce(); err != nil {
				p.say(err)
			}
		}
		select {
		case <-p.again:
		case <-time.After(min(p.r.live().Net.ConnectInterval, time.Second)):
		case <-p.r.ctx.Done():
		}
	}
}

func (p *peer) connectOnce() error {
	pair := newPair()
	data, err := p.dialStream("data", pair)
	if err != nil {
		return err
	}
	control, err := p.dialStream("control", pair)
	if err != nil {
		data.Close()
		return err
	}
	p.serve(data, control)
	return nil
}

// say notes why there is no connection; a refusal is told once.
func (p *peer) say(err error) {
	p.mu.Lock()
	news := p.trouble != err.Error()
	p.trouble = err.Error()
	p.mu.Unlock()
	if news {
		p.r.log.Warn("no connection", "peer", p.node.Name, "address", p.node.Address, "error", err)
	}
}

// serve runs a connection to its end: both say hello, the machine decides what follows.
func (p *peer) serve(data, control net.Conn) {
	r := p.r
	l := newLink(p, data, control, r.live().Net.SendBuffer)
	stop := context.AfterFunc(r.ctx, l.close)
	defer stop()
	if !p.take(l) {
		l.close()
		return
	}
	r.tellNow(state.PeerMet{Peer: p.node.ID})
	r.all.Go(l.sender)
	r.all.Go(func() { p.pings(l) })
	r.all.Go(func() { p.watch(l) })
	r.all.Go(func() { p.pong(l) })
	p.receive(l)
}

// take makes l the connection as soon as the machine knows that the last one is gone: it must hear of the end of one before it hears of
// the next. That may take as long as the disk here needs for what has come in, and the peer tries again meanwhile: only the newest
// connection waits. False: l is not wanted.
func (p *peer) take(l *link) bool {
	p.mu.Lock()
	if p.coming != nil {
		p.coming.close()
	}
	p.coming = l
	for {
		old, told := p.link, p.leaving
		switch {
		case p.coming != l:
			p.mu.Unlock()
			return false
		case !p.dial:
			p.coming = nil
			p.mu.Unlock()
			return false
		case old == nil && passed(told):
			p.coming = nil
			p.beginLocked(l)
			p.mu.Unlock()
			return true
		}
		p.mu.Unlock()
		if old != nil { // the peer has begun anew before the loss of the old connection was noticed
			p.lost(old, errors.New("the peer has connected again"))
		} else {
			select {
			case <-told:
			case <-l.gone:
			}
		}
		p.mu.Lock()
		if p.coming == l && passed(l.gone) { // ended by this side
			p.coming = nil
		}
	}
}

// passed says whether c is closed, or was never there.
func passed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return c == nil
	}
}

// beginLocked begins with a connection of which nothing is under way yet.
func (p *peer) beginLocked(l *link) {
	p.link, p.trouble, p.stranger, p.ring, p.recent = l, "", "", ring{}, recent{}
	for _, e := range p.kept {
		p.recent.add(e.off, e.n, false)
	}
	p.lastWord = time.Now()
}

// pings asks the peer for a sign of life, and ends the connection if none comes.
// Lateness of this process is its own: a ping that was sent late is awaited as long.
func (p *peer) pings(l *link) {
	n := p.r.live().Net
	for {
		pause := time.NewTimer(min(n.PingInterval, n.Timeout))
		select {
		case <-l.gone:
			pause.Stop()
			return
		case <-pause.C:
		}
		sent := time.Now()
		if _, err := l.control.Write(proto.Append(nil, proto.Header{Kind: proto.Ping})); err != nil {
			p.lost(l, err)
			return
		}
		answer := time.NewTimer(n.Timeout)
		select {
		case <-l.gone:
			answer.Stop()
			return
		case <-answer.C:
		}
		p.mu.Lock()
		silent := p.lastWord.Before(sent)
		p.mu.Unlock()
		if silent {
			p.lost(l, fmt.Errorf("no answer to a ping within %d ms", n.Timeout.Milliseconds()))
			return
		}
	}
}

// pong reads the control stream: answers pings, and notes signs of life.
func (p *peer) pong(l *link) {
	head := make([]byte, proto.HeaderSize)
	for {
		_, err := io.ReadFull(l.control, head)
		var h proto.Header
		if err == nil {
			h, err = proto.Decode(head)
		}
		if err == nil && h.Kind == proto.Ping {
			_, err = l.control.Write(proto.Append(nil, proto.Header{Kind: proto.Pong}))
		}
		if err != nil {
			p.lost(l, err)
			return
		}
		p.mu.Lock()
		p.lastWord = time.Now()
		p.mu.Unlock()
	}
}

// want begins or ends the connecting to a peer.
func (p *peer) want(yes bool) {
	p.mu.Lock()
	p.dial = yes
	p.mu.Unlock()
	if yes {
		select {
		case p.again <- struct{}{}:
		default:
		}
	}
}

// partLimit bounds how long a peer may take to notice that the connection ends.
const partLimit = time.Second

// drop ends the connection, after what was told is sent.
func (p *peer) drop(why string, retry bool) {
	p.mu.Lock()
	l := p.link
	p.dial = retry
	if p.coming != nil {
		p.coming.close()
	}
	p.mu.Unlock()
	if l == nil {
		return
	}
	p.r.all.Go(func() {
		l.data.SetWriteDeadline(time.Now().Add(partLimit)) // a peer that does not read must not keep us
		l.part(why)
		late := time.NewTimer(partLimit)
		defer late.Stop()
		select {
		case <-l.gone:
		case <-late.C:
		case <-p.r.ctx.Done():
		}
		p.lost(l, errors.New(why))
	})
}
