package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// inbox is what a thread that reads a data stream has in hand.
type inbox struct {
	p       *peer
	l       *link
	logs    bool // see peer.logs
	sinks   sinks
	answers []awaited    // of answered
	ack     proto.Header // Ack that is being put together: consecutive numbers are one message
	came    int          // requests and answers since the last read
}

// readBuffer is how much is asked for at once: many small messages cost one system call.
const readBuffer = 256 << 10

// receive reads the data stream until it ends.
func (p *peer) receive(l *link) {
	in := &inbox{p: p, l: l, logs: p.logs()}
	err := in.run(l.data)
	in.queue(0, 1<<62, func() { close(l.silent) })
	p.lost(l, err)
}

func (in *inbox) run(c net.Conn) error {
	buf := make([]byte, readBuffer)
	have := 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return err
		}
		have += n
		in.came = 0
		used, need, err := in.messages(buf[:have])
		if err != nil {
			return err
		}
		if w, ok := c.(interface{ came(int) }); ok && in.came > 0 {
			w.came(in.came)
		}
		if s, ok := c.(*sealed); !ok || !s.more() {
			in.flush() // of what comes in pieces the answers go together
		}
		if used > 0 { // else a large message comes in piece by piece
			have = copy(buf, buf[used:have])
		}
		if need > len(buf) {
			buf = append(make([]byte, 0, need), buf[:have]...)[:need]
		}
	}
}

// messages handles all complete messages in b. It returns how many bytes they
// were, and how many the next one has.
func (in *inbox) messages(b []byte) (used, need int, err error) {
	for len(b)-used >= proto.HeaderSize {
		h, err := proto.Decode(b[used:])
		if err != nil {
			return used, 0, err
		}
		end := used + proto.HeaderSize + h.Length
		if end > len(b) {
			return used, proto.HeaderSize + h.Length, nil
		}
		payload := b[used+proto.HeaderSize : end]
		if err := h.Check(payload); err != nil {
			return used, 0, err
		}
		in.came++
		if h.Kind == proto.Ack {
			in.came += int(h.Span) - 1
		}
		if err := in.message(h, payload); err != nil {
			return used, 0, fmt.Errorf("message %d: %w", h.Kind, err)
		}
		used = end
	}
	return used, proto.HeaderSize, nil
}

func (in *inbox) message(h proto.Header, payload []byte) error {
	p := in.p
	if in.l.parting.Load() != nil {
		return nil // only the end is waited for
	}
	switch h.Kind {
	case proto.Write, proto.Zero, proto.Trim:
		return in.apply(h, payload)
	case proto.Flush:
		in.syncDisk(h)
	case proto.Ack:
		in.answered(h.Seq, h.Span, nil)
	case proto.Received:
		p.receivedUpTo(in.l, h.Seq, h.Span, &in.sinks)
	case proto.Nack:
		in.answered(h.Seq, 1, fmt.Errorf("%s: %w", payload, syscall.EIO))
	case proto.Read:
		in.serve(h)
	case proto.ReadData:
		p.arrived(in.l, h.Seq, payload, &in.sinks)
	case proto.BitmapRuns, proto.BitmapEnd:
		return in.theirBitmap(h, payload)
	case proto.SyncHash, proto.VerifyHash:
		in.compare(h, payload)
	case proto.Same, proto.Differs:
		p.compared(in.l, h, difference(payload))
	case proto.PeerDone:
		p.doneEverywhere(h.Seq)
	case proto.Hello:
		var hello state.Hello
		if err := json.Unmarshal(payload, &hello); err != nil {
			return err
		}
		in.flush()
		p.r.tellNow(state.PeerUp{Peer: p.node.ID, Hello: hello})
	case proto.Said:
		var said state.Said
		if err := json.Unmarshal(payload, &said); err != nil {
			return err
		}
		in.flush() // the machine must not wait for answers that lie here
		if d := p.r.disk.Load(); said.Kind == "room?" && d != nil && !d.Fast() {
			in.growsSoon(d, said)
			return nil
		}
		p.r.tellNow(state.PeerSaid{Peer: p.node.ID, Said: said})
	default:
		return errors.New("of a kind that this version does not know")
	}
	return nil
}

// answer acknowledges a request; neighbours go together.
func (in *inbox) answer(kind proto.Kind, seq uint64) {
	if in.ack.Span > 0 && in.ack.Kind == kind && in.ack.Seq+uint64(in.ack.Span) == seq {
		in.ack.Span++
		return
	}
	in.pushAck()
	in.ack = proto.Header{Kind: kind, Seq: seq, Span: 1}
}

func (in *inbox) pushAck() {
	if in.ack.Span > 0 {
		in.l.append(in.ack, nil)
		in.ack.Span = 0
	}
}

// flush sends what the batch has brought about.
func (in *inbox) flush() {
	in.pushAck()
	if in.p.r.writing() || in.p.source() {
		in.l.kickLater() // who sends much must read all the while: else two readers might wait for room, each for the other
	} else {
		in.l.kick()
	}
	in.sinks.flush()
}
