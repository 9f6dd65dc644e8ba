package scheduler

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/cluster/cib"
)

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a random cluster, as text for the parser.
type world struct {
	nodes, resources, constraints, states []string
	options                               string
	quorum                                string
}

func (c world) xml() string {
	return `<cib have-quorum="` + c.quorum + `"><configuration><crm_config><cluster_property_set id="o">` + c.options +
		`</cluster_property_set></crm_config><nodes>` + strings.Join(c.nodes, "") + `</nodes><resources>` +
		strings.Join(c.resources, "") + `</resources><constraints>` + strings.Join(c.constraints, "") +
		`</constraints></configuration><status>` + strings.Join(c.states, "") + `</status></cib>`
}

func (c world) parse(t interface{ Fatal(...any) }) *cib.Node {
	root, err := cib.Parse([]byte(c.xml()))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func drawWorld(t *rapid.T) world {
	c := world{quorum: rapid.SampledFrom([]string{"1", "1", "1", "0"}).Draw(t, "quorum")}
	c.options = fmt.Sprintf(`<nvpair id="o1" name="stonith-enabled" value="%v"/><nvpair id="o2" name="no-quorum-policy" value="%s"/>`,
		rapid.Bool().Draw(t, "fencing"), rapid.SampledFrom([]string{"stop", "freeze", "ignore"}).Draw(t, "policy"))
	nodes := rapid.IntRange(1, 4).Draw(t, "nodes")
	resources := rapid.IntRange(1, 6).Draw(t, "resources")
	for n := range nodes {
		c.nodes = append(c.nodes, fmt.Sprintf(`<node id="%d" uname="n%d"/>`, n+1, n+1))
		c.states = append(c.states, drawState(t, n+1, resources))
	}
	grouped := rapid.IntRange(0, resources).Draw(t, "grouped")
	var members []string
	for r := range resources {
		meta := rapid.SampledFrom([]string{"", "", `<meta_attributes id="m%d"><nvpair id="m%d-t" name="target-role" value="Stopped"/></meta_attributes>`,
			`<meta_attributes id="m%d"><nvpair id="m%d-t" name="is-managed" value="false"/></meta_attributes>`}).Draw(t, "meta")
		x := fmt.Sprintf(`<primitive id="r%d" class="ocf" provider="p" type="D"><operations><op id="op%d" name="monitor" interval="10s"/></operations>`, r, r)
		if meta != "" {
			x += fmt.Sprintf(meta, r, r)
		}
		x += `</primitive>`
		if r < grouped {
			members = append(members, x)
		} else {
			c.resources = append(c.resources, x)
		}
	}
	if len(members) > 0 {
		c.resources = append(c.resources, `<group id="g">`+strings.Join(members, "")+`</group>`)
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "constraints") {
		c.constraints = append(c.constraints, drawConstraint(t, i, nodes, resources))
	}
	return c
}

func drawState(t *rapid.T, n, resources int) string {
	state := rapid.SampledFrom([]string{`in_ccm="true" crmd="online" join="member" expected="member"`,
		`in_ccm="true" crmd="online" join="member" expected="member"`,
		`in_ccm="false" crmd="offline" join="down" expected="member"`}).Draw(t, "state")
	x := fmt.Sprintf(`<node_state id="%d" uname="n%d" %s><lrm id="%d"><lrm_resources>`, n, n, state, n)
	for r := range resources {
		op := rapid.SampledFrom([]string{"", "start 0", "monitor 7", "stop 0", "start 1", "stop 1"}).Draw(t, "op")
		if op == "" {
			continue
		}
		name, rc, _ := strings.Cut(op, " ")
		target := "0"
		if name == "monitor" {
			target = "7"
		}
		x += fmt.Sprintf(`<lrm_resource id="r%d" class="ocf" provider="p" type="D"><lrm_rsc_op id="r%d_last_0" operation="%s" interval="0" rc-code="%s" op-status="0" call-id="%d" transition-key="1:1:%s:u"/></lrm_resource>`,
			r, r, name, rc, r+1, target)
	}
	return x + `</lrm_resources></lrm></node_state>`
}

func drawConstraint(t *rapid.T, i, nodes, resources int) string {
	a := rapid.IntRange(0, resources-1).Draw(t, "a")
	b := rapid.IntRange(0, resources-1).Draw(t, "b")
	score := rapid.SampledFrom([]string{"INFINITY", "-INFINITY", "10", "-10"}).Draw(t, "score")
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		return fmt.Sprintf(`<rsc_location id="c%d" rsc="r%d" node="n%d" score="%s"/>`, i, a, rapid.IntRange(1, nodes).Draw(t, "at"), score)
	case 1:
		return fmt.Sprintf(`<rsc_colocation id="c%d" rsc="r%d" with-rsc="r%d" score="%s"/>`, i, a, b, score)
	}
	return fmt.Sprintf(`<rsc_order id="c%d" first="r%d" then="r%d" kind="%s"/>`, i, a, b, rapid.SampledFrom([]string{"Mandatory", "Optional", "Serialize"}).Draw(t, "kind"))
}

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawWorld(t)
		got := Schedule(c.parse(t), testTime)
		reach := closure(t, got)
		online := map[string]bool{}
		for n, s := range c.states {
			online[fmt.Sprintf("n%d", n+1)] = strings.Contains(s, `crmd="online"`)
		}
		starts := map[string][]Action{}
		for _, a := range got.Actions {
			if a.Kind != Pseudo && !online[a.Node] {
				t.Fatalf("%s of %s on %s, which is not online\n%s", a.Task, a.Resource, a.Node, c.xml())
			}
			if a.Kind != Pseudo && a.Reason == "" {
				t.Fatalf("%s of %s has no reason", a.Task, a.Resource)
			}
			if a.Kind == Resource && a.Task == "start" {
				starts[a.Resource] = append(starts[a.Resource], a)
			}
		}
		before, after := got.Placements()
		for r, list := range starts {
			if len(list) > 1 {
				t.Fatalf("%s is started twice\n%s", r, c.xml())
			}
			if len(after[r]) > 1 {
				t.Fatalf("%s is started and then runs on %v\n%s", r, after[r], c.xml())
			}
			for _, a := range got.Actions {
				if a.Resource == r && a.Task == "stop" && !reach[a.ID][list[0].ID] {
					t.Fatalf("%s may start before it has stopped on %s (before: %v)\n%s", r, a.Node, before[r], c.xml())
				}
			}
		}
		mandatoryHolds(t, c, got, reach)
	})
}

