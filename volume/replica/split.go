package replica

import (
	"sync/atomic"

	"github.com/takt-ha/takt/volume/front"
)

// parts joins the pieces of a request that is longer than the activity log can hold at once.
type parts struct {
	r    *Replica
	req  *front.Request
	rest proof
	left atomic.Int32
	err  atomic.Pointer[error]
}

// Done notes the end of a piece.
func (p *parts) Done(piece *front.Request) {
	if piece.Err != nil {
		p.err.CompareAndSwap(nil, &piece.Err)
	}
	if p.left.Add(-1) > 0 {
		return
	}
	if err := p.err.Load(); err != nil {
		p.req.Err = *err
	}
	var s sinks
	p.r.finish(p.req, p.rest, &s)
	s.flush()
}

// Flush does nothing: the last Done does.
func (p *parts) Flush() {}

// split does a change in pieces.
func (r *Replica) split(req *front.Request, most int64) {
	p := &parts{r: r, req: req, rest: proof{losses: r.gate.losses.Load()}}
	var pieces []*front.Request
	for off := int64(0); off < req.Length; off += most {
		piece := &front.Request{Op: req.Op, Offset: req.Offset + off, Length: min(most, req.Length-off), FUA: req.FUA, NoHole: req.NoHole, Sink: p}
		if req.Op == front.Write {
			piece.Data = req.Data[off : off+piece.Length]
		}
		pieces = append(pieces, piece)
	}
	p.left.Store(int32(len(pieces)))
	for _, piece := range pieces {
		r.change(piece, nil)
	}
}
