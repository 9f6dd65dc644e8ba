package replica

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"sync"
	"syscall"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/proto"
)

// apply does a write, zero or trim of the peer. In-line on a disk that answers at once; else
// a worker does it, and writes that overlap wait for one another.
func (in *inbox) apply(h proto.Header, payload []byte) error {
	p, r := in.p, in.p.r
	length := int64(len(payload))
	if h.Kind != proto.Write {
		if len(payload) != 8 {
			return errors.New("a zero or trim without its length")
		}
		length = int64(binary.LittleEndian.Uint64(payload))
	} else if h.Flags&proto.FlagPacked != 0 {
		var err error
		if payload, err = proto.Unpack(payload); err != nil {
			return err
		}
		length = int64(len(payload))
	}
	if length < 0 || h.Offset > r.size.Load()-length {
		return errors.New("a write behind the end of the volume")
	}
	p.received.Add(uint64(len(payload)))
	if h.Flags&proto.FlagSync == 0 {
		r.counts.away.Add(int64(len(payload)))
	}
	d := r.disk.Load()
	if d == nil {
		in.nack(h.Seq, "there is no disk")
		return nil
	}
	lack := in.lacking()
	if r.writing() {
		return in.applyBeside(d, h, append([]byte(nil), payload...), length, lack)
	}
	if t := r.target(); t != nil && len(r.cfg.Nodes) > 2 {
		if t.p == p && in.inline(d) && in.applySource(t, d, h, payload, length, lack) {
			return nil
		}
		in.applyTarget(t, d, h, append([]byte(nil), payload...), length, lack)
		return nil
	}
	if in.inline(d) || likelyAtOnce(d, h.Kind == proto.Write, h.Flags&proto.FlagFUA != 0) && in.l.jobs.empty() {
		if held, ok := in.hold(d, h.Offset, length); ok {
			err := in.write(d, h, payload, length, lack)
			if held {
				d.End(h.Offset, length)
			}
			in.finished(h, err)
			return nil
		}
	}
	in.later(d, h, payload, length, lack)
	return nil
}

// inline says whether what comes in may be done at once: the disk answers at once, and nothing that came before is still being done
// in the background, which it would overtake.
func (in *inbox) inline(d *disk.Disk) bool { return d.Fast() && in.l.jobs.empty() }

// likelyAtOnce says whether a change is best done by whoever has it, because it is a write that will hardly have to wait.
func likelyAtOnce(d *disk.Disk, write, fua bool) bool { return write && !fua && d.Quick() }

// write does it, and keeps the books. lack are the peers that did not get it when it came.
func (in *inbox) write(d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack) error {
	r, from := in.p.r, in.p.node.ID
	var err error
	switch {
	case h.Kind == proto.Zero:
		err = d.Zero(h.Offset, n, h.Flags&proto.FlagNoHole != 0)
	case h.Kind == proto.Trim:
		err = d.Trim(h.Offset, n)
	case h.Flags&proto.FlagFUA != 0:
		return r.noted(d, d.WriteDurable(payload, h.Offset), from, h, n, lack)
	default:
		_, err = d.WriteAt(payload, h.Offset)
	}
	if err == nil && h.Flags&proto.FlagFUA != 0 {
		err = d.Sync()
	}
	return r.noted(d, err, from, h, n, lack)
}

// noted keeps the bitmaps after a write of a peer: towards it the blocks are the same now, if it has a disk; towards
// the others they may not be until it says so.
func (r *Replica) noted(d *disk.Disk, err error, from volume.NodeID, h proto.Header, n int64, lack *lack) error {
	if err != nil {
		r.diskFailed(d, "write", err)
		return err
	}
	if h.Flags&proto.FlagAlone != 0 {
		r.peers[from].sure(d, h.Offset, n)
	} else {
		d.Bitmap(from).Clear(h.Offset, n)
	}
	r.eachPeer(func(p *peer) { p.mayLack(d, from, h, n, lack) })
	return nil
}

