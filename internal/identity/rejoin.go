package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Rejoin gives a member that lost its log a new identity, with a new node id:
// consensus must never meet the old id with less than it had promised. ask
// sends the request to another member, over a connection that proves the old
// identity; so there is no token and no secret in it.
func (id *Identity) Rejoin(ctx context.Context, ask func(context.Context, JoinRequest) (*JoinAnswer, error), now time.Time) (*Identity, error) {
	csr, keyPEM, err := NewRequest(id.Name)
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, JoinRequest{Name: id.Name, Links: id.Links, CSR: csr})
	if err != nil {
		return nil, err
	}
	fresh, err := id.successor(answer, keyPEM, now)
	if err != nil {
		return nil, errs.E("rejoin", errs.Corrupt, id.Name, "Take the node out and let it join with a token (takt join --force).", err)
	}
	return fresh, fresh.write()
}

// successor checks an answer against what this member knows and makes the new identity.
func (id *Identity) successor(a *JoinAnswer, keyPEM []byte, now time.Time) (*Identity, error) {
	if !bytes.Equal(a.CACert, id.CA.Raw) || a.ClusterID != id.ClusterID {
		return nil, errors.New("the answer is of another cluster")
	}
	if a.NodeID == id.ID {
		return nil, fmt.Errorf("the answer gives the old node id %d again", a.NodeID)
	}
	cert, err := x509.ParseCertificate(a.Cert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	fresh := *id
	fresh.ID, fresh.Created = a.NodeID, now.UTC().Truncate(time.Second)
	fresh.Cert, fresh.ClusterKey, fresh.SeedCIB, fresh.nodeKeyPEM = cert, a.ClusterKey, a.CIB, keyPEM
	return &fresh, fresh.valid()
}
