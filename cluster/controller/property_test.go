package controller

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
)

const propertyCIB = `<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="o-s" name="stonith-enabled" value="true"/><nvpair id="o-p" name="no-quorum-policy" value="%s"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/><node id="3" uname="n3"/></nodes><resources><primitive id="f" class="stonith" type="fence_x"/>
<primitive id="web" class="ocf" provider="takt" type="Dummy"/><primitive id="db" class="ocf" provider="takt" type="Dummy"/>
<primitive id="app" class="ocf" provider="takt" type="Dummy"/></resources>
<constraints><rsc_location id="l" rsc="web" node="n2" score="100"/><rsc_location id="m" rsc="db" node="n3" score="100"/>
<rsc_order id="o1" first="db" then="app"/></constraints></configuration><status/></cib>`

// fate is what happens to a cluster, as numbers.
type fate struct {
	policy string
	steps  []uint16
}

func drawFate(t *rapid.T) fate {
	return fate{
		policy: rapid.SampledFrom([]string{"stop", "freeze", "demote", "suicide"}).Draw(t, "policy"),
		steps:  rapid.SliceOfN(rapid.Uint16(), 1, 80).Draw(t, "steps"),
	}
}

// live lets it happen to n1 and returns everything that n1 wanted done.
func (f fate) live(t failer) []string {
	w := emptyWorld(t, "n1")
	var effects []string
	w.effects = func(e Effect) { effects = append(effects, fmt.Sprintf("%T %+v", e, e)) }
	root, err := cib.Parse(fmt.Appendf(nil, propertyCIB, f.policy))
	if err != nil {
		t.Fatal(err)
	}
	w.commit(root)
	w.term = 5
	for _, in := range []Input{w.state(), Peer{ID: 2, Alive: true, Working: true}, Peer{ID: 3, Alive: true, Working: true},
		Standing{Quorate: true}, Lead{Leadership{Leader: 1, Term: 5, Ready: true}}} {
		w.feed(in)
	}
	for _, step := range f.steps {
		w.happen(int(step))
		effects = append(effects, fmt.Sprintf("unfenced %+v", w.m.Unfenced()))
	}
	return effects
}

// happen lets one thing happen. Nodes 2 and 3 only run what n1 asks for.
func (w *world) happen(step int) {
	id := cib.NodeID(2 + step/32%2)
	name := nodeName(id)
	res := []string{"web", "db", "app"}[step/64%3]
	switch step % 32 {
	case 0, 1:
		w.lose(id)
	case 2, 3: // the power of a node goes
		w.lose(id)
		w.running[name], w.down[name] = nil, true
	case 4, 5, 6, 7:
		w.cut[name], w.down[name] = false, false
		w.feed(Peer{ID: id, Alive: true, Working: true, Reason: "chance"})
	case 8:
		w.feed(Peer{ID: id, Alive: true, Reason: "its daemon is down"})
	case 9:
		w.feed(Standing{Hold: true, Reason: "chance"})
	case 10:
		w.feed(Standing{Reason: "chance"})
	case 11, 12, 13:
		w.feed(Standing{Quorate: true, Reason: "chance"})
	case 14:
		w.term++
		w.feed(Lead{Leadership{Leader: 3, Term: w.term}})
	case 15, 16, 17:
		w.term++
		w.feed(Lead{Leadership{Leader: 1, Term: w.term, Ready: true}})
	case 18:
		w.broken["stop "+res+" "+name] = agent.ErrGeneric
	case 19:
		w.broken["start "+res+" "+name] = agent.ErrGeneric
	case 20:
		w.broken = map[string]agent.Code{}
	case 21, 22, 23:
		w.fencer = []string{"works", "fails", "waits"}[step%32-21]
	case 24, 25: // what waits at the fencer is answered
		waiting := w.fences
		w.fences = nil
		for _, f := range waiting {
			w.feed(w.fenced(f, step%32 == 24))
		}
	case 26:
		if w.down[name] {
			w.feed(Off{Node: id, Since: w.now, Words: "it is"})
		}
	case 27:
		w.refuse = !w.refuse
	case 28:
		if w.running[name][res] && !w.cut[name] {
			delete(w.running[name], res)
			w.feed(Noticed{Node: id, Record: w.result(name, agent.Command{Resource: res, Action: agent.Monitor, Interval: 10_000,
				Timeout: 20_000, Agent: agentOf(res)}, agent.NotRunning, "it ended")})
		}
	default:
		w.now = w.now.Add(1 << (step / 192 % 7) * 1e9)
		w.feed(Tick{})
	}
}

// lose cuts a node off: what runs there goes on.
func (w *world) lose(id cib.NodeID) {
	w.cut[nodeName(id)] = true
	w.feed(Peer{ID: id, Reason: "chance"})
	w.feed(Peer{ID: id, Gone: true, Reason: "chance"})
}

// TestNeverTwice lets anything happen to a coordinator whose fencer is honest: what
// runs on one node is never started on another. And what it does follows from
// what it was told: the same again gives the same again.
func TestNeverTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFate(t)
		first, second := f.live(t), f.live(t)
		for i := range min(len(first), len(second)) {
			if first[i] != second[i] {
				t.Fatalf("effect %d differs:\n%s\n%s", i, first[i], second[i])
			}
		}
		if len(first) != len(second) {
			t.Fatalf("%d effects, then %d", len(first), len(second))
		}
	})
}

// counting counts failures instead of failing.
type counting struct{ errors []string }

func (c *counting) Errorf(format string, args ...any) {
	c.errors = append(c.errors, fmt.Sprintf(format, args...))
}
func (c *counting) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (c *counting) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }

// TestTwiceWithoutTheWait: TestNeverTwice would notice if nobody waited for fencing.
func TestTwiceWithoutTheWait(t *testing.T) {
	defer mutant.Switch(mutant.FencingWait)()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f := fate{policy: "stop"}
		for range 60 {
			f.steps = append(f.steps, uint16(r.Uint32()))
		}
		c := &counting{}
		f.live(c)
		if strings.Contains(strings.Join(c.errors, "\n"), "while it runs on") {
			return
		}
	}
	t.Error("nothing ran twice")
}