func (in *inbox) finished(h proto.Header, err error) {
	if err != nil {
		in.nack(h.Seq, err.Error())
		return
	}
	in.answer(proto.Ack, h.Seq)
}

// later lets a worker write a copy. Its acknowledgement goes out by itself.
func (in *inbox) later(d *disk.Disk, h proto.Header, payload []byte, n int64, lack *lack) {
	in.l.append(proto.Header{Kind: proto.Received, Seq: h.Seq, Span: 1}, nil)
	kept := keep(payload)
	in.queueWith(h.Offset, n, cap(*kept), func() {
		err := in.logged(d, h, *kept, n, func(h proto.Header, payload []byte, n int64) error { return in.write(d, h, payload, n, lack) })
		forget(kept)
		answer, text := proto.Header{Kind: proto.Ack, Seq: h.Seq, Span: 1}, ""
		if err != nil {
			answer, text = proto.Header{Kind: proto.Nack, Seq: h.Seq}, err.Error()
		}
		in.l.append(answer, []byte(text))
		in.l.kick()
	})
	in.rest()
}

// syncDisk makes durable what came before it in the stream.
func (in *inbox) syncDisk(h proto.Header) {
	d := in.p.r.disk.Load()
	if d == nil {
		in.nack(h.Seq, "there is no disk")
		return
	}
	do := func() error {
		err := d.Sync()
		if err == nil {
			in.p.flushedHere(h.Seq)
			return nil
		}
		in.p.r.diskFailed(d, "flush", err)
		return err
	}
	if in.inline(d) {
		in.finished(h, do())
		return
	}
	in.queue(0, 1<<62, func() {
		answer, text := proto.Header{Kind: proto.Ack, Seq: h.Seq, Span: 1}, ""
		if err := in.p.r.atDisk(do); err != nil {
			answer, text = proto.Header{Kind: proto.Nack, Seq: h.Seq}, err.Error()
		}
		in.l.append(answer, []byte(text))
		in.l.kick()
	})
}

func (in *inbox) nack(seq uint64, why string) {
	in.pushAck()
	in.l.append(proto.Header{Kind: proto.Nack, Seq: seq}, []byte(why))
}

// serve answers a read of a peer that has no disk, or no good block there.
func (in *inbox) serve(h proto.Header) {
	r := in.p.r
	d := r.disk.Load()
	if d == nil {
		in.nack(h.Seq, "there is no disk")
		return
	}
	if h.Offset > r.size.Load()-int64(h.Span) {
		in.nack(h.Seq, syscall.EINVAL.Error())
		return
	}
	r.counts.away.Add(int64(h.Span))
	do := func() error {
		buf := make([]byte, h.Span)
		if _, err := d.ReadAt(buf, h.Offset); err != nil {
			in.l.append(proto.Header{Kind: proto.Nack, Seq: h.Seq}, []byte(err.Error()))
			return err
		}
		in.l.append(proto.Header{Kind: proto.ReadData, Seq: h.Seq, Offset: h.Offset, Span: h.Span}, buf)
		return nil
	}
	if in.inline(d) {
		_ = do() // the peer is told
		return
	}
	in.queue(h.Offset, int64(h.Span), func() {
		_ = r.atDisk(do)
		in.l.kick()
	})
}

// kept are buffers for what is written later, by the power of two that is their size: without them a disk that takes its time
// makes the collector run after a few dozen writes.
var kept [26]sync.Pool

// keep copies p.
func keep(p []byte) *[]byte {
	class := bits.Len(uint(max(len(p), 1) - 1))
	b, _ := kept[class].Get().(*[]byte)
	if b == nil {
		b = new([]byte)
		*b = make([]byte, 1<<class)
	}
	*b = (*b)[:copy((*b)[:cap(*b)], p)]
	return b
}

// forget gives such a buffer back.
func forget(b *[]byte) { kept[bits.Len(uint(cap(*b)-1))].Put(b) }
