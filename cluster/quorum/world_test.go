package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// world runs several machines with heartbeats, logs and a power switch of the
// simplest kind. Time goes in steps of 100 ms. It keeps a record of its own of what
// was acknowledged, forced and switched off, and says in broken what must not be.
type world struct {
	now    time.Time
	nodes  []*body
	coin   func() bool // nil: everything arrives at once
	events []event
	story  strings.Builder
	broken []string

	fencing bool
	policy  string
	failing map[cib.NodeID]bool // switching these off fails
	dog     time.Duration       // each node has a watchdog that runs out then; 0: none

	acked    []int                 // entries that were acknowledged
	forced   map[uint64]cib.NodeID // by generation
	orders   bool                  // an operator or a policy forced: histories may differ
	offSince map[cib.NodeID]time.Time
	entries  int
	unvoted  bool // learners get no vote
}

// entry is one entry of a log: a write, or a change of the voters.
type entry struct {
	id     int
	term   uint64
	voters []cib.NodeID // nil: a write, or a leader's first entry
	first  bool         // a leader's first entry: nobody waits for it
}

// body is a node: what survives a crash, and what does not.
type body struct {
	id         cib.NodeID
	generation uint64
	claimer    cib.NodeID
	log        []entry
	commit     int  // how many of them are known to be committed
	durable    int  // what a crash leaves of commit
	learner    bool // joined the generation anew and has no vote yet
	term       uint64
	pledged    Pledged

	up     bool
	group  int
	m      *Machine
	leader cib.NodeID
	heard  map[cib.NodeID]time.Time
	seen   map[cib.NodeID]Seen
	left   map[cib.NodeID]bool
	place  Place
	wakeAt time.Time
	petted time.Time
	idle   time.Time // since when it does not hold
	claims bool      // the last Fence named nodes
	fences int       // how many there were
	last   string
}

type event struct {
	at time.Time
	do func()
}

const step = 100 * time.Millisecond

func newWorld(n int, fencing bool, policy string) *world {
	w := &world{now: time.Unix(1000, 0), fencing: fencing, policy: policy, failing: map[cib.NodeID]bool{},
		forced: map[uint64]cib.NodeID{}, offSince: map[cib.NodeID]time.Time{}}
	first := entry{id: 0, term: 1}
	for i := range n {
		first.voters = append(first.voters, cib.NodeID(i+1))
	}
	for i := range n {
		b := &body{id: cib.NodeID(i + 1), generation: 1, log: []entry{first}, commit: 1, durable: 1, term: 1}
		w.nodes = append(w.nodes, b)
		w.boot(b)
	}
	return w
}

func (w *world) node(id cib.NodeID) *body { return w.nodes[id-1] }

func (w *world) boot(b *body) {
	if b.up {
		return
	}
	b.up, b.petted, b.idle = true, w.now, w.now
	b.heard, b.left = map[cib.NodeID]time.Time{}, map[cib.NodeID]bool{}
	w.restart(b)
}

// restart starts the daemon anew; the heartbeats go on.
func (w *world) restart(b *body) {
	b.m, b.leader, b.place, b.wakeAt, b.claims, b.last = NewMachine(b.id), 0, Unheard, time.Time{}, false, ""
	b.seen = map[cib.NodeID]Seen{}
	w.wish(b)
}

func (w *world) crash(b *body) {
	b.up, b.commit = false, b.durable
	for _, o := range w.nodes {
		if o.leader == b.id {
			o.leader = 0
		}
	}
}

// leave ends a node in good order.
func (w *world) leave(b *body) {
	for _, o := range w.nodes {
		if w.linked(b, o) && o != b {
			o.left[b.id] = true
			o.heard[b.id] = time.Time{}
		}
	}
	w.crash(b)
}

func (w *world) linked(a, b *body) bool { return a.up && b.up && a.group == b.group }

func (b *body) voters() []cib.NodeID {
	for _, e := range slices.Backward(b.log[:b.commit]) {
		if e.voters != nil {
			return e.voters
		}
	}
	return nil
}

