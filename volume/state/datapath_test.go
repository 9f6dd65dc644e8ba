package state

import (
	"fmt"

	"github.com/takt-ha/takt/volume"
)

// step feeds one input and carries out the effects. What they lead to is fed when all of them are done.
func (x *wnode) step(in Input) {
	if x.busy {
		x.later = append(x.later, func() { x.step(in) })
		return
	}
	x.busy = true
	x.stepIn(in)
	x.busy = false
	if x.m != nil && x.m.disk != volume.UpToDate {
		for _, op := range append(append([]*wop(nil), x.open...), x.held...) {
			op.have &^= bit(x.id) // what is on this disk counts for nothing any more
		}
	}
	if x.drains || len(x.later) == 0 {
		return
	}
	x.drains = true
	for n := 0; len(x.later) > 0 && x.m != nil; n++ {
		if n > 200 {
			x.w.fault("one step of %s leads to the next without end: %+v", x.name(), in)
		}
		f := x.later[0]
		x.later = x.later[1:]
		f()
	}
	x.drains = false
	x.complete()
}

func (x *wnode) stepIn(in Input) {
	effects := x.m.Step(in)
	for i, e := range effects {
		if x.m == nil {
			return
		}
		if x.broken && x.attached {
			if _, ok := e.(WriteSuper); ok {
				x.broken = false
				x.do(effects[i+1:])
				x.step(DiskGone{Op: "metadata", Err: "input/output error"})
				return
			}
		}
		x.one(e)
	}
}

func (x *wnode) do(effects []Effect) {
	for _, e := range effects {
		if _, ok := e.(WriteSuper); !ok {
			x.one(e)
		}
	}
}

func (x *wnode) one(e Effect) {
	switch e := e.(type) {
	case WriteSuper:
		x.before = x.super
		x.super = e.Super
	case Greet:
		h := e.Hello
		x.markRecent(e.Peer)
		h.Dirty = x.dirty(e.Peer)
		x.send(e.Peer, wmsg{kind: "hello", hello: h})
		x.step(Greeted{e.Peer, h.Dirty})
	case Tell:
		if e.Said.Kind == "sync-begin" {
			x.w.nodes[e.Peer].offered[x.id] = x.super.Gen
		}
		x.send(e.Peer, wmsg{kind: "said", said: e.Said})
	case Flow:
		x.setFlow(e.Peer, e.Flow)
	case Sync:
		x.doSync(e)
	case MarkAll:
		for b := range x.marks[e.Peer] {
			if int64(b)*volume.BlockSize >= e.From {
				s := x.sync[e.Peer]
				x.marks[e.Peer][b] = !e.Clear || s != nil && s.do == "target" && s.ahead[b]
			}
		}
	case Drop:
		x.drop(e)
	case Connect:
		x.wants[e.Peer] = true
		x.w.link(x.id, e.Peer).rest = false
	case IO:
		x.setIO(e)
	case GoOn:
		x.asked = false
		x.release()
	case Measure:
		x.step(Measured{x.cap, x.cap})
	case Grow:
	case Detach:
		x.attached = false
	case Attach:
		x.later = append(x.later, x.attach)
	case Settle:
		x.settle = true
	case AskSet:
		x.w.log("%s: asks for the set %s at version %d: %s", x.name(), x.m.names(e.Members), e.Version, e.Why)
		x.w.askSet(x, e)
	case RunHook:
		x.w.log("%s: handler %s %s", x.name(), e.Hook, e.Env["DRBD_PEER"])
		x.w.hooked = append(x.w.hooked, whook{x, e.Hook, e.Peer})
	case NeedGeneration:
		x.w.drawn++
		x.step(Drawn{Generation: volume.Generation(0x100 * x.w.drawn), Unix: x.w.clock})
	case Answer:
		x.answers[e.ID] = e
		if e.Err != nil {
			x.w.log("%s: no: %v", x.name(), e.Err)
		} else {
			x.w.log("%s: ok %s", x.name(), e.Text)
		}
	case Event:
		x.w.log("%s: %s: %s", x.name(), e.Kind, e.Words)
	case Shutdown:
		x.shutdown = true
	default:
		panic(fmt.Sprintf("unknown effect %T", e))
	}
}

