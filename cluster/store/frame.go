package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"
)

// raftProto is the ALPN name of the stream of Raft messages from one node to
// another: streamMagic, then frames, see docs/formats/store.md.
const raftProto = "takt-raft/1"

const (
	streamMagic = "TAKTRFT\x01"
	frameHead   = 16 // length u32, checksum u32, generation u64
	maxFrame    = 512 << 20
)

// appendFrame appends the frame of a message; the checksum covers generation
// and message.
func appendFrame(b []byte, generation uint64, m *pb.Message) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint64(b, generation)
	b, err := proto.MarshalOptions{}.MarshalAppend(b, m)
	if err != nil {
		return nil, err
	}
	n := len(b) - at - frameHead
	if n > maxFrame {
		return nil, fmt.Errorf("a message of %d bytes is too long", n)
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(n))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(b[at+8:], castagnoli))
	return b, nil
}

// readFrame reads one frame. It allocates as data arrives, not what a length
// field claims.
func readFrame(r io.Reader) (generation uint64, m *pb.Message, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int64(binary.LittleEndian.Uint32(head[:]))
	if n > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes is too long", n)
	}
	body, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil {
		return 0, nil, err
	}
	if int64(len(body)) < n {
		return 0, nil, io.ErrUnexpectedEOF
	}
	sum := crc32.Update(crc32.Checksum(head[8:], castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(head[4:]) {
		return 0, nil, errors.New("frame checksum does not match")
	}
	m = &pb.Message{}
	if err := proto.Unmarshal(body, m); err != nil {
		return 0, nil, err
	}
	return binary.LittleEndian.Uint64(head[8:]), m, nil
}
