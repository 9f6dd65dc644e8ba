package controller

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
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
//	quiet            on, or off: what happens is not told
//	lead [ready]     who leads: NAME [ready], with term=N
//	standing         quorate, hold or isolated
//	peer NAME        alive, working, gone, left, booted as named
//	holds NAME       what runs there: resource=started …
//	break ACTION RES NODE   from now on that operation gives rc=N, or times out; mend: takes it back
//	hold ACTION      that operation gives no answer until release
//	notice RES NODE  a monitor result seen by the node, rc=N
//	fencer           works (the default: it answers with a proof), fails, lies, or waits
//	fenced NAME      ends all fencing of the node that waits: ok (again-on: and back) or failed
//	off NAME         it is proven off, since=N seconds ago
//	without          a rule of package mutant is switched off to the end of the file
//	mark NAME        another coordinator lets the node join: mark=TEXT
//	gone-on NAME     the others have written the node off
//	erase NAME       its node_state is taken out of the CIB
//	attr NAME        a transient attribute is set: NAME=VALUE
//	unfenced         what status says about fencing
//	tick             time passes, 10 s or as many as it says
func TestMachine(t *testing.T) {
	datadriven.Walk(t, "testdata/machine", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "self" {
				w = newWorld(t, d.CmdArgs[0].Key)
				return ""
			}
			w.log = nil
			if d.Cmd == "quiet" {
				w.quiet = d.CmdArgs[0].Key == "on"
				return ""
			}
			w.command(d)
			if w.quiet {
				return ""
			}
			return strings.Join(w.log, "\n") + "\n"
		})
	})
}

// world is everything around one machine.
type world struct {
	dd       *testing.T // of the script
	t        failer
	m        *Machine
	now      time.Time
	root     *cib.Node
	index    uint64
	term     uint64
	running  map[string]map[string]bool // node → resource → running
	calls    map[string]int64           // node → last call number
	broken   map[string]agent.Code      // "start web n1" → rc
	held     map[string]bool            // "start web n1": gives no answer
	kept     []Ended                    // answers that are held back
	timeout  map[string]bool            // "stop web n1": times out
	refuse   bool                       // proposals fail
	fencer   string
	promoted map[string]bool // "db n1"
	cut      map[string]bool // nodes that nobody reaches: what runs there goes on
	down     map[string]bool // nodes without power: they do not answer
	fences   []Fence         // that wait
	log      []string
	quiet    bool
	effects  func(Effect) // is told of each
}

// failer is a test of whatever kind.
type failer interface {
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

func newWorld(t *testing.T, self string) *world {
	w := emptyWorld(t, self)
	w.dd = t
	return w
}

func emptyWorld(t failer, self string) *world {
	return &world{
		t: t, m: NewMachine(DefaultConfig(nodeNumber(self), self)), now: time.Unix(1_700_000_000, 0).UTC(),
		running: map[string]map[string]bool{}, calls: map[string]int64{}, broken: map[string]agent.Code{}, held: map[string]bool{},
		timeout: map[string]bool{}, fencer: "works", down: map[string]bool{}, promoted: map[string]bool{}, cut: map[string]bool{},
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
		d.ScanArgs(w.dd, "term", &w.term)
		w.feed(Lead{Leadership{Leader: nodeNumber(arg(0)), Term: w.term, Ready: d.HasArg("ready")}})
	case "standing":
		w.feed(Standing{Quorate: arg(0) == "quorate", Hold: arg(0) == "hold", Reason: "as the story says"})
	case "peer":
		w.down[arg(0)] = w.down[arg(0)] && !d.HasArg("alive")
		w.feed(Peer{ID: nodeNumber(arg(0)), Alive: d.HasArg("alive"), Working: d.HasArg("working"), Gone: d.HasArg("gone"), Left: d.HasArg("left"), Booted: d.HasArg("booted"), Reason: "as the story says"})
	case "holds":
		w.running[arg(0)] = map[string]bool{}
		for _, a := range d.CmdArgs[1:] {
			w.running[arg(0)][a.Key] = true
		}
	case "break":
		key := arg(0) + " " + arg(1) + " " + arg(2)
		if d.HasArg("times-out") {
			w.timeout[key] = true
			return
		}
		var rc int
		d.ScanArgs(w.dd, "rc", &rc)
		w.broken[key] = agent.Code(rc)
	case "mend":
		w.broken, w.timeout = map[string]agent.Code{}, map[string]bool{}
	case "fencer", "fenced", "off", "without", "mark", "gone-on", "erase", "attr", "unfenced":
		w.fencingCommand(d, arg(0))
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
		d.ScanArgs(w.dd, "rc", &rc)
		delete(w.running[arg(1)], arg(0))
		w.feed(Noticed{Node: nodeNumber(arg(1)), Record: w.result(arg(1), agent.Command{
			Resource: arg(0), Action: agent.Monitor, Interval: 10_000, Timeout: 20_000,
			Agent: agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"},
		}, agent.Code(rc), "process exited")})
	case "tick":
		seconds := 10
		if n, err := strconv.Atoi(arg(0)); err == nil {
			seconds = n
		}
		w.now = w.now.Add(time.Duration(seconds) * time.Second)
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
			if w.effects != nil {
				w.effects(e)
			}
			for _, answer := range w.carryOut(e) {
				queue = append(queue, answer)
			}
		}
		queue = queue[1:]
	}
}

