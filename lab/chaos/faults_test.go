package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/lab"
)

// fault is one thing that happens to the cluster.
type fault struct {
	name   string
	change func(n *network) // what it does to who hears whom; nil: nothing
	kills  string           // nodes whose daemon it kills
	blinds string           // nodes whose pulse it kills
	do     func() error
}

// restOf is for how long a node must have been cut off until it has stopped
// everything, and for how long it must have been in contact until nobody has it
// for lost any more: some dead times of the profile.
func restOf(profile string) time.Duration {
	if profile == "fast" {
		return time.Second
	}
	return 4 * time.Second
}

// vandal chooses faults and knows what it has done.
//
// Without fencing some combinations cannot be safe, and are left out:
//
//   - A daemon that is killed on a node which loses its majority before the daemon
//     is back. Nobody is there then to stop what runs on it, while the others
//     rightly call the node lost. A watchdog or fencing is for that.
//   - Daemon and pulse killed together: the node is silent, as if it were dead,
//     and its services run on.
//   - A pulse that is killed just after the node has lost its majority: it alone
//     knew how long ago that was.
//   - SIGSTOP of a whole node, and letting it go on later.
type vandal struct {
	c      *cluster
	random *rand.Rand
	net    *network
	// killed and blinded are nodes whose daemon or pulse was killed and may not
	// be back, and since when.
	killed, blinded map[string]time.Time
	// since is when each node last changed between majority and minority.
	since  map[string]time.Time
	rest   time.Duration // see restOf
	fenced bool          // the cluster can fence: nothing is left out, and it switches nodes, too
	serial int
}

func newVandal(c *cluster, random *rand.Rand) *vandal {
	v := &vandal{c: c, random: random, net: newNetwork(c.Nodes(), c.State().Links),
		killed: map[string]time.Time{}, blinded: map[string]time.Time{}, since: map[string]time.Time{},
		rest: restOf(c.State().Profile), fenced: c.State().Fence}
	return v
}

// resources is the configuration with what the cluster needs to fence.
func (v *vandal) resources(serial int) string {
	if v.fenced {
		return resourcesWith(lab.PowerDevice, serial)
	}
	return resources(serial)
}

// next chooses a fault that is possible and safe now; more and more likely a
// repair, the more is broken.
func (v *vandal) next() fault {
	v.recover()
	for {
		f := v.choose()
		if f.do != nil && v.permitted(f) {
			return f
		}
	}
}

func (v *vandal) choose() fault {
	broken := len(v.net.nodes) - len(v.net.running())
	for _, name := range v.net.running() {
		if !v.net.quorate(name) {
			broken++
		}
	}
	if len(v.net.cuts) > 0 {
		broken++
	}
	if v.random.Float64() < 0.2*float64(broken) {
		return v.repair()
	}
	if v.random.IntN(5) == 0 {
		return v.both()
	}
	return v.single()
}

// both are two faults at the same moment.
func (v *vandal) both() fault {
	a, b := v.single(), v.single()
	if a.do == nil || b.do == nil || a.name == b.name {
		return fault{}
	}
	if a.change != nil && b.change != nil {
		one := v.net.clone()
		a.change(one)
		two := one.clone()
		if b.change(two); one.equal(two) {
			return fault{} // a node cannot crash twice
		}
	}
	f := fault{name: a.name + " and " + b.name, kills: a.kills + " " + b.kills, blinds: a.blinds + " " + b.blinds}
	f.change = func(n *network) {
		for _, one := range []fault{a, b} {
			if one.change != nil {
				one.change(n)
			}
		}
	}
	f.do = func() error {
		other := make(chan error, 1)
		go func() { other <- a.do() }()
		return errors.Join(b.do(), <-other)
	}
	return f
}

func (v *vandal) pick(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[v.random.IntN(len(list))]
}

// single is one fault; without do if it is impossible now.
func (v *vandal) single() fault {
	node := v.pick(v.net.running())
	if node == "" {
		return v.repair()
	}
	if v.fenced && v.random.IntN(5) == 0 {
		return v.hardware(node)
	}
	switch n := v.random.IntN(28); {
	case n < 2:
		return v.crash(node, "crash "+node)
	case n < 3:
		if chief := v.coordinator(); chief != "" {
			return v.crash(chief, "crash the coordinator "+chief)
		}
		return fault{}
	case n < 11:
		return fault{name: "kill the daemon of " + node, kills: node, do: func() error { return v.tolerate(v.c.KillDaemon(node)) }}
	case n < 16:
		return fault{name: "kill the pulse of " + node, blinds: node,
			do: func() error { return v.tolerate(v.c.Signal(node, "pulse --socket", syscall.SIGKILL)) }}
	case n < 18:
		return v.cut(lab.CutOptions{Node: node, Link: 1 + v.random.IntN(v.net.links)})
	case n < 21:
		return v.cut(lab.CutOptions{Node: node})
	case n < 23:
		return v.cut(lab.CutOptions{Node: node, From: v.other(node)})
	case n < 24:
		return v.cut(lab.CutOptions{Node: node, From: v.other(node), OneWay: true})
	case n < 27:
		return v.move(node)
	}
	return v.configure(node)
}

