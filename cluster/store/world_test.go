package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// world drives several cores on virtual time: a seed decides about everything.
type world struct {
	t     *testing.T
	rnd   *rand.Rand
	now   time.Time
	nodes []*worldNode
	queue []delivery // sorted by time, then by order of arrival
	seq   uint64
	loss  int // of a thousand frames
	story bytes.Buffer

	next  uint64               // of request ids
	asked map[RequestID]string // change under way, by id
	acked map[string]Lineage   // change to the lineage that acknowledged it
	never []string             // changes that were said not to have happened
}

type worldNode struct {
	w    *world
	id   cib.NodeID
	mem  *osfs.Mem
	disk *osfs.Faulty
	core *Core
	salt uint64
	wake time.Time
	cut  map[cib.NodeID]bool // frames to them are lost
}

type delivery struct {
	at  time.Time
	seq uint64
	to  cib.NodeID
	ev  Event
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	w := &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 99)), now: testEpoch,
		asked: map[RequestID]string{}, acked: map[string]Lineage{},
	}
	for id := 1; id <= n; id++ {
		mem := osfs.NewMem()
		w.nodes = append(w.nodes, &worldNode{w: w, id: cib.NodeID(id), mem: mem, disk: osfs.NewFaulty(mem), cut: map[cib.NodeID]bool{}})
	}
	if err := Bootstrap(w.nodes[0].config(), testRoot(t)); err != nil {
		t.Fatal(err)
	}
	for _, x := range w.nodes {
		x.boot()
	}
	for _, x := range w.nodes[1:] {
		for _, verb := range []MemberVerb{AddLearner, Promote} {
			w.run(2 * time.Second)
			w.nodes[0].do(SetMember{ID: w.id(), Verb: verb, Node: x.id})
		}
	}
	w.run(2 * time.Second)
	if got := len(w.nodes[0].core.State().Voters); got != n {
		t.Fatalf("seed %d: %d voters of %d\n%s", seed, got, n, w.story.String())
	}
	return w
}

func (x *worldNode) config() Config {
	cfg := DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Self, cfg.Join = "/store", x.disk, x.id, true
	cfg.Salt = func() uint64 { x.salt++; return x.salt }
	cfg.SnapshotEntries, cfg.KeepEntries, cfg.SegmentBytes, cfg.DigestEntries = 12, 4, 4096, 7
	cfg.ElectionTimeout, cfg.ProposeTimeout = time.Second, 2*time.Second
	cfg.PeerAlive = func(p cib.NodeID) bool {
		y := x.w.nodes[p-1]
		return y.core != nil && !y.cut[x.id] && !x.cut[p]
	}
	return cfg
}

func (w *world) id() RequestID {
	w.next++
	var id RequestID
	binary.BigEndian.PutUint64(id[8:], w.next)
	return id
}

func (w *world) tell(format string, args ...any) {
	fmt.Fprintf(&w.story, "%9.3f ", w.now.Sub(testEpoch).Seconds())
	fmt.Fprintf(&w.story, format+"\n", args...)
}

func (x *worldNode) boot() {
	x.disk.Heal()
	core, err := OpenCore(x.config(), x.w.now)
	if err != nil {
		x.w.t.Fatalf("node %d: %v\n%s", x.id, err, x.w.story.String())
	}
	x.w.tell("n%d boots", x.id)
	x.core = core
	x.do()
}

func (x *worldNode) crash() {
	x.w.tell("n%d crashes", x.id)
	x.core, x.wake = nil, time.Time{}
	x.mem.Crash(x.w.rnd)
}

// do steps a core and carries out what it wishes.
func (x *worldNode) do(events ...Event) {
	for more := events; x.core != nil; {
		effects := x.core.Step(x.w.now, more...)
		more = nil
		for _, e := range effects {
			if ran, ok := e.(Run); ok {
				ran.Job.Run()
				more = append(more, Ran{ran.Job})
			}
			x.effect(e)
		}
		if x.core != nil {
			if x.wake = x.core.WakeAt(); !x.wake.After(x.w.now) {
				x.w.t.Fatalf("n%d wants to be woken at once, again and again\n%s", x.id, x.w.story.String())
			}
		}
		if len(more) == 0 {
			return
		}
	}
}

