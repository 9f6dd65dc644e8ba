package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Config is what a Mesh needs. Zero durations mean the defaults.
type Config struct {
	Self uint64 // own node id; must be the one in the certificate
	Name string // own node name, for messages
	// Cert is the own certificate with its key; its URI decides the cluster id.
	Cert tls.Certificate
	// CA holds the cluster's authority alone: whatever it signed is trusted.
	CA *x509.CertPool
	// Listen is one own address a link, in link order. Connections to a peer's
	// link i start from the address of Listen[i].
	Listen []netip.AddrPort
	Peers  []Peer
	Log    *slog.Logger

	LinkTimeout  time.Duration // for connecting over one link, TLS included; default 1 s. Longer delays the error where no link works.
	NextLink     time.Duration // head start of a link before the next one is tried beside it; default 50 ms
	ListenRetry  time.Duration // pause before a missing listen address is tried again; default 1 s
	UserTimeout  time.Duration // unacknowledged data for so long ends a connection (TCP_USER_TIMEOUT); default 5 s
	HandshakeMax time.Duration // an accepted connection must have finished TLS by then; default 5 s
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.LinkTimeout, time.Second)
	set(&c.NextLink, 50*time.Millisecond)
	set(&c.ListenRetry, time.Second)
	set(&c.UserTimeout, 5*time.Second)
	set(&c.HandshakeMax, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports what is missing or contradicts itself.
func (c Config) Validate() error {
	invalid := func(what string) error {
		return errs.E("connect the cluster", errs.Invalid, "node "+strconv.FormatUint(c.Self, 10), what, nil)
	}
	if c.Self == 0 {
		return invalid("Give the node an id greater than 0.")
	}
	if c.CA == nil {
		return invalid("Give the certificate of the cluster's authority.")
	}
	if len(c.Cert.Certificate) == 0 {
		return invalid("Give the node a certificate: run takt init or takt join.")
	}
	leaf, err := leafOf(c.Cert)
	if err != nil {
		return invalid("The node's certificate cannot be read: " + err.Error())
	}
	who, err := nameIn(leaf)
	if err != nil {
		return invalid("The node's certificate was not made by takt: " + err.Error())
	}
	if who.node != c.Self {
		return invalid(fmt.Sprintf("The certificate is that of node %d; give the node its own.", who.node))
	}
	return nil
}

// holder is whom a certificate names.
type holder struct {
	cluster string
	node    uint64
}

func leafOf(c tls.Certificate) (*x509.Certificate, error) {
	if c.Leaf != nil {
		return c.Leaf, nil
	}
	return x509.ParseCertificate(c.Certificate[0])
}

// nameIn reads the URI takt://CLUSTERID/node/ID of a certificate.
func nameIn(cert *x509.Certificate) (holder, error) {
	for _, u := range cert.URIs {
		if u.Scheme != "takt" {
			continue
		}
		id, ok := strings.CutPrefix(u.Path, "/node/")
		n, err := strconv.ParseUint(id, 10, 64)
		if !ok || err != nil || n == 0 || u.Host == "" {
			return holder{}, fmt.Errorf("URI %q names no node", u)
		}
		return holder{cluster: u.Host, node: n}, nil
	}
	return holder{}, fmt.Errorf("no URI takt://CLUSTER/node/ID")
}
