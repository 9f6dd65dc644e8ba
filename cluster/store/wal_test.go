package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

func testWAL(disk osfs.FS) *wal {
	return &wal{disk: disk, dir: "/w", self: 7, limit: 600, salt: func() uint64 { return 42 }}
}

func testEntry(index, term uint64) *pb.Entry {
	return &pb.Entry{Index: new(index), Term: new(term), Data: fmt.Appendf(nil, "entry %d of term %d, with some content", index, term)}
}

// script writes a log as the loop would, and reports after each durable step
// what must be there from then on.
func script(w *wal, acked func(h hardState, last uint64)) error {
	h := hardState{Term: 1, Lineage: Lineage{Generation: 1}}
	start := logStart{10, 1}
	rs := []record{{kind: startRecord, payload: start.encode()}, {kind: hardRecord, payload: h.encode()}}
	if err := w.create(1, rs); err != nil {
		return err
	}
	acked(h, 10)
	next := uint64(11)
	for round := range 12 {
		h.Term, h.Commit = uint64(1+round/4), next-1
		h.Vote = h.Term%3 + 1
		es := []*pb.Entry{testEntry(next, h.Term), testEntry(next+1, h.Term)}
		if err := w.append(&h, es, true); err != nil {
			return err
		}
		next += 2
		acked(h, next-1)
		if round%3 == 1 {
			lazy := h
			lazy.Commit = next - 1
			if err := w.append(&lazy, nil, false); err != nil {
				return err
			}
		}
		if w.full() {
			if err := w.roll(h); err != nil {
				return err
			}
		}
	}
	return w.close(h)
}

