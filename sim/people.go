package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/store"
)

// change makes a change of the configuration through this node, as the API does;
// done is called if it was acknowledged.
func (d *daemon) change(reason string, ops []cib.Op, done func(ack)) {
	c := store.Change{Author: "root@" + d.m.name, Reason: reason, Time: d.now(), Ops: ops}
	d.storage.ask(func(id store.RequestID) store.Event { return store.Propose{ID: id, Change: c, Within: 5 * time.Second} }, func(a store.Answered) {
		if a.Err != nil {
			d.m.sim.tell(d.m, "the change %s failed: %v", reason, a.Err)
			return
		}
		if done != nil {
			done(ack{generation: a.State.Generation, index: a.State.Index})
		}
	})
}

// somewhere returns a daemon that a person would turn to.
func (s *simulation) somewhere() *daemon {
	for _, m := range s.machines {
		if m.daemon != nil && m.daemon.storage.core.State().Root != nil {
			if acting, _ := m.daemon.machine.Acting(); acting {
				return m.daemon
			}
		}
	}
	return nil
}

// operate is what a person does. By is a verb, for some with an object.
func (s *simulation) operate(f Fault) {
	verb, object, _ := strings.Cut(f.By, ".")
	switch verb {
	case "standby", "online":
		for _, n := range f.Who {
			s.setStandby(s.machines[n-1], verb == "standby")
		}
	case "cleanup":
		s.cleanup(object)
	case "confirm":
		s.confirm(s.machines[f.Who[0]-1], object == "blindly")
	case "force":
		s.force(s.machines[f.Who[0]-1])
	case "off", "reboot":
		s.switchOff(s.machines[f.Who[0]-1], verb)
	}
}

// setStandby takes a node's resources away, or gives them back; again until it is done.
func (s *simulation) setStandby(m *machine, on bool) {
	if s.isWitness(m) {
		return // it runs nothing, whatever anybody says
	}
	m.standby = on
	ops, _ := standby(m, on)
	s.insist(fmt.Sprintf("%s standby %v", m.name, on), ops, func() bool { return m.standby == on })
}

func (s *simulation) isWitness(m *machine) bool {
	return m.n >= len(s.machines)-s.script.Cluster.Witness
}

// insist makes a change, again and again until it is acknowledged or not wanted any more.
func (s *simulation) insist(reason string, ops []cib.Op, wanted func() bool) {
	over := false
	var try func()
	try = func() {
		if over || !wanted() {
			return
		}
		if d := s.somewhere(); d != nil {
			d.change(reason, ops, func(ack) { over = true })
		}
		s.w.in(2e9, try)
	}
	try()
}

// coordinator returns the daemon that leads, and may act.
func (s *simulation) coordinator() *daemon {
	for _, m := range s.machines {
		if m.daemon == nil {
			continue
		}
		if l := m.daemon.storage.core.Leadership(); l.Leader == m.id && l.Ready {
			if acting, _ := m.daemon.machine.Acting(); acting {
				return m.daemon
			}
		}
	}
	return nil
}

// cleanup forgets the failures of a resource everywhere. As with package app, the
// coordinator does it and looks again when it is done: the configuration has not changed.
func (s *simulation) cleanup(resource string) {
	d := s.coordinator()
	if d == nil {
		s.tell(nil, "nobody leads: %s is not cleaned up", resource)
		return
	}
	var ops []cib.Op
	for _, m := range s.machines {
		m.isStopped(resource)
		path := "/cib/status/node_state[@id='" + m.id.String() + "']"
		state := d.root().Child("status").ChildByID("node_state", m.id.String())
		if state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", resource) == nil {
			continue
		}
		ops = append(ops, cib.Op{Kind: cib.Delete, Optional: true, Path: path + "/lrm/lrm_resources/lrm_resource[@id='" + resource + "']"})
		if ta := cib.WithoutFailures(state, resource).Child("transient_attributes"); ta != nil {
			ops = append(ops, cib.Op{Kind: cib.Replace, Path: path + "/transient_attributes", Parent: path, XML: ta.String()})
		}
		if m.daemon != nil {
			m.daemon.ownDoing(agent.Command{Resource: resource, Action: agent.Forget, Timeout: 1000, Stamp: agent.Stamp{Action: -int(s.w.now)}}, func(agent.Record, error) {})
		}
	}
	d.change("cleanup "+resource, ops, func(ack) {
		for _, m := range s.machines {
			if m.unstopped[resource] == resolved {
				delete(m.unstopped, resource)
			}
		}
		d.p.do(d.hop(), func() { // it has to judge this state, not the one before it
			d.log()
			d.control(controller.Poke{Reason: "cleanup " + resource})
		})
	})
}

