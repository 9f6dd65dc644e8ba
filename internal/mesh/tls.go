package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// errIdentity marks a certificate that does not fit; it becomes errs.Permission.
var errIdentity = errors.New("certificate does not fit")

func (m *Mesh) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{m.cfg.Cert},
		ClientAuth:             tls.VerifyClientCertIfGiven,
		ClientCAs:              m.cfg.CA,
		SessionTicketsDisabled: true, // every connection proves its identity anew
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := m.serverBase.Clone()
			c.NextProtos = m.protocols()
			return c, nil
		},
		VerifyConnection: m.verifyClient,
	}
}

// verifyClient decides who may speak what: nodes of this cluster everything,
// clients without a certificate the anonymous protocols.
func (m *Mesh) verifyClient(cs tls.ConnectionState) error {
	h, ok := m.handler(cs.NegotiatedProtocol)
	if !ok {
		return fmt.Errorf("%w: no protocol agreed", errIdentity)
	}
	if len(cs.PeerCertificates) == 0 {
		if h.anonymous {
			return nil
		}
		return fmt.Errorf("%w: %s needs a node's certificate", errIdentity, cs.NegotiatedProtocol)
	}
	who, err := nameIn(cs.PeerCertificates[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errIdentity, err)
	}
	if who.cluster != m.cluster {
		return fmt.Errorf("%w: it is of cluster %s", errIdentity, who.cluster)
	}
	if who.node == m.cfg.Self {
		return fmt.Errorf("%w: it claims to be this node, %d", errIdentity, who.node)
	}
	return nil
}

// clientTLS dials as this node and insists on reaching exactly this peer.
func (m *Mesh) clientTLS(p Peer, proto string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{m.cfg.Cert},
		RootCAs:      m.cfg.CA,
		ServerName:   p.Name,
		NextProtos:   []string{proto},
		VerifyPeerCertificate: func(_ [][]byte, chains [][]*x509.Certificate) error {
			who, err := nameIn(chains[0][0])
			if err != nil {
				return fmt.Errorf("%w: %w", errIdentity, err)
			}
			if who.cluster != m.cluster || who.node != p.ID {
				return fmt.Errorf("%w: wanted node %d of cluster %s, got node %d of cluster %s", errIdentity, p.ID, m.cluster, who.node, who.cluster)
			}
			return nil
		},
	}
}
