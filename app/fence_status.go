package app

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
)

// fenceView is what is known of fencing at one moment.
type fenceView struct {
	kit     fenceKit
	setup   *fencer.Setup
	devices []fencer.Device
	found   []fence.Finding
	read    time.Time
	reading bool
}

// view returns what is known now; it never waits for a device.
func (f *fencing) view() fenceView {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := fenceView{f.kit, f.setup, f.devices, f.found, f.read, f.reading}
	if v.setup == nil {
		v.setup, _ = fencer.NewSetup(nil, nil, false)
	}
	return v
}

// Fence says what this node knows about fencing (api.Backend).
func (a *App) Fence(ctx context.Context) (*api.Fence, error) {
	now, v := time.Now(), a.fencing.view()
	st, err := a.heart.status(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.Fence{
		Enabled: v.kit.plan.Enabled, Serial: v.kit.plan.Serial, Read: v.read, Reading: v.reading,
		Devices: []api.FenceDevice{}, Nodes: []api.FenceNode{}, Open: []api.FenceWaiting{}, Findings: []string{},
	}
	for _, p := range v.kit.plan.Primitives {
		out.Devices = append(out.Devices, v.device(p))
	}
	if l := a.store.Leadership(); l.Leader != 0 {
		out.Decider = a.peerName(l.Leader)
	}
	watchdogs := a.watchdogs(ctx)
	for _, name := range v.kit.plan.Nodes {
		out.Nodes = append(out.Nodes, a.fenceNode(v, st, name, watchdogs[name]))
	}
	for _, w := range st.Fencing {
		out.Open = append(out.Open, api.FenceWaiting{Target: string(w.Target), Action: string(w.Action), Asked: w.Asked, Words: w.Words})
	}
	out.History = a.mergeFenced(ctx)
	out.Findings = append(out.Findings, v.findings(watchdogs, now)...)
	return out, nil
}

// device describes a device.
func (v *fenceView) device(p fence.Primitive) api.FenceDevice {
	plan := v.kit.plan.Devices[p.ID]
	d := api.FenceDevice{ID: p.ID, Agent: p.Type, Priority: plan.Priority, Usable: v.kit.devices[p.ID] != nil && plan.Disabled == "", Watchdog: p.Type == watchdogAgent,
		Targets: []string{}, Members: []api.FenceMember{}, Actions: []string{}}
	for _, r := range plan.Members {
		d.Members = append(d.Members, api.FenceMember{Node: string(r.Node), Working: r.Working, Tested: r.Tested, Took: plan.Took[string(r.Node)].Milliseconds()})
		if r.Tested.After(d.Tested) {
			d.Tested = r.Tested
		}
	}
	for _, f := range v.devices {
		if string(f.ID) != p.ID {
			continue
		}
		d.Anybody, d.Delay, d.DelayMax = f.Anybody, f.Delay.Base.Milliseconds(), f.Delay.Max.Milliseconds()
		for _, t := range f.Targets {
			d.Targets = append(d.Targets, string(t))
		}
		for _, action := range f.Actions {
			d.Actions = append(d.Actions, string(action))
		}
	}
	if plan.Disabled != "" {
		d.Findings = append(d.Findings, plan.Disabled)
	}
	for _, f := range v.found {
		if f.Device == p.ID {
			d.Findings = append(d.Findings, strings.TrimPrefix(f.String(), p.ID+": "))
			d.Usable = d.Usable && f.Severity != fence.Error
		}
	}
	return d
}

// findings are what is wrong or was never shown to work, each once.
func (v *fenceView) findings(watchdogs map[string]time.Duration, now time.Time) []string {
	var list []string
	add := func(s string) {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	for _, s := range []fence.Severity{fence.Error, fence.Warning} {
		for _, f := range v.found {
			if f.Severity == s {
				add(f.String())
			}
		}
	}
	if len(v.devices) == 0 {
		return list
	}
	for _, f := range fencer.Findings(v.setup, v.members(watchdogs), now) {
		add(f)
	}
	return list
}

// members are all nodes as the fencer's findings want them.
func (v *fenceView) members(watchdogs map[string]time.Duration) []fencer.Member {
	var list []fencer.Member
	for _, name := range v.kit.plan.Nodes {
		m := v.kit.member(name)
		m.Watchdog = fencer.Watchdog{Armed: watchdogs[name] > 0, Timeout: watchdogs[name]}
		list = append(list, m)
	}
	return list
}

// fenceNode says how one node would be fenced.
func (a *App) fenceNode(v fenceView, st node.Status, name string, watchdog time.Duration) api.FenceNode {
	means := a.means(v, name, watchdog)
	n := api.FenceNode{Name: name, Fenceable: means.OK, Words: means.Words, Levels: []api.FenceLevel{}, Watchdog: watchdog.Milliseconds()}
	for _, t := range v.setup.Tries(v.kit.member(name)) {
		l := api.FenceLevel{Index: t.Index}
		for _, id := range t.Devices {
			l.Devices = append(l.Devices, string(id))
		}
		n.Levels = append(n.Levels, l)
	}
	for _, off := range st.Off {
		if a.peerName(off.Node) == name {
			n.Off = off.Words
		}
	}
	return n
}

// means says what would prove that a node is off, if it were lost now.
func (a *App) means(v fenceView, name string, watchdog time.Duration) api.FencingMeans {
	m := api.FencingMeans{Node: name}
	var words []string
	t, ok := v.setup.Fenceable(v.kit.member(name), func(n fencer.Node) bool { return a.there(string(n)) })
	if ok {
		words = append(words, v.tryWords(t))
	}
	if watchdog > 0 {
		words = append(words, fmt.Sprintf("its watchdog (%v)", watchdog))
	}
	m.OK = len(words) > 0
	m.Words = strings.Join(words, ", else ")
	if !m.OK {
		m.Words = v.whyNot(name)
	}
	return m
}

// tryWords names the devices of a try with their tests.
func (v *fenceView) tryWords(t fencer.Try) string {
	var list []string
	for _, id := range t.Devices {
		tested := "never tested"
		var newest time.Time
		for _, r := range v.kit.plan.Devices[string(id)].Members {
			if r.Tested.After(newest) {
				newest = r.Tested
				tested = "tested " + r.Tested.Format(time.DateOnly)
			}
		}
		list = append(list, fmt.Sprintf("%s (%s)", id, tested))
	}
	return strings.Join(list, " and ")
}

// whyNot says why nothing would prove that a node is off.
func (v *fenceView) whyNot(name string) string {
	tries := v.setup.Tries(v.kit.member(name))
	switch {
	case len(v.devices) == 0:
		return "nothing: no fence device is configured, and it has no armed watchdog"
	case len(tries) == 0:
		return "nothing: no fence device is for it"
	}
	var list []string
	for _, t := range tries {
		list = append(list, t.Words)
	}
	return "nothing now: no other node that is there can run " + strings.Join(list, " or ")
}

// watchdogs are the time-outs of the armed watchdogs that are known, by node.
func (a *App) watchdogs(ctx context.Context) map[string]time.Duration {
	list := map[string]time.Duration{}
	for _, p := range a.peers.all() {
		if p.Watchdog.Armed {
			list[a.peerName(p.Node)] = p.Watchdog.Timeout
		}
	}
	if st, err := a.pulse.Status(ctx); err == nil && st.Watchdog != nil && st.Watchdog.Armed {
		list[a.id.Name] = time.Duration(st.Watchdog.Timeout) * time.Millisecond
	}
	return list
}

// statusFencing puts fencing into a status: what would fence whom, and what is
// wrong about that.
func (a *App) statusFencing(ctx context.Context, st *api.Status, root *cib.Node) {
	v, watchdogs := a.fencing.view(), a.watchdogs(ctx)
	st.Fencing = api.Fencing{Enabled: flag(root, "stonith-enabled", true), Nodes: []api.FencingMeans{}}
	for _, n := range st.Nodes {
		st.Fencing.Nodes = append(st.Fencing.Nodes, a.means(v, n.Name, watchdogs[n.Name]))
	}
	st.Superseded = a.lost.all()
	st.Alarms = a.alarms(st, root)
}

// sortedWords lists names as a person would.
func sortedWords(names []string) string {
	sort.Strings(names)
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
