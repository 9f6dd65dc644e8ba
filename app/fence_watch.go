package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
)

// fencing keeps this node's fence devices as the CIB describes them. Asking
// agents takes time, so it is done beside everything else, and its answers are
// kept: until a new setup is whole, the old one goes on.
type fencing struct {
	self    string
	find    *fence.Registry
	log     *slog.Logger
	changed func(*fencer.Setup)     // told of each new setup; it must not wait
	planned func([]fence.Primitive) // told of the devices of each CIB, not nil, before they are asked anything; nil: nobody is

	mu      sync.Mutex
	kit     fenceKit
	setup   *fencer.Setup
	devices []fencer.Device
	found   []fence.Finding
	took    map[inquiry]time.Duration // how long devices last took to switch, by device and member
	read    time.Time                 // when whom devices fence was last asked
	reading bool
	news    chan struct{} // the CIB may have changed
	ready   chan struct{} // closed once the devices of a first CIB are known
	known   sync.Once
}

const (
	fenceInspect = 5 * time.Second  // between two looks at what stands in a device's way here
	fenceRefresh = 5 * time.Minute  // between two questions whom devices fence
	fenceRetry   = 10 * time.Second // after one that was not answered
)

func newFencing(self string, find *fence.Registry, log *slog.Logger, changed func(*fencer.Setup)) *fencing {
	return &fencing{self: self, find: find, log: log, changed: changed, news: make(chan struct{}, 1), ready: make(chan struct{}), kit: fenceKit{plan: &fencePlan{}}}
}

