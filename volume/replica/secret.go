package replica

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"time"
)

// errWrongKey is the refusal of a peer with another secret.
var errWrongKey = errors.New("the peer has another secret, or another id of the volume: the configurations of this volume differ")

// tlsConfig derives a key pair from the volume's secret: both sides have the same one,
// and each proves in the handshake that it has it. TLS 1.3 gives fresh keys each time.
func tlsConfig(secret, id string) (*tls.Config, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "takt volume "+id, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	// The dates are of no account: the key alone is compared.
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return nil, err
	}
	own := key.Public().(ed25519.PublicKey)
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // by name; the key is compared below
		SessionTicketsDisabled: true,
		// Small records are for browsers.
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 1 {
				if theirs, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey); ok && subtle.ConstantTimeCompare(theirs, own) == 1 {
					return nil
				}
			}
			return errWrongKey
		},
	}, nil
}

// secure runs TLS over c where the configuration asks for it.
func (r *Replica) secure(w *wire, dialed bool) (net.Conn, error) {
	if r.cfg.Net.Plain {
		return w, nil
	}
	b := &bulk{wire: w, room: make([]byte, readBuffer)}
	t := tls.Server(b, r.tls)
	if dialed {
		t = tls.Client(b, r.tls)
	}
	err := t.Handshake()
	b.buffered = true
	return &sealed{t, b}, err
}