func (x *worldNode) effect(e Effect) {
	w := x.w
	switch e := e.(type) {
	case Send:
		w.tell("n%d to n%d: %s", x.id, e.To, e.Frame)
		w.send(x, e)
	case Changed:
		w.tell("n%d state %d %v %v", x.id, e.State.Index, e.State.Voters, e.State.Learners)
	case Led:
		w.tell("n%d led %+v", x.id, e.Leadership)
	case Answered:
		w.tell("n%d answers %x: %v", x.id, e.ID[8:], e.Err)
		w.answer(e)
	case Superseded:
		w.tell("n%d superseded: %s", x.id, e.Words)
	case Run:
		w.tell("n%d runs: %s", x.id, e.Job.Name)
	case Mismatched:
		w.t.Errorf("n%d differs: %s\n%s", x.id, e.Detail, w.story.String())
	case Stopped:
		w.tell("n%d stopped: %v", x.id, e.Err)
		if errs.KindOf(e.Err) == errs.Corrupt {
			w.t.Errorf("n%d: %v\n%s", x.id, e.Err, w.story.String())
		}
		x.crash()
	}
}

func (w *world) answer(e Answered) {
	change := w.asked[e.ID]
	switch {
	case change == "":
	case e.Err == nil:
		w.acked[change] = Lineage{e.State.Generation, e.State.Claimer}
	case errs.KindOf(e.Err) == errs.Unavailable:
		w.never = append(w.never, change)
	}
}

// send delivers a frame after a random while, or never, or twice.
func (w *world) send(from *worldNode, e Send) {
	to := w.nodes[e.To-1]
	lost := from.cut[e.To] || to.core == nil || w.rnd.IntN(1000) < w.loss
	if e.Frame.Snapshot() {
		var err error
		if lost {
			err = errors.New("no route")
		}
		w.enqueue(20*time.Millisecond, from.id, SnapshotSent{To: e.To, Err: err})
	}
	if lost {
		return
	}
	for range 1 + w.rnd.IntN(50)/49 {
		delay := time.Duration(100+w.rnd.IntN(2000)) * time.Microsecond
		w.enqueue(delay, e.To, Received{From: from.id, Frame: w.wire(e.Frame)})
	}
}

// wire sends every frame through its bytes now and then.
func (w *world) wire(f Frame) Frame {
	if w.rnd.IntN(10) > 0 {
		return f
	}
	b, err := f.Append(nil)
	if err == nil {
		f, err = ReadFrame(bytes.NewReader(b))
	}
	if err != nil {
		w.t.Fatalf("%v: %v", f, err)
	}
	return f
}

func (w *world) enqueue(delay time.Duration, to cib.NodeID, ev Event) {
	w.seq++
	d := delivery{w.now.Add(delay), w.seq, to, ev}
	i, _ := slices.BinarySearchFunc(w.queue, d, func(a, b delivery) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq))
	})
	w.queue = slices.Insert(w.queue, i, d)
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		at, wakes := end, (*worldNode)(nil)
		for _, x := range w.nodes {
			if x.core != nil && x.wake.Before(at) {
				at, wakes = x.wake, x
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(at) {
			d := w.queue[0]
			w.queue = w.queue[1:]
			w.now = d.at
			w.nodes[d.to-1].do(d.ev)
			continue
		}
		if w.now = at; wakes == nil {
			return
		}
		wakes.do()
	}
}