// pending are the voters by a change that is not known to be committed.
func (b *body) pending() []cib.NodeID {
	for _, e := range slices.Backward(b.log[b.commit:]) {
		if e.voters != nil {
			return e.voters
		}
	}
	return nil
}

func (b *body) voter() bool { return !b.learner && slices.Contains(b.voters(), b.id) }

func (b *body) position() Position {
	return Position{Generation: b.generation, Claimer: b.claimer, Term: b.log[len(b.log)-1].term, Index: uint64(len(b.log)), Voter: b.voter()}
}

func (w *world) wish(b *body) {
	wish := Wished{Fencing: w.fencing, Policy: w.policy, Delay: 2 * time.Second, Deadtime: time.Second,
		Fenceable: map[cib.NodeID]bool{}, Watchdogs: map[cib.NodeID]bool{}, Names: map[cib.NodeID]string{}}
	for _, o := range w.nodes {
		wish.Names[o.id] = "n" + o.id.String()
		wish.Fenceable[o.id] = w.fencing && w.dog == 0
		wish.Watchdogs[o.id] = w.fencing && w.dog > 0
	}
	wish.Watchdog = w.dog
	w.feed(b, wish)
}

func (w *world) wishAll() {
	for _, b := range w.nodes {
		if b.up {
			w.wish(b)
		}
	}
}

func (w *world) tell(format string, args ...any) {
	fmt.Fprintf(&w.story, "%5.1f  %s\n", w.now.Sub(time.Unix(1000, 0)).Seconds(), fmt.Sprintf(format, args...))
}

func (w *world) bad(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.broken = append(w.broken, text)
	w.tell("BROKEN: %s", text)
}

// flip is a coin; without one everything goes well at once.
func (w *world) flip() bool { return w.coin == nil || w.coin() }

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(step)
		w.beat()
		w.due()
		w.lead()
		w.ticks()
	}
}

// beat exchanges heartbeats and draws the conclusions.
func (w *world) beat() {
	for _, b := range w.nodes {
		if !b.up {
			continue
		}
		for _, o := range w.nodes {
			if o != b && w.linked(b, o) {
				b.heard[o.id] = w.now
				delete(b.left, o.id)
				w.meet(b, o)
			}
		}
	}
	for _, b := range w.nodes {
		if b.up {
			w.observe(b)
		}
	}
}

// meet: the older generation gives way.
func (w *world) meet(b, o *body) {
	if o.generation > b.generation && w.flip() {
		w.tell("n%d takes generation %d over from n%d", b.id, o.generation, o.id)
		w.adopt(b, o)
	}
}

func (w *world) adopt(b, o *body) {
	b.generation, b.claimer, b.log, b.term, b.leader = o.generation, o.claimer, slices.Clone(o.log), o.term, 0
	b.commit, b.durable = o.commit, o.commit
	b.learner = !slices.Contains(b.voters(), b.id)
	b.pledged = Pledged{}
}

func (w *world) observe(b *body) {
	fresh := 0
	for _, v := range b.voters() {
		if v == b.id || w.age(b, v) < 700*time.Millisecond {
			fresh++
		}
	}
	place := Isolated
	switch Weigh(fresh, len(b.voters())) {
	case Majority:
		place = Quorate
	case Tie:
		place = Half
	}
	for _, o := range w.nodes {
		s := Seen{Node: o.id, Alive: w.age(b, o.id) < time.Second && !b.left[o.id], Left: b.left[o.id]}
		s.Gone = !s.Alive && w.goneFor(b, o.id)
		if o != b && s != b.seen[o.id] {
			b.seen[o.id] = s
			w.feed(b, s)
		}
	}
	w.logged(b)
	if place != b.place {
		b.place = place
		w.feed(b, Stood{place, fmt.Sprintf("%d of %d voters in contact", fresh, len(b.voters()))})
	}
	if place == Quorate || b.m.holding {
		b.idle = w.now
	}
	if place == Quorate || b.m.Outlives() || w.now.Sub(b.idle) >= time.Second { // clean by then
		b.petted = w.now
	} else if w.dog > 0 && w.now.Sub(b.petted) >= w.dog {
		w.tell("the watchdog resets n%d", b.id)
		w.crash(b)
	}
}

