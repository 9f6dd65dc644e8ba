package disk_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

// The volume of the crash tests: nine extents, so that a log of seven is too small, and a few
// blocks in each are written.
const (
	crashSize = 8*volume.ExtentSize + 8*volume.BlockSize
	extents   = 9
	perExtent = 3
)

// peer is a replica elsewhere, as a list of versions: what it would have after a power loss there (durable),
// and what it has been sent.
type peer struct {
	id        volume.NodeID
	connected bool
	durable   [extents * perExtent]uint64
	volatile  [extents * perExtent]uint64
	recent    *bitmap.Map // writes that it has not flushed
	resynced  *bitmap.Map // the same for blocks of a resync, which are marked until then
}

// flush is a flush of the peer, of which the primary hears.
func (p *peer) flush(d *disk.Disk) {
	p.durable = p.volatile
	p.recent.ClearAll()
	p.resynced.Runs(func(off, n int64) bool { d.Bitmap(p.id).Clear(off, n); return true })
	p.resynced.ClearAll()
}

// primary is a story of a primary on one disk: what volume/replica does, in short.
type primary struct {
	t       *testing.T
	rnd     *rand.Rand
	mem     *osfs.Mem
	fs      *osfs.Faulty
	o       disk.Options
	d       *disk.Disk
	peers   []*peer
	version uint64
	synced  [extents * perExtent]uint64 // versions that the disk has promised
	local   [extents * perExtent]uint64
	super   meta.Super // the last one that was written to the end
	tried   meta.Super // the last one that was begun
	dead    bool       // the disk failed in a way after which a replica detaches
}

func newPrimary(t *testing.T, seed uint64, place string) *primary {
	mem := osfs.NewMem()
	p := &primary{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), mem: mem, fs: osfs.NewFaulty(mem), o: options("/data")}
	p.o.Size, p.o.Meta = crashSize, place
	p.peers = []*peer{{id: 0, connected: true}, {id: 2}}
	for _, q := range p.peers {
		q.recent, q.resynced = bitmap.New(crashSize), bitmap.New(crashSize)
	}
	check(t, disk.Create(p.fs, p.o, super()))
	return p
}

func offset(block int) int64 {
	return int64(block/perExtent)*volume.ExtentSize + int64(block%perExtent)*2*volume.BlockSize
}

// open attaches the disk and becomes primary; an error is allowed if a fault was set.
func (p *primary) open() error {
	d, err := disk.Open(p.fs, p.o)
	if err != nil {
		return err
	}
	p.d, p.dead = d, false
	d.OnEvict(func([]uint32) error {
		for _, q := range p.peers {
			if q.connected {
				q.flush(d)
			}
		}
		return nil
	})
	return p.writeSuper(func(s *meta.Super) { s.Crashed = true })
}

func (p *primary) writeSuper(change func(*meta.Super)) error {
	s := p.d.Super()
	change(&s)
	p.tried = s
	err := p.d.WriteSuper(s)
	if err == nil {
		p.super = p.d.Super()
	}
	return err
}

func (p *primary) write(block int) {
	off := offset(block)
	if err := p.d.Begin(off, volume.BlockSize); err != nil {
		return // nothing was written anywhere
	}
	p.version++
	for _, q := range p.peers {
		if q.connected {
			q.volatile[block] = p.version
			q.recent.Set(off, volume.BlockSize)
		} else {
			p.d.Bitmap(q.id).Set(off, volume.BlockSize)
		}
	}
	b := make([]byte, volume.BlockSize)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], p.version)
	}
	p.local[block] = p.version
	var err error
	if p.rnd.IntN(4) == 0 {
		if err = p.d.WriteDurable(b, off); err == nil {
			p.synced[block] = p.version
		}
	} else {
		_, err = p.d.WriteAt(b, off)
	}
	if err != nil {
		p.dead = true
		return
	}
	p.d.End(off, volume.BlockSize)
}

// resync sends the marked blocks to a peer that is back: a mark goes when the peer has flushed the block.
func (p *primary) resync(q *peer) {
	for block := range q.volatile {
		if off := offset(block); p.d.Bitmap(q.id).Any(off, 1) {
			q.volatile[block] = p.local[block]
			q.resynced.Set(off, volume.BlockSize)
		}
	}
}

func (p *primary) step() {
	q := p.peers[p.rnd.IntN(len(p.peers))]
	switch p.rnd.IntN(12) {
	case 0:
		if p.d.Sync() == nil {
			p.synced = p.local
		}
	case 1:
		_ = p.d.SaveBitmaps() // what was not saved stays changed
	case 2:
		if q.connected {
			q.flush(p.d)
		}
	case 3:
		if q.connected { // lost: what it has not flushed is marked (rule 5)
			q.connected = false
			p.d.Bitmap(q.id).Or(q.recent)
			q.recent.ClearAll()
			q.resynced.ClearAll()
		} else {
			q.connected = true
			p.resync(q)
		}
	case 4:
		_ = p.writeSuper(func(s *meta.Super) { s.Gen.Current += 2; s.Written++ })
	default:
		p.write(p.rnd.IntN(extents * perExtent))
	}
}

