// Package mesh connects the cluster's daemons: mutual TLS 1.3 over TCP on
// whichever link works. One port serves several protocols, told apart by ALPN.
//
// A node proves who it is by a certificate of the cluster's own authority. It
// carries the URI "takt://CLUSTERID/node/ID" and the node's name as DNS name;
// both ends check authority, cluster and id. A node that has no certificate yet
// may speak the protocols registered with HandleAnonymous, and no other.
//
// A connection that runs over a link which the pulse calls dead is closed at
// once, so that a request goes over another link instead of waiting for TCP.
//
// Rooms above that speak HTTP use RoundTripper and ServeHTTP. MemNetwork is the
// twin for tests: the same behaviour without sockets, with links to cut.
package mesh

import (
	"context"
	"net"
	"net/netip"
)

// Peer is another node, as the mesh dials it.
type Peer struct {
	ID    uint64
	Name  string           // the name that its certificate must carry
	Addrs []netip.AddrPort // one a link, in link order
}

// Handler serves one accepted connection of a protocol. from is the node id
// that the client's certificate carries, 0 for an anonymous client. The
// connection is closed when the handler returns; ctx ends, and the connection
// is closed, when the mesh closes.
type Handler func(ctx context.Context, from uint64, conn net.Conn)

// Network dials and accepts. *Mesh is the real one; tests use a node of a
// MemNetwork.
type Network interface {
	// Dial opens a connection that speaks the ALPN protocol proto to a peer,
	// over the first live link. Errors are *errs.Error: NotFound for an unknown
	// peer, Permission where a certificate does not fit, else Unavailable.
	Dial(ctx context.Context, peer uint64, proto string) (net.Conn, error)
	// Handle serves a protocol to nodes of the cluster. A later call for the
	// same protocol replaces the handler for new connections.
	Handle(proto string, h Handler)
	// SetPeers replaces the peers. Connections of peers that are gone are closed.
	SetPeers([]Peer)
	// SetLink tells whether one link to one peer works; down closes what runs
	// over it. A link that was never mentioned counts as working.
	SetLink(peer uint64, link int, up bool)
}

type peerKey struct{}

// PeerOf returns the id of the node that sent an HTTP request served through
// ServeHTTP, 0 if ctx is not such a request's or the client is anonymous.
func PeerOf(ctx context.Context) uint64 {
	id, _ := ctx.Value(peerKey{}).(uint64)
	return id
}
