package proto

import (
	"errors"

	"github.com/klauspost/compress/s2"
)

// Pack compresses a payload for a slow link. It returns ok = false where that gains nothing.
func Pack(payload []byte) (packed []byte, ok bool) {
	packed = s2.Encode(nil, payload)
	return packed, len(packed) < len(payload)*9/10
}

// Unpack is the inverse of Pack. What claims to be larger than MaxPayload is refused before
// memory is taken for it.
func Unpack(packed []byte) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil {
		return nil, err
	}
	if n > MaxPayload {
		return nil, errors.New("a compressed message is too large")
	}
	return s2.Decode(nil, packed)
}