// crash cuts the power here, and perhaps there, and checks what is found afterwards.
func (p *primary) crash(where string) {
	p.t.Helper()
	p.mem.Crash(p.rnd)
	p.fs.Heal()
	d, err := disk.Open(p.fs, p.o)
	if err != nil {
		p.t.Fatalf("%s: not to be opened: %v", where, err)
	}
	defer d.Close()
	if s := d.Super(); !sameSuper(s, p.super) && !sameSuper(s, p.tried) {
		p.t.Errorf("%s: superblock %+v, neither %+v nor %+v", where, s, p.super, p.tried)
	}
	for block := range p.local {
		b := make([]byte, volume.BlockSize)
		must(d.ReadAt(b, offset(block)))(p.t)
		whole := !slices.ContainsFunc([]int{512, 2048, 4088}, func(i int) bool { return !slices.Equal(b[:8], b[i:i+8]) })
		have := binary.LittleEndian.Uint64(b)
		if whole && have < p.synced[block] {
			p.t.Errorf("%s: block %d has version %d, but %d was durable", where, block, have, p.synced[block])
		}
		for _, q := range p.peers {
			same := whole && have == q.durable[block] && have == q.volatile[block]
			if !same && !d.Bitmap(q.id).Any(offset(block), 1) {
				p.t.Errorf("%s: block %d has version %d here (whole: %v), %d or %d on node %d, and is not marked", where, block, have, whole, q.durable[block], q.volatile[block], q.id)
			}
		}
	}
}

func sameSuper(a, b meta.Super) bool {
	a.Sequence, b.Sequence, a.Saved, b.Saved, a.ActlogSize, b.ActlogSize = 0, 0, 0, 0, 0, 0
	return a == b
}

// run lives a story until the disk is dead, and returns how many operations it took.
func (p *primary) run(steps int) {
	if p.open() != nil {
		return
	}
	for range steps {
		if p.step(); p.dead {
			return
		}
	}
}

// A story without faults, cut off anywhere: the rules of "What is durable, and when" hold, and
// not by marking everything.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(12) {
		p := newPrimary(t, seed, []string{"internal", "/meta"}[seed%2])
		p.super = super()
		p.run(5 + int(seed)*10)
		p.crash(fmt.Sprintf("seed %d", seed))
		d := must(disk.Open(p.fs, p.o))(t)
		if n := d.Bitmap(0).Bytes(); n >= crashSize {
			t.Errorf("seed %d: everything is marked", seed)
		}
		check(t, d.Close())
	}
}

// Each disk operation of a story fails in turn, once or for good; then the power goes.
func TestEachOperationFails(t *testing.T) {
	for seed, place := range []string{"internal", "/meta"} {
		p := newPrimary(t, uint64(seed), place)
		before := p.fs.Ops()
		p.run(40)
		ops := p.fs.Ops() - before
		if ops < 40 {
			t.Fatalf("only %d operations", ops)
		}
		stride := 1
		if testing.Short() {
			stride = 7
		}
		for n := 1; n <= ops; n += stride {
			p := newPrimary(t, uint64(seed), place)
			p.super = super()
			p.super.Self, p.super.Size = 1, crashSize
			p.super = must2(disk.Inspect(p.mem, p.o))(t)
			p.tried = p.super
			p.fs.FailAt(n, []error{syscall.EIO, syscall.ENOSPC}[n%2], n%3 == 0)
			p.run(40)
			p.crash(fmt.Sprintf("%s, operation %d of %d", place, n, ops))
		}
	}
}

func must2[T, U any](v T, _ U, err error) func(*testing.T) T { return must(v, err) }

// Create fails at each operation, and the power goes: either there is no replica, said in words,
// and Create can be called again, or a whole one.
func TestCreateInterrupted(t *testing.T) {
	for _, place := range []string{"internal", "/meta"} {
		for n := 1; ; n++ {
			mem := osfs.NewMem()
			fs := osfs.NewFaulty(mem)
			fs.FailAt(n, syscall.EIO, n%2 == 0)
			o := options("/data")
			o.Size, o.Meta = 8<<20, place
			failed := disk.Create(fs, o, super())
			fs.Heal()
			mem.Crash(rand.New(rand.NewPCG(uint64(n), 1)))
			d, err := disk.Open(fs, o)
			switch {
			case failed == nil && err != nil:
				t.Errorf("operation %d: created, but %v", n, err)
			case err == nil:
				check(t, d.Close())
			default:
				o.Force = true
				check(t, disk.Create(fs, o, super()))
				check(t, must(disk.Open(fs, o))(t).Close())
			}
			if failed == nil {
				break
			}
			if !errors.Is(failed, syscall.EIO) {
				t.Errorf("operation %d: %v", n, failed)
			}
			if n > 100 {
				t.Fatal("no end")
			}
		}
	}
}