func (x *wnode) attach() {
	x.attached = true
	if x.super.Crashed {
		for b, hot := range x.hot {
			for _, n := range x.cfg.Nodes {
				if hot && n.ID != x.id {
					x.marks[n.ID][b] = true
				}
			}
		}
	}
	for _, b := range x.recent {
		for _, n := range x.cfg.Nodes {
			if n.ID != x.id {
				x.marks[n.ID][b] = true
			}
		}
	}
	x.recent = map[int]int{}
	x.step(Attached{Super: x.super, Capacity: x.cap})
}

func (x *wnode) drop(e Drop) {
	x.wants[e.Peer] = e.Retry
	l := x.w.link(x.id, e.Peer)
	side := l.side(x)
	if !l.up[side] {
		return
	}
	l.rest = true
	if l.up[1-side] {
		l.q[1-side] = append(l.q[1-side], wmsg{kind: "closed"})
	}
	l.up[side] = false
	l.q[side] = nil
	x.later = append(x.later, func() { x.lost(e.Peer, e.Why) })
}

// markRecent marks what the peer may lack of what a primary wrote here.
func (x *wnode) markRecent(peer volume.NodeID) {
	if x.m.role == volume.Primary {
		return
	}
	for _, b := range x.recent {
		x.mark(peer, b)
	}
}

func (x *wnode) setFlow(peer volume.NodeID, f PeerFlow) {
	if x.flow[peer] == FlowSend && f == FlowMark && x.m.role != volume.Primary {
		for _, b := range x.recent {
			x.mark(peer, b)
		}
	}
	x.flow[peer] = f
}

func (x *wnode) setIO(io IO) {
	x.io = io
	if io.Mode == IOError || io.Mode == IOClosed {
		x.queue, x.held = nil, nil // answered with an error: not acknowledged
	}
	x.release()
}

// release lets go what may go.
func (x *wnode) release() {
	if x.io.Mode != IOOpen || x.io.Ask {
		if x.io.Mode == IOOpen && x.io.Ask && !x.asked && len(x.held)+len(x.queue) > 0 {
			x.asked = true
			x.step(Wrote{})
		}
		return
	}
	x.asked = false
	queue := x.queue
	x.queue = nil
	for _, op := range queue {
		x.begin(op)
	}
	x.complete()
}

// write is a client's write. The content is the number of the write.
func (x *wnode) write(block int) {
	if x.m == nil || x.io.Mode == IOClosed || x.io.Mode == IOError {
		return
	}
	wr := &wwrite{n: len(x.w.writes) + 1, node: x.id, block: block}
	x.w.writes = append(x.w.writes, wr)
	x.queue = append(x.queue, &wop{w: wr})
	x.release()
}

func (x *wnode) begin(op *wop) {
	wr, prev := op.w, op.w.prev
	if wr.prev = x.read(wr.block); wr.prev == wr.n {
		wr.prev = prev
	}
	if x.attached {
		x.data[wr.block] = wr.n
		x.hot[wr.block] = true
		op.have = bit(x.id)
	}
	for _, n := range x.cfg.Nodes {
		if n.ID == x.id {
			continue
		}
		switch x.flow[n.ID] {
		case FlowMark:
			x.mark(n.ID, wr.block)
		case FlowSend, FlowSendOnlySynced:
			op.waits |= bit(n.ID)
			if s := x.sync[n.ID]; s != nil && s.do == "target" {
				x.marks[n.ID][wr.block] = false
				s.own[wr.block] = true
			}
			x.send(n.ID, wmsg{kind: "write", block: wr.block, value: wr.n})
		}
	}
	x.open = append(x.open, op)
}

// complete acknowledges what nobody is waited for, if answers may go out.
func (x *wnode) complete() {
	if x.m == nil || len(x.later) > 0 {
		return
	}
	var open []*wop
	for _, op := range x.open {
		if op.waits == 0 {
			x.held = append(x.held, op)
		} else {
			open = append(open, op)
		}
	}
	x.open = open
	if x.io.Mode != IOOpen || x.io.Ask {
		x.release()
		return
	}
	held := x.held
	x.held = nil
	for _, op := range held {
		if !x.counts(op) {
			x.begin(op) // nobody has it any more: anew
			continue
		}
		op.w.acked = true
		x.w.ackedOne(x, op.w)
		for _, n := range x.cfg.Nodes {
			if n.ID != x.id && x.flow[n.ID] != FlowMark {
				x.send(n.ID, wmsg{kind: "done", value: op.w.n})
			}
		}
	}
}

