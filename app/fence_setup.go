package app

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/fencer"
)

// hit is a device and a node that it may fence.
type hit struct{ device, node string }

// fenceKit is what is known of the devices: a plan, and what their agents said.
type fenceKit struct {
	plan    *fencePlan
	devices map[string]*fence.Device
	aims    map[hit]aim
	seen    map[string][]fence.Finding // by device: what stands in its way on this node
	found   []fence.Finding
}

// setup makes what the fencer decides by, with further findings. It always
// succeeds: what cannot be used fences nobody, and a level that names it fails
// as a whole, because the devices that are left may feed only half of a machine.
func (k *fenceKit) setup() (*fencer.Setup, []fencer.Device, []fence.Finding) {
	var findings []fence.Finding
	levels, empty := k.levels()
	for _, l := range empty {
		findings = append(findings, found(levelName(l), "its devices switch nothing off, they only say whether others may: add one that does; until then the level is not used"))
	}
	findings = append(findings, k.unheard()...)
	var devices []fencer.Device
	for _, p := range k.plan.Primitives {
		// A watchdog cannot be commanded: what it proves the fencer knows by itself.
		if d := k.devices[p.ID]; d != nil && k.plan.Devices[p.ID].Disabled == "" && !d.Metadata().Waits {
			devices = append(devices, k.device(d, levels))
		} else {
			devices = append(devices, fencer.Device{ID: fencer.DeviceID(p.ID)})
		}
	}
	for _, l := range levels {
		for _, id := range l.Devices {
			if !slices.ContainsFunc(devices, func(d fencer.Device) bool { return d.ID == id }) {
				devices = append(devices, fencer.Device{ID: id})
				findings = append(findings, found(levelName(l), "it names %s, and there is no such device: the level fails until it is there", id))
			}
		}
	}
	var good []fencer.Level
	for _, l := range levels {
		if _, err := fencer.NewSetup(devices, append(slices.Clone(good), l), k.plan.Serial); err != nil {
			findings = append(findings, found(levelName(l), "%v", err))
			continue
		}
		good = append(good, l)
	}
	s, err := fencer.NewSetup(devices, good, k.plan.Serial)
	if err != nil { // ids are unique in a valid CIB
		findings = append(findings, found("fence devices", "%v", err))
		s, _ = fencer.NewSetup(nil, nil, k.plan.Serial)
	}
	return s, devices, findings
}

// inspected is what stands in the devices' way on this node, in the order of the CIB.
func (k *fenceKit) inspected() (list []fence.Finding) {
	for _, p := range k.plan.Primitives {
		list = append(list, k.seen[p.ID]...)
	}
	return list
}

func levelName(l fencer.Level) string {
	return fmt.Sprintf("fencing level %d for %s", l.Index, l.Target)
}

// levels parts the topology into levels that can switch something off and those
// that cannot.
func (k *fenceKit) levels() (good, empty []fencer.Level) {
	for _, l := range k.plan.Levels {
		if slices.ContainsFunc(l.Devices, func(id fencer.DeviceID) bool { return !k.heuristic(string(id)) }) {
			good = append(good, l)
		} else {
			empty = append(empty, l)
		}
	}
	return good, empty
}

// heuristic reports a device that switches nothing off: it only says whether the
// devices after it on a level may.
func (k *fenceKit) heuristic(id string) bool {
	d := k.devices[id]
	return d != nil && strings.HasPrefix(d.Config().Agent, "fence_heuristics_")
}

// device puts what the plan and the agent say of a device together.
func (k *fenceKit) device(d *fence.Device, levels []fencer.Level) fencer.Device {
	cfg, plan := d.Config(), k.plan.Devices[d.ID()]
	out := fencer.Device{
		ID: fencer.DeviceID(d.ID()), Members: plan.Members, Priority: plan.Priority, Limit: cfg.ActionLimit,
		Actions: actionsOf(d), Timeout: map[fencer.Action]time.Duration{},
		Delay:    fencer.Delay{Base: cfg.DelayBase, Max: cfg.DelayMax, PerTarget: map[fencer.Node]time.Duration{}},
		Unfences: d.Metadata().Unfencing, OnTarget: d.Metadata().OnTarget,
	}
	for _, a := range out.Actions {
		if t := cfg.Calls[string(a)].Timeout; t > 0 {
			out.Timeout[a] = t
		}
	}
	named := slices.ContainsFunc(levels, func(l fencer.Level) bool { return slices.Contains(l.Devices, out.ID) })
	for _, node := range k.plan.Nodes {
		if delay, ok := cfg.DelayFor[strings.ToLower(node)]; ok {
			out.Delay.PerTarget[fencer.Node(node)] = delay
		}
		// A heuristic alone would be taken for a device that switches off.
		if k.heuristic(d.ID()) && !(named && k.levelled(node, levels)) {
			continue
		}
		if k.aims[hit{d.ID(), node}].Can {
			out.Targets = append(out.Targets, fencer.Node(node))
		}
	}
	return out
}

// levelled reports whether a node has levels, so that no device is used alone.
func (k *fenceKit) levelled(node string, levels []fencer.Level) bool {
	return slices.ContainsFunc(levels, func(l fencer.Level) bool {
		switch {
		case l.Target.Attribute != "":
			v, ok := k.plan.Attributes[node][l.Target.Attribute]
			return ok && v == l.Target.Value
		case l.Target.Pattern != "":
			re, err := regexp.CompilePOSIX(l.Target.Pattern)
			return err == nil && re.MatchString(node)
		}
		return string(l.Target.Node) == node
	})
}

// actionsOf is what the fencer may ask of a device. A reboot is done as off, proof
// and on, since what waits for the proof need not wait for the on, unless the
// agent has no off, its reboot proves itself and is all that brings the machine
// back, or the configuration wants the agent's own.
func actionsOf(d *fence.Device) []fencer.Action {
	custom := d.Config().Calls[fence.Reboot].Action
	var list []fencer.Action
	for _, a := range []fencer.Action{fencer.Off, fencer.On, fencer.Status} {
		if d.Supports(string(a)) && !(a == fencer.On && custom == fence.Off) {
			list = append(list, a)
		}
	}
	own := custom != "" && custom != fence.Off || custom == "" && d.Metadata().Resets
	if d.Supports(fence.Reboot) && (own || !slices.Contains(list, fencer.Off)) {
		list = append(list, fencer.Reboot)
	}
	return list
}

// doubts says which devices could not say whether they fence a node, and are not used
// for it therefore.
func (f *fencing) doubts(name string) (words []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.kit.plan.Primitives {
		if a := f.kit.aims[hit{p.ID, name}]; a.unheard != "" && !a.Can {
			words = append(words, fmt.Sprintf("%s: whether it can fence %s is not known: %s", p.ID, name, line(a.unheard)))
		}
	}
	return words
}

// unheard says which devices could not say whom they fence.
func (k *fenceKit) unheard() []fence.Finding {
	var findings []fence.Finding
	for _, p := range k.plan.Primitives {
		for _, node := range k.plan.Nodes {
			if a := k.aims[hit{p.ID, node}]; a.unheard != "" {
				then := "until it answers it is not used for " + node
				if a.Can {
					then = "what it said before holds until it answers"
				}
				findings = append(findings, found(p.ID, "whether it can fence %s is not known: %s; %s", node, a.unheard, then))
			}
		}
	}
	return findings
}
