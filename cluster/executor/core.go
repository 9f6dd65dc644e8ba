package executor

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
)

// CoreConfig is what a Core needs to know. All fields are required.
type CoreConfig struct {
	Node     string // this node's name, for messages
	Boot     string // identity of this run of the machine, recorded in Meta
	Parallel int    // how many operations run at once, at least 1
	// Grace is how long after its time-out an agent may take to end the
	// operation before it is called stuck; positive.
	Grace time.Duration
}

// Core decides what the executor of one node does: a pure step machine. It is
// owned by one goroutine. Executor carries out its effects on a real machine,
// the simulator on an imagined one.
type Core struct {
	cfg CoreConfig
	now time.Time
	out []Effect

	resources map[string]*resource
	touched   []*resource // of this step: may be blank now

	seen     Stamp // newest stamp admitted, on disk before it stands here
	claimed  Stamp // on its way to the disk; never older than seen
	arrivals []*arrival
	sealed   bool // see Seal
	seals    uint64
	stopping bool // see Halt
	stopped  bool // Stopped has been said
	call     int64

	free    int    // how many more operations may run
	waiting []*job // for their turn to run, in order

	alarms alarms
	woken  time.Time // of the last Wake that has not been answered by a Tick

	// What is outstanding, by the id that the answer carries.
	ids     uint64
	callers map[uint64]*job
	runs    map[int64]*resource
	watches map[uint64]*resource
	ends    map[uint64]*job
	writes  map[uint64]*file
	meta    file
}

// NewCore returns a core that knows of no resource.
func NewCore(cfg CoreConfig) *Core {
	c := &Core{
		cfg: cfg, free: cfg.Parallel, seals: 1,
		resources: make(map[string]*resource),
		callers:   make(map[uint64]*job),
		runs:      make(map[int64]*resource),
		watches:   make(map[uint64]*resource),
		ends:      make(map[uint64]*job),
		writes:    make(map[uint64]*file),
	}
	c.meta.content = func(id uint64) Effect {
		return SaveMeta{ID: id, Meta: Meta{Boot: c.cfg.Boot, Stamp: c.claimed, Call: c.call}}
	}
	return c
}

// Step takes one input at a time that never goes back, and returns what is to
// be done for it, in that order. All of that is to be begun before the next Step:
// an input that answers an effect at once has to wait for the rest of the list.
func (c *Core) Step(now time.Time, in Input) []Effect {
	c.now, c.out = now, nil
	c.take(in)
	c.ring()
	c.tidy()
	if at := c.alarms.first(); !at.IsZero() && !at.Equal(c.woken) {
		c.woken = at
		c.emit(Wake{At: at})
	}
	if c.stopping && !c.stopped && len(c.runs)+len(c.watches)+len(c.ends)+len(c.writes) == 0 {
		c.stopped = true
		c.emit(Stopped{})
	}
	return c.out
}

func (c *Core) take(in Input) {
	switch in := in.(type) {
	case Restore:
		c.onRestore(in)
	case Submit:
		c.onSubmit(in)
	case Withdraw:
		c.onWithdraw(in)
	case Fence:
		c.onFence(in)
	case Seal:
		c.onSeal(in)
	case Halt:
		c.onHalt()
	case Began:
		c.onBegan(in)
	case Finished:
		c.onFinished(in)
	case WatchEnded:
		c.onWatchEnded(in)
	case ProcessEnded:
		c.onProcessEnded(in)
	case Wrote:
		c.onWrote(in)
	case Tick:
		c.woken = time.Time{}
	}
}

func (c *Core) emit(e Effect) { c.out = append(c.out, e) }

func (c *Core) observe(p Phase, rec Record, recurring, changed bool) {
	c.emit(Observe{Event{Time: c.now, Phase: p, Record: rec, Recurring: recurring, Changed: changed}})
}

func (c *Core) warn(text string, j *job, err error) {
	c.emit(Warn{Text: text, Resource: j.r.name, Action: j.cmd.Action, Err: err})
}

func (c *Core) alert(text string, j *job, err error) {
	c.emit(Warn{Text: text, Resource: j.r.name, Action: j.cmd.Action, Err: err, Grave: true})
}

// resource returns what is known of a resource, made if nothing is.
func (c *Core) resource(name string) *resource {
	r := c.resources[name]
	if r == nil {
		r = &resource{name: name, history: make(map[opKey]Record), failures: make(map[opKey]Record)}
		r.file.content = func(id uint64) Effect { return r.content(id) }
		c.resources[name] = r
	}
	return r
}

// tidy drops what nothing is known of any more.
func (c *Core) tidy() {
	for _, r := range c.touched {
		if r.blank() && c.resources[r.name] == r {
			delete(c.resources, r.name)
		}
	}
	c.touched = c.touched[:0]
}

// all returns the resources in the order of their names.
func (c *Core) all() []*resource {
	list := make([]*resource, 0, len(c.resources))
	for _, name := range c.names() {
		list = append(list, c.resources[name])
	}
	return list
}

func (c *Core) names() []string {
	names := make([]string, 0, len(c.resources))
	for name := range c.resources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// onHalt ends whatever need not go on.
func (c *Core) onHalt() {
	if c.stopping {
		return
	}
	c.stopping = true
	for _, a := range c.arrivals {
		c.refuse(a, c.leaves(a.command()))
	}
	c.arrivals = nil
	for _, r := range c.all() {
		c.pausePolls(r)
		queue := r.queue
		r.queue = nil
		for _, j := range queue {
			c.giveBack(j)
			c.answer(j, Record{Command: j.cmd}, c.leaves(j.cmd))
		}
		c.reconsider(r)
		if r.watch != 0 {
			c.emit(Unwatch{r.watch})
			r.watch = 0
		}
	}
}

// Busy names what is in flight, sorted by resource.
func (c *Core) Busy() []string {
	var list []string
	for _, r := range c.all() {
		if r.stuck != nil {
			list = append(list, r.stuck.action+" of "+r.name+" (stuck)")
		}
		if r.running != nil {
			list = append(list, r.running.cmd.Action+" of "+r.name)
		}
	}
	return list
}

// Newest returns the newest stamp seen. What the node does by itself carries it,
// with a negative action that no coordinator gives.
func (c *Core) Newest() Stamp { return c.seen }

// Seals counts the Seals so far, from 1.
func (c *Core) Seals() uint64 { return c.seals }

func invocation(cmd Command, timeout time.Duration) agent.Invocation {
	return agent.Invocation{Resource: cmd.Resource, Agent: cmd.Agent, Action: cmd.Action,
		Interval: milliseconds(cmd.Interval), Timeout: timeout, Params: cmd.Params, Meta: cmd.Meta}
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
