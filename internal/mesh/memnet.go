package mesh

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/takt-ha/takt/internal/errs"
)

// MemNetwork is a network in memory for tests: every node reaches every other
// until their connection is cut. Everything that waits, waits on channels, so
// it works inside a testing/synctest bubble.
type MemNetwork struct {
	mu    sync.Mutex
	nodes map[uint64]*MemNode
	cut   map[[2]uint64]bool
	conns map[*memConn]struct{}
}

// NewMemNetwork makes a network without nodes.
func NewMemNetwork() *MemNetwork {
	return &MemNetwork{nodes: map[uint64]*MemNode{}, cut: map[[2]uint64]bool{}, conns: map[*memConn]struct{}{}}
}

// MemNode is one node's Network in a MemNetwork.
type MemNode struct {
	net    *MemNetwork
	id     uint64
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // handlers

	mu       sync.Mutex
	closed   bool
	handlers map[string]Handler
}

var _ Network = (*MemNode)(nil)

// memConn is one end of a connection.
type memConn struct {
	net.Conn
	net    *MemNetwork
	a, b   uint64
	remove sync.Once
}

func (c *memConn) Close() error {
	c.remove.Do(func() {
		c.net.mu.Lock()
		defer c.net.mu.Unlock()
		delete(c.net.conns, c)
	})
	return c.Conn.Close()
}

// Node attaches a node, taking the place of an earlier one of that id (a
// restarted daemon), which must have been closed.
func (n *MemNetwork) Node(id uint64) *MemNode {
	ctx, cancel := context.WithCancel(context.Background())
	node := &MemNode{net: n, id: id, ctx: ctx, cancel: cancel, handlers: map[string]Handler{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[id] = node
	return node
}

func pair(a, b uint64) [2]uint64 { return [2]uint64{min(a, b), max(a, b)} }

// Cut ends the connections between two nodes and refuses new ones, until Heal.
func (n *MemNetwork) Cut(a, b uint64) {
	n.mu.Lock()
	n.cut[pair(a, b)] = true
	n.mu.Unlock()
	n.end(func(c *memConn) bool { return pair(c.a, c.b) == pair(a, b) })
}

// Heal undoes Cut.
func (n *MemNetwork) Heal(a, b uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, pair(a, b))
}

// Isolate cuts a node from all that are attached now.
func (n *MemNetwork) Isolate(id uint64) {
	for _, other := range n.others(id) {
		n.Cut(id, other)
	}
}

// Rejoin undoes every cut of a node.
func (n *MemNetwork) Rejoin(id uint64) {
	for _, other := range n.others(id) {
		n.Heal(id, other)
	}
}

func (n *MemNetwork) others(id uint64) []uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []uint64
	for other := range n.nodes {
		if other != id {
			ids = append(ids, other)
		}
	}
	return ids
}

// Connected tells whether two nodes can reach each other: both attached and
// open, and not cut.
func (n *MemNetwork) Connected(a, b uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[pair(a, b)] && n.nodes[a].open() && n.nodes[b].open()
}

func (n *MemNetwork) end(match func(*memConn) bool) {
	n.mu.Lock()
	var end []*memConn
	for c := range n.conns {
		if match(c) {
			end = append(end, c)
		}
	}
	n.mu.Unlock()
	for _, c := range end {
		_ = c.Close()
	}
}

func (m *MemNode) open() bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.closed
}

// Handle serves a protocol.
func (m *MemNode) Handle(proto string, h Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handlers[proto] = h
}

// SetPeers does nothing: every attached node is a peer.
func (m *MemNode) SetPeers([]Peer) {}

// SetLink with up false ends the connections with the peer, as on a node whose
// only link is link 0.
func (m *MemNode) SetLink(peer uint64, link int, up bool) {
	if !up && link == 0 {
		m.net.end(func(c *memConn) bool { return pair(c.a, c.b) == pair(m.id, peer) })
	}
}

// Dial connects to an attached node that serves proto.
func (m *MemNode) Dial(ctx context.Context, peer uint64, proto string) (net.Conn, error) {
	fail := func(why string) (net.Conn, error) {
		return nil, errs.E("connect to", errs.Unavailable, fmt.Sprintf("node %d (%s)", peer, proto), "", fmt.Errorf("%s", why))
	}
	if err := ctx.Err(); err != nil {
		return fail(err.Error())
	}
	if !m.net.Connected(m.id, peer) {
		return fail("no route")
	}
	m.net.mu.Lock()
	to := m.net.nodes[peer]
	m.net.mu.Unlock()
	to.mu.Lock()
	h := to.handlers[proto]
	if h == nil || to.closed {
		to.mu.Unlock()
		return fail("refused")
	}
	to.wg.Add(1)
	to.mu.Unlock()
	near, far := m.net.pipe(m.id, peer)
	go func() {
		defer to.wg.Done()
		defer far.Close()
		h(to.ctx, m.id, far)
	}()
	return near, nil
}

func (n *MemNetwork) pipe(a, b uint64) (near, far net.Conn) {
	p, q := net.Pipe()
	x, y := &memConn{Conn: p, net: n, a: a, b: b}, &memConn{Conn: q, net: n, a: a, b: b}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[x], n.conns[y] = struct{}{}, struct{}{}
	if n.cut[pair(a, b)] { // cut since Connected was asked
		_ = p.Close()
		_ = q.Close()
	}
	return x, y
}

// Close detaches the node: its connections end and its handlers are waited for.
func (m *MemNode) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.net.end(func(c *memConn) bool { return c.a == m.id || c.b == m.id })
	m.wg.Wait()
}