// mandatoryHolds: what has to come before a start runs, or is started before.
func mandatoryHolds(t *rapid.T, c world, got *Transition, reach []map[ActionID]bool) {
	before, _ := got.Placements()
	for _, text := range c.constraints {
		if !strings.Contains(text, `kind="Mandatory"`) {
			continue
		}
		var id, first, then string
		fmt.Sscanf(strings.NewReplacer(`"`, " ", "<", "", "/>", "").Replace(text), "rsc_order id= %s first= %s then= %s", &id, &first, &then)
		if first == then || contradictory(got) {
			continue
		}
		for _, a := range got.Actions {
			if a.Resource != then || a.Task != "start" || a.Kind != Resource {
				continue
			}
			ok := len(before[first]) > 0
			for _, b := range got.Actions {
				ok = ok || b.Resource == first && b.Task == "start" && reach[b.ID][a.ID]
			}
			if !ok {
				t.Fatalf("%s starts without %s before it\n%s", then, first, c.xml())
			}
		}
	}
}

func contradictory(t *Transition) bool {
	return strings.Contains(strings.Join(t.Warnings, " "), "circle")
}

// closure returns what comes after each action, and fails on a circle.
func closure(t *rapid.T, got *Transition) []map[ActionID]bool {
	reach := make([]map[ActionID]bool, len(got.Actions))
	for i := range reach {
		reach[i] = map[ActionID]bool{}
	}
	for range got.Actions {
		for _, o := range got.Order {
			reach[o.Before][o.After] = true
			for k := range reach[o.After] {
				reach[o.Before][k] = true
			}
		}
	}
	for i := range reach {
		if reach[i][ActionID(i)] {
			t.Fatalf("%s of %s waits for itself", got.Actions[i].Task, got.Actions[i].Resource)
		}
	}
	return reach
}

// TestSameBytes: the order of nodes and states in the document has no meaning.
func TestSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawWorld(t)
		one, _ := json.Marshal(Schedule(c.parse(t), testTime))
		c.nodes = rapid.Permutation(c.nodes).Draw(t, "nodes")
		c.states = rapid.Permutation(c.states).Draw(t, "states")
		c.constraints = rapid.Permutation(c.constraints).Draw(t, "constraints")
		two, _ := json.Marshal(Schedule(c.parse(t), testTime))
		if string(one) != string(two) {
			t.Fatalf("another order of siblings gives another transition:\n%s\n%s\n%s", one, two, c.xml())
		}
	})
}

func TestLocalStop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawWorld(t)
		got := ScheduleLocalStop(c.parse(t), "n1", testTime)
		closure(t, got)
		for _, a := range got.Actions {
			if a.Kind != Pseudo && (a.Task != "stop" || a.Node != "n1") {
				t.Fatalf("a local stop on n1 does %s of %s on %s", a.Task, a.Resource, a.Node)
			}
		}
	})
}

func FuzzSchedule(f *testing.F) {
	f.Add([]byte(`<cib have-quorum="1"><configuration><resources><primitive id="a" class="ocf" type="b"/></resources></configuration></cib>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if root, err := cib.Parse(data); err == nil {
			Schedule(root, testTime)
			ScheduleLocalStop(root, "n1", testTime)
		}
	})
}
