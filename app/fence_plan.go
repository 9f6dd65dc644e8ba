package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
)

// fencePlan is what a CIB says about fencing, before any agent was asked.
type fencePlan struct {
	Enabled    bool
	Serial     bool // concurrent-fencing=false
	Primitives []fence.Primitive
	Devices    map[string]fenceDevice // by id
	Levels     []fencer.Level
	Nodes      []string // all members, in the order of the CIB
	Attributes map[string]map[string]string
}

// fenceDevice is what the cluster, and not the agent, has to know of a device.
type fenceDevice struct {
	Priority int
	Disabled string         // why it is not to be used, "" if it is
	Members  []fencer.Reach // by name
	Took     map[string]time.Duration
}

// The permanent node attributes that say when a node last switched another one
// off through a device, and how long that took in milliseconds.
const (
	testedAttr = "fence-tested-"
	tookAttr   = node.TookAttr
)

// readFencePlan reads a CIB at a time, which decides about rules.
func readFencePlan(root *cib.Node, now time.Time) *fencePlan {
	p := &fencePlan{Devices: map[string]fenceDevice{}, Attributes: map[string]map[string]string{}}
	p.Enabled = flag(root, "stonith-enabled", true)
	p.Serial = !flag(root, "concurrent-fencing", false)
	rules := &rule.Context{View: cib.NewView(root), Now: now}
	for n := range root.Path("configuration", "nodes").Elements {
		name := n.Attr("uname")
		if n.Name() != "node" || name == "" || n.Attr("type") == "remote" {
			continue
		}
		p.Nodes = append(p.Nodes, name)
		p.Attributes[name] = pairs(rules.Merge(nil, n, "instance_attributes", rule.Options{}))
	}
	p.devices(root, root.Path("configuration", "resources"), rules, "")
	for l := range root.Path("configuration", "fencing-topology").Elements {
		if l.Name() == "fencing-level" {
			p.Levels = append(p.Levels, levelOf(l))
		}
	}
	return p
}

func pairs(list rule.Pairs) map[string]string {
	m := map[string]string{}
	for _, p := range list {
		m[p.Name] = p.Value
	}
	return m
}

// devices reads the stonith primitives below an element; outer is why nothing
// below it is to be used.
func (p *fencePlan) devices(root, parent *cib.Node, rules *rule.Context, outer string) {
	for c := range parent.Elements {
		if !isResource(c) {
			continue
		}
		off := outer
		if role := rules.Merge(nil, c, "meta_attributes", rule.Options{}).Get("target-role"); strings.EqualFold(role, "Stopped") && off == "" {
			off = c.ID() + " is stopped by its configuration (target-role=Stopped)"
		}
		if c.Name() != "primitive" {
			p.devices(root, c, rules, off)
			continue
		}
		class, typ, params := primitiveOf(root, c, rules)
		if class == "stonith" {
			p.device(root, c.ID(), typ, params, off)
		}
	}
}

// primitiveOf is what a primitive is, with what its template says.
func primitiveOf(root, c *cib.Node, rules *rule.Context) (class, typ string, params map[string]string) {
	class, typ = c.Attr("class"), c.Attr("type")
	list := rules.Merge(nil, c, "instance_attributes", rule.Options{})
	if name := c.Attr("template"); name != "" {
		t := root.Path("configuration", "resources").ChildByID("template", name)
		class, typ = t.Attr("class"), t.Attr("type")
		list = rules.Merge(list, t, "instance_attributes", rule.Options{})
	}
	return class, typ, pairs(list)
}

