package link

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"github.com/takt-ha/takt/cluster/cib"
)

// deriveKey makes the AEAD for what one life of one sender sends to one
// receiver. The nonce in it is (link, counter): no nonce is ever used twice.
func deriveKey(key []byte, sender, receiver cib.NodeID, incarnation uint64) cipher.AEAD {
	var salt [8]byte
	binary.BigEndian.PutUint64(salt[:], incarnation)
	info := binary.BigEndian.AppendUint64([]byte("takt heartbeat 3 "), uint64(sender))
	info = binary.BigEndian.AppendUint64(info, uint64(receiver))
	k, err := hkdf.Key(sha256.New, key, salt[:], string(info), 32)
	if err != nil {
		panic("link: derive a heartbeat key: " + err.Error()) // 32 bytes of HKDF-SHA256 cannot fail
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		panic("link: heartbeat cipher: " + err.Error()) // the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("link: heartbeat cipher: " + err.Error())
	}
	return aead
}

// putNonce writes the 12-byte nonce of a datagram.
func putNonce(b *[12]byte, link uint8, counter uint64) {
	b[0], b[1], b[2], b[3] = link, 0, 0, 0
	binary.BigEndian.PutUint64(b[4:], counter)
}

// windowBits is how far behind the newest counter a datagram may arrive.
const windowBits = 1024

// window refuses counters that were seen before. Counters start at 1.
type window struct {
	top  uint64
	bits [windowBits / 64]uint64
}

// accept notes a counter and tells whether it is new. Only authentic counters may be given.
func (w *window) accept(c uint64) bool {
	if c == 0 {
		return false
	}
	switch {
	case c > w.top:
		w.advance(c)
	case w.top-c >= windowBits:
		return false
	}
	word, bit := (c/64)%uint64(len(w.bits)), uint64(1)<<(c%64)
	if w.bits[word]&bit != 0 {
		return false
	}
	w.bits[word] |= bit
	return true
}

// advance moves the top to c and forgets what falls out.
func (w *window) advance(c uint64) {
	if c-w.top >= windowBits {
		clear(w.bits[:])
		w.top = c
		return
	}
	for k := w.top + 1; k <= c; k++ {
		w.bits[(k/64)%uint64(len(w.bits))] &^= 1 << (k % 64)
	}
	w.top = c
}

// session is one life of one peer, as the cipher sees it.
type session struct {
	incarnation uint64
	aead        [2]cipher.AEAD // by Key and by OldKey; nil until needed
	windows     [MaxLinks]window
	used        int64 // when it last opened a datagram, for eviction
}
