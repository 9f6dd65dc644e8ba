package node

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// TestStories plays testdata: each command is an input at a time, and prints the
// effects. A story has one machine; everything outside is scripted.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{t: t, now: time.Unix(1_800_000_000, 0), ask: map[cib.NodeID]quorum.Plea{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			if d.HasArg("after") {
				var ms int
				d.ScanArgs(t, "after", &ms)
				s.now = s.now.Add(time.Duration(ms) * time.Millisecond)
			}
			return s.play(d)
		})
	})
}

// script is one story.
type script struct {
	t   *testing.T
	m   *Machine
	now time.Time
	log Log
	ask map[cib.NodeID]quorum.Plea // the newest of each mate
}

// start makes node 1 of so many: voters, with a fence device "power" that everybody
// can run, or none.
func (s *script) start(d *datadriven.TestData) string {
	nodes, options := 2, ""
	d.MaybeScanArgs(s.t, "nodes", &nodes)
	d.MaybeScanArgs(s.t, "options", &options)
	s.m = NewMachine(DefaultConfig(1, "n1"))
	list := ""
	s.log = Log{State: controller.State{Index: 10, Generation: 1}, Term: 1,
		Position: quorum.Position{Generation: 1, Term: 1, Index: 10, Commit: 10, Voter: true}}
	for i := 1; i <= nodes; i++ {
		list += fmt.Sprintf(`<node id="%d" uname="n%d"/>`, i, i)
		s.log.Voters = append(s.log.Voters, cib.NodeID(i))
	}
	pairs := ""
	for i, o := range strings.Split(options, ";") {
		if name, value, ok := strings.Cut(o, "="); ok {
			pairs += fmt.Sprintf(`<nvpair id="o%d" name="%s" value="%s"/>`, i, name, value)
		}
	}
	root, err := cib.Parse([]byte(`<cib epoch="1" num_updates="0" admin_epoch="0" validate-with="pacemaker-3.9"><configuration><crm_config><cluster_property_set id="p">` + pairs +
		`</cluster_property_set></crm_config><nodes>` + list + `</nodes><resources/><constraints/></configuration><status/></cib>`))
	if err != nil {
		s.t.Fatal(err)
	}
	s.log.State.Root = root
	text := s.step(s.log)
	if d.HasArg("power") {
		text += s.step(Setup{power(s.t, nodes)})
	}
	return text
}

