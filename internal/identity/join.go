package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// JoinALPN is the protocol name of a join on the mesh's port: TLS 1.3 that
// authenticates the server alone, and HTTP/1.1 with POST /join over it.
const JoinALPN = "takt-join/1"

// Limits of a join.
const (
	maxRequest  = 64 << 10
	maxAnswer   = 64 << 20 // it carries the configuration
	dialTimeout = 3 * time.Second
	joinTimeout = 60 * time.Second
)

// JoinRequest is what a new node sends.
type JoinRequest struct {
	Secret []byte           `json:"secret"` // of the token
	Name   string           `json:"name"`
	Links  []netip.AddrPort `json:"links"` // own address on each link, in link order
	CSR    []byte           `json:"csr"`   // DER
	// Witness: the node is to vote and to run nothing.
	Witness bool `json:"witness,omitempty"`
}

// JoinAnswer is what makes it a member. It holds secrets.
type JoinAnswer struct {
	NodeID      uint64 `json:"node_id"`
	Cert        []byte `json:"cert"`        // DER
	CACert      []byte `json:"ca_cert"`     // DER
	CAKey       []byte `json:"ca_key"`      // PEM
	ClusterKey  []byte `json:"cluster_key"` // 32 bytes
	ClusterID   string `json:"cluster_id"`
	ClusterName string `json:"cluster"`
	CIB         string `json:"cib"` // XML, with the new node in it
}

// Answer makes the answer to a request that was admitted: signs the certificate
// and adds the cluster's secrets and its configuration.
func (id *Identity) Answer(req JoinRequest, node uint64, cib string) (*JoinAnswer, error) {
	cert, err := id.Sign(req.CSR, node, req.Name)
	if err != nil {
		return nil, err
	}
	return &JoinAnswer{NodeID: node, Cert: cert, CACert: id.CA.Raw, CAKey: id.caKeyPEM, ClusterKey: id.ClusterKey,
		ClusterID: id.ClusterID, ClusterName: id.Cluster, CIB: cib}, nil
}

// Join makes this machine a member: it asks the node that issued the token, over
// whichever of its addresses answers, and writes the folder. The token's
// fingerprint pins the cluster's authority, so nobody on the way can answer. A
// witness votes and runs nothing.
func Join(ctx context.Context, p Place, text, name string, links []netip.AddrPort, witness bool) (*Identity, error) {
	p = p.withDefaults()
	token, err := ParseToken(text)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(ValidateName(name), ValidateLinks(links)); err != nil {
		return nil, errs.E("join cluster", errs.Invalid, "", "", err)
	}
	if !p.Now.Before(token.Expires) {
		return nil, errs.E("join cluster", errs.Permission, "", newToken,
			fmt.Errorf("the token expired at %s (this machine's clock says %s)", token.Expires.UTC().Format(time.RFC3339), p.Now.UTC().Format(time.RFC3339)))
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	csr, keyPEM, err := NewRequest(name)
	if err != nil {
		return nil, errs.E("join cluster", errs.Other, "", "", err)
	}
	answer, err := ask(ctx, token, JoinRequest{Secret: token.Secret[:], Name: name, Links: links, CSR: csr, Witness: witness})
	if err != nil {
		return nil, err
	}
	id, err := answer.identity(name, links, keyPEM, token, p.Now)
	if err != nil {
		return nil, errs.E("join cluster", errs.Corrupt, "", "The other node may run another version of takt: compare \"takt version\".", err)
	}
	if err := p.clear(); err != nil {
		return nil, err
	}
	id.Dir = p.Dir
	return id, id.write()
}

// identity checks an answer and makes the identity that it describes.
func (a *JoinAnswer) identity(name string, links []netip.AddrPort, keyPEM []byte, token *Token, now time.Time) (*Identity, error) {
	ca, err := x509.ParseCertificate(a.CACert)
	if err != nil {
		return nil, fmt.Errorf("answer: authority: %w", err)
	}
	if Fingerprint(ca) != token.Fingerprint {
		return nil, errors.New("answer: the authority is not the token's")
	}
	cert, err := x509.ParseCertificate(a.Cert)
	if err != nil {
		return nil, fmt.Errorf("answer: certificate: %w", err)
	}
	if len(a.ClusterKey) != keyLen {
		return nil, fmt.Errorf("answer: cluster key of %d bytes, want %d", len(a.ClusterKey), keyLen)
	}
	id := &Identity{CA: ca, Cert: cert, ClusterKey: a.ClusterKey, SeedCIB: a.CIB, caKeyPEM: a.CAKey, nodeKeyPEM: keyPEM,
		Node: Node{Cluster: a.ClusterName, ClusterID: a.ClusterID, ID: a.NodeID, Name: name, Links: links, Created: now.UTC().Truncate(time.Second)}}
	if err := id.Node.Validate(); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return id, id.valid()
}

// ask sends the request to the first address that answers.
func ask(ctx context.Context, token *Token, req JoinRequest) (*JoinAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	body, err := json.Marshal(req)
	if err != nil {
		return nil, errs.E("join cluster", errs.Other, "", "", errors.New("request cannot be encoded"))
	}
	var tried []error
	for _, addr := range token.Addrs {
		conn, err := dial(ctx, addr, token)
		if err != nil {
			tried = append(tried, err)
			continue
		}
		return exchange(ctx, conn, addr, body)
	}
	return nil, errs.E("join cluster", errs.Unavailable, "",
		"See that the daemon runs there (\"takt status\"), that this machine reaches one of these addresses, and that no firewall closes the port.",
		fmt.Errorf("the issuing node does not answer: %w", errors.Join(tried...)))
}

// dial opens the pinned TLS connection.
func dial(ctx context.Context, addr netip.AddrPort, token *Token) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{JoinALPN},
		// The chain is not verified against names and roots of this machine but
		// against the token's fingerprint, by VerifyConnection.
		InsecureSkipVerify: true,
		VerifyConnection:   func(cs tls.ConnectionState) error { return pinned(cs, token) },
	}}
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return conn, nil
}

