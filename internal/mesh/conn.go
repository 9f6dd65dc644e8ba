package mesh

import (
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// trackedConn is an open connection that the mesh can find and end.
type trackedConn struct {
	net.Conn // the TLS connection
	raw      *net.TCPConn
	mesh     *Mesh
	link     int
	peer     uint64 // guarded by mesh.mu; 0: anonymous or not yet known
	once     sync.Once
}

// Close ends the connection and forgets it.
func (c *trackedConn) Close() error {
	var err error
	c.once.Do(func() {
		c.mesh.untrack(c)
		err = c.Conn.Close()
	})
	return err
}

// abort ends the TCP connection under TLS at once: unlike Close it never waits
// for a peer that does not read.
func (c *trackedConn) abort() { _ = c.raw.SetLinger(0); _ = c.raw.Close() }

// track registers c, or closes it and returns false where the mesh is closed.
func (m *Mesh) track(c *trackedConn) bool {
	m.mu.Lock()
	closed := m.closed
	if !closed {
		m.conns[c] = struct{}{}
	}
	m.mu.Unlock()
	if closed {
		c.abort()
	}
	return !closed
}

func (m *Mesh) untrack(c *trackedConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
}

// own notes whose connection it is, so that SetLink and SetPeers find it.
func (m *Mesh) own(c *trackedConn, peer uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.peer = peer
}

// SetLink tells whether one link to one peer works; down closes what runs over it.
func (m *Mesh) SetLink(peer uint64, link int, up bool) {
	m.mu.Lock()
	if up {
		delete(m.down, linkKey{peer, link})
	} else {
		m.down[linkKey{peer, link}] = true
	}
	var end []*trackedConn
	if !up {
		for c := range m.conns {
			if c.peer == peer && c.link == link {
				end = append(end, c)
			}
		}
	}
	m.mu.Unlock()
	for _, c := range end {
		c.abort()
	}
}

// SetPeers replaces the peers and ends the connections of those that are gone.
func (m *Mesh) SetPeers(peers []Peer) {
	byID := make(map[uint64]Peer, len(peers))
	for _, p := range peers {
		byID[p.ID] = p
	}
	m.mu.Lock()
	m.peers = byID
	for k := range m.down {
		if _, ok := byID[k.peer]; !ok {
			delete(m.down, k)
		}
	}
	var end []*trackedConn
	for c := range m.conns {
		if _, ok := byID[c.peer]; !ok && c.peer != 0 {
			end = append(end, c)
		}
	}
	m.mu.Unlock()
	for _, c := range end {
		c.abort()
	}
}

// tune makes TCP notice a dead peer in seconds and send small writes at once.
// Failures are harmless: the pulse's verdict closes connections, too.
func tune(c *net.TCPConn, userTimeout time.Duration) {
	_ = c.SetNoDelay(true)
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3})
	rc, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}

// reuseAddr lets a restarted daemon listen while old connections linger.
func reuseAddr(_, _ string, rc syscall.RawConn) error {
	var err error
	cerr := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	if cerr != nil {
		return cerr
	}
	return err
}