// look says that the CIB may have changed.
func (f *fencing) look() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// tend keeps the devices up to date with the CIB until ctx ends.
func (f *fencing) tend(ctx context.Context, root func() *cib.Node) error {
	again := time.NewTimer(fenceRefresh)
	defer again.Stop()
	var last *cib.Node
	stale := false
	inspect := time.NewTicker(fenceInspect)
	defer inspect.Stop()
	for {
		if r := root(); r != nil && (r != last || stale) {
			if answered := f.update(ctx, r, stale); !answered {
				again.Reset(fenceRetry)
			} else if stale {
				again.Reset(fenceRefresh)
			}
			last, stale = r, false
		}
		select {
		case <-f.news:
		case <-again.C:
			stale = true
		case <-inspect.C:
			f.inspect(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// update takes a CIB in. With stale all devices are asked anew whom they fence. It
// reports whether every question was answered.
func (f *fencing) update(ctx context.Context, root *cib.Node, stale bool) bool {
	f.mu.Lock()
	old := f.kit
	f.mu.Unlock()
	plan := readFencePlan(root, time.Now())
	if !stale && reflect.DeepEqual(plan, old.plan) {
		return true
	}
	if f.planned != nil {
		f.planned(append([]fence.Primitive{}, plan.Primitives...))
	}
	kit, answered := old, true
	kit.plan = plan
	if stale || !reflect.DeepEqual(plan.Primitives, old.plan.Primitives) || !slices.Equal(plan.Nodes, old.plan.Nodes) {
		f.mark(true)
		kit, answered = f.ask(ctx, old, plan, stale)
		f.mark(false)
	}
	if ctx.Err() != nil {
		return answered
	}
	f.publish(kit)
	return answered
}

// inspect looks anew what stands in the devices' way on this node: a disk that is lost, a
// watchdog that another program has taken. It is bounded, since it holds up all else here.
func (f *fencing) inspect(ctx context.Context) {
	f.mu.Lock()
	kit := f.kit
	f.mu.Unlock()
	if len(kit.devices) == 0 {
		return
	}
	ctx, done := context.WithTimeout(ctx, fenceInspect/2)
	defer done()
	seen := map[string][]fence.Finding{}
	for id, d := range kit.devices {
		seen[id] = d.Inspect(ctx)
	}
	if ctx.Err() == nil && !reflect.DeepEqual(seen, kit.seen) {
		kit.seen = seen
		f.publish(kit)
	}
}

// asked reports whether the devices have been asked once whom they fence.
func (f *fencing) asked() bool {
	select {
	case <-f.ready:
		return true
	default:
		return false
	}
}

func (f *fencing) mark(reading bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reading = reading
}

// publish makes a kit the one that counts.
func (f *fencing) publish(kit fenceKit) {
	setup, devices, found := kit.setup()
	f.mu.Lock()
	same := f.setup != nil && reflect.DeepEqual(setup, f.setup)
	f.kit, f.devices = kit, devices
	f.found = append(slices.Clone(kit.found), kit.inspected()...)
	f.found = append(f.found, found...)
	if !same {
		f.setup = setup
	}
	f.mu.Unlock()
	if !same {
		f.changed(setup)
	}
	f.known.Do(func() { close(f.ready) })
}

// ask makes the devices of a plan and asks them whom they fence. A device whose
// primitive is as before stays the same value: it counts its own actions.
func (f *fencing) ask(ctx context.Context, old fenceKit, plan *fencePlan, stale bool) (fenceKit, bool) {
	kit := fenceKit{plan: plan, devices: map[string]*fence.Device{}, aims: map[hit]aim{}, seen: map[string][]fence.Finding{}}
	devices, findings := f.find.Devices(ctx, plan.Primitives, plan.Nodes)
	kit.found = findings
	for _, d := range devices {
		if had := old.devices[d.ID()]; had != nil && reflect.DeepEqual(primitiveIn(old.plan, d.ID()), primitiveIn(plan, d.ID())) {
			d = had
		}
		kit.devices[d.ID()] = d
		kit.seen[d.ID()] = old.seen[d.ID()]
		if stale || old.devices[d.ID()] != d {
			kit.seen[d.ID()] = d.Inspect(ctx)
		}
	}
	answered := f.askTargets(ctx, old, &kit, stale)
	f.mu.Lock()
	f.read = time.Now()
	f.mu.Unlock()
	return kit, answered
}

func primitiveIn(p *fencePlan, id string) fence.Primitive {
	for _, q := range p.Primitives {
		if q.ID == id {
			return q
		}
	}
	return fence.Primitive{}
}

// aim is what a device said about a node.
type aim struct {
	fence.Target
	unheard string // why it could not say; Target is then its last answer
}

// askTargets asks the devices, all at once, for those nodes that they have not
// answered for yet. It reports whether all could say.
func (f *fencing) askTargets(ctx context.Context, old fenceKit, kit *fenceKit, stale bool) bool {
	var (
		mu       sync.Mutex
		asks     sync.WaitGroup
		answered = true
	)
	for id, d := range kit.devices {
		asks.Go(func() {
			for _, node := range kit.plan.Nodes {
				last := old.aims[hit{id, node}]
				if old.devices[id] != d {
					last = aim{unheard: "it was not asked yet"}
				}
				if stale || last.Node == "" || last.unheard != "" {
					last = f.askTarget(ctx, d, node, last)
				}
				mu.Lock()
				kit.aims[hit{id, node}] = last
				answered = answered && last.unheard == ""
				mu.Unlock()
			}
		})
	}
	asks.Wait()
	return answered
}

// askTarget asks one device about one node. One that does not answer now is
// taken to fence whom it fenced before.
func (f *fencing) askTarget(ctx context.Context, d *fence.Device, node string, last aim) aim {
	ctx, done := context.WithTimeout(ctx, fenceRefresh/2)
	defer done()
	t, err := d.Targets(ctx, node)
	if err != nil {
		last.unheard = err.Error()
		f.log.Warn("a fence device does not say whether it can fence a node", "device", d.ID(), "target", node, "error", err)
		return last
	}
	if !t.Can && t.How == fence.DynamicList && d.Metadata().Joins {
		return aim{Target: t, unheard: t.Why + " yet"} // and is asked again soon
	}
	return aim{Target: t}
}

// device returns a usable device by its id, once the devices are known at all.
func (f *fencing) device(ctx context.Context, id string) (*fence.Device, error) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return nil, errors.New("the fence devices are still being looked at")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.kit.devices[id]; d != nil {
		return d, nil
	}
	for _, found := range f.found {
		if found.Device == id && found.Severity == fence.Error {
			return nil, errors.New(found.String())
		}
	}
	return nil, fmt.Errorf("there is no fence device %s here", id)
}

// list returns the devices as the fencer knows them.
func (f *fencing) list() []fencer.Device {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.devices)
}

// seenHere is what stands in a device's way on this node, by its name: the words are
// for people at other nodes, too.
func (f *fencing) seenHere(ctx context.Context, d *fence.Device) []fence.Finding {
	found := d.Inspect(ctx)
	for i := range found {
		found[i].Text = "on " + f.self + ": " + found[i].Text
	}
	return found
}

// rehearseTime bounds looking at devices that may never be the cluster's.
const rehearseTime = 20 * time.Second

// rehearse says, a line each, what would be wrong with the fence devices of a CIB
// that another one is to be changed to: in the configuration, and on this node. Nothing
// is asked of the devices themselves.
func (f *fencing) rehearse(ctx context.Context, before, after *cib.Node) []string {
	now := time.Now()
	plan, old := readFencePlan(after, now), readFencePlan(before, now)
	if reflect.DeepEqual(plan.Primitives, old.Primitives) && reflect.DeepEqual(plan.Levels, old.Levels) {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, rehearseTime)
	defer done()
	kit := fenceKit{plan: plan, devices: map[string]*fence.Device{}}
	var findings []fence.Finding
	var devices []*fence.Device
	for _, p := range plan.Primitives {
		d, found := f.find.Check(ctx, p, plan.Nodes)
		findings = append(findings, found...)
		if d != nil {
			kit.devices[p.ID] = d
			devices = append(devices, d)
			findings = append(findings, f.seenHere(ctx, d)...)
		}
	}
	findings = append(findings, fence.CheckTogether(devices)...)
	_, _, found := kit.setup()
	var lines []string
	for _, f := range append(findings, found...) {
		if s := f.String(); !slices.Contains(lines, s) {
			lines = append(lines, s)
		}
	}
	return lines
}