// pinned accepts a server whose chain ends in the authority that the token names.
func pinned(cs tls.ConnectionState, token *Token) error {
	if cs.NegotiatedProtocol != JoinALPN || len(cs.PeerCertificates) == 0 {
		return errors.New("what answers there does not admit nodes")
	}
	for _, ca := range cs.PeerCertificates[1:] {
		if Fingerprint(ca) != token.Fingerprint {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		return err
	}
	return errors.New("what answers there is not the cluster that issued the token")
}

// exchange posts the request over an open connection.
func exchange(ctx context.Context, conn net.Conn, addr netip.AddrPort, body []byte) (*JoinAnswer, error) {
	used := false
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		if used {
			return nil, errors.New("connection was closed")
		}
		used = true
		return conn, nil
	}}
	defer transport.CloseIdleConnections()
	defer conn.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr.String()+"/join", bytes.NewReader(body))
	if err != nil {
		return nil, errs.E("join cluster", errs.Other, addr.String(), "", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, errs.E("join cluster", errs.Timeout, addr.String(),
			"The node may have been admitted: look at \"takt node list\" there before you try again with a new token.", err)
	}
	defer resp.Body.Close()
	return readAnswer(resp, addr)
}

func readAnswer(resp *http.Response, addr netip.AddrPort) (*JoinAnswer, error) {
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		var f refusal
		if err := dec.Decode(&f); err != nil {
			f.Error = resp.Status
		}
		return nil, errs.E("join cluster", errs.ParseKind(f.Kind), addr.String(), f.Hint, errors.New(f.Error))
	}
	var a JoinAnswer
	if err := dec.Decode(&a); err != nil {
		return nil, errs.E("join cluster", errs.Corrupt, addr.String(), "", errors.New("the answer cannot be read"))
	}
	return &a, nil
}

// refusal is the body of an answer that is not a success; see api.Failed.
type refusal struct {
	Error string `json:"error"`
	Kind  string `json:"kind"`
	Hint  string `json:"hint,omitempty"`
}

// Joiner admits nodes: checks the secret (TokenBook.Redeem), adds the node to
// the cluster and answers with Identity.Answer.
type Joiner interface {
	Join(ctx context.Context, req JoinRequest) (*JoinAnswer, error)
}

// Handler serves POST /join. The connection must be TLS with JoinALPN; net/http
// must not see that it is TLS (it would refuse a protocol name that it does not
// know): api.ServeConn wraps it so.
func Handler(j Joiner) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /join", func(w http.ResponseWriter, r *http.Request) {
		answer, err := admit(j, http.MaxBytesReader(w, r.Body, maxRequest), r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			kind := errs.KindOf(err)
			w.WriteHeader(kind.HTTP())
			json.NewEncoder(w).Encode(refusal{Error: err.Error(), Kind: kind.String(), Hint: errs.HintOf(err)})
			return
		}
		json.NewEncoder(w).Encode(answer)
	})
	return mux
}

func admit(j Joiner, body io.Reader, r *http.Request) (*JoinAnswer, error) {
	var req JoinRequest
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		// The decoder's words could quote the secret.
		return nil, errs.E("admit node", errs.Invalid, "", "", errors.New("the request cannot be read"))
	}
	if err := errors.Join(ValidateName(req.Name), ValidateLinks(req.Links)); err != nil {
		return nil, errs.E("admit node", errs.Invalid, "", "", err)
	}
	return j.Join(r.Context(), req)
}

// String hides the secrets.
func (r JoinRequest) String() string {
	links := make([]string, len(r.Links))
	for i, l := range r.Links {
		links[i] = l.String()
	}
	return fmt.Sprintf("join request of %q with links %s", r.Name, strings.Join(links, ", "))
}

// String hides the secrets.
func (a JoinAnswer) String() string {
	return fmt.Sprintf("join answer: node %d of cluster %s (%s)", a.NodeID, a.ClusterName, a.ClusterID)
}

// String names the node without its secrets.
func (id *Identity) String() string {
	return fmt.Sprintf("node %d (%s) of cluster %s (%s)", id.ID, id.Name, id.Cluster, id.ClusterID)
}
