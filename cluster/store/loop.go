package store

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/internal/errs"
)

// loop owns Raft, the log and the state machine. Only its goroutine touches it.
type loop struct {
	s       *Store
	cfg     Config
	rn      *raft.RawNode
	wal     *wal
	hard    hardState
	machine *machine
	storage *logStorage
	out     *transport
	fatal   error // set: the loop ends

	waiters  map[proposalID][]chan<- answer // proposals of this node's own log
	replies  []reply                        // to give once the state is published
	promotes []promotion
	confBusy bool // a membership change of this leader is not applied yet

	campaign  *time.Timer
	armed     bool                   // campaign is running
	parked    map[uint64]*pb.Message // pre-votes refused because the leader lives, by candidate
	shunned   uint64                 // leader that the detector called lost; its late messages are dropped
	shunUntil time.Time              // until then
	noopOf    uint64                 // newest term of which an empty entry is applied
	snapIndex uint64                 // newest snapshot on disk
	snapBusy  bool
	digest    digestState
}

func newLoop(s *Store, l *loaded) (*loop, error) {
	lp := &loop{
		s: s, cfg: s.cfg, wal: l.wal, hard: l.hard, machine: l.machine, storage: l.storage,
		waiters: map[proposalID][]chan<- answer{}, parked: map[uint64]*pb.Message{}, snapIndex: l.applied,
	}
	lp.storage.snapshot = lp.currentSnapshot
	lp.out = newTransport(s)
	rn, err := raft.NewRawNode(&raft.Config{
		ID: uint64(s.cfg.Self), ElectionTick: s.cfg.electionTicks(), HeartbeatTick: s.cfg.heartbeatTicks(),
		Storage: l.storage, Applied: l.applied, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
		MaxCommittedSizePerReady: 16 << 20, MaxUncommittedEntriesSize: 64 << 20,
		CheckQuorum: true, PreVote: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		Logger: raftLogger{s.log},
	})
	lp.rn = rn
	return lp, err
}

// run is the loop's life. It returns nil after Stop, else why it had to end.
func (l *loop) run() (err error) {
	defer func() { err = l.end(err, recover()) }()
	ticker := time.NewTicker(l.cfg.TickInterval)
	defer ticker.Stop()
	l.campaign = time.NewTimer(time.Hour)
	l.campaign.Stop()
	defer l.campaign.Stop()
	l.stopOn(l.noteMembership()) // a crash may have come between the change and its note
	if len(l.machine.conf.GetVoters()) == 1 {
		l.elect() // nobody else to ask
	}
	for l.fatal == nil {
		l.settle()
		if l.fatal != nil {
			break
		}
		select {
		case <-l.s.ctx.Done():
			return nil
		case <-ticker.C:
			l.tick()
		case <-l.campaign.C:
			l.campaignDue()
		case m := <-l.s.recv:
			l.step(m)
		case r := <-l.s.props:
			l.propose(r)
		case f := <-l.s.calls:
			f()
		}
		l.drain()
	}
	return l.fatal
}

// end turns Raft's panic into an error, closes the log and answers who waits.
func (l *loop) end(err error, panicked any) error {
	if text, ok := panicked.(raftPanic); ok {
		err = errs.E("keep the log", errs.Corrupt, l.cfg.Dir,
			"Set the node's state folder aside and let it join again under a new id.", errors.New(string(text)))
	} else if panicked != nil {
		panic(panicked)
	}
	l.failWaiters()
	if cerr := l.wal.close(l.hard); err == nil && cerr != nil {
		err = cerr
	}
	return err
}

// drain takes what else has arrived, so that one sync covers all of it.
func (l *loop) drain() {
	for range 1024 {
		select {
		case m := <-l.s.recv:
			l.step(m)
		case r := <-l.s.props:
			l.propose(r)
		case f := <-l.s.calls:
			f()
		default:
			return
		}
	}
}

// step feeds one message of a peer to Raft.
func (l *loop) step(m *pb.Message) {
	if l.late(m) || l.holdVote(m) {
		return
	}
	// Errors say that the message is of no use now; Raft repeats what matters.
	if err := l.rn.Step(m); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
		l.s.log.Debug("ignored a message", "type", m.GetType().String(), "from", m.GetFrom(), "error", err)
	}
	l.overtake(m)
}

// settle handles Raft's wishes until it has none.
func (l *loop) settle() {
	for l.fatal == nil && l.rn.HasReady() {
		if err := l.ready(); err != nil {
			l.fatal = err
		}
	}
	if l.fatal != nil {
		return
	}
	l.checkPromotes()
	l.maybeSnapshot()
	if l.wal.full() {
		l.stopOn(l.wal.roll(l.hard))
	}
}

func (l *loop) stopOn(err error) {
	if err != nil && l.fatal == nil {
		l.fatal = err
	}
}

// ready does one round: disk first, then messages, then the state machine.
func (l *loop) ready() error {
	rd := l.rn.Ready()
	restored, err := l.persist(rd)
	if err != nil {
		return err
	}
	l.out.send(rd.Messages, l.hard.Generation)
	if restored != nil {
		l.machine = restored
		if err := l.noteMembership(); err != nil {
			return err
		}
	}
	for _, e := range rd.CommittedEntries {
		if err := l.apply(e); err != nil {
			return err
		}
	}
	l.rn.Advance(rd)
	l.publish(restored != nil || len(rd.CommittedEntries) > 0)
	return nil
}

// persist makes durable what Raft's messages rely on, and returns the state
// machine that a received snapshot brings, nil without one.
func (l *loop) persist(rd raft.Ready) (*machine, error) {
	var changed *hardState
	if !raft.IsEmptyHardState(rd.HardState) {
		h := rd.HardState
		l.hard.Term, l.hard.Vote, l.hard.Commit = h.GetTerm(), h.GetVote(), h.GetCommit()
		changed = &l.hard
	}
	var restored *machine
	if !raft.IsEmptySnap(rd.Snapshot) {
		var err error
		if restored, err = l.restore(rd.Snapshot); err != nil {
			return nil, err
		}
	}
	if changed != nil || len(rd.Entries) > 0 {
		if err := l.wal.append(changed, rd.Entries, rd.MustSync); err != nil {
			return nil, err
		}
	}
	if err := l.storage.Append(rd.Entries); err != nil {
		return nil, fmt.Errorf("append to the log: %w", err)
	}
	return restored, nil
}

// publish shows readers the new state, tells who leads, and only then answers
// proposals: a proposer finds its change in State.
func (l *loop) publish(applied bool) {
	st := l.rn.BasicStatus()
	now := Leadership{Leader: nodeID(st.Lead), Term: st.GetTerm()}
	leading := st.RaftState == raft.StateLeader
	now.Ready = leading && l.noopOf == now.Term
	if !leading {
		l.failWaiters()
	}
	if applied {
		l.s.state.Store(l.machine.state())
		l.s.stateNews.notify()
	}
	if before := l.s.lead.Load(); *before != now {
		l.s.lead.Store(&now)
		l.leaderChanged(*before, now)
		l.s.leadNews.notify()
	}
	for _, r := range l.replies {
		r.to <- r.answer
	}
	l.replies = l.replies[:0]
}

func (l *loop) leading() bool { return l.rn.BasicStatus().RaftState == raft.StateLeader }
