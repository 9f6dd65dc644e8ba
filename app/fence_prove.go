package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// How takt fence test shows that a node can be fenced. A device that claims
// success proves little: a host map may name another machine. The heartbeats of
// the node are the witness: they have to stop.

// fenceTest asks every device of a node from every member; with force the node is
// switched off and on again, once for each way that is configured.
func (a *App) fenceTest(ctx context.Context, name string, v api.FenceVerb) (*api.Outcome, error) {
	const op = "test the fencing of"
	id, _ := cib.ParseNodeID(findNode(a.root(), name).ID())
	heard := id == a.self || a.peers.get(id).Alive
	asks := a.asks(name)
	doubts := a.fencing.doubts(name)
	if len(asks)+len(doubts) == 0 && !(v.Force && len(a.fencing.tries(name)) > 0) {
		return nil, a.notAsked(ctx, op, name)
	}
	got := judgeAnswers(name, heard, asks, a.questionAll(ctx, fence.Status, name, asks))
	got.broken = append(got.broken, doubts...)
	got.see(a.questionAll(ctx, inspectAction, name, a.looks(name)))
	if len(got.broken) > 0 {
		return nil, errs.E(op, errs.Unavailable, name, "See that each device answers, and means this machine.", errors.New(strings.Join(append(got.broken, got.good...), "; ")))
	}
	out := &api.Outcome{Settled: true, Warnings: got.warnings}
	if !v.Force {
		out.Text = strings.Join(append(got.good, "nothing was switched: only takt fence test "+name+" --force shows that it can be"), "; ")
		return out, nil
	}
	if err := a.mayTest(id, name, heard); err != nil {
		return nil, err
	}
	done, err := a.toItsEnd(ctx, func(ctx context.Context) ([]string, error) { return a.testForReal(ctx, id, name, v.User, out) })
	if err != nil {
		return nil, err
	}
	out.Text = strings.Join(append(got.good, done...), "; ")
	return out, nil
}

// answers is what the answers to the questions of a test amount to.
type answers struct {
	good     []string // whose device said what it should
	warnings []string // a member that got no answer, of a device that answers others
	broken   []string // of a device that answers nobody, or means another machine
}

// judgeAnswers judges what devices said about a node that is heard, or not.
func judgeAnswers(name string, heard bool, asks []inquiry, got []fenceAnswer) (a answers) {
	answered := map[string]bool{}
	for i, q := range asks {
		answered[q.device] = answered[q.device] || got[i].answers()
	}
	for i, q := range asks {
		words := q.say(name, got[i])
		switch {
		case got[i].answers() && heard && got[i].Power == fencer.PowerOff:
			a.broken = append(a.broken, words+", and yet its heartbeats are heard: the device means another machine")
		case got[i].answers():
			a.good = append(a.good, words)
		case answered[q.device]:
			a.warnings = append(a.warnings, words)
		default:
			a.broken = append(a.broken, words)
		}
	}
	return a
}

// see takes in what members have found to stand in a device's way.
func (a *answers) see(got []fenceAnswer) {
	for _, g := range got {
		for _, f := range g.Found {
			if f.Fatal {
				a.broken = append(a.broken, f.Words)
			} else {
				a.warnings = append(a.warnings, f.Words)
			}
		}
	}
}

// toItsEnd runs a test to its end although who asked for it goes away: a node that
// was switched off is to be switched on again.
func (a *App) toItsEnd(ctx context.Context, test func(context.Context) ([]string, error)) (lines []string, err error) {
	done := make(chan struct{})
	a.background("fence test", func(ctx context.Context) error {
		defer close(done)
		lines, err = test(ctx)
		return nil
	})
	select {
	case <-done:
		return lines, err
	case <-ctx.Done():
		return nil, errs.E("test the fencing", errs.Timeout, a.id.Name, "It goes on: see takt fence list and takt events.", ctx.Err())
	}
}

// mayTest refuses a test that could do harm: if the device switches another
// machine, what the node runs would be started twice.
func (a *App) mayTest(id cib.NodeID, name string, heard bool) error {
	const op = "test the fencing of"
	switch {
	case id == a.self:
		return errs.E(op, errs.Conflict, name, "Start another node first.", errors.New("it is the only one that works, and no node fences itself"))
	case !heard:
		return errs.E(op, errs.Conflict, name, "Start it first: its heartbeats show whether it really went off.", errors.New("it is not heard"))
	}
	root, now := a.root(), time.Now()
	devices := readFencePlan(root, now).Devices
	var runs []string
	for resource, at := range scheduler.Placements(root, now) {
		if _, device := devices[baseName(resource)]; at[name] != "" && !device {
			runs = append(runs, resource)
		}
	}
	if len(runs) > 0 {
		return errs.E(op, errs.Conflict, name, "Move it away first: takt node standby "+name+". If the device switched another machine, it would be started twice.",
			fmt.Errorf("it runs %s", sortedWords(runs)))
	}
	return nil
}