func (w *world) carryOut(e Effect) []Input {
	switch e := e.(type) {
	case Report:
		w.say("  %s: %s", e.Kind, e.Text)
	case Settled:
		w.say("settled")
	case Query:
		w.say("ask %s what runs there (term %d)", nodeName(e.Node), e.Term)
		if w.down[nodeName(e.Node)] || w.cut[nodeName(e.Node)] {
			return nil
		}
		return []Input{Joined{Node: e.Node, Term: e.Term, Transition: e.Transition, Records: w.records(nodeName(e.Node))}}
	case LocalDone:
		clean := "something may run here"
		if e.Clean {
			clean = "nothing runs here"
		}
		w.say("may take part again (%d); %s", e.Times, clean)
	case Recall:
		self := nodeName(w.m.cfg.Self)
		return []Input{Local{Records: w.records(self), Active: w.active(self)}}
	case Seal:
		w.say("begin nothing more")
	case SelfFence:
		w.say("reset this node: %s", e.Why)
	case HandOver:
		w.say("hand the lead over: %s", e.Why)
	case Fence:
		return w.fence(e)
	case Propose:
		return []Input{w.propose(e)}
	case Do:
		if w.cut[nodeName(e.Node)] || w.down[nodeName(e.Node)] {
			return nil
		}
		if ended := w.do(e); ended != nil {
			return []Input{ended}
		}
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
		w.say("write %s %s%s", op.Kind, strings.TrimPrefix(op.Path+op.ID, "/cib/"), attrOf(op))
	}
	return Proposed{ID: e.ID, State: w.state()}
}

// attrOf names the transient attribute that an operation sets.
func attrOf(op cib.Op) string {
	n, err := cib.Parse([]byte(op.XML))
	if op.Kind != cib.Modify || err != nil || n.Name() != "node_state" {
		return ""
	}
	for nv := range n.Path("transient_attributes", "instance_attributes").Elements {
		return ": " + nv.Attr("name") + "=" + nv.Attr("value")
	}
	return ""
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
			if other != node && list[c.Resource] && c.Meta["clone"] == "" && c.Agent.Class != "stonith" && w.fencer != "lies" {
				w.t.Errorf("%s started on %s while it runs on %s", c.Resource, node, other)
			}
		}
		here[c.Resource] = true
	case agent.MigrateFrom:
		here[c.Resource] = true
	case agent.Promote:
		w.promoted[c.Resource+" "+node] = true
	case agent.Demote:
		delete(w.promoted, c.Resource+" "+node)
	case agent.Stop:
		delete(w.promoted, c.Resource+" "+node)
		if _, broken := w.broken[key]; !broken && !w.timeout[key] {
			delete(here, c.Resource)
		}
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
	if w.timeout[key] {
		w.log[len(w.log)-1] = strings.Replace(w.log[len(w.log)-1], "rc=0", "timed out", 1)
		ended.Record.Result.Status, ended.Record.Result.Code = agent.TimedOut, agent.Unknown
	}
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
	for _, res := range w.active(node) {
		c := agent.Command{Resource: res, Action: agent.Start, Agent: agentOf(res), Timeout: 20_000}
		list = append(list, w.result(node, c, agent.OK, ""))
		if w.promoted[res+" "+node] {
			c.Action = agent.Promote
			list = append(list, w.result(node, c, agent.OK, ""))
		}
	}
	return list
}

// agentOf: f is a fence device.
func agentOf(resource string) agent.ID {
	if resource == "f" {
		return agent.ID{Class: "stonith", Type: "fence_x"}
	}
	return agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"}
}

// active is what runs on a node, sorted.
func (w *world) active(node string) []string {
	var list []string
	for res, on := range w.running[node] {
		if on {
			list = append(list, res)
		}
	}
	sort.Strings(list)
	return list
}
