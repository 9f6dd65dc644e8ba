package fence

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// listing is what a switch has listed of its plugs, and when. Asking may take
// long, and a node that is to be switched off cannot wait for it: what is known
// is used, and asked for anew in the background.
type listing struct {
	mu      sync.Mutex
	outlets []outlet           // guarded by mu
	at      time.Time          // guarded by mu; zero: nothing is known
	asking  bool               // guarded by mu: a question in the background is under way
	cancel  context.CancelFunc // guarded by mu, with asking
}

// known returns what was listed and how long ago; false if nothing was.
func (l *listing) known() (outlets []outlet, age time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outlets, time.Since(l.at), !l.at.IsZero()
}

func (l *listing) keep(outlets []outlet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outlets, l.at = outlets, time.Now()
}

// giveWay ends a question in the background: somebody has to be switched off.
func (l *listing) giveWay() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking {
		l.cancel()
	}
}

// begin says whether to ask now; only one does.
func (l *listing) begin(cancel context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking {
		return false
	}
	l.asking, l.cancel = true, cancel
	return true
}

func (l *listing) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking, l.cancel = false, nil
}

// ask has the switch list its plugs. The caller has a turn at the switch.
func (d *Device) ask(ctx context.Context) ([]outlet, error) {
	ans := d.call(ctx, d.command(List), Target{}, d.timeout(List))
	if !ans.OK() {
		return nil, failure(ans)
	}
	outlets := parseList(ans.Stdout)
	d.listing.keep(outlets)
	return outlets, nil
}

// freshen has the switch list its plugs in the background, if the device goes by
// the list and what is known of it is not fresh.
func (d *Device) freshen() {
	if d.background == nil || d.HostCheck() != DynamicList || !d.supports(List) {
		return
	}
	if _, age, ok := d.listing.known(); ok && age <= d.settings.Fresh {
		return
	}
	ctx, cancel := context.WithTimeout(d.background.ctx, d.timeout(List))
	if !d.listing.begin(cancel) {
		cancel()
		return
	}
	d.background.run(func() {
		defer cancel()
		defer d.listing.end()
		release, err := d.acquire(ctx)
		if err != nil {
			return
		}
		defer release()
		d.ask(ctx) //nolint:errcheck // what was known before goes on to be used, and says its age
	})
}

// remembered answers from what was listed, however old, without a turn at the switch.
func (d *Device) remembered(node string) (Target, bool) {
	outlets, age, ok := d.listing.known()
	if !ok || d.HostCheck() != DynamicList || node == "" || d.cfg.HostCheck == "" && !d.addresses() {
		return Target{}, false
	}
	t := d.match(d.unlocated(node), outlets)
	if !t.Can && (age > d.settings.Fresh || d.meta.Joins) {
		return Target{}, false // it may have been plugged in since
	}
	if age > d.settings.Fresh {
		t.Why += ", as it did " + age.Round(time.Second).String() + " ago"
		d.freshen()
	}
	return t, true
}

// find looks the node's plug up in what the switch lists. If strict, it does so in
// what the switch lists now, unless that was a moment ago or nothing depends on
// it: the plug is called like the node, so that the switch itself refuses what is
// not so any more.
func (d *Device) find(ctx context.Context, t Target, strict bool) (Target, error) {
	if outlets, age, ok := d.listing.known(); ok && strict {
		if now := d.match(t, outlets); now.Can && (age <= d.settings.Fresh || now.Plug == t.Plug) {
			return now, nil
		}
	}
	outlets, err := d.ask(ctx)
	if err != nil {
		return Target{Node: t.Node, How: DynamicList}, d.unknown(t.Node, err)
	}
	return d.match(t, outlets), nil
}

// match looks the node's plug up in a list: as a plug, else as the switch's own
// name of one.
func (d *Device) match(t Target, outlets []outlet) Target {
	var named []string
	for _, o := range outlets {
		if strings.EqualFold(o.plug, t.Plug) {
			t.Plug, t.Can, t.Why = o.plug, true, "the device lists the plug"
			return t
		}
		if strings.EqualFold(o.alias, t.Plug) {
			named = append(named, o.plug)
		}
	}
	switch len(named) {
	case 0:
		t.Why = "the device lists no plug " + t.Plug
	case 1:
		t.Plug, t.Can, t.Why = named[0], true, "the device lists plug "+named[0]+" by that name"
	default:
		t.Why = fmt.Sprintf("the device lists several plugs by the name %s (%s): say in pcmk_host_map which it is", t.Plug, strings.Join(named, ", "))
	}
	return t
}

// background is the work of a registry that goes on between calls, with an end to it.
type background struct {
	ctx context.Context // of all work; end ends it
	end context.CancelFunc

	mu     sync.Mutex
	closed bool // guarded by mu: nothing is begun any more
	work   sync.WaitGroup
}

// run runs f, at once and to its end if no goroutine may be begun any more: f's
// context has then ended.
func (b *background) run(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		f()
		return
	}
	b.work.Go(f)
}

func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.end()
	b.mu.Unlock()
	b.work.Wait()
}
