package mesh

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Mesh is the real Network. New makes it, Serve accepts, Close ends both.
type Mesh struct {
	cfg        Config
	cluster    string // of the own certificate
	log        *slog.Logger
	serverBase *tls.Config
	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	wg         sync.WaitGroup // listeners and connection handlers

	mu       sync.Mutex
	closed   bool
	peers    map[uint64]Peer
	down     map[linkKey]bool
	handlers map[string]handlerEntry
	conns    map[*trackedConn]struct{}
	bound    []netip.AddrPort // addresses listened on, for tests and status
	boundNew chan struct{}    // closed and replaced when bound grows
}

type linkKey struct {
	peer uint64
	link int
}

type handlerEntry struct {
	serve     Handler
	anonymous bool
}

var _ Network = (*Mesh)(nil)

// New checks the configuration. Nothing is opened before Serve or Dial.
func New(cfg Config) (*Mesh, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	leaf, err := leafOf(cfg.Cert)
	if err != nil {
		return nil, err
	}
	who, err := nameIn(leaf)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Mesh{
		cfg: cfg, cluster: who.cluster, log: cfg.Log, ctx: ctx, cancel: cancel,
		down: map[linkKey]bool{}, handlers: map[string]handlerEntry{},
		conns: map[*trackedConn]struct{}{}, boundNew: make(chan struct{}),
	}
	m.serverBase = m.serverTLS()
	m.SetPeers(cfg.Peers)
	return m, nil
}

// Handle serves a protocol to nodes of the cluster.
func (m *Mesh) Handle(proto string, h Handler) { m.setHandler(proto, handlerEntry{serve: h}) }

// HandleAnonymous serves a protocol to everybody, with or without a
// certificate: for joining nodes. The handler must prove the client itself.
func (m *Mesh) HandleAnonymous(proto string, h Handler) {
	m.setHandler(proto, handlerEntry{serve: h, anonymous: true})
}

func (m *Mesh) setHandler(proto string, h handlerEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handlers[proto] = h
}

func (m *Mesh) handler(proto string) (handlerEntry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.handlers[proto]
	return h, ok
}

func (m *Mesh) protocols() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	ps := make([]string, 0, len(m.handlers))
	for p := range m.handlers {
		ps = append(ps, p)
	}
	slices.Sort(ps)
	return ps
}

// Serve accepts on every address of the configuration until ctx ends or Close
// is called; it returns nil then, after every handler has returned. An address
// that is not there yet is tried again and again: a missing link is no reason
// not to serve the others.
func (m *Mesh) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, m.Close)
	defer stop()
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return errs.E("serve the cluster", errs.Unavailable, m.cfg.Name, "", errors.New("already closed"))
	}
	for link, addr := range m.cfg.Listen {
		m.wg.Add(1)
		go func() { defer m.wg.Done(); m.listenLoop(link, addr) }()
	}
	m.mu.Unlock()
	<-m.ctx.Done()
	m.wg.Wait()
	return nil
}

// Close ends every connection and Serve. It is idempotent and does not wait;
// Serve does.
func (m *Mesh) Close() {
	m.mu.Lock()
	m.closed = true
	conns := make([]*trackedConn, 0, len(m.conns))
	for c := range m.conns {
		conns = append(conns, c)
	}
	m.mu.Unlock()
	m.cancel()
	for _, c := range conns {
		c.abort()
	}
}

// Addrs returns the addresses that are listened on now, in no particular order.
func (m *Mesh) Addrs() []netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.bound)
}

func (m *Mesh) listenLoop(link int, addr netip.AddrPort) {
	told := false
	for m.ctx.Err() == nil {
		lc := net.ListenConfig{Control: reuseAddr}
		l, err := lc.Listen(m.ctx, "tcp", addr.String())
		if err == nil {
			told = false
			m.acceptLoop(link, l)
			continue
		}
		if !told && m.ctx.Err() == nil {
			told = true
			m.log.Warn("cannot listen on a link; trying again until its address is there", "link", link, "address", addr.String(), "error", err)
		}
		pause(m.ctx, m.cfg.ListenRetry)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// setBound notes that an address is listened on, or no longer.
func (m *Mesh) setBound(addr netip.AddrPort, up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !up {
		m.bound = slices.DeleteFunc(m.bound, func(a netip.AddrPort) bool { return a == addr })
		return
	}
	m.bound = append(m.bound, addr)
	close(m.boundNew)
	m.boundNew = make(chan struct{})
}

func (m *Mesh) acceptLoop(link int, l net.Listener) {
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	m.setBound(addr, true)
	defer m.setBound(addr, false)
	stop := context.AfterFunc(m.ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	m.log.Info("listening", "link", link, "address", addr.String())
	for {
		c, err := l.Accept()
		if err != nil {
			if m.ctx.Err() == nil {
				m.log.Warn("cannot accept on a link; opening it anew", "link", link, "error", err)
				pause(m.ctx, 10*time.Millisecond) // out of descriptors: do not spin
			}
			return
		}
		m.wg.Add(1)
		go func() { defer m.wg.Done(); m.accepted(link, c.(*net.TCPConn)) }()
	}
}

func (m *Mesh) accepted(link int, raw *net.TCPConn) {
	tune(raw, m.cfg.UserTimeout)
	conn := tls.Server(raw, m.serverBase)
	tc := &trackedConn{Conn: conn, raw: raw, mesh: m, link: link}
	if !m.track(tc) {
		return
	}
	defer tc.Close()
	ctx, cancel := context.WithTimeout(m.ctx, m.cfg.HandshakeMax)
	err := conn.HandshakeContext(ctx)
	cancel()
	if err != nil {
		m.log.Debug("refused a connection", "link", link, "from", raw.RemoteAddr().String(), "error", err)
		return
	}
	cs := conn.ConnectionState()
	h, ok := m.handler(cs.NegotiatedProtocol)
	if !ok {
		return
	}
	var from uint64
	if len(cs.PeerCertificates) > 0 {
		who, err := nameIn(cs.PeerCertificates[0])
		if err != nil {
			return // verifyClient has refused it already
		}
		from = who.node
	}
	m.own(tc, from)
	h.serve(m.ctx, from, tc)
}
