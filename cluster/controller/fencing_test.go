package controller

import (
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
)

// The commands of TestMachine that are about fencing.

func (w *world) fencingCommand(d *datadriven.TestData, arg string) {
	switch d.Cmd {
	case "fencer":
		w.fencer = arg
	case "fenced":
		waiting := w.fences
		w.fences = nil
		for _, f := range waiting {
			if f.Name != arg {
				w.fences = append(w.fences, f)
				continue
			}
			answer := w.fenced(f, d.HasArg("ok"))
			w.down[arg] = w.down[arg] && !d.HasArg("again-on")
			w.feed(answer)
		}
	case "off":
		since := 0
		d.MaybeScanArgs(w.dd, "since", &since)
		w.switchOff(arg)
		w.feed(Off{Node: nodeNumber(arg), Since: w.now.Add(-time.Duration(since) * time.Second), Words: "as the story says"})
	case "without":
		for _, r := range mutant.All() {
			if r.String() == arg {
				w.dd.Cleanup(mutant.Switch(r))
			}
		}
	case "mark":
		var mark string
		d.ScanArgs(w.dd, "mark", &mark)
		id := nodeNumber(arg)
		w.commit(w.root.WithPath(func(status *cib.Node) *cib.Node {
			old := status.ChildByID("node_state", id.String())
			return status.WithReplaced(old, cib.NodeState(id, arg, true).WithAttr(joinMark, mark))
		}, "status"))
		w.feed(w.state())
	case "gone-on":
		id := nodeNumber(arg)
		w.commit(w.root.WithPath(func(status *cib.Node) *cib.Node {
			return status.WithReplaced(status.ChildByID("node_state", id.String()), cib.NodeState(id, arg, false))
		}, "status"))
		w.feed(w.state())
	case "erase":
		w.commit(w.root.WithPath(func(status *cib.Node) *cib.Node {
			return status.WithReplaced(status.ChildByID("node_state", nodeNumber(arg).String()), nil)
		}, "status"))
		w.feed(w.state())
	case "attr":
		id := nodeNumber(arg)
		w.commit(w.root.WithPath(func(status *cib.Node) *cib.Node {
			old := status.ChildByID("node_state", id.String())
			return status.WithReplaced(old, cib.WithNodeAttr(old, d.CmdArgs[1].Key, d.CmdArgs[1].Vals[0]))
		}, "status"))
		w.feed(w.state())
		w.feed(Poke{Reason: "an attribute of " + arg + " changed"})
	case "unfenced":
		for _, u := range w.m.Unfenced() {
			w.say("%s", u.Words)
		}
	}
}

// fence is what the fencer does.
func (w *world) fence(f Fence) []Input {
	after := ""
	if f.Delay != 0 {
		after = " after " + f.Delay.String()
	}
	w.say("fence %s: %s%s", f.Name, f.Action, after)
	switch w.fencer {
	case "waits":
		w.fences = append(w.fences, f)
		return nil
	case "fails":
		return []Input{w.fenced(f, false)}
	}
	done := w.fenced(f, true)
	if f.Action == fenceOn {
		return []Input{done}
	}
	return []Input{Off{Node: f.Node, Since: w.now, Words: "fence_x, run by n1, reported success"}, done}
}

func (w *world) fenced(f Fence, ok bool) Fenced {
	if !ok {
		return Fenced{Ref: f.Ref, Words: f.Action + " of " + f.Name + " failed: fence_x does not answer"}
	}
	if f.Action != fenceOn {
		w.switchOff(f.Name)
	}
	return Fenced{Ref: f.Ref, OK: true, Words: "fence_x, run by n1, reported success"}
}

// switchOff takes a node's power, unless the fencer lies.
func (w *world) switchOff(name string) {
	if w.fencer != "lies" {
		w.running[name], w.down[name] = nil, true
	}
}
