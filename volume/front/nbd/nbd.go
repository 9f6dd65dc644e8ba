// Package nbd shows a volume to clients of the NBD protocol (doc/proto.md of the
// NBD project: fixed newstyle, structured replies, base:allocation) on a unix
// socket, or on any listener.
//
// It is made so that a request costs few system calls and no change of thread.
// Each connection has one goroutine on a thread of its own, which reads whatever
// has arrived into a large buffer, hands all whole requests to the device at once, data in
// place, and sends the answers that are there at once:
//
//	read(2) ─▶ parse ─▶ front.Device.Submit ─▶ Done ... Done ─▶ Flush ─▶ sendmsg(2)
//
// Answers that come later are sent by the thread that completed the requests; if the
// client does not read, by a goroutine that waits for it. Long reads and
// writes are cut into pieces, so memory stays bounded, and the device works while the rest
// is on its way.
//
// The codec and the handshake are pure (wire.go, haggle.go).
package nbd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/takt-ha/takt/volume/front"
)

// Config says what the server shows and how much it spends.
type Config struct {
	Name        string // of the export; clients may also ask for ""
	Description string // for people; may be empty
	Log         *slog.Logger
	// MaxConns is how many connections are served at once; more are hung up on.
	// 0: 64. Each costs a thread and about half a MiB.
	MaxConns int
	// Memory is how many bytes of data may be with the device or on the way to
	// clients, of all connections; a quarter of it of one. 0: 32 MiB. A connection without
	// anything in flight may always begin one request, so at most
	// MaxConns × MaxRequest more.
	Memory int64
	// Handshake is how long a client may take to choose the export. 0: 10 s.
	Handshake time.Duration
}

// Server serves one device. Make one with New.
type Server struct {
	dev    front.Device
	cfg    Config
	memory *memory

	mu        sync.Mutex // guards what follows
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
	closing   bool
	done      sync.WaitGroup // of connections
}

// New returns a server of dev that waits for Serve.
func New(dev front.Device, cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 64
	}
	if cfg.Memory == 0 {
		cfg.Memory = 32 << 20
	}
	if cfg.Handshake == 0 {
		cfg.Handshake = 10 * time.Second
	}
	return &Server{dev: dev, cfg: cfg, memory: newMemory(cfg.Memory),
		conns: map[*conn]struct{}{}, listeners: map[net.Listener]struct{}{}}
}

// Listen makes a unix socket at path. What a dead server left there is removed; where a
// server still answers, the error says so.
func Listen(path string) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	if c, dialed := net.Dial("unix", path); dialed == nil {
		c.Close()
		return nil, fmt.Errorf("listen on %s: another server is at work there: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return nil, fmt.Errorf("remove the socket of a dead server: %w", err)
	}
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// Serve accepts connections until Close; then it returns nil. It may run for several listeners.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	defer ln.Close()
	for {
		nc, err := ln.Accept()
		if err != nil {
			return s.acceptFailed(ln, err)
		}
		s.admit(nc)
	}
}

func (s *Server) acceptFailed(ln net.Listener, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	if s.closing {
		return nil
	}
	return fmt.Errorf("accept NBD clients on %s: %w", ln.Addr(), err)
}

// admit begins to serve a connection, if there is room for it.
func (s *Server) admit(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.conns) >= s.cfg.MaxConns {
		if !s.closing {
			s.cfg.Log.Warn("an NBD client was turned away: too many connections", "limit", s.cfg.MaxConns)
		}
		nc.Close()
		return
	}
	c := newConn(s, nc)
	s.conns[c] = struct{}{}
	s.done.Go(func() {
		c.run()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// HangUp ends all connections that may write: what they send from now on is refused, what
// the device has is answered, then they are closed. It is for when the right to write is lost or
// about to be given anew: a client that slept meanwhile holds old data in its memory and must not write it
// over what another node wrote. Connections that may only read stay.
func (s *Server) HangUp() {
	for _, c := range s.all() {
		if c.mayWrite() {
			c.drain()
		}
	}
}

// InFlight is how many requests are with the device.
func (s *Server) InFlight() int {
	n := 0
	for _, c := range s.all() {
		n += c.inFlight()
	}
	return n
}

// Connections is how many clients there are.
func (s *Server) Connections() int { return len(s.all()) }

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*conn
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Close ends the server: no new connections, new requests get ESHUTDOWN, those
// with the device are answered, then the connections end. When ctx is over they are cut
// off, and Close waits no longer; the error says so. It may be called again.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for ln := range s.listeners {
		ln.Close()
	}
	s.mu.Unlock()
	for _, c := range s.all() {
		c.drain()
	}
	ended := make(chan struct{})
	go func() { s.done.Wait(); close(ended) }() // ends with the last connection
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.all() {
		c.fail(errors.New("the server is being closed"))
	}
	return fmt.Errorf("close the NBD server: %d requests are still with the device: %w", s.InFlight(), ctx.Err())
}
