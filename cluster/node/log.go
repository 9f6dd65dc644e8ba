package node

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// onLog takes the state of the log.
func (m *Machine) onLog(in Log) {
	was := m.log
	m.log = in
	m.led = m.led || in.Leader != 0
	if in.State.Root.Child("configuration") != was.State.Root.Child("configuration") {
		m.knows.stale = true
	}
	m.toQuorum(quorum.Logged{
		Generation: in.State.Generation, Voters: in.Voters, Learners: in.Learners, Position: in.Position,
		Leader: in.Leader, Leading: m.leading(), Pledged: in.Pledged, Pending: in.Pending,
	})
	if in.State.Generation != was.State.Generation {
		m.toControl(controller.Lead{}) // no lead of one generation goes on in the next: what is sent carries both
	}
	if in.State != was.State {
		m.toControl(in.State)
	}
	if in.State.Generation != was.State.Generation || in.Leader != was.Leader || in.Term != was.Term || in.Ready != was.Ready {
		m.toControl(controller.Lead{Leadership: controller.Leadership{Leader: in.Leader, Term: in.Term, Ready: in.Ready}})
	}
}

// knowledge is what the configuration says, read when it has changed.
type knowledge struct {
	stale      bool
	ids        []cib.NodeID // of the nodes, ascending
	names      map[cib.NodeID]string
	attributes map[cib.NodeID]map[string]string // permanent ones
	fencing    bool
	action     fencer.Action
	policy     string
	priority   time.Duration
	delay      time.Duration // of a claim; negative: not known
	timing     Timing
}

// learn reads the configuration.
func (m *Machine) learn() {
	root := m.log.State.Root
	k := knowledge{names: map[cib.NodeID]string{}, attributes: map[cib.NodeID]map[string]string{}, timing: TimingOf(root)}
	for n := range root.Path("configuration", "nodes").Elements {
		if id, ok := cib.ParseNodeID(n.ID()); ok {
			k.ids = append(k.ids, id)
			k.names[id] = n.Attr("uname")
			k.attributes[id] = attributesOf(n)
		}
	}
	slices.Sort(k.ids)
	enabled, ok := cib.ParseBool(Option(root, "stonith-enabled", "fencing-enabled"))
	k.fencing = root != nil && (enabled || !ok)
	k.action = fencer.Reboot
	if a := Option(root, "stonith-action", "fencing-action"); a == "off" || a == "poweroff" {
		k.action = fencer.Off
	}
	k.policy = Option(root, "no-quorum-policy")
	k.priority, _ = cib.Duration(Option(root, "priority-fencing-delay"))
	k.delay = k.claimDelay(root)
	m.knows = k
}

func attributesOf(node *cib.Node) map[string]string {
	list := map[string]string{}
	for set := range node.Elements {
		if set.Name() != "instance_attributes" {
			continue
		}
		for nv := range set.Elements {
			if name := nv.Attr("name"); name != "" {
				list[name] = nv.Attr("value")
			}
		}
	}
	return list
}

// TookAttr begins the node attributes that say how long a device took to switch a
// node off, in ms, when it was tested by that node.
const TookAttr = "fence-took-"

// claimDelay is the option of that name; else twice the longest measured fencing
// and four heartbeats; negative if nothing was measured.
func (k *knowledge) claimDelay(root *cib.Node) time.Duration {
	if d, err := cib.Duration(Option(root, "claim-delay")); err == nil && d >= 0 {
		return d
	}
	longest := time.Duration(-1)
	for _, attributes := range k.attributes {
		for name, value := range attributes {
			if d, err := cib.Duration(value + "ms"); err == nil && strings.HasPrefix(name, TookAttr) {
				longest = max(longest, d)
			}
		}
	}
	if longest < 0 {
		return -1
	}
	return 2*longest + 4*time.Duration(k.timing.Keepalive)*time.Millisecond
}

// tellWished tells quorum what the configuration and the peers make possible.
func (m *Machine) tellWished() {
	if !m.knows.stale {
		return
	}
	if m.log.State.Root == nil {
		m.knows.stale = false
		return
	}
	m.learn()
	w := quorum.Wished{
		Fencing: m.knows.fencing, Policy: m.knows.policy, Priority: m.knows.priority, Delay: m.knows.delay,
		Deadtime:  time.Duration(m.knows.timing.Deadtime) * time.Millisecond,
		Fenceable: map[cib.NodeID]bool{}, Watchdogs: map[cib.NodeID]bool{}, Names: m.knows.names, Importance: m.importance(),
	}
	if m.own.Armed {
		w.Watchdog = m.own.Timeout
	}
	for _, id := range m.knows.ids {
		if m.fenceable(id) {
			w.Fenceable[id] = true
		}
		if p := m.peers[id]; p != nil && p.Watchdog.Armed {
			w.Watchdogs[id] = true
		}
	}
	if m.told.wished && sameWished(w, m.wished) {
		return
	}
	m.told.wished, m.wished = true, w
	m.toQuorum(w)
}

func sameWished(a, b quorum.Wished) bool {
	return a.Fencing == b.Fencing && a.Policy == b.Policy && a.Priority == b.Priority && a.Delay == b.Delay && a.Deadtime == b.Deadtime && a.Importance == b.Importance && a.Watchdog == b.Watchdog &&
		maps.Equal(a.Fenceable, b.Fenceable) && maps.Equal(a.Watchdogs, b.Watchdogs) && maps.Equal(a.Names, b.Names)
}

// fenceable reports whether a device that a node in contact can run fences a node.
func (m *Machine) fenceable(id cib.NodeID) bool {
	if m.setup == nil || !m.knows.fencing {
		return false
	}
	able := func(n fencer.Node) bool {
		if string(n) == m.cfg.Name {
			return true
		}
		for other, name := range m.knows.names {
			if name == string(n) {
				p := m.peers[other]
				return p != nil && p.Alive
			}
		}
		return false
	}
	_, ok := m.setup.Fenceable(fencer.Member{Node: fencer.Node(m.knows.names[id]), Attributes: m.knows.attributes[id]}, able)
	return ok
}
