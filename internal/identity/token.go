package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// A token's validity: TokenBook.Issue refuses what lies outside.
const (
	MinTokenLife = 15 * time.Minute
	MaxTokenLife = 24 * time.Hour
)

const (
	tokenPrefix = "takt1."
	secretLen   = 20
	maxBooked   = 256 // tokens that wait at once
	newToken    = "Make a new one with \"takt token\" on a member and hand it over whole."
)

// Secret is a token's secret part. It prints as a placeholder.
type Secret [secretLen]byte

// String hides the secret.
func (Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (Secret) GoString() string { return "(secret)" }

// Token lets one node join once. Its text is "takt1." and, in base64url without
// padding: a count byte and that many addresses (length byte, 4 or 16 bytes of
// address and the zone, 2 bytes of port, little endian), 32 bytes SHA-256 of the
// authority's certificate, 20 bytes of secret, 8 bytes of expiry (Unix seconds,
// big endian), 4 bytes CRC-32C of all before.
type Token struct {
	Addrs       []netip.AddrPort  // of the issuing node, one a link
	Fingerprint [sha256.Size]byte // of the cluster's authority
	Secret      Secret
	Expires     time.Time
}

// String returns the text to hand over. It is a secret.
func (t Token) String() string {
	b := []byte{byte(len(t.Addrs))}
	for _, a := range t.Addrs {
		raw, _ := a.MarshalBinary() // never fails
		b = append(append(b, byte(len(raw))), raw...)
	}
	b = append(append(b, t.Fingerprint[:]...), t.Secret[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires.Unix()))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// ParseToken is the inverse of String. Its errors do not quote the text.
func ParseToken(text string) (*Token, error) {
	t, err := parseToken(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errs.E("read join token", errs.Invalid, "", newToken, err)
	}
	return t, nil
}

func parseToken(text string) (*Token, error) {
	body, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %q: is it a token, and of this version of takt?", tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) < 5 {
		return nil, errors.New("it is damaged or not complete")
	}
	raw, sum := raw[:len(raw)-4], binary.BigEndian.Uint32(raw[len(raw)-4:])
	if crc32.Checksum(raw, castagnoli()) != sum {
		return nil, errors.New("it is damaged or not complete (checksum)")
	}
	t := &Token{}
	count, rest := int(raw[0]), raw[1:]
	for range count {
		if len(rest) == 0 || len(rest)-1 < int(rest[0]) {
			return nil, errors.New("it is damaged (addresses)")
		}
		var a netip.AddrPort
		if err := a.UnmarshalBinary(rest[1 : 1+rest[0]]); err != nil || !a.IsValid() {
			return nil, errors.New("it is damaged (addresses)")
		}
		t.Addrs, rest = append(t.Addrs, a), rest[1+rest[0]:]
	}
	if count == 0 || len(rest) != sha256.Size+secretLen+8 {
		return nil, errors.New("it is damaged (length)")
	}
	rest = rest[copy(t.Fingerprint[:], rest):]
	rest = rest[copy(t.Secret[:], rest):]
	t.Expires = time.Unix(int64(binary.BigEndian.Uint64(rest)), 0)
	return t, nil
}

// TokenBook remembers the tokens that a daemon has issued, in memory: a daemon
// that restarts has forgotten them, and a new one is cheap. Its methods may be
// called from several goroutines.
type TokenBook struct {
	now func() time.Time // a test's clock

	mu   sync.Mutex
	open []booked // guarded by mu
}

type booked struct {
	digest  [sha256.Size]byte // of the secret
	expires time.Time
	used    bool
}

// NewTokenBook returns an empty book.
func NewTokenBook() *TokenBook { return &TokenBook{now: time.Now} }

// Issue makes a token that admits one node to id's cluster, over id's links. It
// is valid for life, 15 minutes to 24 hours.
func (b *TokenBook) Issue(id *Identity, life time.Duration) (*Token, error) {
	if life < MinTokenLife || life > MaxTokenLife {
		return nil, errs.E("issue join token", errs.Invalid, life.String(), "", fmt.Errorf("want a validity from %s to %s", MinTokenLife, MaxTokenLife))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.forgetLocked(now)
	if len(b.open) >= maxBooked {
		return nil, errs.E("issue join token", errs.Conflict, "", "Use one of those, or wait until they expire.", fmt.Errorf("%d tokens are open already", len(b.open)))
	}
	t := &Token{Addrs: id.Links, Fingerprint: Fingerprint(id.CA), Expires: now.Add(life).Truncate(time.Second)}
	copy(t.Secret[:], randomBytes(secretLen))
	b.open = append(b.open, booked{digest: sha256.Sum256(t.Secret[:]), expires: t.Expires})
	return t, nil
}

// forgetLocked drops what expired more than a day ago; until then a late caller
// hears that the token expired, not that it is unknown. It needs b.mu.
func (b *TokenBook) forgetLocked(now time.Time) {
	kept := b.open[:0]
	for _, o := range b.open {
		if now.Sub(o.expires) < MaxTokenLife && (!o.used || now.Before(o.expires)) {
			kept = append(kept, o)
		}
	}
	b.open = kept
}

// Redeem takes a secret out of the book: it succeeds once. All entries are
// compared, each in constant time. A join that fails after this needs a new token.
func (b *TokenBook) Redeem(secret []byte) error {
	digest := sha256.Sum256(secret)
	b.mu.Lock()
	defer b.mu.Unlock()
	found := -1
	for i := range b.open {
		if subtle.ConstantTimeCompare(b.open[i].digest[:], digest[:]) == 1 {
			found = i
		}
	}
	var why error
	switch {
	case found < 0:
		why = errors.New("this node did not issue it, or its daemon was restarted since")
	case b.open[found].used:
		why = errors.New("it was used already")
	case !b.now().Before(b.open[found].expires):
		why = fmt.Errorf("it expired at %s", b.open[found].expires.UTC().Format(time.RFC3339))
	default:
		b.open[found].used = true
		return nil
	}
	return errs.E("redeem join token", errs.Permission, "", newToken, why)
}
