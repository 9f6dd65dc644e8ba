package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
)

// raftProto is the ALPN name of the stream of frames from one node to another:
// streamMagic, then frames, see docs/formats/store.md.
const raftProto = "takt-raft/2"

const (
	streamMagic = "TAKTRFT\x02"
	frameHead   = 25 // length u32, checksum u32, generation u64, claimer u64, kind u8
	maxFrame    = 512 << 20
)

// frameKind tells what a frame carries.
type frameKind uint8

const (
	raftFrame    frameKind = 1 // a message of Raft's
	requestFrame frameKind = 2 // a request to the leader
	answerFrame  frameKind = 3 // what came of it
	helloFrame   frameKind = 4 // how the sender's history stands
)

// Frame is one message between two cores, as the transport carries it. It is
// immutable.
type Frame struct {
	Lineage Lineage // the sender's; zero: a joining node
	kind    frameKind
	raft    *pb.Message
	request *request
	answer  *answer
	hello   *hello
}

// Snapshot tells whether the frame carries a whole state: it is large, travels
// apart from the others, and its delivery is reported by SnapshotSent.
func (f Frame) Snapshot() bool { return f.kind == raftFrame && f.raft.GetType() == pb.MsgSnap }

// String says in a few words what the frame carries, always the same for the
// same frame.
func (f Frame) String() string {
	var what string
	switch f.kind {
	case raftFrame:
		what = raftWords(f.raft)
	case requestFrame:
		what = "request " + f.request.String()
	case answerFrame:
		what = "answer " + f.answer.String()
	case helloFrame:
		what = "hello " + f.hello.String()
	}
	return fmt.Sprintf("%s, %s", what, f.Lineage)
}

func raftWords(m *pb.Message) string {
	s := fmt.Sprintf("%s term %d", m.GetType(), m.GetTerm())
	switch es := m.GetEntries(); {
	case m.GetType() == pb.MsgSnap:
		s += fmt.Sprintf(" of entry %d", m.GetSnapshot().GetMetadata().GetIndex())
	case len(es) > 0:
		s += fmt.Sprintf(" entries %d to %d", es[0].GetIndex(), es[len(es)-1].GetIndex())
	case m.GetIndex() > 0:
		s += fmt.Sprintf(" index %d", m.GetIndex())
	}
	if m.GetReject() {
		s += " rejected"
	}
	return s
}

// body encodes what the frame carries.
func (f Frame) body(b []byte) ([]byte, error) {
	var v any
	switch f.kind {
	case raftFrame:
		return proto.MarshalOptions{}.MarshalAppend(b, f.raft)
	case requestFrame:
		v = f.request
	case answerFrame:
		v = f.answer
	default:
		v = f.hello
	}
	j, err := json.Marshal(v)
	return append(b, j...), err
}

// Append appends the frame's bytes. The checksum covers all that stands behind it.
func (f Frame) Append(b []byte) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint64(b, f.Lineage.Generation)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.Lineage.Claimer))
	b, err := f.body(append(b, byte(f.kind)))
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

// ReadFrame reads one frame and checks it: Raft trusts what it is given. It
// allocates as data arrives, not what a length field claims.
func ReadFrame(r io.Reader) (Frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	n := int64(binary.LittleEndian.Uint32(head[:]))
	if n > maxFrame {
		return Frame{}, fmt.Errorf("a frame of %d bytes is too long", n)
	}
	body, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil {
		return Frame{}, err
	}
	if int64(len(body)) < n {
		return Frame{}, io.ErrUnexpectedEOF
	}
	sum := crc32.Update(crc32.Checksum(head[8:], castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(head[4:]) {
		return Frame{}, errors.New("frame checksum does not match")
	}
	f := Frame{kind: frameKind(head[24])}
	f.Lineage.Generation = binary.LittleEndian.Uint64(head[8:])
	f.Lineage.Claimer = cib.NodeID(binary.LittleEndian.Uint64(head[16:]))
	return f, f.decode(body)
}

func (f *Frame) decode(body []byte) error {
	switch f.kind {
	case raftFrame:
		f.raft = &pb.Message{}
		if err := proto.Unmarshal(body, f.raft); err != nil {
			return err
		}
		return checkSnapshot(f.raft)
	case requestFrame:
		f.request = &request{}
		if err := json.Unmarshal(body, f.request); err != nil {
			return err
		}
		return f.request.check()
	case answerFrame:
		f.answer = &answer{}
		return json.Unmarshal(body, f.answer)
	case helloFrame:
		f.hello = &hello{}
		return json.Unmarshal(body, f.hello)
	}
	return fmt.Errorf("a frame of the unknown kind %d", f.kind)
}

// checkSnapshot refuses a message whose snapshot would not be taken.
func checkSnapshot(m *pb.Message) error {
	if m.GetType() != pb.MsgSnap {
		return nil
	}
	meta, _, err := decodeSnapshot(m.GetSnapshot().GetData())
	head := m.GetSnapshot().GetMetadata()
	if err == nil && (meta.Index != head.GetIndex() || meta.Term != head.GetTerm()) {
		err = errors.New("head and content differ")
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}
