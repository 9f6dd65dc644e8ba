package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/takt-ha/takt/director"
)

// tlsOf is how SSL_GET speaks TLS. Without a CA nobody has to vouch for a server's certificate: what is checked is whether the
// server works, and nothing secret is said. With one it does; the name in the certificate counts if the server is asked by
// name (enable_sni).
func tlsOf(f director.TLSFiles) (*tls.Config, error) {
	o := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	if f.Certificate != "" || f.Key != "" {
		own, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
		if err != nil {
			return nil, fmt.Errorf("SSL: the certificate %q with the key %q: %w", f.Certificate, f.Key, err)
		}
		o.Certificates = []tls.Certificate{own}
	}
	if f.CA == "" {
		return o, nil
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("SSL: the CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("SSL: there is no certificate in the CA's file %s", f.CA)
	}
	o.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		ask := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), DNSName: s.ServerName}
		for _, c := range s.PeerCertificates[1:] {
			ask.Intermediates.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(ask)
		return err
	}
	return o, nil
}
