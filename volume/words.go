package volume

import "fmt"

var (
	roleWords     = []string{"Unknown", "Secondary", "Primary"}
	diskWords     = []string{"Diskless", "Attaching", "Detaching", "Failed", "Negotiating", "Inconsistent", "Outdated", "DUnknown", "Consistent", "UpToDate"}
	connWords     = []string{"StandAlone", "Connecting", "Connected", "SyncSource", "SyncTarget", "PausedSyncS", "PausedSyncT", "VerifyS", "VerifyT", "Ahead", "Behind"}
	protocolWords = []string{"C", "B", "A"}
)

// String returns the name that users know.
func (r Role) String() string { return word(roleWords, int(r)) }

// String returns the name that users know.
func (d DiskState) String() string { return word(diskWords, int(d)) }

// String returns the name that users know.
func (c ConnState) String() string { return word(connWords, int(c)) }

// String returns the protocol's letter.
func (p Protocol) String() string { return word(protocolWords, int(p)) }

// MarshalText writes the name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Role) UnmarshalText(b []byte) error { return parse(r, roleWords, b, "role") }

// MarshalText writes the name.
func (d DiskState) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *DiskState) UnmarshalText(b []byte) error { return parse(d, diskWords, b, "disk state") }

// MarshalText writes the name.
func (c ConnState) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (c *ConnState) UnmarshalText(b []byte) error { return parse(c, connWords, b, "connection state") }

// MarshalText writes the letter.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (p *Protocol) UnmarshalText(b []byte) error { return parse(p, protocolWords, b, "protocol") }

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return fmt.Sprintf("?%d", i)
}

func parse[T ~uint8](to *T, words []string, b []byte, what string) error {
	for i, w := range words {
		if w == string(b) {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("%s %q: want one of %v", what, b, words)
}