func (w *world) age(b *body, o cib.NodeID) time.Duration { return w.now.Sub(b.heard[o]) }

// goneFor: nobody in contact with b has heard o for a dead time.
func (w *world) goneFor(b *body, o cib.NodeID) bool {
	for _, c := range w.nodes {
		if c.id != o && (c == b || w.linked(b, c)) && w.age(c, o) < time.Second {
			return false
		}
	}
	return true
}

func (w *world) logged(b *body) {
	var learners []cib.NodeID
	for _, o := range w.nodes {
		if !slices.Contains(b.voters(), o.id) {
			learners = append(learners, o.id)
		}
	}
	w.feed(b, Logged{Generation: b.generation, Voters: b.voters(), Learners: learners, Position: b.position(),
		Leader: b.leader, Leading: b.leader == b.id, Pledged: b.pledged, Pending: b.pending()})
}

// lead elects leaders and copies logs.
func (w *world) lead() {
	for _, b := range w.nodes {
		if l := b.leader; l != 0 && !(w.linked(b, w.node(l)) && w.majority(w.node(l))) {
			b.leader = 0
		}
	}
	for _, b := range w.nodes {
		if b.up && b.voter() && !b.bound() && b.leader == 0 && w.majority(b) && w.newest(b) && w.flip() {
			w.elect(b)
		}
	}
	for _, b := range w.nodes {
		if b.leader == b.id && b.up {
			w.copyTo(b)
		}
	}
}

func (b *body) bound() bool { return b.pledged.Generation > b.generation }

// peers are the nodes that take part in b's generation with it.
func (w *world) peers(b *body) []*body {
	var list []*body
	for _, o := range w.nodes {
		if w.linked(b, o) && o.generation == b.generation && !o.bound() {
			list = append(list, o)
		}
	}
	return list
}

func (w *world) majority(b *body) bool {
	var ids []cib.NodeID
	for _, o := range w.peers(b) {
		ids = append(ids, o.id)
	}
	return count(b.voters(), ids) == Majority
}

func (w *world) newest(b *body) bool {
	for _, o := range w.peers(b) {
		if o.leader != 0 && o.leader != b.id && w.linked(o, w.node(o.leader)) {
			return false
		}
		if b.position().Less(o.position()) {
			return false
		}
	}
	return true
}

func (w *world) elect(b *body) {
	for _, o := range w.peers(b) {
		b.term = max(b.term, o.term)
	}
	b.term++
	b.leader = b.id
	b.add(w, entry{first: true})
	for _, id := range w.acked {
		if !slices.ContainsFunc(b.log, func(e entry) bool { return e.id == id }) && !w.orders {
			w.bad("n%d leads generation %d without entry %d, which was acknowledged", b.id, b.generation, id)
		}
	}
	w.commit(b)
}

// add appends an entry; as on disk, what is known as committed goes with it.
func (b *body) add(w *world, e entry) {
	w.entries++
	e.id, e.term = w.entries, b.term
	b.log = append(slices.Clone(b.log), e)
	b.durable = b.commit
}

// settled reports whether a leader has committed its first entry and every change
// of the voters: only then it takes more.
func (b *body) settled() bool {
	for i, e := range b.log {
		if i >= b.commit && (e.first || e.voters != nil) {
			return false
		}
	}
	return true
}