// trouble is one random fault, repair or wish.
func (w *world) trouble(forced bool) {
	x := w.nodes[w.rnd.IntN(len(w.nodes))]
	y := w.nodes[w.rnd.IntN(len(w.nodes))]
	switch k := w.rnd.IntN(12); {
	case k == 0 && x.core != nil:
		x.crash()
	case k == 1 && x.core != nil:
		x.disk.FailAt(1+w.rnd.IntN(30), errors.New("no space left on device"), true)
	case k == 2:
		w.tell("cut n%d from n%d", x.id, y.id)
		x.cut[y.id] = true
	case k == 3:
		w.tell("cut n%d off", x.id)
		for _, z := range w.nodes {
			x.cut[z.id], z.cut[x.id] = true, true
		}
	case k == 4:
		w.heal(x)
	case k == 5 && x.core == nil:
		x.boot()
	case k == 6 && x.core != nil:
		x.do(LeaderLost{})
	case k == 7 && x.core != nil && forced && w.rnd.IntN(3) == 0:
		p := x.core.Position()
		w.tell("force n%d", x.id)
		x.do(Force{ID: w.id(), Forced: Forced{Generation: p.Generation + 1}})
	case k == 8 && x.core != nil:
		verb := []MemberVerb{Promote, Demote}[w.rnd.IntN(2)]
		x.do(SetMember{ID: w.id(), Verb: verb, Node: y.id})
	case k == 9 && x.core != nil:
		x.do(Transfer{ID: w.id(), To: y.id, Within: time.Second})
	case k == 10 && x.core != nil && forced:
		p := x.core.Position()
		to := []Lineage{{}, {p.Generation + 1, y.id}}[w.rnd.IntN(2)]
		w.tell("n%d binds its log: %v", x.id, to)
		x.do(Pledge{ID: w.id(), To: to})
	default:
		for range 1 + w.rnd.IntN(4) {
			w.propose(x)
		}
	}
}

func (w *world) heal(x *worldNode) {
	for _, z := range w.nodes {
		delete(x.cut, z.id)
		delete(z.cut, x.id)
	}
}

func (w *world) propose(x *worldNode) {
	if x.core == nil {
		return
	}
	id := w.id()
	w.asked[id] = fmt.Sprintf("n%d", 1000+w.next)
	w.tell("n%d proposes %x: %s", x.id, id[8:], w.asked[id])
	x.do(Propose{ID: id, Change: putChange(w.asked[id])})
}

// calm ends all faults; everybody must come to one history.
func (w *world) calm() {
	w.loss = 0
	for _, x := range w.nodes {
		w.heal(x)
		if x.core == nil {
			x.boot()
		}
		x.disk.Heal()
		x.do(Pledge{ID: w.id()})
	}
	w.tell("calm")
	for range 60 {
		w.run(time.Second)
		if w.settled() {
			return
		}
		for _, x := range w.nodes {
			if x.core == nil { // a fault was still under way
				x.boot()
			}
		}
	}
	for _, x := range w.nodes {
		w.tell("n%d: %+v %+v %v", x.id, x.core.Position(), x.core.Leadership(), x.core.State().Voters)
	}
	w.t.Errorf("they never settle\n%s", w.story.String())
}

func (w *world) settled() bool {
	var first *State
	for _, x := range w.nodes {
		if x.core == nil || x.core.Leadership().Leader == 0 {
			return false
		}
		st := x.core.State()
		if first == nil {
			first = st
		}
		if st.Waiting || st.Index != first.Index || st.Generation != first.Generation || st.Claimer != first.Claimer {
			return false
		}
	}
	return true
}

// judge checks what must hold in the end, for what lineage acknowledged.
func (w *world) judge() {
	var digest [32]byte
	for i, x := range w.nodes {
		st := x.core.State()
		if d := cib.Digest(st.Root); i == 0 {
			digest = d
		} else if d != digest {
			w.t.Errorf("n%d disagrees", x.id)
		}
		now := Lineage{st.Generation, st.Claimer}
		for change, lineage := range w.acked {
			if lineage == now && !has(*st, change) {
				w.t.Errorf("n%d lost %s, which this history acknowledged", x.id, change)
			}
		}
		for _, change := range w.never {
			if has(*st, change) {
				w.t.Errorf("n%d has %s, which was said not to have happened", x.id, change)
			}
		}
	}
}
