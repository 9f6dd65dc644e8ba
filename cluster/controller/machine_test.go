package controller

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
)

// TestMachine plays stories: testdata/machine/NAME. The world carries out the
// machine's effects at once, and prints a line for each.
//
//	cib              the CIB that follows is committed
//	configure        of the CIB that follows the configuration is committed
//	self NAME        whose machine it is (first command of a file)
//	lead [ready]     who leads: NAME [ready], with term=N
//	standing         quorate or isolated
//	peer NAME        alive, working, gone as named
//	holds NAME       what runs there: resource=started …
//	break ACTION RES NODE   from now on that operation gives rc=N; mend: takes it back
//	hold ACTION      that operation gives no answer until release
//	notice RES NODE  a monitor result seen by the node, rc=N
//	tick             time passes
func TestMachine(t *testing.T) {
	datadriven.Walk(t, "testdata/machine", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "self" {
				w = newWorld(t, d.CmdArgs[0].Key)
				return ""
			}
			w.log = nil
			w.command(d)
			return strings.Join(w.log, "\n") + "\n"
		})
	})
}

// world is everything around one machine.
type world struct {
	t       *testing.T
	m       *Machine
	now     time.Time
	root    *cib.Node
	index   uint64
	term    uint64
	running map[string]map[string]bool // node → resource → running
	calls   map[string]int64           // node → last call number
	broken  map[string]agent.Code      // "start web n1" → rc
	held    map[string]bool            // "start web n1": gives no answer
	kept    []Ended                    // answers that are held back
	refuse  bool                       // proposals fail
	log     []string
}

func newWorld(t *testing.T, self string) *world {
	return &world{
		t: t, m: NewMachine(DefaultConfig(nodeNumber(self), self)), now: time.Unix(1_700_000_000, 0).UTC(),
		running: map[string]map[string]bool{}, calls: map[string]int64{}, broken: map[string]agent.Code{}, held: map[string]bool{},
	}
}

func nodeNumber(name string) cib.NodeID {
	id, ok := cib.ParseNodeID(strings.TrimPrefix(name, "n"))
	if !ok {
		panic("test nodes are named n1, n2, …: " + name)
	}
	return id
}

func nodeName(id cib.NodeID) string { return "n" + id.String() }

func (w *world) say(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *world) command(d *datadriven.TestData) {
	arg := func(i int) string {
		if i < len(d.CmdArgs) {
			return d.CmdArgs[i].Key
		}
		return ""
	}
	switch d.Cmd {
	case "cib":
		root, err := cib.Parse([]byte(d.Input))
		if err != nil {
			w.t.Fatal(err)
		}
		w.commit(root)
		w.feed(w.state())
	case "configure":
		root, err := cib.Parse([]byte(d.Input))
		if err != nil {
			w.t.Fatal(err)
		}
		w.commit(w.root.WithReplaced(w.root.Child("configuration"), root.Child("configuration")))
		w.feed(w.state())
	case "lead":
		d.ScanArgs(w.t, "term", &w.term)
		w.feed(Lead{Leadership{Leader: nodeNumber(arg(0)), Term: w.term, Ready: d.HasArg("ready")}})
	case "standing":
		w.feed(Standing{Quorate: arg(0) == "quorate", Reason: "as the story says"})
	case "peer":
		w.feed(Peer{ID: nodeNumber(arg(0)), Alive: d.HasArg("alive"), Working: d.HasArg("working"), Gone: d.HasArg("gone"), Reason: "as the story says"})
	case "holds":
		w.running[arg(0)] = map[string]bool{}
		for _, a := range d.CmdArgs[1:] {
			w.running[arg(0)][a.Key] = true
		}
	case "break":
		var rc int
		d.ScanArgs(w.t, "rc", &rc)
		w.broken[arg(0)+" "+arg(1)+" "+arg(2)] = agent.Code(rc)
	case "mend":
		w.broken = map[string]agent.Code{}
	case "hold":
		w.held[arg(0)+" "+arg(1)+" "+arg(2)] = true
	case "release":
		w.held = map[string]bool{}
		kept := w.kept
		w.kept = nil
		for _, e := range kept {
			w.feed(e)
		}
	case "refuse":
		w.refuse = arg(0) == "on"
	case "notice":
		var rc int
		d.ScanArgs(w.t, "rc", &rc)
		delete(w.running[arg(1)], arg(0))
		w.feed(Noticed{Node: nodeNumber(arg(1)), Record: w.result(arg(1), agent.Command{
			Resource: arg(0), Action: agent.Monitor, Interval: 10_000, Timeout: 20_000,
			Agent: agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"},
		}, agent.Code(rc), "process exited")})
	case "tick":
		w.now = w.now.Add(10 * time.Second)
		w.feed(Tick{})
	case "runs":
		w.sayRunning()
	default:
		w.t.Fatalf("no command %q", d.Cmd)
	}
}