// counts says whether a replica with good data has a write that is about to be acknowledged.
func (x *wnode) counts(op *wop) bool {
	if op.have&bit(x.id) != 0 && x.attached && x.m.disk == volume.UpToDate {
		return true
	}
	for _, p := range x.m.peers {
		if op.have&bit(p.id) != 0 && p.inSync() {
			return true
		}
	}
	return false
}

// read is what a client of this node would see.
func (x *wnode) read(block int) int {
	if x.attached && x.m.disk == volume.UpToDate {
		return x.data[block]
	}
	for _, p := range x.io.From {
		if s := x.sync[p]; s != nil && s.do == "target" && (s.started && !x.marks[p][block] || s.own[block]) {
			return x.data[block]
		}
		return x.w.nodes[p].data[block]
	}
	return 0
}

func (x *wnode) receive(from volume.NodeID, msg wmsg) {
	switch msg.kind {
	case "hello":
		x.step(PeerUp{Peer: from, Hello: msg.hello})
	case "said":
		x.step(PeerSaid{Peer: from, Said: msg.said})
	case "write":
		x.apply(from, msg)
	case "ack", "nack":
		for _, op := range x.open {
			if op.w.n != msg.value {
				continue
			}
			op.waits &^= bit(from)
			if msg.kind == "ack" {
				op.have |= bit(from)
			} else {
				x.mark(from, op.w.block)
			}
		}
		x.complete()
	case "done":
		delete(x.recent, msg.value)
	case "block":
		x.takeBlock(from, msg)
	case "blockack":
		if s := x.sync[from]; s != nil {
			delete(s.flying, msg.block)
			if x.data[msg.block] == msg.value { // else it was written meanwhile
				x.marks[from][msg.block] = false
			}
		}
	case "marks":
		x.takeMarks(from, msg)
	case "union":
		if s := x.sync[from]; s != nil {
			s.started = true
			for b, m := range msg.marks {
				x.marks[from][b] = m && !s.own[b] // what was written here meanwhile is newer
			}
		}
	}
}

// apply is a write of the primary.
func (x *wnode) apply(from volume.NodeID, msg wmsg) {
	if x.attached {
		for id, s := range x.sync {
			if s != nil && s.do == "target" && volume.NodeID(id) != from {
				x.marks[id][msg.block] = false
				s.own[msg.block] = true
			}
		}
		x.data[msg.block] = msg.value
		x.recent[msg.value] = msg.block
		for _, n := range x.cfg.Nodes {
			if n.ID != x.id && n.ID != from && x.flow[n.ID] == FlowMark {
				x.mark(n.ID, msg.block)
			}
		}
		if x.flow[from] == FlowMark {
			x.mark(from, msg.block)
		}
	}
	kind := "ack"
	if !x.attached {
		kind = "nack" // it is not on any disk here
	}
	x.send(from, wmsg{kind: kind, value: msg.value})
}

func (x *wnode) takeBlock(from volume.NodeID, msg wmsg) {
	s := x.sync[from]
	if s == nil || !x.attached {
		return
	}
	if !s.own[msg.block] {
		x.data[msg.block] = msg.value
		for _, n := range x.cfg.Nodes {
			if n.ID != x.id && n.ID != from {
				x.mark(n.ID, msg.block)
			}
		}
	}
	x.marks[from][msg.block] = false
	x.send(from, wmsg{kind: "blockack", block: msg.block, value: msg.value})
}

func (x *wnode) takeMarks(from volume.NodeID, msg wmsg) {
	s := x.sync[from]
	if s == nil || s.do != "source" {
		return
	}
	for b, m := range msg.marks {
		x.marks[from][b] = x.marks[from][b] || m
	}
	s.started = true
	x.send(from, wmsg{kind: "union", marks: x.marks[from]})
}

