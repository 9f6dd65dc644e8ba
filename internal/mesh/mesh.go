// Package mesh connects the cluster's daemons: mutual TLS over TCP on whichever
// link works. One port serves several protocols, told apart by ALPN.
//
// A connection that runs over a link which the pulse calls dead is closed at
// once, so that a request goes over another link instead of waiting for TCP.
package mesh

import (
	"context"
	"crypto/tls"
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
// that the client's certificate carries.
type Handler func(ctx context.Context, from uint64, conn *tls.Conn)

// Network dials and accepts. *Mesh is the real one; tests use an in-memory twin.
type Network interface {
	// Dial opens a connection that speaks the ALPN protocol proto to a peer,
	// over the first live link.
	Dial(ctx context.Context, peer uint64, proto string) (net.Conn, error)
	// Handle serves a protocol. It must be called before Serve.
	Handle(proto string, h Handler)
	// SetPeers replaces the peers.
	SetPeers([]Peer)
	// SetLink tells whether one link to one peer works; down closes what runs over it.
	SetLink(peer uint64, link int, up bool)
}
