package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Certificates are valid for long, because a cluster that locks itself out on a
// date is worse than one whose keys are old; they begin early, because a machine
// that just booted may have a clock that is behind.
const (
	authorityLife = 50 * 365 * 24 * time.Hour
	nodeLife      = 20 * 365 * 24 * time.Hour
	renewBefore   = 5 * 365 * 24 * time.Hour
	backdate      = 48 * time.Hour
)

// Scheme is the scheme of the URI that a node's certificate carries:
// takt://CLUSTERID/node/ID.
const Scheme = "takt"

// NodeURI returns the URI that a node's certificate carries.
func NodeURI(clusterID string, id uint64) *url.URL {
	return &url.URL{Scheme: Scheme, Host: clusterID, Path: fmt.Sprintf("/node/%d", id)}
}

// newAuthority makes the cluster's certificate authority and its key (PEM).
func newAuthority(n Node, now time.Time) (*x509.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: "takt cluster " + n.Cluster, SerialNumber: n.ClusterID},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := encodeKey(key)
	return cert, encoded, err
}

// NewRequest makes a key and a certificate request (DER) for a node. The key
// (PEM) stays on the node that made it.
func NewRequest(name string) (csr, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return csr, keyPEM, err
}

// Sign gives a node its certificate (DER): the request proves that the node has
// the key; id and name are what the cluster decided, whatever the request says.
func (id *Identity) Sign(csr []byte, node uint64, name string) ([]byte, error) {
	cert, err := id.signAt(csr, node, name, time.Now())
	if err != nil {
		return nil, err
	}
	return cert.Raw, nil
}

func (id *Identity) signAt(csr []byte, node uint64, name string, now time.Time) (*x509.Certificate, error) {
	if err := ValidateName(name); err != nil {
		return nil, errs.E("sign certificate", errs.Invalid, "", "", err)
	}
	req, err := x509.ParseCertificateRequest(csr)
	if err == nil {
		err = req.CheckSignature()
	}
	if err != nil {
		return nil, errs.E("sign certificate", errs.Invalid, name, "", fmt.Errorf("certificate request: %w", err))
	}
	return id.signKey(req.PublicKey, node, name, now)
}

func (id *Identity) signKey(pub crypto.PublicKey, node uint64, name string, now time.Time) (*x509.Certificate, error) {
	key, err := parseKey(id.caKeyPEM, id.CA.PublicKey)
	if err != nil {
		return nil, errs.E("sign certificate", errs.Corrupt, id.path(caKey), "", err)
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		URIs:                  []*url.URL{NodeURI(id.ClusterID, node)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(nodeLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, id.CA, pub, key)
	if err != nil {
		return nil, errs.E("sign certificate", errs.Other, name, "", err)
	}
	return x509.ParseCertificate(raw)
}

// Renew replaces the node's certificate, with the same key, when less than five
// years of its validity are left, and reports whether it did.
func (id *Identity) Renew(now time.Time) (bool, error) {
	if id.Cert.NotAfter.Sub(now) > renewBefore {
		return false, nil
	}
	cert, err := id.signKey(id.Cert.PublicKey, id.ID, id.Name, now)
	if err != nil {
		return false, err
	}
	if err := writeFile(id.path(nodeCert), encodeCert(cert)); err != nil {
		return false, errs.E("renew certificate", errs.Other, id.path(nodeCert), "", err)
	}
	id.Cert = cert
	return true, nil
}

// Fingerprint is the SHA-256 of a certificate's DER.
func Fingerprint(cert *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(cert.Raw) }

// checkNames verifies that a certificate says who is meant.
func checkNames(cert *x509.Certificate, clusterID string, node uint64, name string) error {
	want := NodeURI(clusterID, node).String()
	if !slices.ContainsFunc(cert.URIs, func(u *url.URL) bool { return u.String() == want }) {
		return fmt.Errorf("certificate is not for %s", want)
	}
	if !slices.Contains(cert.DNSNames, name) {
		return fmt.Errorf("certificate is not for the node name %q", name)
	}
	return nil
}

func newSerial() *big.Int { return new(big.Int).SetBytes(append([]byte{1}, randomBytes(15)...)) }

func encodeCert(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func readCert(file string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: is not a PEM certificate", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cert, nil
}

// parseKey decodes a PKCS #8 key and checks that it belongs to pub. Its errors
// do not quote the input.
func parseKey(raw []byte, pub crypto.PublicKey) (crypto.Signer, error) {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("is not a PEM private key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("is not a PKCS #8 private key")
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(pub) {
		return nil, errors.New("does not belong to its certificate")
	}
	return signer, nil
}

func readClusterKey(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != keyLen {
		return nil, fmt.Errorf("%s: want 64 hex digits", file)
	}
	return key, nil
}