// Every disk operation fails once, with and without torn writes; what was
// synced must be there afterwards, and what is there must be in order.
func TestLogSurvivesCrashes(t *testing.T) {
	probe := osfs.NewFaulty(newLogDisk(t))
	if err := script(testWAL(probe), func(hardState, uint64) {}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= probe.Ops(); n++ {
		for seed := range uint64(8) {
			crashAt(t, n, seed)
		}
	}
}

func newLogDisk(t *testing.T) *osfs.Mem {
	t.Helper()
	mem := osfs.NewMem()
	if err := mem.MkdirAll("", "/w", 0o700); err != nil {
		t.Fatal(err)
	}
	return mem
}

func crashAt(t *testing.T, n int, seed uint64) {
	t.Helper()
	mem := newLogDisk(t)
	disk := osfs.NewFaulty(mem)
	disk.FailAt(n, errors.New("power cut"), true)
	var hard hardState
	var last uint64
	_ = script(testWAL(disk), func(h hardState, l uint64) { hard, last = h, l })
	var rnd *rand.Rand
	if seed > 0 {
		rnd = rand.New(rand.NewPCG(seed, uint64(n)))
	}
	mem.Crash(rnd)
	w := testWAL(mem)
	c, err := openWAL(w)
	switch {
	case errors.Is(err, fs.ErrNotExist) && last == 0:
		return
	case err != nil:
		t.Fatalf("operation %d, seed %d: %v", n, seed, err)
	case c.last() < last:
		t.Fatalf("operation %d, seed %d: entries up to %d were durable, %d are left", n, seed, last, c.last())
	case c.hard.Term < hard.Term || c.hard.Term == hard.Term && hard.Vote != 0 && c.hard.Vote != hard.Vote:
		t.Fatalf("operation %d, seed %d: hard state %+v was durable, %+v is left", n, seed, hard, c.hard)
	}
	for i, e := range c.entries {
		if e.GetIndex() != c.start.Index+uint64(i)+1 || !bytes.Contains(e.GetData(), fmt.Appendf(nil, "entry %d ", e.GetIndex())) {
			t.Fatalf("operation %d, seed %d: entry %d at position %d", n, seed, e.GetIndex(), i)
		}
	}
	if err := w.append(&c.hard, []*pb.Entry{testEntry(c.last()+1, 99)}, true); err != nil {
		t.Fatalf("operation %d, seed %d: appending after the crash: %v", n, seed, err)
	}
	again := testWAL(mem)
	c2, err := openWAL(again)
	if err != nil || c2.last() != c.last()+1 {
		t.Fatalf("operation %d, seed %d: second open: %v", n, seed, err)
	}
}

// A flipped bit anywhere in what was synced is an error that names the file,
// never a shorter log, unless it is in the very last records.
func TestFlippedBits(t *testing.T) {
	mem := newLogDisk(t)
	var last uint64
	if err := script(testWAL(mem), func(_ hardState, l uint64) { last = l }); err != nil {
		t.Fatal(err)
	}
	seqs, err := listSeqs(mem, "/w")
	if err != nil || len(seqs) < 2 {
		t.Fatalf("segments %v, %v", seqs, err)
	}
	for _, seq := range seqs {
		path := testWAL(mem).path(seq)
		good, err := mem.ReadFile("", path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 0x10
			if err := osfs.WriteFile(mem, "", path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := openWAL(testWAL(mem))
			if err == nil && c.last() != last {
				t.Fatalf("bit in %s at %d: the log ends at %d instead of %d", path, at, c.last(), last)
			}
			if err != nil && errs.KindOf(err) != errs.Corrupt {
				t.Fatalf("bit in %s at %d: %v", path, at, err)
			}
		}
		if err := osfs.WriteFile(mem, "", path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The first entry that is left may have been replaced later, together with
// entries that stood in segments that are gone.
func TestReplacedBehindDroppedSegment(t *testing.T) {
	var c logContent
	for _, e := range []*pb.Entry{testEntry(19, 1), testEntry(17, 2), testEntry(18, 2)} {
		rs, _, err := records(nil, []*pb.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.add(rs[0]); err != nil {
			t.Fatal(err)
		}
	}
	if c.start.Index != 16 || c.last() != 18 || c.termAt(17) != 2 {
		t.Errorf("start %+v, last %d", c.start, c.last())
	}
}

func TestForeignLog(t *testing.T) {
	mem := newLogDisk(t)
	if err := script(testWAL(mem), func(hardState, uint64) {}); err != nil {
		t.Fatal(err)
	}
	w := testWAL(mem)
	w.self = 8
	if _, err := openWAL(w); errs.KindOf(err) != errs.Invalid {
		t.Errorf("another node's log: %v", err)
	}
	if err := mem.Remove("", w.path(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := openWAL(testWAL(mem)); errs.KindOf(err) != errs.Corrupt {
		t.Errorf("a missing segment: %v", err)
	}
}

// Bootstrap with each disk operation failing: afterwards it can be repeated, or
// the node is complete.
func TestBootstrapCrashes(t *testing.T) {
	run := func(n int, seed uint64) (ops int) {
		mem := osfs.NewMem()
		disk := osfs.NewFaulty(mem)
		if n > 0 {
			disk.FailAt(n, errors.New("power cut"), true)
		}
		cfg := DefaultConfig()
		cfg.Dir, cfg.FS, cfg.Self = "/store", disk, 1
		err := Bootstrap(cfg, testRoot(t))
		ops = disk.Ops()
		mem.Crash(rand.New(rand.NewPCG(seed, 1)))
		disk.Heal()
		again := Bootstrap(cfg, testRoot(t))
		if err == nil && errs.KindOf(again) != errs.Exists {
			t.Fatalf("operation %d: complete, yet made again: %v", n, again)
		}
		if again != nil && errs.KindOf(again) != errs.Exists {
			t.Fatalf("operation %d, seed %d: cannot be repeated: %v", n, seed, again)
		}
		l, err := load(cfg)
		if err != nil {
			t.Fatalf("operation %d, seed %d: %v", n, seed, err)
		}
		if l.machine.index != firstIndex || l.hard.Lineage.Generation != firstGeneration {
			t.Fatalf("operation %d: index %d, generation %d", n, l.machine.index, l.hard.Lineage.Generation)
		}
		return ops
	}
	for n := range run(0, 0) {
		for seed := range uint64(4) {
			run(n+1, seed)
		}
	}
}

func TestOpenNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Self = "/store", osfs.NewMem(), 1
	if _, err := load(cfg); errs.KindOf(err) != errs.NotFound {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestCorruptSnapshot(t *testing.T) {
	mem := osfs.NewMem()
	cfg := DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Self = "/store", mem, 1
	if err := Bootstrap(cfg, testRoot(t)); err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenFile("", "/store/"+snapshotName(1), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("X"), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := load(cfg); errs.KindOf(err) != errs.Corrupt {
		t.Errorf("a damaged snapshot: %v", err)
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add(appendRecord(nil, 42, 40, record{kind: hardRecord, payload: hardState{Term: 3}.encode()}))
	f.Add(appendRecord(nil, 42, 40, record{kind: entryRecord, payload: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := readRecord(b, 42, 40)
		if err != nil {
			return
		}
		if again := appendRecord(nil, 42, 40, r); !bytes.Equal(again, b[:n]) {
			t.Fatalf("%x decodes, but encodes as %x", b[:n], again)
		}
		_ = (&logContent{}).add(r)
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	b, err := encodeSnapshot(snapshotMeta{Index: 1, Term: 1, Voters: []uint64{1}}, testRoot(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if meta, root, err := decodeSnapshot(b); err == nil && (root == nil || meta.Index == 0) {
			t.Fatal("accepted an empty snapshot")
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	lineage := Lineage{3, 2}
	for _, fr := range []Frame{
		{Lineage: lineage, kind: raftFrame, raft: &pb.Message{Type: pb.MsgApp.Enum(), From: new(uint64(1)), Entries: []*pb.Entry{testEntry(1, 1)}}},
		{Lineage: lineage, kind: requestFrame, request: &request{Member: &memberRequest{Demote, 3}}},
		{Lineage: lineage, kind: answerFrame, answer: &answer{Index: 7}},
		{Lineage: lineage, kind: helloFrame, hello: &hello{Commit: 9, Forks: []fork{{lineage, 4, 2}}}},
	} {
		b, err := fr.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		if back, err := ReadFrame(bytes.NewReader(b)); err != nil || back.String() != fr.String() {
			f.Fatalf("%v came back as %v, %v", fr, back, err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := ReadFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if _, err := fr.Append(nil); err != nil || fr.String() == "" {
			t.Fatalf("%v cannot be written again: %v", fr, err)
		}
	})
}