// power is one switch for all nodes, which everybody can run.
func power(t *testing.T, nodes int) *fencer.Setup {
	dev := fencer.Device{ID: "power", Actions: []fencer.Action{fencer.Off, fencer.On, fencer.Status}, Verify: true}
	for i := 1; i <= nodes; i++ {
		n := fencer.Node("n" + strconv.Itoa(i))
		dev.Targets = append(dev.Targets, n)
		dev.Members = append(dev.Members, fencer.Reach{Node: n, Working: true})
	}
	setup, err := fencer.NewSetup([]fencer.Device{dev}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

var places = map[string]quorum.Place{"quorate": quorum.Quorate, "half": quorum.Half, "isolated": quorum.Isolated}

var kinds = map[string]PeerKind{"up": PeerUp, "lost": PeerLost, "gone": PeerGone, "left": PeerLost, "anew": PeerAnew}

func (s *script) play(d *datadriven.TestData) string {
	var node, command int
	d.MaybeScanArgs(s.t, "node", &node)
	d.MaybeScanArgs(s.t, "command", &command)
	switch d.Cmd {
	case "start":
		return s.start(d)
	case "stand":
		var place string
		d.ScanArgs(s.t, "place", &place)
		return s.step(Standing{Place: places[place], Reason: "as told"})
	case "peer":
		var is string
		d.ScanArgs(s.t, "is", &is)
		in := Peer{Kind: kinds[is], Node: cib.NodeID(node), Manager: Up, Reason: "n" + strconv.Itoa(node) + " " + is}
		if is == "left" {
			in.Manager = Leaving
		}
		in.Booted = d.HasArg("booted")
		if d.HasArg("watchdog") {
			in.Watchdog = Watchdog{Armed: true, Timeout: 5 * time.Second}
		}
		return s.step(in)
	case "lead":
		s.log.Leader, s.log.Ready = cib.NodeID(node), node == 1
		return s.step(s.log)
	case "forced":
		s.log.State.Generation++
		s.log.Position.Generation++
		s.log.Learners = append(s.log.Learners, s.log.Voters[1:]...)
		s.log.Voters, s.log.Term, s.log.Leader, s.log.Ready = []cib.NodeID{1}, s.log.Term+1, 1, true
		return s.step(Forced{}) + s.step(s.log)
	case "supported":
		var err string
		d.MaybeScanArgs(s.t, "err", &err)
		return s.step(Supported{quorum.Supported{Node: cib.NodeID(node), Plea: s.ask[cib.NodeID(node)], Err: err}})
	case "asked":
		var kind string
		var index int
		d.ScanArgs(s.t, "kind", &kind)
		d.ScanArgs(s.t, "index", &index)
		plea := quorum.Plea{Kind: quorum.PleaKind(kind), Number: 5, Generation: 2, Position: quorum.Position{Generation: 1, Term: 1, Index: uint64(index), Voter: true}}
		return s.step(SupportAsked{quorum.Asked{ID: 11, Node: cib.NodeID(node), Plea: plea}})
	case "pledged":
		return s.step(Pledged{quorum.Bound{Pledged: quorum.Pledged{Generation: 2, Claimer: cib.NodeID(node)}}})
	case "learners":
		s.log.Learners = nil
		for _, v := range d.CmdArgs[0].Vals {
			id, _ := cib.ParseNodeID(v)
			s.log.Learners = append(s.log.Learners, id)
		}
		return s.step(s.log)
	case "pending":
		s.log.Pending = nil
		for _, a := range d.CmdArgs {
			for _, v := range a.Vals {
				id, _ := cib.ParseNodeID(v)
				s.log.Pending = append(s.log.Pending, id)
			}
		}
		return s.step(s.log)
	case "promoted":
		in := Promoted{Node: cib.NodeID(node)}
		if d.HasArg("fails") {
			in.Err = errors.New("it does not catch up")
		}
		return s.step(in)
	case "watchdog":
		return s.step(Peer{Kind: PeerWatchdog, Node: 1, Watchdog: Watchdog{Armed: true, Timeout: 5 * time.Second}})
	case "synced":
		return s.step(Synced{})
	case "paused":
		return s.step(Paused{For: time.Second})
	case "local":
		return s.step(Control{controller.Local{}})
	case "device":
		var says string
		d.ScanArgs(s.t, "says", &says)
		in := fencer.Result{Command: uint64(command), Outcome: fencer.Done, Power: fencer.Power(says), Words: "it says " + says}
		if says == "fails" {
			in.Outcome, in.Power = fencer.Failed, ""
		}
		return s.step(FenceResult{in})
	case "confirm":
		return s.step(ConfirmRequest{ID: 7, Target: "n" + strconv.Itoa(node), By: "alice"})
	case "fence":
		action := string(fencer.Off)
		d.MaybeScanArgs(s.t, "action", &action)
		return s.step(FenceRequest{ID: 8, Target: "n" + strconv.Itoa(node), Action: fencer.Action(action), By: "alice", Reason: "she says so"})
	case "force":
		return s.step(ForceRequest{ID: 9, By: "alice"})
	case "ask": // as a transition would
		return s.direct(controller.Fence{Ref: controller.Ref{Term: 1, Transition: 3, Action: 4}, Node: cib.NodeID(node), Name: "n" + strconv.Itoa(node), Action: "reboot", Reason: "a stop failed"})
	case "doubted":
		in := Doubted{}
		d.MaybeScanArgs(s.t, "why", &in.Why)
		return s.step(in)
	case "broken":
		return s.step(Broken{"the log is broken"})
	case "tick":
		return s.step(Tick{})
	}
	s.t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

// direct lets the controller ask for fencing.
func (s *script) direct(f controller.Fence) string {
	s.m.now, s.m.out = s.now, nil
	s.m.fromControl(f)
	return s.step(Tick{})
}

// step plays one input and tells the effects, but for the views and wakes that
// changed nothing.
func (s *script) step(in Input) string {
	var text strings.Builder
	for _, e := range s.m.Step(s.now, in) {
		switch e := e.(type) {
		case Ask:
			s.ask[e.Node] = e.Plea
			fmt.Fprintf(&text, "ask n%d: %s\n", e.Node, e.Plea.Kind)
		case Recall:
			fmt.Fprintf(&text, "recall %d on %s: %s\n", e.Command, e.Member, e.Why)
		case Wake:
		case PeerIs:
		case Report:
			fmt.Fprintf(&text, "say %s: %s\n", e.Kind, e.Text)
		case SetView:
			if len(e.View.Pending) > 0 {
				fmt.Fprintf(&text, "view pending=%v\n", e.View.Pending)
			}
			fmt.Fprintf(&text, "view voters=%v leader=%d state=%d clean=%v outlive=%v doubt=%q\n", e.View.Voters, e.View.Leader, e.View.State, e.View.Clean, e.View.Outlive, e.View.Doubt)
		case Command:
			fmt.Fprintf(&text, "controller: %T\n", e.Effect)
		case Execute:
			fmt.Fprintf(&text, "execute %d: %s %s of %s on %s\n", e.Command, e.Device, e.Action, e.Target, e.Member)
		case Fenced:
			fmt.Fprintf(&text, "fenced: %s\n", e.Entry.Words)
		default:
			fmt.Fprintf(&text, "%T %+v\n", e, e)
		}
	}
	return text.String()
}