func (x *wnode) doSync(e Sync) {
	switch e.Do {
	case "source", "verify", "verify-target":
		x.sync[e.Peer] = &wsync{do: e.Do, flying: map[int]bool{}}
	case "target":
		x.checkOverwrite(e.Peer)
		x.markRecent(e.Peer)
		x.sync[e.Peer] = &wsync{do: e.Do, flying: map[int]bool{}}
		x.send(e.Peer, wmsg{kind: "marks", marks: x.marks[e.Peer]})
	case "pause", "resume":
		s := x.sync[e.Peer]
		s.paused = e.Do == "pause"
		s.started = s.started || s.ended
		s.ended = false
	case "stop":
		x.sync[e.Peer] = nil
	}
}

// pump takes one step of the work in the background.
func (x *wnode) pump() bool {
	if x.m == nil {
		return false
	}
	if x.settle && len(x.open)+len(x.held)+len(x.queue) == 0 {
		x.settle = false
		x.hot = [blocks]bool{}
		x.step(Settled{})
		return true
	}
	for _, n := range x.cfg.Nodes {
		if s := x.sync[n.ID]; s != nil && !s.paused && x.pumpSync(n.ID, s) {
			return true
		}
	}
	return false
}

func (x *wnode) pumpSync(peer volume.NodeID, s *wsync) bool {
	switch {
	case s.do == "source" && s.started:
		for b, m := range x.marks[peer] {
			if m && !s.flying[b] {
				s.flying[b] = true
				x.send(peer, wmsg{kind: "block", block: b, value: x.data[b]})
				return true
			}
		}
		if len(s.flying) == 0 {
			s.started, s.ended = false, true
			x.step(SyncEnded{Peer: peer})
			return true
		}
	case s.do == "verify":
		var found int64
		other := x.w.nodes[peer]
		for b := range x.data {
			if x.data[b] != other.data[b] {
				found += volume.BlockSize
				x.marks[peer][b], other.marks[x.id][b] = true, true
			}
		}
		x.step(SyncEnded{Peer: peer, Found: found})
		return true
	}
	return false
}

// askSet is the store's side: the first to change a version wins; everybody who can hear hears.
func (w *world) askSet(x *wnode, e AskSet) {
	if !x.quorate {
		return
	}
	if e.Version == w.store.version {
		w.store = wstore{e.Members, e.Version + 1, bit(x.id)}
		w.past = append(w.past, w.store)
	}
	w.said = append(w.said, x.id)
	for _, y := range w.nodes {
		if y != x && y.quorate {
			w.said = append(w.said, y.id)
		}
	}
}

// whook is a handler that runs.
type whook struct {
	x    *wnode
	hook string
	peer volume.NodeID
}

// ancestors says whether content old is what new was written over, however long ago.
func (w *world) descends(newer, old int) bool {
	for newer > 0 {
		if newer == old {
			return true
		}
		newer = w.writes[newer-1].prev
	}
	return newer == old
}

// lastAcked is the newest acknowledged write that the content of a block contains; 0: none.
func (w *world) lastAcked(v int) int {
	for v > 0 && !w.writes[v-1].acked {
		v = w.writes[v-1].prev
	}
	return max(v, 0)
}

// checkOverwrite: a sound disk is only overwritten by data that descends from its own, and no acknowledged write goes under in
// a resync, unless somebody said so.
func (x *wnode) checkOverwrite(source volume.NodeID) {
	w := x.w
	if w.discards[x.id] {
		return
	}
	s := w.nodes[source]
	if was := x.before; sound(was.Disk) && !was.Gen.Fresh() && !x.offered[source].Within(was.Gen.Current) {
		w.fault("node %s is about to be overwritten by %s, whose data %x does not descend from %x", x.name(), s.name(), x.offered[source], was.Gen.Current)
	}
	for b, v := range x.data {
		v = w.lastAcked(v)
		if v == 0 || w.descends(s.data[b], v) || w.elsewhere(x, b, v) {
			continue
		}
		w.fault("node %s is about to be overwritten by %s, but its acknowledged write %d to block %d is not there (%d)", x.name(), s.name(), v, b, s.data[b])
	}
}

// elsewhere says whether some other disk that counts has the write or a later one.
func (w *world) elsewhere(x *wnode, b, v int) bool {
	for _, y := range w.nodes {
		if y != x && sound(y.super.Disk) && w.descends(y.data[b], v) {
			return true
		}
	}
	return false
}
