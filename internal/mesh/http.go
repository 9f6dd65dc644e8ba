package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Host returns the host part of a URL that reaches a node through a
// RoundTripper: "node-7".
func Host(node uint64) string { return "node-" + strconv.FormatUint(node, 10) }

// RoundTripper returns an HTTP/1.1 client transport that speaks proto to the
// node named by the URL's host (see Host), keeping idle connections. The scheme
// is "http": the connection below is the mesh's, and encrypted by it.
func RoundTripper(n Network, proto string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			id, err := strconv.ParseUint(strings.TrimPrefix(host, "node-"), 10, 64)
			if err != nil || !strings.HasPrefix(host, "node-") {
				return nil, errs.E("connect to", errs.Invalid, host, "Name the node as node-ID.", nil)
			}
			return n.Dial(ctx, id, proto)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
	}
}

// RoundTripper is the function RoundTripper on this mesh. Callers that are done
// with it call CloseIdleConnections on it; Close of the mesh does so, too.
func (m *Mesh) RoundTripper(proto string) http.RoundTripper { return RoundTripper(m, proto) }

// ServeHTTP serves a protocol that is HTTP/1.1 with a handler. PeerOf gives the
// id of the node that sent a request.
func ServeHTTP(n Network, proto string, h http.Handler) { n.Handle(proto, httpHandler(h)) }

// ServeHTTP is the function ServeHTTP on this mesh.
func (m *Mesh) ServeHTTP(proto string, h http.Handler) { m.Handle(proto, httpHandler(h)) }

// httpHandler runs net/http's server on each connection alone, so that the
// mesh's handler is the parent of its goroutine and waits for it.
func httpHandler(h http.Handler) Handler {
	return func(ctx context.Context, from uint64, conn net.Conn) {
		l := &oneConn{conn: &plainConn{Conn: conn}, gone: make(chan struct{})}
		srv := &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return context.WithValue(ctx, peerKey{}, from) },
			ConnState: func(_ net.Conn, s http.ConnState) {
				if s == http.StateClosed || s == http.StateHijacked {
					l.end()
				}
			},
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		if err := srv.Serve(l); err != nil && !errors.Is(err, io.EOF) {
			panic(fmt.Sprintf("mesh: http server ended with %v", err)) // oneConn returns nothing but EOF
		}
	}
}

// plainConn hides the TLS type from net/http, which would otherwise look at the
// agreed protocol and refuse what is not "http/1.1".
type plainConn struct{ net.Conn }

// oneConn is a listener that accepts one connection and ends with it.
type oneConn struct {
	mu   sync.Mutex
	conn net.Conn // nil once accepted
	once sync.Once
	gone chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	c := l.conn
	l.conn = nil
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	<-l.gone
	return nil, io.EOF
}

func (l *oneConn) end() { l.once.Do(func() { close(l.gone) }) }

// Close does nothing: the end of the connection ends the listener.
func (l *oneConn) Close() error { return nil }

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
