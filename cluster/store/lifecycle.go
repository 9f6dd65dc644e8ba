package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Store is one node's copy of the cluster's state. All methods may be called
// from any goroutine.
//
//	Open ──▶ opened ──Start──▶ running ──Stop──▶ stopped (Err nil)
//	                              └──disk error, corruption──▶ stopped (Err says why)
type Store struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends when the store stops, for whatever reason
	cancel context.CancelFunc
	wg     sync.WaitGroup // the loop, senders, background work
	core   *Core          // the loop's alone
	out    *transport     // the loop's alone

	events chan Event
	looks  chan func(*Core) // run on the loop, between two steps
	asked  sync.Map         // RequestID to chan Answered

	view      atomic.Pointer[View]
	stateNews notifier
	leadNews  notifier
	done      chan struct{}

	mu      sync.Mutex
	started bool
	ended   bool // no new work may enter
	err     error
}

// Open reads the state in cfg.Dir and checks it. Without a state it is
// errs.NotFound, unless cfg.Join is set; damage is errs.Corrupt and names file
// and offset.
func Open(cfg Config) (*Store, error) {
	if cfg.Net == nil {
		return nil, errs.E("open the store", errs.Invalid, cfg.Dir, "Correct: Net is nil.", nil)
	}
	core, err := OpenCore(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		cfg: cfg, log: cfg.Log, ctx: ctx, cancel: cancel, core: core, done: make(chan struct{}),
		events: make(chan Event, 2048), looks: make(chan func(*Core)),
	}
	s.out = newTransport(s)
	s.view.Store(core.view())
	return s, nil
}

// Start begins to take part. The protocols of the store are registered at
// Config.Net; whoever serves the network may begin before or after.
func (s *Store) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.ended {
		return errs.E("start the store", errs.Conflict, s.cfg.Dir, "A store is started once; open it anew.", nil)
	}
	s.started = true
	s.cfg.Net.Handle(raftProto, s.handleRaft)
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		s.finish(s.run())
	}()
	return nil
}

// finish is the end of the loop, for whatever reason.
func (s *Store) finish(err error) {
	s.mu.Lock()
	s.ended, s.err = true, err
	s.mu.Unlock()
	s.cancel()
	close(s.done)
	s.leadNews.notify()
	if err != nil {
		s.log.Error("the store has stopped", "error", err, "hint", errs.HintOf(err))
	}
}

// enter registers work that Stop waits for; false if the store has ended.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.started {
		return false
	}
	s.wg.Add(1)
	return true
}

// Stop ends the store: the log is synced and closed. It waits for all of the
// store's goroutines, at most until ctx ends, and may be called again.
func (s *Store) Stop(ctx context.Context) error {
	s.mu.Lock()
	started := s.started
	first := !s.ended
	s.ended = true
	s.mu.Unlock()
	s.cancel()
	if !started {
		if first {
			_, _ = s.core.Close(time.Now())
			close(s.done)
		}
		return nil
	}
	idle := make(chan struct{})
	go func() { s.wg.Wait(); close(idle) }()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return errs.E("stop the store", errs.Timeout, s.cfg.Dir, "The disk or a peer hangs; the process may exit all the same.", ctx.Err())
	}
}

// Done is closed when the store has stopped: by Stop, or by itself (see Err).
func (s *Store) Done() <-chan struct{} { return s.done }

// Err tells why the store stopped by itself: errs.Unavailable for the disk,
// errs.Corrupt for data that does not check out. Nil while it runs and after Stop.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Subscribe returns a channel that gets a notice after State has changed; the
// function ends the subscription.
func (s *Store) Subscribe() (<-chan struct{}, func()) { return s.stateNews.subscribe() }

// LeadershipChanged is Subscribe for Leadership.
func (s *Store) LeadershipChanged() (<-chan struct{}, func()) { return s.leadNews.subscribe() }

// LeaderLost is the detector's verdict that the leader is gone. The survivor
// with the lowest id campaigns at once, the others staggered behind it, so that
// they do not split the votes. Harmless on the leader and on a learner.
func (s *Store) LeaderLost() { s.post(LeaderLost{}) }

// Campaign stands for election now, whatever rank this node has.
func (s *Store) Campaign() { s.post(Campaign{}) }

// post tells the core what happened; it is lost if the store ends.
func (s *Store) post(ev Event) {
	select {
	case s.events <- ev:
	case <-s.ctx.Done():
	}
}

// look runs f on the loop, between two steps, and waits for it.
func (s *Store) look(ctx context.Context, f func(*Core)) error {
	ran := make(chan struct{})
	select {
	case s.looks <- func(c *Core) { f(c); close(ran) }:
		<-ran // it runs at once
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return s.stopped()
	}
}

func (s *Store) stopped() error {
	err := s.Err()
	if err == nil {
		err = errors.New("it was stopped")
	}
	return errs.E("use the store", errs.Unavailable, s.cfg.Dir, errs.HintOf(err), fmt.Errorf("the store does not run: %w", err))
}