// confirm is an operator's word that a machine is off. One who does not look says
// so of a machine that is on, too: what follows is on him.
func (s *simulation) confirm(m *machine, blindly bool) {
	if m.on && !blindly {
		return
	}
	d := s.somewhere()
	// Of a node that is heard nobody is to be believed.
	s.check.forcing = s.check.forcing || m.on && !(d != nil && (d.m == m || d.peers[m.id].Alive))
	s.ask(d, func(id uint64) node.Input { return node.ConfirmRequest{ID: id, Target: m.name, By: "an operator"} })
}

// force is takt cluster force.
func (s *simulation) force(m *machine) {
	s.check.forcing = true
	s.ask(m.daemon, func(id uint64) node.Input { return node.ForceRequest{ID: id, By: "an operator"} })
}

// switchOff is takt fence off and reboot.
func (s *simulation) switchOff(m *machine, verb string) {
	m.wanted = true
	s.ask(s.somewhere(), func(id uint64) node.Input {
		return node.FenceRequest{ID: id, Target: m.name, Action: fencerAction(verb), By: "an operator", Reason: "he wants it"}
	})
}

func (s *simulation) ask(d *daemon, in func(id uint64) node.Input) {
	if d == nil {
		s.tell(nil, "there is nobody to ask")
		return
	}
	d.asks++
	id := d.asks
	d.answers[id] = func(text, err string) { s.tell(d.m, "answers: %s%s", text, err) }
	d.tell(in(id))
}

// change is somebody who changes the configuration: By says what.
func (s *simulation) change(f Fault) {
	d := s.somewhere()
	if d == nil {
		return
	}
	verb, object, _ := strings.Cut(f.By, ".")
	switch verb {
	case "mark":
		s.mark(d.m)
	case "restart": // other parameters: the service is restarted
		path := "/cib/configuration/resources//primitive[@id='" + object + "']"
		set := cib.NewNode("instance_attributes", "id", object+"-params").WithChild(
			cib.NewNode("nvpair", "id", object+"-params-n", "name", "n", "value", fmt.Sprint(s.w.now)))
		d.change(f.By, []cib.Op{{Kind: cib.Replace, Path: path + "/instance_attributes[@id='" + object + "-params']", Parent: path, XML: set.String()}}, nil)
	case "ban":
		s.bans = append(s.bans, object)
		for _, n := range f.Who {
			loc := cib.NewNode("rsc_location", "id", "ban-"+object, "rsc", object, "node", nodeName(n), "score", "-INFINITY")
			d.change(f.By, []cib.Op{{Kind: cib.Replace, Path: "/cib/configuration/constraints/rsc_location[@id='ban-" + object + "']", Parent: "/cib/configuration/constraints", XML: loc.String()}}, nil)
		}
	case "unban":
		d.change(f.By, unban(object), nil)
	}
}

func unban(resource string) []cib.Op {
	return []cib.Op{{Kind: cib.Delete, Optional: true, Path: "/cib/configuration/constraints/rsc_location[@id='ban-" + resource + "']"}}
}
