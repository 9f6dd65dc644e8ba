package replica

import (
	"encoding/json"
	"errors"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// errConflict ends a pair of two primaries whose writes have met: going on would
// leave different blocks on both.
var errConflict = errors.New("both primaries wrote the same block at the same time")

// applyBeside does a write of the peer while this replica writes, too. A block of a
// resync is taken only where the own bitmap still says that the peer's is better: our own writes take the bit
// away. A write of the other primary must not meet one of ours.
func (in *inbox) applyBeside(d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack) error {
	r, p := in.p.r, in.p
	s := &span{off: h.Offset, n: n}
	if h.Flags&proto.FlagSync == 0 {
		switch {
		case r.locks.take(s, make(freed)):
			in.finished(h, in.write(d, h, payload, n, lack))
			r.locks.drop(s)
		case r.locks.writes(h.Offset, n):
			in.conflict()
		default: // a block is just being read, for a resync or a verify
			in.held(s, h, func() error { return in.write(d, h, payload, n, lack) })
		}
		return nil
	}
	bits := d.Bitmap(p.node.ID)
	in.held(s, h, func() error {
		return in.takeWhere(d, h, payload, n, lack, func(off int64) bool { return bits.Any(off, volume.BlockSize) })
	})
	return nil
}

// held does a write in the background when nobody holds its range: a write of ours may hold it until this very stream brings
// its acknowledgement.
func (in *inbox) held(s *span, h proto.Header, do func() error) {
	in.queue(s.off, s.n, func() {
		in.p.r.locks.wait(s)
		err := in.p.r.atDisk(do)
		in.p.r.locks.drop(s)
		answer, text := proto.Header{Kind: proto.Ack, Seq: h.Seq, Span: 1}, ""
		if err != nil {
			answer, text = proto.Header{Kind: proto.Nack, Seq: h.Seq}, err.Error()
		}
		in.l.append(answer, []byte(text))
		in.l.kick()
	})
}

// conflict ends the connection and tells the other primary why: nothing of what comes in behind is heard any more.
func (in *inbox) conflict() {
	in.pushAck()
	if said, err := json.Marshal(state.Said{Kind: "conflict"}); err == nil {
		in.l.append(proto.Header{Kind: proto.Said}, said)
	}
	why := errConflict.Error()
	in.l.parting.CompareAndSwap(nil, &why)
	in.p.drop(why, false)
}

// takeWhere writes those blocks of a resync for which older says that what is here is.
func (in *inbox) takeWhere(d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack, older func(off int64) bool) error {
	for at := int64(0); at < n; {
		if !older(h.Offset + at) {
			at += volume.BlockSize
			continue
		}
		part := int64(0) // as many as there are in a row
		for at+part < n && older(h.Offset+at+part) {
			part += min(volume.BlockSize, n-at-part)
		}
		one := h
		one.Offset += at
		var block []byte
		if h.Kind == proto.Write {
			block = payload[at : at+part]
		}
		if err := in.write(d, one, block, part, lack); err != nil {
			return err
		}
		at += part
	}
	return nil
}

// target is the resync that makes this replica whole, if there is one.
func (r *Replica) target() *run {
	from := r.syncFrom.Load()
	if from < 0 {
		return nil
	}
	p := r.peers[from]
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sync; s != nil && s.own != nil {
		return s
	}
	return nil
}

// applyTarget does a write of a peer while another peer, or this one, resyncs this replica: a primary without good data
// of its own writes to the source and here. What it writes is newer than the source's block, whichever comes first. In the
// background, since the source's stream brings blocks that are needed for it.
func (in *inbox) applyTarget(t *run, d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack) {
	r := in.p.r
	first := h.Offset / volume.BlockSize * volume.BlockSize
	in.l.append(proto.Header{Kind: proto.Received, Seq: h.Seq, Span: 1}, nil)
	in.queue(first, (h.Offset+n-1)/volume.BlockSize*volume.BlockSize+volume.BlockSize-first, func() {
		s := &span{off: h.Offset, n: n}
		r.locks.wait(s)
		if h.Flags&proto.FlagSync == 0 && t.p != in.p {
			t.completed(d, h.Offset, n)
		}
		err := in.logged(d, h, payload, n, func(h proto.Header, payload []byte, n int64) error { return in.writeTarget(t, d, h, payload, n, lack) })
		r.locks.drop(s)
		answer, text := proto.Header{Kind: proto.Ack, Seq: h.Seq, Span: 1}, ""
		if err != nil {
			answer, text = proto.Header{Kind: proto.Nack, Seq: h.Seq}, err.Error()
		}
		in.l.append(answer, []byte(text))
		in.l.kick()
	})
}

// applySource does at once what the source of a resync sends; false: somebody else writes there just now.
func (in *inbox) applySource(t *run, d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack) bool {
	s := &span{off: h.Offset, n: n}
	if !in.p.r.locks.take(s, make(freed)) {
		return false
	}
	defer in.p.r.locks.drop(s)
	held, ok := in.hold(d, h.Offset, n)
	if !ok {
		return false
	}
	err := in.writeTarget(t, d, h, payload, n, lack)
	if held {
		d.End(h.Offset, n)
	}
	in.finished(h, err)
	return true
}

// writeTarget writes to the target of a resync, but not the source's block over what others have written. The range is locked.
func (in *inbox) writeTarget(t *run, d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack) error {
	if h.Flags&proto.FlagSync == 0 {
		return in.write(d, h, payload, n, lack)
	}
	return in.takeWhere(d, h, payload, n, lack, func(off int64) bool { return !t.own.Any(off, volume.BlockSize) })
}

// completed makes the blocks at both ends of a write good, as complete does, and notes all its blocks as newer than the source's. The
// range is locked. What cannot be had stays old: then the resync has ended, and begins anew.
func (t *run) completed(d *disk.Disk, off, n int64) {
	r, end := t.p.r, off+n
	for at := off / volume.BlockSize * volume.BlockSize; at < end; at += volume.BlockSize {
		whole := at >= off && (at+volume.BlockSize <= end || end == r.size.Load())
		if whole || t.own.Any(at, volume.BlockSize) {
			t.own.Set(at, volume.BlockSize)
			continue
		}
		done := make(chan error, 1)
		size := min(volume.BlockSize, r.size.Load()-at)
		t.p.readThen(at, size, func(block []byte, err error) {
			if err == nil && int64(len(block)) == size {
				_, err = d.WriteAt(block, at)
			}
			done <- err
		})
		select {
		case err := <-done:
			if err == nil {
				t.own.Set(at, volume.BlockSize)
			}
		case <-r.ctx.Done():
			return
		}
	}
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
