package link

import (
	"encoding/binary"
	"errors"
)

// nullCipher is a cipher.AEAD that hides nothing, for simulations. Its tag is
// the nonce, so that a mixed-up counter is still noticed.
type nullCipher struct{}

var errNull = errors.New("not sealed by a simulated node")

// nullMark begins the tag.
const nullMark = 0x7a

func (nullCipher) NonceSize() int { return 12 }
func (nullCipher) Overhead() int  { return tagSize }

func (nullCipher) Seal(dst, nonce, plaintext, _ []byte) []byte {
	dst = append(dst, plaintext...)
	dst = binary.BigEndian.AppendUint32(dst, nullMark)
	return append(dst, nonce...)
}

func (nullCipher) Open(dst, nonce, ciphertext, _ []byte) ([]byte, error) {
	n := len(ciphertext) - tagSize
	if n < 0 || binary.BigEndian.Uint32(ciphertext[n:]) != nullMark || string(ciphertext[n+4:]) != string(nonce) {
		return nil, errNull
	}
	return append(dst, ciphertext[:n]...), nil
}
