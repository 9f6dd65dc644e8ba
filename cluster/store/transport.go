package store

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Bounds of the transport.
const (
	queueLength  = 1024                   // messages to one peer; more are dropped, Raft repeats them
	writeTimeout = 5 * time.Second        // of one flush
	dialTimeout  = 2 * time.Second        // of one connection
	redialPause  = 10 * time.Millisecond  // after a failure, doubled up to
	redialMax    = 200 * time.Millisecond // this
	snapshotTime = time.Minute            // for a snapshot to be sent and taken
)

// transport sends frames. The loop owns it; each peer has one sender
// goroutine with one stream.
type transport struct {
	s     *Store
	peers map[uint64]*sender
}

type sender struct {
	s      *Store
	id     uint64
	queue  chan Frame
	cancel context.CancelFunc
}

func newTransport(s *Store) *transport { return &transport{s: s, peers: map[uint64]*sender{}} }

// send queues a frame; it never blocks.
func (t *transport) send(to uint64, f Frame) {
	if f.Snapshot() {
		t.sendSnapshot(to, f)
		return
	}
	p := t.peer(to)
	if p == nil {
		return
	}
	select {
	case p.queue <- f:
	default:
		t.s.log.Debug("dropped a message: the queue is full", "to", p.id, "frame", f.String())
	}
}

func (t *transport) peer(id uint64) *sender {
	if p := t.peers[id]; p != nil {
		return p
	}
	if !t.s.enter() {
		return nil
	}
	ctx, cancel := context.WithCancel(t.s.ctx)
	p := &sender{s: t.s, id: id, queue: make(chan Frame, queueLength), cancel: cancel}
	t.peers[id] = p
	go func() {
		defer t.s.wg.Done()
		defer cancel()
		p.run(ctx)
	}()
	return p
}

// keep ends the streams to nodes that are no members.
func (t *transport) keep(members []cib.NodeID) {
	for id, p := range t.peers {
		if !slices.Contains(members, cib.NodeID(id)) {
			p.cancel()
			delete(t.peers, id)
		}
	}
}

// run sends until ctx ends. While the peer cannot be reached, what is queued is
// thrown away: it would be out of date.
func (p *sender) run(ctx context.Context) {
	pause := redialPause
	for {
		var first Frame
		select {
		case <-ctx.Done():
			return
		case first = <-p.queue:
		}
		connected, err := p.stream(ctx, first)
		if ctx.Err() != nil {
			return
		}
		p.s.log.Debug("lost the stream to a peer", "peer", p.id, "error", err)
		p.s.post(Unreachable{cib.NodeID(p.id), connected})
		if connected {
			pause = redialPause
		}
		p.rest(ctx, pause)
		pause = min(2*pause, redialMax)
	}
}

// rest waits and forgets what was queued before. The newest message survives:
// it makes the next attempt, and its answer tells a leader where the peer stands.
func (p *sender) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return
	}
	for len(p.queue) > 1 {
		<-p.queue
	}
}

// stream connects and writes until something fails. first waits for it already.
func (p *sender) stream(ctx context.Context, first Frame) (connected bool, err error) {
	conn, err := dialPeer(ctx, p.s, p.id)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	w := bufio.NewWriterSize(conn, 64<<10)
	_, _ = w.WriteString(streamMagic) // the buffer keeps its first error
	var buf []byte
	for f := first; ; {
		if buf, err = f.Append(buf[:0]); err != nil {
			return true, err
		}
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(buf); err != nil {
			return true, err
		}
		if cap(buf) > 1<<20 {
			buf = nil // do not keep what one great batch needed
		}
		if len(p.queue) == 0 {
			if err := w.Flush(); err != nil {
				return true, err
			}
		}
		select {
		case f = <-p.queue:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

func dialPeer(ctx context.Context, s *Store, id uint64) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return s.cfg.Net.Dial(ctx, id, raftProto)
}

// sendSnapshot sends a snapshot over a connection of its own, so that it holds
// up nothing else, and tells the core how that went.
func (t *transport) sendSnapshot(to uint64, f Frame) {
	s := t.s
	if !s.enter() {
		return
	}
	go func() {
		defer s.wg.Done()
		s.post(SnapshotSent{cib.NodeID(to), s.deliverSnapshot(to, f)})
	}()
}

func (s *Store) deliverSnapshot(to uint64, f Frame) error {
	conn, err := dialPeer(s.ctx, s, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(snapshotTime))
	b, err := f.Append([]byte(streamMagic))
	if err != nil {
		return err
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	var taken [1]byte
	if _, err := conn.Read(taken[:]); err != nil {
		return fmt.Errorf("the peer did not confirm: %w", err)
	}
	return nil
}
