package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// settleTime is how long a run goes on after the last fault before the end begins.
const settleTime = 1e9

// inject lets the script happen, ends every fault, and waits for order.
func (s *simulation) inject() {
	last := s.began
	for _, f := range s.script.Faults {
		at := s.began + int64(f.At)
		s.w.at(at, func() { s.tell(nil, "FAULT %s", f); s.begin(f) })
		last = max(last, at+int64(f.For))
	}
	s.w.run(last + settleTime)
	if s.w.ended != "" {
		return
	}
	s.tell(nil, "all faults end")
	s.heal()
	rest := int64(s.script.Rest)
	if rest == 0 {
		rest = int64(DefaultRest)
	}
	if !s.untilInOrder(rest) && s.w.ended == "" {
		s.dump()
		s.check.fail(nil, NotInTime, "%v after the last fault: %s", time.Duration(rest), s.notInOrder())
	}
}

// begin lets a fault happen, and arranges its end.
func (s *simulation) begin(f Fault) {
	end := s.effect(f)
	if end == nil {
		return
	}
	who := f
	over := false
	finish := func() {
		if over {
			return
		}
		over = true
		end()
		s.trouble(who, -1)
	}
	s.trouble(f, 1)
	s.ends = append(s.ends, finish)
	if f.For > 0 {
		s.w.in(int64(f.For), func() {
			if !over {
				s.tell(nil, "the end of: %s", f)
			}
			finish()
		})
	}
}

// blameless are kinds that are no reason to fence anybody.
var blameless = map[Kind]bool{Clock: true, Slow: true, Load: true, Change: true, Device: true, Fail: true, Agent: true, Operator: true}

// trouble notes whom a fault gives reason to doubt.
func (s *simulation) trouble(f Fault, by int) {
	if blameless[f.Kind] {
		return
	}
	for _, n := range append(append([]int(nil), f.Who...), f.With...) {
		m := s.machines[n-1]
		m.troubles += by
		m.troubled = s.w.now
	}
}

// effect does what a fault does and returns how to end it, nil if there is
// nothing to end.
func (s *simulation) effect(f Fault) (end func()) {
	switch f.Kind {
	case Cut, OneWay, Loss, Delay, Duplicate:
		return s.onPaths(f)
	case Operator:
		s.operate(f)
		return nil
	case Change:
		s.change(f)
		return nil
	case Load:
		return s.load(f)
	}
	var ends []func()
	for _, n := range f.Who {
		if e := s.onMachine(s.machines[n-1], f); e != nil {
			ends = append(ends, e)
		}
	}
	return func() {
		for _, e := range ends {
			e()
		}
	}
}

