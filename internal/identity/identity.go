// Package identity is what makes a machine a member of a cluster: the folder
// (by default /etc/takt) with the cluster's name and keys and the node's own
// certificate.
//
//	node.json    who: cluster name and id, node id and name, own address on each link
//	ca.crt, ca.key     the cluster's certificate authority; every member holds it,
//	                   so that any member can admit the next one
//	node.crt, node.key this node's certificate, for mutual TLS between daemons
//	cluster.key  32 bytes in hex that authenticate heartbeats
//	seed.xml     only after a join: the configuration as of the join, from which a
//	             daemon learns its peers until its own log has them
//
// Create makes the folder on the first node. On every further one Join does,
// with a one-time Token from a member. node.json is written last: a folder
// without it is the rest of an attempt that was cut short, and is made anew.
//
// Keys and tokens never appear in an error or a log line.
package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// DefaultDir, DefaultState and DefaultPort are where things are unless said otherwise.
const (
	DefaultDir   = "/etc/takt"
	DefaultState = "/var/lib/takt"
	DefaultPort  = 694 // UDP for heartbeats, TCP for everything else
)

const (
	nodeFile   = "node.json"
	caCert     = "ca.crt"
	caKey      = "ca.key"
	nodeCert   = "node.crt"
	nodeKey    = "node.key"
	keyFile    = "cluster.key"
	seedFile   = "seed.xml"
	keyLen     = 32
	idLen      = 16
	noIdentity = "Make a new cluster with \"takt init\", or join one with \"takt join TOKEN\"."
)

// Node is the content of node.json.
type Node struct {
	Cluster   string           `json:"cluster"`    // name, for people
	ClusterID string           `json:"cluster_id"` // 32 hex digits, made once by Create
	ID        uint64           `json:"node_id"`    // never used twice in the life of a cluster
	Name      string           `json:"node"`       // what the certificate carries
	Links     []netip.AddrPort `json:"links"`      // own address on each link, in link order
	Created   time.Time        `json:"created"`
}

// Identity is a loaded folder.
type Identity struct {
	Node
	Dir        string // the folder that it was loaded from
	CA         *x509.Certificate
	Cert       *x509.Certificate
	ClusterKey []byte // 32 bytes; a secret
	SeedCIB    string // the configuration as of the join; "" on the first node

	caKeyPEM, nodeKeyPEM []byte
}

// Place says where an identity is made, and what to do about an older one.
type Place struct {
	Dir   string    // "": DefaultDir
	State string    // the daemon's folder, which must not hold another cluster's state; "": not looked at
	Force bool      // set an older identity and older state aside instead of refusing
	Now   time.Time // validity of certificates starts here; zero: the clock's now
}