func (v *vandal) other(node string) string {
	return v.pick(slices.DeleteFunc(slices.Clone(v.net.nodes), func(n string) bool { return n == node }))
}

func (v *vandal) crash(node, name string) fault {
	return fault{name: name, change: func(n *network) { n.down[node] = true }, do: func() error { return v.tolerate(v.c.Crash(node)) }}
}

func (v *vandal) cut(o lab.CutOptions) fault {
	name := "cut " + o.Node
	if o.From != "" {
		name += map[bool]string{true: " to ", false: " from "}[o.OneWay] + o.From
	}
	if o.Link != 0 {
		name += fmt.Sprintf(" on link %d", o.Link)
	}
	change := func(n *network) {
		switch {
		case o.From == "":
			n.pull(o.Node, o.Link)
		default:
			n.drop(o.Node, o.From, o.Link)
			if !o.OneWay {
				n.drop(o.From, o.Node, o.Link)
			}
		}
	}
	return fault{name: name, change: change, do: func() error { return v.c.Cut(o) }}
}

// repair starts a node or heals cuts.
func (v *vandal) repair() fault {
	var down []string
	for _, name := range v.net.nodes {
		if v.net.down[name] {
			down = append(down, name)
		}
	}
	if node := v.pick(down); node != "" && v.random.IntN(2) == 0 {
		return fault{name: "start " + node, change: func(n *network) { n.down[node] = false }, do: func() error { return v.tolerate(v.c.Start(node)) }}
	}
	if len(v.net.cuts) == 0 {
		return fault{}
	}
	node := ""
	if v.random.IntN(2) == 0 {
		node = v.pick(v.net.nodes)
	}
	return fault{name: strings.TrimSpace("heal " + node), change: func(n *network) { n.heal(node) },
		do: func() error { return v.c.Heal(lab.CutOptions{Node: node}) }}
}

// command runs takt on a node. That it fails while things are broken is no
// failure of the test.
func (v *vandal) command(node string, argv ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = v.c.Exec(ctx, node, argv...)
	return nil
}

func (v *vandal) move(at string) fault {
	resource, to := v.pick(movable), v.pick(v.net.nodes)
	return fault{name: fmt.Sprintf("move %s to %s (asked at %s)", resource, to, at),
		do: func() error { return v.command(at, "takt", "resource", "move", resource, to, "--no-wait") }}
}

// configure changes what the cluster has to do: a node in or out of standby, or a
// resource's definition.
func (v *vandal) configure(at string) fault {
	if v.random.IntN(2) == 0 {
		node, verb := v.pick(v.net.nodes), v.pick([]string{"standby", "online"})
		return fault{name: fmt.Sprintf("%s %s (asked at %s)", verb, node, at),
			do: func() error { return v.command(at, "takt", "node", verb, node, "--no-wait") }}
	}
	v.serial++
	serial := v.serial
	return fault{name: fmt.Sprintf("configuration %d (asked at %s)", serial, at), do: func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = v.c.apply(ctx, at, v.resources(serial), false)
		return nil
	}}
}

// tolerate takes it for done if there was nothing to kill: it was down already, or
// was switched meanwhile.
func (v *vandal) tolerate(err error) error {
	if err == nil || errs.KindOf(err) == errs.NotFound || strings.Contains(err.Error(), "does not run") {
		return nil
	}
	for _, meanwhile := range []string{"is off", "runs already", "no such process", "connect:", "connection", "EOF"} { // the cluster switches nodes, too
		if v.fenced && strings.Contains(err.Error(), meanwhile) {
			return nil
		}
	}
	return err
}

// coordinator asks around who coordinates.
func (v *vandal) coordinator() string {
	for _, node := range v.net.running() {
		s, err := v.c.ClusterStatus(context.Background(), node)
		if err == nil && s.Coordinator != "" && !v.net.down[s.Coordinator] {
			return s.Coordinator
		}
	}
	return ""
}