// onPaths: what happens to the network between two sets of nodes.
func (s *simulation) onPaths(f Fault) func() {
	var changed []*path
	amount, _ := strconv.ParseFloat(strings.TrimSuffix(f.By, "ms"), 64)
	link := -1
	if f.Kind == Cut && f.By != "" {
		link = int(amount)
	}
	if f.Kind == Cut && link < 0 || f.Kind == OneWay || f.Kind == Loss || f.Kind == Delay {
		s.severed = true
	}
	for _, a := range f.Who {
		for _, b := range f.With {
			for k := range s.net.links {
				if link >= 0 && k != link || a == b {
					continue
				}
				changed = append(changed, s.net.path(a-1, b-1, k))
				if f.Kind != OneWay {
					changed = append(changed, s.net.path(b-1, a-1, k))
				}
			}
		}
	}
	var ends []func()
	for _, p := range changed {
		end := p.bad(f.Kind, amount)
		p.faults, p.fault = p.faults+1, s.w.now
		ends = append(ends, func() {
			end()
			p.faults, p.fault = p.faults-1, s.w.now
		})
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// bad makes a path do badly, and returns what ends it.
func (p *path) bad(kind Kind, amount float64) (end func()) {
	switch kind {
	case Loss:
		return p.loss.cast(amount)
	case Delay:
		return p.mean.cast(usualMore + int64(amount*1e6))
	case Duplicate:
		return p.dup.cast(amount)
	}
	p.cuts++
	return func() { p.cuts-- }
}

// onMachine: what happens to one machine.
func (s *simulation) onMachine(m *machine, f Fault) func() {
	switch f.Kind {
	case Crash:
		return m.crash(f.By)
	case Boot:
		m.powerOn("somebody switches it on")
	case Pause:
		s.severed = true
		m.standStill(int64(f.For))
		m.woke = max(m.woke, s.w.now+int64(f.For))
		return func() {}
	case Hang:
		if m.daemon != nil {
			m.daemon.still.until = max(m.daemon.still.until, s.w.now+int64(f.For))
		}
		return func() {}
	case Numb:
		s.severed = true
		if m.pulse != nil {
			m.pulse.p.own.until = max(m.pulse.p.own.until, s.w.now+int64(f.For))
			m.woke = max(m.woke, s.w.now+int64(f.For))
		}
		return func() {}
	case Daemon:
		m.endDaemon()
		m.killed++
		return func() {
			m.killed--
			m.restartDaemon(m.luck.long(startBase, startMore))
		}
	case Pulse:
		if m.daemon != nil || s.script.Cluster.Fencing != "none" { // else nobody is left who stops what runs, and nobody can know
			m.killPulse()
		}
		return func() {}
	case Clock:
		d, _ := time.ParseDuration(f.By)
		m.clock.wall += int64(d)
		m.wall += int64(d)
	case Slow, Sync, Full:
		return m.onDisk(f)
	case Fail:
		m.serviceDies(f.By)
	case Agent:
		return m.agentBad(f.By)
	case Device:
		return s.outlet(m.name).bad(f.By)
	}
	return nil
}

// crash takes the power, at once or in the middle of the next write.
func (m *machine) crash(by string) func() {
	m.stays++
	m.sim.w.in(0, func() {
		if by == "write" && m.on {
			m.disk.fuse = 1
			m.sim.w.in(500e6, func() {
				m.disk.fuse = 0
				m.powerOff("a crash")
			})
			return
		}
		m.powerOff("a crash")
	})
	return func() {
		m.stays--
		if m.stays == 0 {
			m.powerOn("after the crash")
		}
	}
}

// killPulse kills the heartbeats; the daemon, if it is there, starts them again.
func (m *machine) killPulse() {
	m.endPulse()
	if d := m.daemon; d != nil {
		d.p.do(m.luck.long(10e6, 10e6), func() {
			m.endPulse() // killed twice while the machine hung: there is one at a time
			m.startPulse()
			d.configure()
			m.pulse.attach(d)
			m.pulse.view(d, d.lastView)
		})
	}
}

func (m *machine) onDisk(f Fault) func() {
	switch f.Kind {
	case Slow:
		d, _ := time.ParseDuration(f.By)
		m.disk.slow += int64(d)
		return func() { m.disk.slow -= int64(d) }
	case Sync:
		m.disk.failing++
		return func() { m.disk.failing-- }
	}
	m.disk.full++
	m.runFull++
	return func() { m.disk.full--; m.runFull-- }
}

// serviceDies ends a service, as a crash of its program does.
func (m *machine) serviceDies(name string) {
	if !m.on {
		return
	}
	for _, instance := range sortedKeys(m.services) {
		if sv := m.services[instance]; base(instance) == name && sv.holds() {
			sv.dead = true
			m.sim.tell(m, "%s dies", instance)
			if m.daemon != nil {
				m.daemon.exec.p.do(0, func() { m.daemon.exec.died(instance) })
			}
		}
	}
}

// agentBad makes an agent do badly: by is RESOURCE.ACTION.HOW.
func (m *machine) agentBad(by string) func() {
	key, how, _ := cutLast(by, ".")
	if m.bad[key] == nil {
		m.bad[key] = &spells[string]{}
	}
	return m.bad[key].cast(how)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// bad makes a fence device do badly.
func (o *outlet) bad(how string) func() {
	if how == "slow" {
		o.slow += 15e9
		return func() { o.slow -= 15e9 }
	}
	return o.how.cast(how)
}

// heal ends every fault, and gives back what faults and fencing took.
func (s *simulation) heal() {
	for _, end := range s.ends {
		end()
	}
	for _, m := range s.machines {
		if !m.on {
			m.powerOn("somebody switches it on")
		} else if m.daemon == nil {
			m.restartDaemon(restartAfter)
		}
	}
	s.wish()
}

const marksID = "marks"

// mark is a change of the configuration that can be found again.
func (s *simulation) mark(m *machine) {
	d := m.daemon
	if d == nil || d.storage.core.State().Root == nil {
		return
	}
	s.marks++
	name := fmt.Sprintf("mark-%d", s.marks)
	path := "/cib/configuration/crm_config/cluster_property_set[@id='" + marksID + "']"
	op := cib.Op{Kind: cib.Replace, Path: path + "/nvpair[@id='" + name + "']", Parent: path,
		XML: cib.NewNode("nvpair", "id", name, "name", name, "value", "1").String()}
	d.change(name, []cib.Op{op}, func(a ack) {
		a.mark = name
		s.check.acknowledged(m, a)
	})
}

// load is a client that makes By changes a second, each at some node.
func (s *simulation) load(f Fault) func() {
	rate, _ := strconv.ParseFloat(f.By, 64)
	over := false
	var next func()
	next = func() {
		if over {
			return
		}
		s.mark(s.machines[s.luck.IntN(len(s.machines))])
		s.w.in(s.luck.span(1, int64(2e9/rate)), next)
	}
	next()
	return func() { over = true }
}