// copyTo brings a leader's log to those in contact with it, or to some of them.
func (w *world) copyTo(b *body) {
	for _, o := range w.peers(b) {
		if o == b || o.term > b.term || !w.flip() {
			continue
		}
		o.leader, o.term = b.id, b.term
		if o.log[len(o.log)-1].id != b.log[len(b.log)-1].id {
			o.log, o.durable = slices.Clone(b.log), b.commit
		}
		o.commit = max(o.commit, b.commit)
		o.learner = o.learner && !slices.Contains(b.voters(), o.id)
	}
	w.commit(b)
	for _, o := range w.peers(b) {
		if vs := b.voters(); !slices.Contains(vs, o.id) && b.settled() && len(o.log) == len(b.log) && !w.unvoted && w.flip() {
			w.change(b, append(slices.Clone(vs), o.id))
			return
		}
	}
}

func (w *world) change(b *body, voters []cib.NodeID) {
	slices.Sort(voters)
	b.add(w, entry{voters: voters})
}

// commit acknowledges what a majority has.
func (w *world) commit(b *body) {
	var have []cib.NodeID
	for _, o := range w.peers(b) {
		if o.log[len(o.log)-1].id == b.log[len(b.log)-1].id {
			have = append(have, o.id)
		}
	}
	if count(b.voters(), have) != Majority {
		return
	}
	for _, e := range b.log[b.commit:] {
		if c := w.forced[b.generation+1]; c != 0 && !w.orders && !e.first && !slices.Contains(w.acked, e.id) {
			w.bad("n%d acknowledges in generation %d, and n%d has forced %d", b.id, b.generation, c, b.generation+1)
		}
		if !e.first && !slices.Contains(w.acked, e.id) {
			w.acked = append(w.acked, e.id)
		}
	}
	b.commit = len(b.log)
}

// due does what is due.
func (w *world) due() {
	for i := 0; i < len(w.events); {
		if e := w.events[i]; !w.now.Before(e.at) {
			w.events = slices.Delete(w.events, i, i+1)
			e.do()
			continue
		}
		i++
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.events = append(w.events, event{w.now.Add(d), do})
}

func (w *world) ticks() {
	for _, b := range w.nodes {
		if b.up && !b.wakeAt.IsZero() && !w.now.Before(b.wakeAt) {
			b.wakeAt = time.Time{}
			w.feed(b, Tick{})
		}
	}
	w.coordinate()
}

// coordinate fences, for a coordinator, whom it has lost.
func (w *world) coordinate() {
	for _, b := range w.nodes {
		if !b.up || b.leader != b.id || b.place != Quorate || !w.fencing || w.dog > 0 {
			continue
		}
		for _, v := range b.voters() {
			if s := b.seen[v]; v != b.id && s.Gone && !s.Left && w.now.Sub(b.heard[v]) == 1500*time.Millisecond {
				w.switchOff(b, b.m, v, func() bool { return b.leader == b.id })
			}
		}
	}
}

// switchOff cuts a node's power, for a machine, if it still wants that by then.
func (w *world) switchOff(b *body, m *Machine, target cib.NodeID, wanted func() bool) {
	w.after(200*time.Millisecond, func() {
		if !b.up || b.m != m || !wanted() {
			return
		}
		if w.failing[target] {
			w.feed(b, Unproven{target, "ilo-n" + target.String() + " does not answer"})
			return
		}
		if o := w.node(target); o.up {
			w.tell("n%d is switched off by n%d", target, b.id)
			w.crash(o)
		}
		w.prove(b, target, fmt.Sprintf("n%d is switched off by ilo-n%d", target, target))
	})
}

func (w *world) prove(b *body, target cib.NodeID, words string) {
	w.offSince[target] = w.now
	w.feed(b, Proven{target, w.now, words})
}

func (w *world) feed(b *body, e Event) {
	m := b.m
	for _, f := range m.Step(w.now, e) {
		if b.up && b.m == m {
			w.carryOut(b, f)
		}
	}
}

var errNo = errors.New("the disk is full")

// count says how much of the voters a set of nodes is.
func count(voters, nodes []cib.NodeID) Size {
	n := 0
	for _, v := range voters {
		if slices.Contains(nodes, v) {
			n++
		}
	}
	return Weigh(n, len(voters))
}
