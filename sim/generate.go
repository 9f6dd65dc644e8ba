package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options say what a seed is turned into.
type Options struct {
	Seed    uint64
	Nodes   int           // 0: 2 to 5, as the seed says
	Steps   int           // how many things happen; 0: DefaultSteps
	Kinds   []Kind        // which; none: all. Lies and Blind have to be named
	Fencing string        // as in Cluster; "": as the seed says
	Policy  string        // as in Cluster; "": as the seed says
	Rest    time.Duration // as in Script
}

// DefaultSteps is how many things happen in a run.
const DefaultSteps = 12

// Kinds that only a list of kinds can ask for, because what follows from them is
// legal: devices that say off and do nothing, operators who confirm or force
// without knowing.
const (
	Lies  Kind = "lies"
	Blind Kind = "blind"
)

// ParseKinds reads a list of kinds, separated by commas.
func ParseKinds(list string) ([]Kind, error) {
	var kinds []Kind
	for _, w := range strings.Split(list, ",") {
		k := Kind(strings.TrimSpace(w))
		switch {
		case k == "":
		case k == Lies, k == Blind, slices.Contains(Kinds, k):
			kinds = append(kinds, k)
		default:
			return nil, fmt.Errorf("%q is no kind of fault: %v, %s and %s are", w, Kinds, Lies, Blind)
		}
	}
	return kinds, nil
}

// weights are how often kinds come, of those that may.
var weights = map[Kind]int{
	Crash: 14, Boot: 3, Cut: 16, OneWay: 8, Loss: 5, Delay: 4, Duplicate: 2, Pause: 10, Hang: 4, Daemon: 5, Pulse: 3, Numb: 3, Clock: 3,
	Slow: 3, Sync: 2, Full: 2, Fail: 5, Agent: 6, Device: 5, Operator: 4, Change: 5, Load: 4, Lies: 6, Blind: 4,
}

// unprovable kinds make a node look dead that is not; without fencing nothing is
// promised then.
var unprovable = []Kind{Cut, OneWay, Loss, Delay, Pause, Hang, Numb}

type generator struct {
	luck  chance
	s     *Script
	kinds []Kind
}

