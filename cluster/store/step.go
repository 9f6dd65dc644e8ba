package store

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// neverTicks is Raft's own election time-out. It draws it at random, so it must
// never fire: the Core counts for itself (see tick).
const neverTicks = 1 << 30

// OpenCore reads the state in cfg.Dir and checks it. Its errors are those of
// Open. Bootstrap makes the folder of a cluster's first voter; cfg.Join the one
// of any other.
func OpenCore(cfg Config, now time.Time) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l, err := load(cfg)
	if err != nil {
		return nil, err
	}
	c := &Core{
		cfg: cfg, log: cfg.Log, now: now, wal: l.wal, hard: l.hard, machine: l.machine, storage: l.storage,
		byID: map[RequestID]*inquiry{}, nextTick: now.Add(cfg.TickInterval), greetAt: now, helloAt: map[uint64]time.Time{},
		snapIndex: l.machine.index, lead: Leadership{Term: l.hard.Term},
	}
	c.shown = c.state()
	if err := c.newRaft(); err != nil {
		_ = l.wal.file.Close()
		return nil, err
	}
	return c, nil
}

// newRaft begins Raft anew behind the state machine, with what is in storage.
func (c *Core) newRaft() (err error) {
	c.waiters, c.parked, c.promotes, c.replies = map[RequestID]*waiter{}, map[uint64]*pb.Message{}, nil, nil
	c.confBusy, c.armed, c.shunned, c.noopOf, c.silent, c.quorumTicks = false, false, 0, 0, 0, 0
	c.storage.snapshot = c.currentSnapshot
	c.rn, err = raft.NewRawNode(&raft.Config{
		ID: uint64(c.cfg.Self), ElectionTick: neverTicks, HeartbeatTick: c.cfg.heartbeatTicks(),
		Storage: c.storage, Applied: c.machine.index, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
		MaxCommittedSizePerReady: 16 << 20, MaxUncommittedEntriesSize: 64 << 20,
		CheckQuorum: true, PreVote: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		Logger: raftLogger{c.log},
	})
	return err
}

// Step takes events, in their order, and time. It returns what to do, in order.
func (c *Core) Step(now time.Time, events ...Event) []Effect {
	if c.stopped {
		return nil
	}
	c.now, c.effects = now, nil
	if err := c.guard(func() { c.turn(events) }); err != nil {
		c.stopOn(err)
	}
	if c.fatal != nil {
		c.halt()
	}
	return c.effects
}

// guard turns Raft's panic into an error: one node's broken log must not end
// the whole daemon.
func (c *Core) guard(f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case raftPanic:
			err = errs.E("keep the log", errs.Corrupt, c.cfg.Dir,
				"Set the node's state folder aside and let it join again under a new id.", errors.New(string(p)))
		default:
			panic(p)
		}
	}()
	f()
	return nil
}

// turn is one Step: what has arrived comes before any verdict on time.
func (c *Core) turn(events []Event) {
	if !c.begun {
		c.begin()
	}
	for _, ev := range events {
		if c.fatal != nil {
			return
		}
		c.take(ev)
	}
	if c.fatal != nil {
		return
	}
	c.timers()
	c.settle()
}

// begin is the first thing ever done: a crash may have come between a change of
// the members and its note, and a single voter has nobody to ask.
func (c *Core) begin() {
	c.begun = true
	c.stopOn(c.noteMembership())
	c.tellAgain()
	if len(c.machine.conf.GetVoters()) == 1 {
		c.elect()
	}
}

func (c *Core) take(ev Event) {
	switch ev := ev.(type) {
	case Received:
		c.receive(ev.From, ev.Frame)
	case Propose:
		c.proposeOwn(ev)
	case SetMember:
		q := &inquiry{op: "change the members", req: request{ID: ev.ID, Member: &memberRequest{ev.Verb, ev.Node}}}
		c.inquire(q, ev.Within)
	case Transfer:
		c.inquire(&inquiry{op: "hand the leadership over to", req: request{ID: ev.ID}, transfer: ev.To}, ev.Within)
	case Force:
		c.force(ev)
	case Pledge:
		c.pledge(ev)
	case Cancel:
		if q := c.byID[ev.ID]; q != nil {
			c.giveUp(q, errors.New("nobody waits for it any more"))
		}
	case LeaderLost:
		c.leaderLost()
	case Campaign:
		c.freeVotes()
		if !c.bound() {
			_ = c.rn.Campaign() // refused where it makes no sense
		}
	case Unreachable:
		c.unreachable(ev)
	case SnapshotSent:
		c.snapshotSent(ev)
	case Ran:
		ev.Job.done()
	}
}

// timers does what is due by now.
func (c *Core) timers() {
	if c.yielding() {
		return
	}
	if !c.now.Before(c.nextTick) {
		if c.nextTick = c.nextTick.Add(c.cfg.TickInterval); !c.now.Before(c.nextTick) {
			c.nextTick = c.now.Add(c.cfg.TickInterval) // missed ones are not made up for
		}
		c.tick()
	}
	if c.armed && !c.now.Before(c.campaignAt) {
		c.campaignDue()
	}
	c.inquiriesDue()
}

// WakeAt is when Step has to be called at the latest, although nothing
// happened. Zero after Stopped and Close.
func (c *Core) WakeAt() time.Time {
	if c.stopped {
		return time.Time{}
	}
	if !c.begun {
		return c.now
	}
	at := c.nextTick
	if c.yielding() {
		return c.yieldEnd
	}
	if c.armed && c.campaignAt.Before(at) {
		at = c.campaignAt
	}
	if q := c.inquiryDue(); !q.IsZero() && q.Before(at) {
		at = q
	}
	return at
}

// settle handles Raft's wishes, and what follows from them, until there are none.
func (c *Core) settle() {
	for busy := true; busy && c.fatal == nil; {
		switch {
		case c.moved:
			c.moved = false
			c.inquiriesMoved()
		case c.rn.HasReady():
			c.stopOn(c.ready())
		default:
			busy = c.checkPromotes()
		}
	}
	if c.fatal != nil {
		return
	}
	c.maybeSnapshot()
	if c.wal.full() {
		c.stopOn(c.wal.roll(c.hard))
	}
}

func (c *Core) emit(e Effect) { c.effects = append(c.effects, e) }

func (c *Core) send(to cib.NodeID, f Frame) {
	f.Lineage = c.hard.Lineage
	c.emit(Send{To: to, Frame: f})
}

func (c *Core) stopOn(err error) {
	if err != nil && c.fatal == nil {
		c.fatal = err
	}
}

// halt ends the core after a failure; what the disk holds is not known.
func (c *Core) halt() {
	why := c.fatal
	_ = c.wal.fail(why) // what was to be written has not been: the log ends as it is
	if err := c.shut(why); err != nil && c.log != nil {
		c.log.Debug("closing the log", "error", err)
	}
	c.emit(Stopped{Err: why})
}

// Close ends the Core in an orderly way: requests are answered, the log is
// synced and closed.
func (c *Core) Close(now time.Time) ([]Effect, error) {
	if c.stopped {
		return nil, nil
	}
	c.now, c.effects = now, nil
	err := c.shut(errors.New("it was stopped"))
	return c.effects, err
}

func (c *Core) shut(why error) error {
	c.stopped = true
	c.failWaiters()
	c.flushReplies()
	c.inquiriesEnd(fmt.Errorf("the store does not run: %w", why))
	c.forcesEnd(why)
	if c.lead.Leader != 0 {
		c.lead = Leadership{Term: c.lead.Term}
		c.emit(Led{c.lead})
	}
	return c.wal.close(c.hard)
}