func (w *world) sayRunning() {
	var lines []string
	for node, list := range w.running {
		for res, on := range list {
			if on {
				lines = append(lines, res+" on "+node)
			}
		}
	}
	sort.Strings(lines)
	w.log = append(w.log, lines...)
}

func (w *world) commit(root *cib.Node) {
	w.index++
	w.root = root
}

func (w *world) state() State { return State{Root: w.root, Index: w.index, Generation: 1} }

// feed gives the machine an input, and then what comes of its effects, in turn,
// until nothing comes any more.
func (w *world) feed(in Input) {
	queue := []Input{in}
	for n := 0; len(queue) > 0; n++ {
		if n > 1000 {
			w.t.Fatal("the machine does not come to rest")
		}
		w.now = w.now.Add(time.Millisecond)
		for _, e := range w.m.Step(w.now, queue[0]) {
			if answer := w.carryOut(e); answer != nil {
				queue = append(queue, answer)
			}
		}
		queue = queue[1:]
	}
}

func (w *world) carryOut(e Effect) Input {
	switch e := e.(type) {
	case Report:
		w.say("  %s: %s", e.Kind, e.Text)
	case Settled:
		w.say("settled")
	case Query:
		w.say("ask %s what runs there (term %d)", nodeName(e.Node), e.Term)
		return Joined{Node: e.Node, Term: e.Term, Transition: e.Transition, Records: w.records(nodeName(e.Node))}
	case LocalDone:
		w.say("may take part again (%d)", e.Times)
	case Recall:
		return Local{Records: w.records(nodeName(w.m.cfg.Self))}
	case Propose:
		return w.propose(e)
	case Do:
		return w.do(e)
	}
	return nil
}

func (w *world) propose(e Propose) Input {
	if w.refuse {
		w.say("propose: refused")
		return Proposed{ID: e.ID, Err: errors.New("no majority")}
	}
	root, err := cib.Apply(w.root, e.Ops)
	if err != nil {
		w.t.Fatalf("propose %s: %v", e.Reason, err)
	}
	w.commit(root)
	for _, op := range e.Ops {
		w.say("write %s %s", op.Kind, strings.TrimPrefix(op.Path+op.ID, "/cib/"))
	}
	return Proposed{ID: e.ID, State: w.state()}
}

// do runs an operation, and checks the first promise while it is at it.
func (w *world) do(e Do) Input {
	node, c := nodeName(e.Node), e.Command
	key := c.Action + " " + c.Resource + " " + node
	code := c.Target
	here := w.running[node]
	if here == nil {
		here = map[string]bool{}
		w.running[node] = here
	}
	switch c.Action {
	case agent.Start:
		for other, list := range w.running {
			if other != node && list[c.Resource] && c.Meta["clone"] == "" {
				w.t.Errorf("%s started on %s while it runs on %s", c.Resource, node, other)
			}
		}
		here[c.Resource] = true
	case agent.MigrateFrom:
		here[c.Resource] = true
	case agent.Stop:
		delete(here, c.Resource)
	case agent.Monitor:
		if code = agent.NotRunning; here[c.Resource] {
			code = agent.OK
		}
	}
	if rc, is := w.broken[key]; is {
		code = rc
	}
	w.say("do %s on %s (%d.%d): rc=%d", c.Action+" "+c.Resource, node, c.Stamp.Term, c.Stamp.Transition, code)
	ended := Ended{Ref: e.Ref, Record: w.result(node, c, code, "")}
	if w.held[key] {
		w.kept = append(w.kept, ended)
		return nil
	}
	return ended
}

func (w *world) result(node string, c agent.Command, code agent.Code, reason string) agent.Record {
	w.calls[node]++
	return agent.Record{Command: c, Call: w.calls[node], Changed: w.now, Result: agent.Result{Code: code, Reason: reason, Started: w.now}}
}

// records is what a node's executor would tell: a start for what runs.
func (w *world) records(node string) []agent.Record {
	var list []agent.Record
	for res, on := range w.running[node] {
		if on {
			list = append(list, w.result(node, agent.Command{
				Resource: res, Action: agent.Start, Agent: agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"}, Timeout: 20_000,
			}, agent.OK, ""))
		}
	}
	return list
}