// Generate makes the script of a seed.
func Generate(o Options) *Script {
	g := &generator{luck: newChance(o.Seed, forScript), s: &Script{Seed: o.Seed, Rest: o.Rest}}
	g.cluster(o)
	g.choose(o.Kinds)
	steps := o.Steps
	if steps <= 0 {
		steps = DefaultSteps
	}
	at := time.Duration(0)
	for range steps {
		at += g.gap()
		g.s.Faults = append(g.s.Faults, g.fault(at))
	}
	slices.SortStableFunc(g.s.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return g.s
}

func (g *generator) pick(words ...string) string { return words[g.luck.IntN(len(words))] }

func (g *generator) cluster(o Options) {
	l := g.luck
	c := Cluster{Nodes: 2 + l.IntN(4), Links: 1 + l.IntN(2), Resources: 2 + l.IntN(4), Clones: l.IntN(2), Promoted: l.IntN(2),
		Fencing: g.pick("device", "device", "device", "device", "device", "both", "both", "watchdog", "watchdog", "none"),
		Policy:  g.pick("stop", "stop", "stop", "stop", "freeze", "demote", "suicide"),
		Profile: g.pick("default", "default", "default", "fast"),
	}
	if o.Nodes > 0 {
		c.Nodes = o.Nodes
	}
	if o.Fencing != "" {
		c.Fencing = o.Fencing
	}
	if o.Policy != "" {
		c.Policy = o.Policy
	}
	if c.Nodes > 2 && l.percent(15) {
		c.Witness = 1
	}
	g.s.Cluster = c
}

// choose settles which kinds may come.
func (g *generator) choose(kinds []Kind) {
	if len(kinds) == 0 {
		kinds = Kinds
	}
	for _, k := range kinds {
		switch c := g.s.Cluster; {
		case c.Fencing == "none" && slices.Contains(unprovable, k):
		case k == Device && !fences(c), k == Lies && !fences(c):
		case k == Cut && c.Nodes < 2, k == OneWay && c.Nodes < 2:
		default:
			g.kinds = append(g.kinds, k)
		}
	}
	if len(g.kinds) == 0 {
		g.kinds = []Kind{Fail}
	}
}

// gap is the time between two faults: they come together, or one after the other.
func (g *generator) gap() time.Duration {
	switch x := g.luck.IntN(10); {
	case x < 3:
		return g.ms(0, 600)
	case x < 7:
		return g.ms(500, 6000)
	}
	return g.ms(4000, 25000)
}

func (g *generator) ms(lo, hi int64) time.Duration {
	return time.Duration(g.luck.span(lo, hi)) * time.Millisecond
}

func (g *generator) kind() Kind {
	total := 0
	for _, k := range g.kinds {
		total += weights[k]
	}
	x := g.luck.IntN(max(total, 1))
	for _, k := range g.kinds {
		if x -= weights[k]; x < 0 {
			return k
		}
	}
	return g.kinds[0]
}

func (g *generator) node() int { return 1 + g.luck.IntN(g.s.Cluster.Nodes) }

// sides divides the nodes in two, neither of them empty; a node may be in neither.
func (g *generator) sides() (a, b []int) {
	for len(a) == 0 || len(b) == 0 {
		a, b = nil, nil
		for n := 1; n <= g.s.Cluster.Nodes; n++ {
			switch x := g.luck.IntN(7); {
			case x < 3:
				a = append(a, n)
			case x < 6:
				b = append(b, n)
			}
		}
	}
	return a, b
}

func (g *generator) service() string {
	names := serviceNames(g.s.Cluster)
	for i := 1; i <= g.s.Cluster.Clones; i++ {
		names = append(names, fmt.Sprintf("c%d", i))
	}
	for i := 1; i <= g.s.Cluster.Promoted; i++ {
		names = append(names, fmt.Sprintf("p%d", i))
	}
	return names[g.luck.IntN(len(names))]
}

func (g *generator) fault(at time.Duration) Fault {
	f := Fault{At: at, Kind: g.kind()}
	switch f.Kind {
	case Cut, OneWay, Loss, Delay, Duplicate:
		g.network(&f)
	case Fail, Agent:
		g.onService(&f)
	case Operator, Blind, Change, Lies, Device:
		g.person(&f)
	case Load:
		f.By, f.For = g.pick("1", "5", "20"), g.ms(500, 8000)
	default:
		g.onNode(&f)
	}
	return f
}

func (g *generator) network(f *Fault) {
	if g.s.Cluster.Nodes == 1 {
		f.Kind, f.Who, f.By = Fail, []int{1}, g.service()
		return
	}
	f.Who, f.With = g.sides()
	if g.luck.percent(30) { // one pair alone: the others hear both
		f.Who, f.With = f.Who[:1], f.With[:1]
	}
	f.For = g.ms(200, 3000)
	if g.luck.percent(60) {
		f.For = g.ms(1000, 25000)
	}
	switch f.Kind {
	case Cut:
		if g.s.Cluster.Links > 1 && g.luck.percent(30) {
			f.By = fmt.Sprint(g.luck.IntN(g.s.Cluster.Links))
		}
	case Loss:
		f.By = g.pick("10", "30", "60", "90")
	case Delay:
		f.By = g.pick("20ms", "100ms", "400ms", "1500ms")
	case Duplicate:
		f.By = g.pick("10", "50")
	}
}

func (g *generator) onService(f *Fault) {
	f.Who = []int{g.node()}
	f.By = g.service()
	if f.Kind != Agent {
		return
	}
	service, action := f.By, g.pick("start", "start", "stop", "stop", "monitor")
	f.By += "." + action + "." + g.pick("fail", "hang")
	f.For = g.ms(1000, 30000)
	if action == "stop" && g.luck.percent(60) { // wherever it runs, somebody wants it stopped
		f.Who = nil
		for n := 1; n <= g.s.Cluster.Nodes; n++ {
			f.Who = append(f.Who, n)
		}
		g.s.Faults = append(g.s.Faults, Fault{At: f.At + g.ms(10, 2000), Kind: Change, Who: []int{g.node()}, By: g.pick("restart.", "ban.") + service})
	}
}

func (g *generator) person(f *Fault) {
	f.Who = []int{g.node()}
	switch f.Kind {
	case Operator:
		f.By = g.pick("standby", "online", "cleanup."+g.service(), "confirm", "off", "reboot")
	case Blind:
		f.Kind, f.By = Operator, g.pick("confirm.blindly", "force")
	case Change:
		f.By = g.pick("mark", "mark", "restart."+g.service(), "ban."+g.service(), "unban."+g.service())
	case Device:
		f.By, f.For = g.pick("fail", "slow", "hang"), g.ms(2000, 40000)
	case Lies:
		f.Kind, f.By, f.For = Device, "lie", g.ms(2000, 40000)
	}
}

func (g *generator) onNode(f *Fault) {
	f.Who = []int{g.node()}
	if g.s.Cluster.Nodes > 1 && g.luck.percent(15) {
		if second := g.node(); second != f.Who[0] {
			f.Who = append(f.Who, second)
		}
	}
	switch f.Kind {
	case Crash:
		f.For = g.ms(100, 30000)
		if g.luck.percent(40) {
			f.By = "write"
		}
	case Pause, Numb:
		f.For = g.ms(100, 1500)
		if g.luck.percent(60) {
			f.For = g.ms(800, 15000)
		}
	case Hang, Daemon, Sync, Full:
		f.For = g.ms(200, 20000)
	case Slow:
		f.By, f.For = g.pick("5ms", "50ms", "300ms", "2s"), g.ms(1000, 20000)
	case Clock:
		f.By = g.pick("1h", "-1h", "3s", "-3s", "100ms")
	}
}
