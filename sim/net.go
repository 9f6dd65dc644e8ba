package sim

// network carries datagrams and streams between nodes over several links.
type network struct {
	w     *world
	links int
	nodes int
	paths []path // by from, to, link
	conns []conn // by from, to
}

// path is one direction of one link between two nodes.
type path struct {
	luck chance
	cuts int             // how many faults cut it
	loss spells[float64] // percent of the datagrams that do not arrive
	dup  spells[float64] // percent that arrive twice
	base int64           // ns that all need
	mean spells[int64]   // ns that they need more, in the mean

	faults int   // how many are at it
	fault  int64 // when that last changed; 0: never
}

// conn is all that daemons send over streams in one direction: reliable and
// in order, until it breaks.
type conn struct {
	last    int64 // when the newest arrives
	waiting []parcel
	since   int64 // when the first of waiting came
	checks  bool  // a check of waiting is arranged
}

// parcel is a message on a stream.
type parcel struct {
	arrive func()
	lost   func() // may be nil: nobody is told
}

const (
	usual      = 150_000     // ns
	usualMore  = 50_000      // ns
	retransmit = 200_000_000 // ns: how long a stream waits before it sends anew
	giveUp     = 5e9         // ns: then a stream breaks by itself
)

func newNetwork(w *world, seed uint64, nodes, links int) *network {
	n := &network{w: w, links: links, nodes: nodes, conns: make([]conn, nodes*nodes)}
	for from := range nodes {
		for to := range nodes {
			for k := range links {
				n.paths = append(n.paths, path{luck: newChance(seed, forNetwork+uint64(from<<16+to<<8+k)), base: usual})
			}
		}
	}
	return n
}

// path and conn take nodes from 0.
func (n *network) path(from, to, link int) *path { return &n.paths[(from*n.nodes+to)*n.links+link] }
func (n *network) conn(from, to int) *conn       { return &n.conns[from*n.nodes+to] }

// touched tells whether a fault has been at the paths between two nodes since a time.
func (n *network) touched(a, b int, since int64) bool {
	for k := range n.links {
		for _, p := range []*path{n.path(a, b, k), n.path(b, a, k)} {
			if p.faults > 0 || p.fault > since {
				return true
			}
		}
	}
	return false
}

// datagram sends one; it may be lost, and it may come twice or late.
func (n *network) datagram(from, to, link int, arrive func()) {
	p := n.path(from, to, link)
	if p.luck.percent(p.loss.now(0)) || p.cuts > 0 {
		return
	}
	n.w.in(p.luck.long(p.base, p.mean.now(usualMore)), n.unlessCut(p, arrive))
	if p.luck.percent(p.dup.now(0)) {
		n.w.in(p.luck.long(p.base, 20*p.mean.now(usualMore)), n.unlessCut(p, arrive))
	}
}

// unlessCut: a cut ends what is under way, too.
func (n *network) unlessCut(p *path, arrive func()) func() {
	return func() {
		if p.cuts == 0 {
			arrive()
		}
	}
}

// works returns a link that carries both directions, -1 if none does.
func (n *network) works(from, to int) int {
	for k := range n.links {
		if n.path(from, to, k).cuts == 0 && n.path(to, from, k).cuts == 0 {
			return k
		}
	}
	return -1
}

// stream sends a message over the stream to another node. Over a path that loses
// datagrams it takes longer, over none at all it waits until a link works again
// or the stream breaks.
func (n *network) stream(from, to int, m parcel) {
	c := n.conn(from, to)
	k := n.works(from, to)
	if k < 0 || len(c.waiting) > 0 {
		if len(c.waiting) == 0 {
			c.since = n.w.now
		}
		c.waiting = append(c.waiting, m)
		n.check(from, to)
		return
	}
	n.pass(c, n.path(from, to, k), m)
}

func (n *network) pass(c *conn, p *path, m parcel) {
	d := p.luck.long(p.base, p.mean.now(usualMore))
	for again := int64(retransmit); p.luck.percent(p.loss.now(0)); again *= 2 {
		if d += again; d > giveUp { // the connection breaks; the next message makes another
			if m.lost != nil {
				n.w.in(giveUp, m.lost)
			}
			return
		}
	}
	c.last = max(c.last, n.w.now+d)
	n.w.at(c.last, m.arrive)
}

// check looks after what waits.
func (n *network) check(from, to int) {
	c := n.conn(from, to)
	if c.checks {
		return
	}
	c.checks = true
	n.w.in(retransmit, func() {
		c.checks = false
		switch k := n.works(from, to); {
		case len(c.waiting) == 0:
		case k >= 0:
			waiting := c.waiting
			c.waiting = nil
			for _, m := range waiting {
				n.pass(c, n.path(from, to, k), m)
			}
		case n.w.now-c.since > giveUp:
			n.breakOff(from, to)
		default:
			n.check(from, to)
		}
	})
}

// breakOff ends the stream: what waits is lost. What is under way arrives.
func (n *network) breakOff(from, to int) {
	c := n.conn(from, to)
	waiting := c.waiting
	c.waiting = nil
	for _, m := range waiting {
		if m.lost != nil {
			m.lost()
		}
	}
}

// linkDown is what a daemon does when its heartbeats call a link dead: streams
// over it end at once.
func (n *network) linkDown(from, to int) {
	if n.works(from, to) < 0 {
		n.breakOff(from, to)
	}
}
