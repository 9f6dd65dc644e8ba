// Package sim runs whole clusters on virtual time: the real cores of heartbeats,
// log, decisions and execution, for several nodes in one process and one
// goroutine, with a simulated network, disks, clocks, agents, fence devices,
// watchdogs and operators. DESIGN.md says how, and what is not real.
package sim

import (
	"fmt"
	"io"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/store"
)

// simulation is one run.
type simulation struct {
	w        *world
	script   *Script
	story    io.Writer // nil: nobody reads it
	net      *network
	machines []*machine
	outlets  []*outlet
	seed     *cib.Node // the configuration that every node was given when it joined
	unique   map[string]bool
	check    checker
	luck     chance // of clients and operators
	severed  bool   // nodes have been cut off from each other, or have stood still
	marks    int
	ends     []func() // of faults
	bans     []string // services that were kept from some node
	wishes   []wish   // of the person who looks after all when the faults are over
	looked   int64    // when he last did
	began    int64    // when the first fault may come
}

// Outcome is how a run ended.
type Outcome struct {
	Rule    string        // the invariant that broke; "" if none did
	Broken  string        // in words
	Started bool          // the cluster came up before the faults
	At      time.Duration // virtual time of the end
	Events  int           // that happened
	Nodes   int
	Fenced  int // how often a machine lost its power by a device or watchdog
	Claims  int // how many generations were forced
	Acks    int // changes that were acknowledged
}

// NodeSeconds is how much was simulated.
func (o *Outcome) NodeSeconds() float64 { return o.At.Seconds() * float64(o.Nodes) }

// bootTime is how long a new cluster may take to come up.
const bootTime = 120e9

// Play runs a script. The story is written to story, if that is not nil; it is the
// same for the same script, to the byte.
func Play(script *Script, story io.Writer) (*Outcome, error) {
	if err := script.check(); err != nil {
		return nil, err
	}
	s, err := newSimulation(script, story)
	if err != nil {
		return nil, err
	}
	defer steadyRandom(script.Seed)()
	out := &Outcome{Nodes: script.Cluster.Nodes}
	if err := s.boot(); err != nil {
		return nil, err
	}
	out.Started = s.untilInOrder(bootTime)
	if out.Started {
		s.began = s.w.now
		s.tell(nil, "everything is in order")
		s.inject()
	} else if s.w.ended == "" {
		s.dump()
		s.check.fail(nil, NotInTime, "a new cluster did not come up: %s", s.notInOrder())
	}
	if s.check.found == "" && s.w.ended != "" {
		s.check.fail(nil, Circle, "%s", s.w.ended)
	}
	out.Rule, out.Broken = s.check.rule, s.check.found
	out.At, out.Events, out.Fenced, out.Claims, out.Acks = time.Duration(s.w.now), s.w.steps, s.check.switched, len(s.check.claims), len(s.check.acks)
	return out, nil
}

func newSimulation(script *Script, story io.Writer) (*simulation, error) {
	s := &simulation{script: script, story: story, unique: map[string]bool{}, luck: newChance(script.Seed, forClients)}
	s.w = &world{after: func() string { return s.check.found }}
	s.check = checker{s: s, claims: map[uint64]cib.NodeID{}}
	s.net = newNetwork(s.w, script.Seed, script.Cluster.Nodes, script.Cluster.Links)
	for n := range script.Cluster.Nodes {
		m := newMachine(s, n)
		s.machines = append(s.machines, m)
		s.outlets = append(s.outlets, &outlet{m: m, luck: newChance(script.Seed, forDevices+uint64(n))})
	}
	for _, name := range serviceNames(script.Cluster) {
		s.unique[name] = true
	}
	var err error
	s.seed, err = document(script.Cluster)
	return s, err
}

// boot makes the cluster's first state on the first node and lets the others join.
func (s *simulation) boot() error {
	first := s.machines[0]
	d := &daemon{m: first}
	if err := store.Bootstrap(d.storeConfig(), s.seed); err != nil {
		return fmt.Errorf("make a cluster: %w", err)
	}
	for _, m := range s.machines {
		m.powerOn("the beginning")
	}
	for _, m := range s.machines[1:] {
		s.admit(m)
	}
	return nil
}

// admit makes a machine a member of the log, again and again until it is one.
func (s *simulation) admit(m *machine) {
	again := func() { s.w.in(500e6, func() { s.admit(m) }) }
	d := s.machines[0].daemon
	if d == nil {
		again()
		return
	}
	d.setMember(store.AddLearner, m.id, func(err error) {
		if err != nil {
			again()
		}
	})
}

// machine returns the machine of a node, nil if there is none.
func (s *simulation) machine(id cib.NodeID) *machine {
	if id == 0 || int(id) > len(s.machines) {
		return nil
	}
	return s.machines[id-1]
}

func (s *simulation) nameOf(id cib.NodeID) string {
	if m := s.machine(id); m != nil {
		return m.name
	}
	return fmt.Sprintf("node %d", id)
}

func (s *simulation) outlet(name string) *outlet {
	for _, o := range s.outlets {
		if o.m.name == name {
			return o
		}
	}
	return nil
}

// report is a line of the cluster's own story.
func (s *simulation) report(m *machine, r controller.Report) {
	if r.Kind == "result" || r.Kind == "action" || s.story == nil {
		return
	}
	s.tell(m, "%s: %s", r.Kind, r.Text)
}
