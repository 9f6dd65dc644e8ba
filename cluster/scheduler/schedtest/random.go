package schedtest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// RandomTime is the time at which random CIBs are meant to be scheduled; their
// histories and rules stand around it.
var RandomTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Random returns a valid CIB made from a seed: the same seed, size and features
// give the same one. Size is about how many resources and nodes it has at most
// (6 is a good start). Each CIB uses a random part of the features, so that
// some are simple and some combine much.
func Random(seed uint64, size int, allowed Features) *cib.Node {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0x7a6b7)), size: max(size, 1)}
	share := 5 + g.r.IntN(50)
	for i := range featureNames {
		// What stops most of a cluster hides the rest.
		if g.percent(share) && (!drastic.Has(1<<i) || g.percent(40)) {
			g.f |= 1 << i
		}
	}
	if g.percent(75) { // most faults are found where probes and monitors do not drown the rest
		g.f |= Recurring
		g.f &^= Probes
	}
	g.f &= allowed
	g.makeNodes()
	g.makeResources()
	constraints := g.constraints()
	g.opDefaults, g.rscDefaults = g.defaults("op_defaults"), g.defaults("rsc_defaults")
	g.makeHistory()
	return g.document(constraints)
}

// drastic features change all of a cluster.
const drastic = Quorum | Unfencing | Asymmetric | Shutdown | Options | Requires | Unmanaged

// generator makes one random CIB.
type generator struct {
	r    *rand.Rand
	size int
	f    Features
	last map[string]int // the last number used with a prefix

	nodes   []*member
	top     []*resource // as they stand in <resources>
	all     []*resource // all of them, parents first
	extra   []*cib.Node // templates, before the resources
	tags    []string    // ids of tags
	tagged  []*cib.Node
	tickets []string
	calls   int
	// opDefaults and rscDefaults are made first: the history depends on them.
	opDefaults, rscDefaults *cib.Node
	opTimeout               string // the default one, "" if a rule may decide
}

func (g *generator) has(f Features) bool { return g.f.Has(f) }

func (g *generator) percent(p int) bool { return g.r.IntN(100) < p }

// with reports a chance in percent that only exists with a feature.
func (g *generator) with(f Features, p int) bool { return g.has(f) && g.percent(p) }

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *generator) between(a, b int) int { return a + g.r.IntN(b-a+1) }

// id returns a new id that begins with prefix.
func (g *generator) id(prefix string) string {
	if g.last == nil {
		g.last = map[string]int{}
	}
	g.last[prefix]++
	return prefix + strconv.Itoa(g.last[prefix])
}

func (g *generator) score() string {
	return g.pick("INFINITY", "INFINITY", "INFINITY", "-INFINITY", "-INFINITY", "100", "100", "50", "10", "1", "0", "-1", "-50", "-100", "200", "1000")
}

// ago is a time before RandomTime, in seconds since the epoch.
func (g *generator) ago(seconds int) string {
	return strconv.FormatInt(RandomTime.Unix()-int64(seconds), 10)
}

// pair is a name and a value of a set.
type pair struct{ name, value string }

// pairs makes a set of nvpairs; nil where there are none.
func (g *generator) pairs(element, id string, list []pair) *cib.Node {
	if len(list) == 0 {
		return nil
	}
	set := cib.NewNode(element, "id", id)
	for i, p := range list {
		set = set.WithChild(cib.NewNode("nvpair", "id", fmt.Sprintf("%s-%d", id, i), "name", p.name, "value", p.value))
	}
	return set
}

// add appends the children that are not nil.
func add(n *cib.Node, children ...*cib.Node) *cib.Node {
	for _, c := range children {
		if c != nil {
			n = n.WithChild(c)
		}
	}
	return n
}

func (g *generator) document(constraints []*cib.Node) *cib.Node {
	quorum := "1"
	if g.with(Quorum, 50) {
		quorum = "0"
	}
	nodes := cib.NewNode("nodes")
	status := cib.NewNode("status")
	for _, m := range g.nodes {
		if m.kind == "member" || len(m.attributes) > 0 {
			nodes = nodes.WithChild(m.config(g))
		}
		status = add(status, m.state(g))
	}
	if len(g.tickets) > 0 {
		status = status.WithChild(g.ticketStates())
	}
	resources := cib.NewNode("resources").WithChild(g.extra...)
	for _, r := range g.top {
		resources = resources.WithChild(r.element(g))
	}
	config := cib.NewNode("configuration").WithChild(
		cib.NewNode("crm_config").WithChild(g.options()...), nodes, resources,
		cib.NewNode("constraints").WithChild(constraints...))
	if len(g.tagged) > 0 {
		config = config.WithChild(cib.NewNode("tags").WithChild(g.tagged...))
	}
	config = add(config, g.opDefaults, g.rscDefaults)
	return cib.NewNode("cib", "validate-with", "pacemaker-3.9", "crm_feature_set", "3.16.1", "admin_epoch", "0", "epoch", "1",
		"num_updates", "0", "have-quorum", quorum, "dc-uuid", "1").WithChild(config, status)
}
