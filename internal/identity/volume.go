package identity

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
)

// Volume derives what the replicas of a volume have in common by belonging to this cluster: the volume's
// identity (32 hex digits, no secret) and the secret of the encryption between its nodes. Every
// member derives the same (HKDF with SHA-256, RFC 5869).
func (id *Identity) Volume(name string) (volume, secret string, err error) {
	derive := func(what string, n int) string {
		var raw []byte
		if err == nil {
			raw, err = hkdf.Key(sha256.New, id.ClusterKey, []byte(id.ClusterID), "takt volume "+what+" "+name, n)
		}
		return hex.EncodeToString(raw)
	}
	volume, secret = derive("identity", idLen), derive("secret", keyLen)
	return volume, secret, err
}
