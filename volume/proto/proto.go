// Package proto is what replicas of a volume say to each other: a stream of
// messages, each a fixed header and a payload. Pure: it encodes and decodes bytes.
// docs/formats/volume-protocol.md describes it.
//
//	0  magic   "TV"
//	2  kind    1 byte
//	3  flags   1 byte
//	4  length  of the payload, 4 bytes, little-endian like all numbers
//	8  seq     8 bytes: the sender's number of a request, or the number that is answered
//	16 offset  8 bytes
//	24 span    4 bytes: bytes of the volume, or how many requests are answered at once
//	28 sum     CRC32C of the payload, 4 bytes
//	32 check   CRC32C of bytes 0 to 31, 4 bytes
//	36 payload
//
// A message that does not check out ends the connection: what follows cannot be trusted.
package proto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Version is the version of the protocol, told in the greeting. Both sides must have it in common.
const Version = 1

// HeaderSize is the size of a message without its payload, in bytes.
const HeaderSize = 36

// MaxPayload is the largest payload in bytes: the largest request of a front end.
const MaxPayload = 32 << 20

// Kind says what a message is.
type Kind uint8

// The kinds. Requests carry a Seq that their answer repeats.
const (
	Greeting Kind = iota + 1 // JSON: who speaks, of which volume, on which stream
	Hello                    // JSON: state.Hello
	Said                     // JSON: state.Said

	Write    // payload: content; Offset, Span
	Zero     // Offset, and the length in the payload as 8 bytes
	Trim     // likewise
	Flush    // everything sent before is to be made durable
	Ack      // answers Seq to Seq+Span-1: done
	Received // the same for protocol B: received, not yet written
	Nack     // answers Seq: failed, payload says why

	Read     // asks for Span bytes at Offset
	ReadData // answers Read: payload is the content

	BitmapRuns // a piece of the sender's bitmap for the receiver
	BitmapEnd  // and all of it

	SyncHash   // payload: SHA-256 of each block of the range: are they the same at yours?
	VerifyHash // likewise, and tell
	Same       // answers SyncHash or VerifyHash: all are
	Differs    // likewise: payload has a bit for each block, set where it differs

	PeerDone // all peers have the writes up to Seq

	Ping // on the control stream
	Pong
)

// The flags.
const (
	FlagFUA    = 1 << iota // durable before it is acknowledged
	FlagSync               // of a resync, not of an application
	FlagNoHole             // Zero: keep it allocated
	FlagAlone              // Write, Zero, Trim: the sender has no disk to do it on
	FlagPacked             // the payload is compressed; its first 4 bytes are the length before
)

// Header is a message without its payload.
type Header struct {
	Kind   Kind
	Flags  uint8
	Length int    // of the payload, bytes
	Seq    uint64 //
	Offset int64  // bytes
	Span   uint32
	Sum    uint32 // CRC32C of the payload
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum is the checksum of payloads.
func Sum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// Append appends h, with Length and Sum as they stand in h, to b.
func Append(b []byte, h Header) []byte {
	at := len(b)
	b = append(b, 'T', 'V', byte(h.Kind), h.Flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Length))
	b = binary.LittleEndian.AppendUint64(b, h.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Offset))
	b = binary.LittleEndian.AppendUint32(b, h.Span)
	b = binary.LittleEndian.AppendUint32(b, h.Sum)
	return binary.LittleEndian.AppendUint32(b, Sum(b[at:]))
}

// AppendMessage appends h and its payload, with Length and Sum set from payload.
func AppendMessage(b []byte, h Header, payload []byte) []byte {
	h.Sum = Sum(payload)
	return AppendSummed(b, h, payload)
}

// AppendSummed is AppendMessage for who has the payload's checksum in h.Sum already.
func AppendSummed(b []byte, h Header, payload []byte) []byte {
	h.Length = len(payload)
	return append(Append(b, h), payload...)
}

// The ways in which bytes are no message.
var (
	ErrMagic    = errors.New("this is not a message of a volume")
	ErrChecksum = errors.New("a message has a wrong checksum: it was damaged on its way")
)

// Decode reads the header at the start of b, which holds at least HeaderSize bytes.
func Decode(b []byte) (Header, error) {
	if b[0] != 'T' || b[1] != 'V' {
		return Header{}, ErrMagic
	}
	if binary.LittleEndian.Uint32(b[32:]) != Sum(b[:32]) {
		return Header{}, ErrChecksum
	}
	h := Header{
		Kind: Kind(b[2]), Flags: b[3], Length: int(binary.LittleEndian.Uint32(b[4:])),
		Seq: binary.LittleEndian.Uint64(b[8:]), Offset: int64(binary.LittleEndian.Uint64(b[16:])),
		Span: binary.LittleEndian.Uint32(b[24:]), Sum: binary.LittleEndian.Uint32(b[28:]),
	}
	if h.Length > MaxPayload || h.Span > MaxPayload && h.Kind != Ack && h.Kind != Received {
		return h, fmt.Errorf("a message of %d bytes is larger than %d", h.Length, MaxPayload)
	}
	if h.Offset < 0 || h.Offset > 1<<62 {
		return h, fmt.Errorf("a message has the offset %d", h.Offset)
	}
	return h, nil
}

// Check compares a payload with its header.
func (h Header) Check(payload []byte) error {
	if len(payload) != h.Length || Sum(payload) != h.Sum {
		return ErrChecksum
	}
	return nil
}

// Greet is the payload of Greeting, the first message of each stream.
type Greet struct {
	Version int    `json:"version"`
	Volume  string `json:"volume"` // name
	ID      string `json:"id"`     // identity of the volume, Config.ID
	From    uint8  `json:"from"`   // node ids
	To      uint8  `json:"to"`
	Stream  string `json:"stream"`  // "data" or "control"
	Pair    string `json:"pair"`    // the two streams of a connection have the same
	Refused string `json:"refused"` // of an answer: why not, in words
}
