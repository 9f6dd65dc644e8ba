package replica

import (
	"errors"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
)

// errConflict ends a pair of two primaries whose writes have met: going on would
// leave different blocks on both.
var errConflict = errors.New("both primaries wrote the same block at the same time")

// applyBeside does a write of the peer while this replica writes, too. A block of a
// resync is taken only where the own bitmap still says that the peer's is better: our own writes take the bit
// away. A write of the other primary must not meet one of ours.
func (in *inbox) applyBeside(d *disk.Disk, h proto.Header, payload []byte, n int64) error {
	r, p := in.p.r, in.p
	s := &span{off: h.Offset, n: n}
	if h.Flags&proto.FlagSync == 0 {
		if !r.locks.take(s, make(freed)) {
			return errConflict
		}
		in.finished(h, in.write(d, h, payload, n))
		r.locks.drop(s)
		return nil
	}
	// In the background, since a write of ours may hold the range until this very stream brings its acknowledgement.
	in.queue(h.Offset, n, func() {
		r.locks.wait(s)
		err := in.takeMarked(d, h, payload, n)
		r.locks.drop(s)
		answer, text := proto.Header{Kind: proto.Ack, Seq: h.Seq, Span: 1}, ""
		if err != nil {
			answer, text = proto.Header{Kind: proto.Nack, Seq: h.Seq}, err.Error()
		}
		in.l.append(answer, []byte(text))
		in.l.kick()
	})
	_ = p
	return nil
}

// takeMarked writes those blocks of a resync that are still marked.
func (in *inbox) takeMarked(d *disk.Disk, h proto.Header, payload []byte, n int64) error {
	bits := d.Bitmap(in.p.node.ID)
	for at := int64(0); at < n; at += volume.BlockSize {
		part := min(volume.BlockSize, n-at)
		if !bits.Any(h.Offset+at, part) {
			continue
		}
		one := h
		one.Offset += at
		var block []byte
		if h.Kind == proto.Write {
			block = payload[at : at+part]
		}
		if err := in.write(d, one, block, part); err != nil {
			return err
		}
	}
	return nil
}

// complete makes the blocks at both ends of a write good before it changes a part of them, if this replica is the
// target of a resync: the rest of such a block is still old. It is called with the range locked.
func (r *Replica) complete(d *disk.Disk, off, n int64, then func()) {
	first := off / volume.BlockSize * volume.BlockSize
	last := (off + n - 1) / volume.BlockSize * volume.BlockSize
	var want []int64
	if first != off && r.stale(d, first, volume.BlockSize) {
		want = append(want, first)
	}
	if end := off + n; end%volume.BlockSize != 0 && (last != first || len(want) == 0) && r.stale(d, last, volume.BlockSize) {
		want = append(want, last)
	}
	r.fetch(d, want, then)
}

// fetch brings blocks from the peer that has better ones, one after another, then goes on.
func (r *Replica) fetch(d *disk.Disk, blocks []int64, then func()) {
	from := r.syncFrom.Load()
	if len(blocks) == 0 || from < 0 {
		then()
		return
	}
	p, at := r.peers[from], blocks[0]
	n := min(volume.BlockSize, r.size.Load()-at)
	p.readThen(at, n, func(block []byte, err error) {
		if err == nil {
			if _, err = d.WriteAt(block, at); err == nil {
				d.Bitmap(p.node.ID).Clear(at, n)
			}
		}
		r.fetch(d, blocks[1:], then) // where it failed the bit stays, and with it the order to read the block elsewhere
	})
}
