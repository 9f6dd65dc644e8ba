package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordType tells what a record of the log holds.
type recordType uint8

const (
	hardRecord  recordType = 1 // a hardState
	entryRecord recordType = 2 // a Raft entry, protobuf
	startRecord recordType = 3 // a logStart: everything before is void
	emptyRecord recordType = 4 // a hardState: everything before is void, and so is every snapshot of another lineage
)

// Sizes of the format, see docs/formats/store.md.
const (
	recordHead  = 13
	hardBytes   = 41 // without left
	startBytes  = 16
	maxRecord   = 256 << 20
	segmentHead = 40
)

const (
	segmentMagic   = "TAKTWAL\n"
	segmentVersion = 1
)

// hardState is what must survive a power loss beside the entries.
type hardState struct {
	Term, Vote, Commit uint64
	Lineage            Lineage  // of the log; zero on a node that has none yet
	Learner            bool     // such a node must never take the cluster over
	Pledge             Lineage  // the node takes part in nothing before that one has come; zero: it is free
	Left               []uint64 // claimers of this generation whose lineage the node gave up: it never goes back
}

func (h hardState) encode() []byte {
	b := make([]byte, 0, hardBytes+8*len(h.Left))
	for _, v := range []uint64{h.Term, h.Vote, h.Commit, h.Lineage.Generation} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	var flags byte
	if h.Learner {
		flags = 1
	}
	bound := h.Pledge != Lineage{}
	if bound {
		flags |= 2
	}
	b = binary.LittleEndian.AppendUint64(append(b, flags), uint64(h.Lineage.Claimer))
	if bound {
		b = binary.LittleEndian.AppendUint64(b, h.Pledge.Generation)
		b = binary.LittleEndian.AppendUint64(b, uint64(h.Pledge.Claimer))
	}
	for _, v := range h.Left {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// decodeHard also reads the short form of clusters that were never claimed.
func decodeHard(b []byte) (hardState, error) {
	const short = hardBytes - 8
	if len(b) != short && (len(b) < hardBytes || (len(b)-hardBytes)%8 != 0) || b[32] > 3 {
		return hardState{}, errors.New("malformed hard state")
	}
	u := binary.LittleEndian.Uint64
	h := hardState{Term: u(b), Vote: u(b[8:]), Commit: u(b[16:]), Learner: b[32]&1 != 0}
	h.Lineage.Generation = u(b[24:])
	bound := b[32]&2 != 0
	if b = b[short:]; len(b) > 0 {
		h.Lineage.Claimer = cib.NodeID(u(b))
		b = b[8:]
		if bound && len(b) >= 16 {
			h.Pledge, b = Lineage{u(b), cib.NodeID(u(b[8:]))}, b[16:]
			bound = false
		}
		for ; len(b) > 0; b = b[8:] {
			h.Left = append(h.Left, u(b))
		}
	}
	if bound {
		return hardState{}, errors.New("malformed hard state")
	}
	return h, nil
}

// logStart is the position right before the log's first entry.
type logStart struct{ Index, Term uint64 }

func (p logStart) encode() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, p.Index), p.Term)
}

func decodeStart(b []byte) (logStart, error) {
	if len(b) != startBytes {
		return logStart{}, errors.New("malformed log start")
	}
	return logStart{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}, nil
}

// record is one decoded record.
type record struct {
	kind recordType
	// durable is the offset in the segment up to which everything had been
	// synced when the record was written: damage below it is no torn write.
	durable uint32
	payload []byte
}

// checksum covers where a record stands, so that a stale or moved record never
// passes for another.
func checksum(salt uint64, offset int64, head, payload []byte) uint32 {
	var where [16]byte
	binary.LittleEndian.PutUint64(where[:], salt)
	binary.LittleEndian.PutUint64(where[8:], uint64(offset))
	c := crc32.Update(0, castagnoli, where[:])
	c = crc32.Update(c, castagnoli, head)
	return crc32.Update(c, castagnoli, payload)
}

// appendRecord appends the bytes of a record that will stand at offset:
// length u32, checksum u32, type u8, durable u32, payload; little endian.
func appendRecord(b []byte, salt uint64, offset int64, r record) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.payload)))
	b = append(b, 0, 0, 0, 0, byte(r.kind))
	b = binary.LittleEndian.AppendUint32(b, r.durable)
	b = append(b, r.payload...)
	head := append(append([]byte(nil), b[at:at+4]...), b[at+8:at+recordHead]...)
	binary.LittleEndian.PutUint32(b[at+4:], checksum(salt, offset, head, r.payload))
	return b
}

// readRecord decodes the record at the start of b, which stands at offset in
// its segment, and returns its length. The payload aliases b.
func readRecord(b []byte, salt uint64, offset int64) (record, int, error) {
	if len(b) < recordHead {
		return record{}, 0, fmt.Errorf("%d bytes are too few for a record", len(b))
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > maxRecord || n > int64(len(b)-recordHead) {
		return record{}, 0, fmt.Errorf("length %d exceeds the segment", n)
	}
	r := record{kind: recordType(b[8]), durable: binary.LittleEndian.Uint32(b[9:]), payload: b[recordHead : recordHead+n]}
	if r.kind < hardRecord || r.kind > emptyRecord || int64(r.durable) > offset {
		return record{}, 0, fmt.Errorf("type %d, durable %d: not a record", r.kind, r.durable)
	}
	var head [9]byte
	copy(head[:], b[:4])
	copy(head[4:], b[8:recordHead])
	if checksum(salt, offset, head[:], r.payload) != binary.LittleEndian.Uint32(b[4:]) {
		return record{}, 0, errors.New("checksum does not match")
	}
	return r, recordHead + int(n), nil
}

func decodeEntry(b []byte) (*pb.Entry, error) {
	e := &pb.Entry{}
	if err := proto.Unmarshal(b, e); err != nil {
		return nil, err
	}
	if e.GetIndex() == 0 || e.GetTerm() == 0 {
		return nil, errors.New("entry without index or term")
	}
	return e, nil
}

// segmentHeader opens a segment file.
type segmentHeader struct {
	self, seq, salt uint64
}

func (h segmentHeader) encode() []byte {
	b := append(make([]byte, 0, segmentHead), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, segmentVersion)
	for _, v := range []uint64{h.self, h.seq, h.salt} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeSegmentHeader(b []byte) (segmentHeader, error) {
	switch {
	case len(b) < segmentHead:
		return segmentHeader{}, errors.New("shorter than its header")
	case string(b[:8]) != segmentMagic:
		return segmentHeader{}, errors.New("not a Takt log segment")
	case binary.LittleEndian.Uint32(b[36:]) != crc32.Checksum(b[:36], castagnoli):
		return segmentHeader{}, errors.New("header checksum does not match")
	case binary.LittleEndian.Uint32(b[8:]) != segmentVersion:
		return segmentHeader{}, fmt.Errorf("format version %d is not known", binary.LittleEndian.Uint32(b[8:]))
	}
	u := binary.LittleEndian.Uint64
	return segmentHeader{self: u(b[12:]), seq: u(b[20:]), salt: u(b[28:])}, nil
}