func (p Place) withDefaults() Place {
	if p.Dir == "" {
		p.Dir = DefaultDir
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	return p
}

// Create makes a new cluster with this machine as node 1: a certificate
// authority, the cluster's key and id, and the node's certificate. It refuses
// with Exists where the folder or the state of an older cluster is in the way.
func Create(p Place, cluster, node string, links []netip.AddrPort) (*Identity, error) {
	p = p.withDefaults()
	n := Node{Cluster: cluster, ClusterID: randomHex(idLen), ID: 1, Name: node, Links: links, Created: p.Now.UTC().Truncate(time.Second)}
	if err := n.Validate(); err != nil {
		return nil, errs.E("create identity", errs.Invalid, p.Dir, "", err)
	}
	if err := p.clear(); err != nil {
		return nil, err
	}
	id, err := newIdentity(n, p.Now)
	if err != nil {
		return nil, errs.E("create identity", errs.Other, p.Dir, "", err)
	}
	id.Dir = p.Dir
	return id, id.write()
}

// newIdentity makes the keys and certificates of a cluster's first node.
func newIdentity(n Node, now time.Time) (*Identity, error) {
	ca, caPEM, err := newAuthority(n, now)
	if err != nil {
		return nil, err
	}
	csr, nodePEM, err := NewRequest(n.Name)
	if err != nil {
		return nil, err
	}
	id := &Identity{Node: n, CA: ca, ClusterKey: randomBytes(keyLen), caKeyPEM: caPEM, nodeKeyPEM: nodePEM}
	id.Cert, err = id.signAt(csr, n.ID, n.Name, now)
	return id, err
}

// Load reads the folder. NotFound means that this machine is no member yet,
// Corrupt that the files contradict each other.
func Load(dir string) (*Identity, error) {
	if dir == "" {
		dir = DefaultDir
	}
	raw, err := os.ReadFile(filepath.Join(dir, nodeFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errs.E("load identity", errs.NotFound, dir, noIdentity, errors.New("this machine is not a member of a cluster"))
	case errors.Is(err, fs.ErrPermission):
		return nil, errs.E("load identity", errs.Permission, dir, "Run it as root.", err)
	case err != nil:
		return nil, errs.E("load identity", errs.Other, dir, "", err)
	}
	id := &Identity{Dir: dir}
	if err := id.decode(raw); err != nil {
		return nil, errs.E("load identity", errs.Corrupt, dir,
			"Restore the folder from a backup, or take the node out of the cluster and join again with \"takt join --force TOKEN\".", err)
	}
	return id, nil
}

// decode reads what belongs to node.json's content and checks the whole.
func (id *Identity) decode(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&id.Node); err != nil {
		return fmt.Errorf("%s: %w", nodeFile, err)
	}
	if err := id.Node.Validate(); err != nil {
		return fmt.Errorf("%s: %w", nodeFile, err)
	}
	var err error
	if id.CA, err = readCert(id.path(caCert)); err != nil {
		return err
	}
	if id.Cert, err = readCert(id.path(nodeCert)); err != nil {
		return err
	}
	if id.caKeyPEM, err = os.ReadFile(id.path(caKey)); err != nil {
		return err
	}
	if id.nodeKeyPEM, err = os.ReadFile(id.path(nodeKey)); err != nil {
		return err
	}
	if id.ClusterKey, err = readClusterKey(id.path(keyFile)); err != nil {
		return err
	}
	if seed, err := os.ReadFile(id.path(seedFile)); err == nil {
		id.SeedCIB = string(seed)
	}
	return id.valid()
}

// valid holds the invariant over the files: keys match their certificates, and
// the node's certificate is the authority's and carries id and name.
func (id *Identity) valid() error {
	if _, err := parseKey(id.caKeyPEM, id.CA.PublicKey); err != nil {
		return fmt.Errorf("%s: %w", caKey, err)
	}
	if _, err := parseKey(id.nodeKeyPEM, id.Cert.PublicKey); err != nil {
		return fmt.Errorf("%s: %w", nodeKey, err)
	}
	if err := id.Cert.CheckSignatureFrom(id.CA); err != nil {
		return fmt.Errorf("%s is not signed by %s: %w", nodeCert, caCert, err)
	}
	if err := checkNames(id.Cert, id.ClusterID, id.ID, id.Name); err != nil {
		return fmt.Errorf("%s: %w", nodeCert, err)
	}
	return nil
}

// TLS returns the node's certificate with its key, followed by the authority's
// certificate (a joining node pins that one by its fingerprint).
func (id *Identity) TLS() (tls.Certificate, error) {
	key, err := parseKey(id.nodeKeyPEM, id.Cert.PublicKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", nodeKey, err)
	}
	return tls.Certificate{Certificate: [][]byte{id.Cert.Raw, id.CA.Raw}, PrivateKey: key, Leaf: id.Cert}, nil
}

// Pool returns a pool with the cluster's authority alone.
func (id *Identity) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(id.CA)
	return pool
}

func (id *Identity) path(name string) string { return filepath.Join(id.Dir, name) }

// Validate says what is wrong with a node's description.
func (n Node) Validate() error {
	switch {
	case n.Cluster == "" || len(n.Cluster) > 64 || !plainName(n.Cluster):
		return fmt.Errorf("cluster name %q: want 1 to 64 letters, digits, \".\", \"_\" or \"-\", beginning with a letter or digit", n.Cluster)
	case n.ID == 0:
		return errors.New("node id 0: want 1 or more")
	}
	if raw, err := hex.DecodeString(n.ClusterID); err != nil || len(raw) != idLen {
		return fmt.Errorf("cluster id %q: want 32 hex digits", n.ClusterID)
	}
	if err := ValidateName(n.Name); err != nil {
		return err
	}
	return ValidateLinks(n.Links)
}

// ValidateName refuses what is no node name: 1 to 63 letters, digits, dots,
// underscores and hyphens, beginning with a letter or digit.
func ValidateName(name string) error {
	if name == "" || len(name) > 63 || !plainName(name) {
		return fmt.Errorf("node name %q: want 1 to 63 letters, digits, \".\", \"_\" or \"-\", beginning with a letter or digit", name)
	}
	return nil
}

// ValidateLinks wants 1 to 8 unicast addresses, each once, with a port.
func ValidateLinks(links []netip.AddrPort) error {
	if len(links) == 0 || len(links) > 8 {
		return fmt.Errorf("%d links: want 1 to 8, each an own address of this node", len(links))
	}
	seen := map[netip.AddrPort]bool{}
	for _, l := range links {
		switch {
		case !l.IsValid() || l.Port() == 0:
			return fmt.Errorf("link %s: want ADDRESS:PORT", l)
		case l.Addr().IsUnspecified() || l.Addr().IsMulticast():
			return fmt.Errorf("link %s: want an address of one network interface, which others can reach", l)
		case seen[l]:
			return fmt.Errorf("link %s: is there twice", l)
		}
		seen[l] = true
	}
	return nil
}

func plainName(s string) bool {
	for i, r := range s {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._-", r)) {
			return false
		}
	}
	return true
}

// randomBytes returns n bytes from the system's generator, which does not fail
// (crypto/rand ends the process where the kernel has none).
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomHex(n int) string { return hex.EncodeToString(randomBytes(n)) }