// permitted reports whether a fault can be survived without fencing.
func (v *vandal) permitted(f fault) bool {
	after := v.net.clone()
	if f.change != nil {
		f.change(after)
		if after.equal(v.net) {
			return false // nothing would happen
		}
	}
	if v.fenced {
		return true
	}
	anybody := slices.ContainsFunc(after.running(), after.quorate)
	exposed := func(node string) bool { return !after.down[node] && !after.quorate(node) && anybody }
	for node := range v.killed {
		if exposed(node) {
			return false
		}
	}
	hit := map[string]bool{}
	for _, node := range append(strings.Fields(f.kills), strings.Fields(f.blinds)...) {
		_, killed := v.killed[node]
		_, blinded := v.blinded[node]
		if killed || blinded || hit[node] || after.down[node] || time.Since(v.since[node]) < v.rest || !v.calm(node) {
			return false
		}
		hit[node] = true
	}
	return !slices.ContainsFunc(strings.Fields(f.kills), func(node string) bool { return v.net.quorate(node) && exposed(node) })
}

// calm reports whether a node has come to rest since it lost or found its majority, for which a
// busy machine may need longer than rest: it has stopped everything, or all that hear it
// know that it is back.
func (v *vandal) calm(node string) bool {
	if !v.net.quorate(node) {
		return !slices.ContainsFunc(unique, func(id string) bool { return slices.Contains(v.c.activeOn(id), node) })
	}
	for _, other := range v.net.contacts(node) {
		s, err := v.c.ClusterStatus(context.Background(), other)
		if err != nil || !s.Quorum.Quorate || !slices.ContainsFunc(s.Nodes, func(n api.NodeStatus) bool { return n.Name == node && n.State == "online" }) {
			return false
		}
	}
	return true
}

// done notes what a fault has changed.
func (v *vandal) done(f fault) {
	now := time.Now()
	before := v.net.clone()
	if f.change != nil {
		f.change(v.net)
	}
	for _, name := range v.net.nodes {
		if before.quorate(name) != v.net.quorate(name) || before.down[name] != v.net.down[name] {
			v.since[name] = now
		}
	}
	for _, node := range strings.Fields(f.kills) {
		if before.quorate(node) { // else nothing runs there
			v.killed[node] = now
		}
	}
	for _, node := range strings.Fields(f.blinds) {
		v.blinded[node] = now
	}
	for node, down := range v.net.down {
		if down {
			delete(v.killed, node)
			delete(v.blinded, node)
		}
	}
}

// recover notes whose daemon and pulse are back, and whom the cluster has switched.
func (v *vandal) recover() {
	if v.fenced {
		if s, err := v.c.Status(); err == nil {
			for _, n := range s.Nodes {
				v.net.down[n.Name] = n.State == "off" && n.Name != lab.Client
			}
		}
	}
	for _, node := range v.net.nodes {
		killed, isKilled := v.killed[node]
		blinded, isBlinded := v.blinded[node]
		if !isKilled && !isBlinded || time.Since(killed) < time.Second || time.Since(blinded) < time.Second {
			continue
		}
		s, err := v.c.ClusterStatus(context.Background(), node)
		if err == nil && s.Pulse != nil && s.Quorum.Quorate == v.net.quorate(node) {
			delete(v.killed, node)
			delete(v.blinded, node)
		}
	}
}

// repairAll starts every node and heals every cut.
func (v *vandal) repairAll() error {
	err := errors.Join(v.c.Heal(lab.CutOptions{}), v.c.Power(lab.PowerOptions{Delay: -1}))
	v.recover()
	for _, name := range v.net.nodes {
		if v.net.down[name] {
			err = errors.Join(err, v.tolerate(v.c.Start(name)))
		}
	}
	v.done(fault{change: func(n *network) { clear(n.down); clear(n.cuts) }})
	return err
}

// hardware are the faults that only fencing makes safe.
func (v *vandal) hardware(node string) fault {
	switch v.random.IntN(3) {
	case 0:
		long := v.rest/10 + time.Duration(v.random.Int64N(int64(v.rest)))
		return fault{name: fmt.Sprintf("pause %s for %d ms", node, long.Milliseconds()), do: func() error {
			err := v.tolerate(v.c.Pause(node))
			pause(long)
			return errors.Join(err, v.tolerate(v.c.Resume(node)))
		}}
	case 1:
		long := v.rest / 2
		return fault{name: fmt.Sprintf("the power switch does not answer for %s for %d ms", node, long.Milliseconds()), do: func() error {
			err := v.c.Power(lab.PowerOptions{Node: node, Delay: -1, Fault: lab.PowerFails})
			time.AfterFunc(long, func() { _ = v.c.Power(lab.PowerOptions{Node: node, Delay: -1}) }) // repairAll does it again
			return err
		}}
	}
	return fault{name: "kill daemon and pulse of " + node, do: func() error {
		return errors.Join(v.tolerate(v.c.Signal(node, "pulse --socket", syscall.SIGKILL)), v.tolerate(v.c.KillDaemon(node)))
	}}
}