func (p *fencePlan) device(root *cib.Node, id, typ string, params map[string]string, off string) {
	d := fenceDevice{Disabled: off, Took: map[string]time.Duration{}}
	d.Priority, _ = strconv.Atoi(params["priority"])
	for _, node := range p.Nodes {
		attrs := p.Attributes[node]
		if ms, err := strconv.ParseInt(attrs[tookAttr+id], 10, 64); err == nil {
			d.Took[node] = time.Duration(ms) * time.Millisecond
		}
		if banned(root, id, node) {
			continue
		}
		tested, _ := time.Parse(time.RFC3339, attrs[testedAttr+id])
		d.Members = append(d.Members, fencer.Reach{Node: fencer.Node(node), Working: works(root, id, node), Tested: tested})
	}
	slices.SortFunc(d.Members, func(a, b fencer.Reach) int { return strings.Compare(string(a.Node), string(b.Node)) })
	p.Devices[id] = d
	p.Primitives = append(p.Primitives, fence.Primitive{ID: id, Type: typ, Params: withTimeouts(params, optionOf(root, "stonith-timeout"))})
}

// withTimeouts makes stonith-timeout what is not said for an action alone. The
// device's own stonith-timeout goes before the cluster's.
func withTimeouts(params map[string]string, cluster string) fence.Params {
	out := fence.Params{}
	for name, value := range params {
		out[name] = value
	}
	for _, t := range []string{params["stonith-timeout"], cluster} {
		if d, err := cib.Duration(t); err != nil || d <= 0 {
			continue
		}
		for _, action := range []string{fence.Off, fence.On, fence.Reboot} {
			if name := "pcmk_" + action + "_timeout"; out[name] == "" {
				out[name] = t
			}
		}
	}
	return out
}

// banned reports whether a location constraint keeps a device from a node, or no
// constraint lets it there in a cluster where one has to.
func banned(root *cib.Node, id, node string) bool {
	allowed := flag(root, "symmetric-cluster", true)
	for c := range root.Path("configuration", "constraints").Elements {
		if c.Name() != "rsc_location" || c.Attr("rsc") != id || c.Attr("node") != node {
			continue
		}
		switch score, ok := cib.ParseScore(c.Attr("score")); {
		case ok && score <= -1_000_000:
			return true
		case ok && score > 0:
			allowed = true
		}
	}
	return !allowed
}

// works reports whether a node watches a device and its last word about it was
// good: what the history of operations says.
func works(root *cib.Node, id, node string) bool {
	working, newest := false, int64(-1)
	for state := range root.Child("status").Elements {
		if state.Attr("uname") != node {
			continue
		}
		for lrm := range state.Path("lrm", "lrm_resources").Elements {
			if baseName(lrm.ID()) != id {
				continue
			}
			for op := range lrm.Elements {
				call, err := strconv.ParseInt(op.Attr("call-id"), 10, 64)
				if err != nil || call < newest {
					continue
				}
				newest = call
				working = op.Attr("rc-code") == "0" && op.Attr("operation") != "stop"
			}
		}
	}
	return working
}

// levelOf reads a fencing-level.
func levelOf(e *cib.Node) fencer.Level {
	l := fencer.Level{Target: fencer.Match{Node: fencer.Node(e.Attr("target")), Pattern: e.Attr("target-pattern"),
		Attribute: e.Attr("target-attribute"), Value: e.Attr("target-value")}}
	l.Index, _ = strconv.Atoi(e.Attr("index"))
	for _, id := range strings.FieldsFunc(e.Attr("devices"), func(r rune) bool { return r == ',' || r == ' ' }) {
		l.Devices = append(l.Devices, fencer.DeviceID(id))
	}
	return l
}

// optionOf is option under both spellings: stonith-X and fencing-X.
func optionOf(root *cib.Node, name string) string {
	if v := node.Option(root, name); v != "" {
		return v
	}
	if rest, ok := strings.CutPrefix(name, "stonith-"); ok {
		return node.Option(root, "fencing-"+rest)
	}
	return ""
}

func flag(root *cib.Node, name string, standard bool) bool {
	if v, ok := cib.ParseBool(optionOf(root, name)); ok {
		return v
	}
	return standard
}

// found is a finding with its severity.
func found(d, format string, args ...any) fence.Finding {
	return fence.Finding{Severity: fence.Warning, Device: d, Text: fmt.Sprintf(format, args...)}
}
