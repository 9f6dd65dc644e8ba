package native

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/netif"
)

// Announcer tells the neighbours of the addresses that this node holds: when
// one is taken, some more times shortly after, and again when asked. It works
// in the background, one goroutine an address; Close waits for them.
type Announcer struct {
	log  *slog.Logger
	send func(link netif.Link, ip netip.Addr, at net.HardwareAddr) error

	wg     sync.WaitGroup
	mu     sync.Mutex
	closed bool             // guarded by mu
	held   map[string]*held // guarded by mu; by resource
}

// held is an address on this node.
type held struct {
	link    netif.Link
	ip      netip.Addr
	at      net.HardwareAddr // where it is: the link's, or the shared one
	times   []time.Duration  // when to announce after each trigger, ascending
	trigger chan struct{}    // one waiting trigger is enough
	cancel  context.CancelFunc
	done    chan struct{}
}

func newAnnouncer(log *slog.Logger) *Announcer {
	return &Announcer{log: log, send: netif.AnnounceAs, held: map[string]*held{}}
}

// schedule is when an address is announced: count times at interval, and after
// 1 s and 5 s for those who were not listening.
func schedule(count int, interval time.Duration) []time.Duration {
	if count <= 0 {
		return nil
	}
	times := []time.Duration{time.Second, 5 * time.Second}
	for i := range count {
		times = append(times, time.Duration(i)*interval)
	}
	slices.Sort(times)
	return slices.Compact(times)
}

// hold registers an address, and announces it where now is set. One that is
// held already keeps its state.
func (a *Announcer) hold(resource string, link netif.Link, ip netip.Addr, at net.HardwareAddr, times []time.Duration, now bool) {
	a.mu.Lock()
	old := a.held[resource]
	if a.closed || old != nil && old.ip == ip && old.link.Index == link.Index {
		a.mu.Unlock()
		if old != nil && now {
			old.fire()
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &held{link: link, ip: ip, at: at, times: times, trigger: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	a.held[resource] = h
	a.wg.Add(1)
	a.mu.Unlock()
	if old != nil {
		old.cancel()
	}
	if now {
		h.fire()
	}
	go a.follow(ctx, h)
}

func (h *held) fire() {
	select {
	case h.trigger <- struct{}{}:
	default:
	}
}

// release ends the announcements of a resource; after it returns none is sent.
func (a *Announcer) release(resource string) {
	a.mu.Lock()
	h := a.held[resource]
	delete(a.held, resource)
	a.mu.Unlock()
	if h != nil {
		h.cancel()
		<-h.done
	}
}

// Again announces every held address anew. Call it after any change of the
// membership: a switch or a peer may have learned a wrong place meanwhile.
func (a *Announcer) Again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.held {
		h.fire()
	}
}

// Close ends all announcements. It may be called twice.
func (a *Announcer) Close() {
	a.mu.Lock()
	a.closed = true
	for _, h := range a.held {
		h.cancel()
	}
	clear(a.held)
	a.mu.Unlock()
	a.wg.Wait()
}

// Finish sends each held address once more and at once: for a process that is
// about to end.
func (a *Announcer) Finish() {
	a.mu.Lock()
	var all []*held
	for _, h := range a.held {
		all = append(all, h)
	}
	a.mu.Unlock()
	for _, h := range all {
		a.announce(h)
	}
}

func (a *Announcer) announce(h *held) {
	if err := a.send(h.link, h.ip, h.at); err != nil {
		a.log.Warn("cannot announce an address; neighbours notice by themselves later", "address", h.ip.String(), "interface", h.link.Name, "error", err)
	}
}

// follow announces after each trigger by the schedule; a new trigger begins it anew.
func (a *Announcer) follow(ctx context.Context, h *held) {
	defer a.wg.Done()
	defer close(h.done)
	var pending []time.Duration
	var began time.Time
	for {
		var next <-chan time.Time
		if len(pending) > 0 {
			next = time.After(time.Until(began.Add(pending[0])))
		}
		select {
		case <-ctx.Done():
			return
		case <-h.trigger:
			began, pending = time.Now(), h.times
		case <-next:
			pending = pending[1:]
			a.announce(h)
		}
	}
}