// testForReal switches the node off and on by each way in turn. It returns what
// happened, a line each.
func (a *App) testForReal(ctx context.Context, id cib.NodeID, name, by string, out *api.Outcome) (lines []string, err error) {
	tries := a.fencing.tries(name)
	for i, t := range tries {
		if i > 0 {
			if err := a.await(ctx, backTime, func() bool { return a.peers.get(id).Working }); err != nil {
				return nil, errs.E("test the fencing of", errs.Timeout, name, "See whether it has booted.", fmt.Errorf("it did not come back after the test of %s", tries[i-1].Words))
			}
		}
		began := time.Now()
		if err := a.testTry(ctx, id, name, by, t); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s has switched %s off: its heartbeats stopped within %d ms", t.Words, name, time.Since(began).Milliseconds()))
		if err := a.keepTested(ctx, name, began); err != nil {
			out.Warnings = append(out.Warnings, "the date of the test could not be kept: "+err.Error())
		}
		if _, err := a.switchNode(ctx, name, fencer.On, by, "the test is over", t.Words); err != nil {
			out.Warnings = append(out.Warnings, name+" was left off: "+err.Error())
		} else {
			lines = append(lines, t.Words+" has switched it on again")
		}
	}
	return lines, nil
}

const (
	silentTime = 5 * time.Second  // besides two dead times: for heartbeats to be missed
	backTime   = 10 * time.Minute // for a machine to boot
)

// testTry switches a node off in one way and looks whether it fell silent.
func (a *App) testTry(ctx context.Context, id cib.NodeID, name, by string, t fencer.Try) error {
	const op = "test the fencing of"
	if _, err := a.switchNode(ctx, name, fencer.Off, by, "a test", t.Words); err != nil {
		return err
	}
	patience := silentTime + 2*time.Duration(node.TimingOf(a.root()).Deadtime)*time.Millisecond
	if err := a.await(ctx, patience, func() bool { return !a.peers.get(id).Alive }); err != nil {
		return errs.E(op, errs.Conflict, name, "Correct the device: which machine does it switch? See pcmk_host_map.",
			fmt.Errorf("%s says that %s is off, and its heartbeats go on: it switches another machine, or none", t.Words, name))
	}
	return nil
}

// await waits until something is so.
func (a *App) await(ctx context.Context, patience time.Duration, so func() bool) error {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.ctx.Done():
			return a.ctx.Err()
		}
	}
	return nil
}

// keepTested writes when and how fast devices were shown to work, as attributes
// of the members that ran them: what the newest entry of the history says.
func (a *App) keepTested(ctx context.Context, name string, began time.Time) error {
	var entry api.FenceEntry
	if err := a.await(ctx, silentTime, func() bool {
		for _, e := range a.fenced.all() {
			if e.Target == name && e.Success && !e.Asked.Before(began) {
				entry = e
			}
		}
		return entry.Target != ""
	}); err != nil {
		return err
	}
	for _, s := range entry.Steps {
		if s.Outcome != string(fencer.Done) || s.Action == string(fencer.Status) || s.Action == string(fencer.On) {
			continue
		}
		if err := a.keepTest(ctx, s.Device, s.Member, a.fencing.tookOf(s.Device, s.Member)); err != nil {
			return err
		}
	}
	return nil
}

// keepTest writes that a member has switched a node off with a device. In a cluster of
// two the proof itself makes a new generation, so it may take a moment.
func (a *App) keepTest(ctx context.Context, device, member string, took time.Duration) error {
	at := time.Now().UTC().Format(time.RFC3339)
	var err error
	if late := a.await(ctx, keepTime, func() bool {
		_, err = a.change(ctx, api.Verb{User: "takt fence test"}, func(root *cib.Node) (edit, error) {
			return testEdit(root, device, member, at, took), nil
		})
		kind := errs.KindOf(err)
		return kind != errs.Stale && kind != errs.Unavailable && kind != errs.Timeout
	}); late != nil && err == nil {
		err = late
	}
	return err
}

// keepTime is for how long the result of a test is tried to be kept.
const keepTime = time.Minute

func testEdit(root *cib.Node, device, member, at string, took time.Duration) edit {
	n := findNode(root, member)
	if n == nil {
		return edit{}
	}
	set := "nodes-" + n.ID()
	changed := setPair(n, "instance_attributes", set, testedAttr+device, at)
	changed = setPair(changed, "instance_attributes", set, tookAttr+device, strconv.FormatInt(took.Milliseconds(), 10))
	return edit{
		text: fmt.Sprintf("%s, run by %s, was tested", device, member),
		ops:  []cib.Op{{Kind: cib.Replace, Path: "/cib/configuration/nodes/node[@id='" + n.ID() + "']", XML: changed.String()}},
	}
}

// noteTook keeps how long a device took to switch something.
func (f *fencing) noteTook(e node.Execute, got fenceAnswer) {
	if got.Outcome != fencer.Done || e.Action == fencer.Status || e.Action == fencer.On {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.took == nil {
		f.took = map[inquiry]time.Duration{}
	}
	f.took[inquiry{string(e.Device), string(e.Member)}] = time.Duration(got.Took) * time.Millisecond
}

func (f *fencing) tookOf(device, member string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.took[inquiry{device, member}]
}

// tries returns the ways in which a node would be switched off.
func (f *fencing) tries(name string) []fencer.Try {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.setup == nil {
		return nil
	}
	return f.setup.Tries(f.kit.member(name))
}

// member is a node as a setup wants it, for levels by attribute.
func (k *fenceKit) member(name string) fencer.Member {
	return fencer.Member{Node: fencer.Node(name), Attributes: k.plan.Attributes[name]}
}
