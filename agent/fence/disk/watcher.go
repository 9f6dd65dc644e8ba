package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// WatchOptions say who watches, and what it does.
type WatchOptions struct {
	Node string
	// Boot names this boot of the machine (/proc/sys/kernel/random/boot_id). Two
	// boots with one name would make a node obey what was for its predecessor, and
	// one boot with two would make it pass over an order.
	Boot string
	// Watchdog is the time-out of the armed watchdog, 0 if none is. It is asked at
	// each look; those who fence read the answer in the slot.
	Watchdog func() time.Duration
	// Doom is called once, when the node has to go down: from then on its watchdog
	// must not be petted, whatever happens.
	Doom func(order Order, from string)
	// Reset is called after Doom and makes the machine reset or power off at once.
	// It is called again at each look while the machine still runs.
	Reset func(order Order)
	Exit  func(from string) // somebody asked this node to stop watching; nil: not obeyed
	Log   *slog.Logger      // nil discards
}

// Watcher is a node's part: it looks at its slot all the time. Run does it;
// everything else may be called meanwhile.
type Watcher struct {
	set  *Set
	opts WatchOptions

	mu    sync.Mutex
	guard guard  // guarded by mu
	why   string // guarded by mu: what the last look failed of
}

// NewWatcher returns a watcher; nothing happens before Run.
func NewWatcher(set *Set, opts WatchOptions) (*Watcher, error) {
	if err := errors.Join(checkName("node", opts.Node, longestName), checkName("boot", opts.Boot, longestBoot)); err != nil {
		return nil, err
	}
	if opts.Watchdog == nil || opts.Doom == nil || opts.Reset == nil {
		return nil, errors.New("a watcher needs Watchdog, Doom and Reset")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{set: set, opts: opts, guard: guard{node: opts.Node, boot: opts.Boot}}, nil
}

// Health says whether the node can be told to go down.
func (w *Watcher) Health() Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guard.health(time.Now(), w.why)
}

// Run watches until ctx ends, or an exit is asked for and obeyed. It then writes
// that the node has left, so call it only when nothing runs any more, or when the
// daemon goes and another one will come (leave false): orders that lie there when
// it comes are obeyed.
func (w *Watcher) Run(ctx context.Context, leave bool) error {
	u, err := w.start(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(w.times().Loop)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if leave {
				return w.leave(u)
			}
			return nil
		case <-tick.C:
			now, exit, err := w.look(ctx)
			if err == nil {
				u = now
			}
			if exit {
				return w.leave(u)
			}
		}
	}
}

func (w *Watcher) times() Times {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guard.times
}

// start finds the slot, however long it takes until a majority of the disks can be read.
func (w *Watcher) start(ctx context.Context) (usable, error) {
	for {
		u, err := w.begin(ctx)
		if err == nil {
			return u, nil
		}
		w.failed(err)
		select {
		case <-ctx.Done():
			return u, fmt.Errorf("watch the fence disks: %w (%w)", ctx.Err(), err)
		case <-time.After(time.Second):
		}
	}
}

func (w *Watcher) begin(ctx context.Context) (usable, error) {
	now := time.Now()
	u, slots, err := w.set.slots(ctx)
	if err != nil {
		return u, err
	}
	w.mu.Lock()
	w.guard.times = u.Times
	err = w.guard.begin(now, slots)
	w.guard.owner.Watchdog = w.opts.Watchdog()
	index := w.guard.slot
	w.mu.Unlock()
	if err != nil {
		return u, err
	}
	if err := w.write(ctx, u, index); err != nil {
		return u, err
	}
	w.failed(nil)
	return u, nil
}

// write puts the owner's record on the disks.
func (w *Watcher) write(ctx context.Context, u usable, index int) error {
	w.mu.Lock()
	w.guard.owner.Count++
	w.guard.owner.At = time.Now()
	owner := w.guard.owner
	w.mu.Unlock()
	return w.set.store(ctx, u, ownerBlock(index), owner.encode)
}

// failed keeps and tells why a look failed, once.
func (w *Watcher) failed(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	w.mu.Lock()
	before := w.why
	w.why = why
	w.mu.Unlock()
	switch {
	case err != nil && before == "":
		w.opts.Log.Warn("the fence disks cannot be used", "error", err)
	case err == nil && before != "":
		w.opts.Log.Info("the fence disks can be used again")
	}
}

// look reads the slot once and does what it says. The disks that it found are good
// for use if err is nil.
func (w *Watcher) look(ctx context.Context) (u usable, exit bool, err error) {
	now := time.Now()
	w.mu.Lock()
	index, doomed, lost := w.guard.slot, w.guard.order, w.guard.lost
	w.mu.Unlock()
	if doomed.Order != NoOrder {
		w.opts.Reset(doomed.Order)
		return u, false, errors.New("this node goes down")
	}
	if lost {
		u, err = w.begin(ctx)
		w.failed(err)
		return u, false, err
	}
	u, err = w.set.look(ctx)
	views, results := w.set.readSlot(ctx, u, index)
	if whole := majority(u.Majority(), w.set.whole(views, results, true)); err == nil {
		err = whole
	}
	watchdog := w.opts.Watchdog()
	w.mu.Lock()
	write, note := w.guard.seen(now, merge(index, views), err == nil, watchdog)
	order, owner, lost := w.guard.order, w.guard.owner, w.guard.lost
	w.mu.Unlock()
	if order.Order != NoOrder {
		w.obey(ctx, u, index, order)
		return u, false, err
	}
	if err == nil && !lost && (write || lags(views, owner)) {
		err = w.write(ctx, u, index)
	}
	w.failed(err)
	return u, w.answer(note), err
}

// lags says whether a disk that can be read lacks the newest record of the owner:
// it was away, or somebody else took the slot for free.
func lags(views []*slotView, owner Owner) bool {
	for _, v := range views {
		if v != nil && (v.ownerErr != nil || newer(owner.Count, v.owner.Count) || v.owner.Node != owner.Node) {
			return true
		}
	}
	return false
}

// obey goes down: the watchdog first, so that nothing that hangs or fails from here
// on keeps the machine running; then the answer, for those who wait; then the reset.
func (w *Watcher) obey(ctx context.Context, u usable, index int, order Pill) {
	w.opts.Log.Error("the fence disks order this node to go down", "order", order.Order.String(), "from", order.From)
	w.opts.Doom(order.Order, order.From)
	if err := w.write(ctx, u, index); err != nil {
		w.opts.Log.Warn("the order could not be answered", "error", err)
	}
	w.opts.Reset(order.Order)
}

func (w *Watcher) answer(note Pill) (exit bool) {
	switch note.Order {
	case Test:
		w.opts.Log.Info("the fence disks work: a test has arrived", "from", note.From)
	case Exit:
		w.opts.Log.Warn("somebody asked this node to stop watching the fence disks", "from", note.From)
		if w.opts.Exit != nil {
			w.opts.Exit(note.From)
			return true
		}
	}
	return false
}

// leave writes that the node does not watch any more.
func (w *Watcher) leave(u usable) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*w.set.opts.IO)
	defer cancel()
	w.mu.Lock()
	w.guard.owner.State = Left
	index := w.guard.slot
	w.mu.Unlock()
	if err := w.write(ctx, u, index); err != nil {
		return fmt.Errorf("write that this node has left the fence disks: %w", err)
	}
	return nil
}
