package scheduler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// absurdCIB is a cluster of two nodes without fencing.
func absurdCIB(t *testing.T, resources, constraints string) *cib.Node {
	t.Helper()
	state := func(i int) string {
		return fmt.Sprintf(`<node_state id="%d" uname="n%d" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="%d"><lrm_resources>%%s</lrm_resources></lrm></node_state>`, i, i, i)
	}
	root, err := cib.Parse([]byte(`<cib have-quorum="1" dc-uuid="1" crm_feature_set="3.16.2"><configuration><crm_config><cluster_property_set id="o">` +
		`<nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>` +
		`<resources>` + resources + `</resources><constraints>` + constraints + `</constraints></configuration><status>` +
		fmt.Sprintf(state(1), "") + fmt.Sprintf(state(2), "") + `</status></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func dummy(id, inside string) string {
	return `<primitive id="` + id + `" class="ocf" provider="takt" type="Dummy">` + inside + `</primitive>`
}

func metaOf(owner, name, value string) string {
	return `<meta_attributes id="` + owner + `-m"><nvpair id="` + owner + `-m-1" name="` + name + `" value="` + value + `"/></meta_attributes>`
}

// TestAbsurd: documents that ask for the impossible get an answer soon, with a
// warning that says what was not done.
func TestAbsurd(t *testing.T) {
	var ways, follow strings.Builder
	for layer := range 40 {
		for side := range 2 {
			ways.WriteString(dummy(fmt.Sprintf("p%d-%d", layer, side), ""))
			for other := range 2 {
				if layer > 0 {
					fmt.Fprintf(&follow, `<rsc_colocation id="k%d-%d-%d" rsc="p%d-%d" with-rsc="p%d-%d" score="10"/>`, layer, side, other, layer, side, layer-1, other)
				}
			}
		}
	}
	for _, c := range []struct{ name, resources, constraints, warning string }{
		{"a clone of a thousand million", `<clone id="c">` + metaOf("c", "clone-max", "1000000000") + dummy("p", "") + `</clone>`, "", "clone-max=1000000000"},
		{"clone-node-max", `<clone id="c"><meta_attributes id="m"><nvpair id="m1" name="clone-max" value="1000000000"/><nvpair id="m2" name="clone-node-max" value="1000000000"/>` +
			`<nvpair id="m3" name="globally-unique" value="true"/></meta_attributes>` + dummy("p", "") + `</clone>`, "", "clone-max=1000000000"},
		{"a bundle of a thousand million", `<bundle id="b"><docker image="i" replicas="1000000000"/><network ip-range-start="10.0.0.1"/>` + dummy("p", "") + `</bundle>`, "", "replicas=1000000000"},
		{"a container in itself", dummy("a", metaOf("a", "container", "b")) + dummy("b", metaOf("b", "container", "a")), "", "cannot run in the container"},
		{"exponentially many ways", ways.String(), follow.String(), "so many ways"},
		{"two of a name", dummy("a", "") + dummy("a", ""), "", "more than one resource a"},
		{"intervals without end", dummy("a", `<operations><op id="o" name="monitor" interval="99999999999999999999s"/><op id="o2" name="monitor" interval="-5s"/></operations>`), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			got := scheduler.Schedule(absurdCIB(t, c.resources, c.constraints), schedtest.RandomTime)
			if took := time.Since(began); took > slow {
				t.Errorf("it took %v", took)
			}
			if !strings.Contains(strings.Join(got.Warnings, "\n"), c.warning) {
				t.Errorf("no warning of %q: %q", c.warning, got.Warnings)
			}
		})
	}
}

// TestSecondOfAName: where one name stands for two resources, nobody could say
// which of them runs, so that the second is never started.
func TestSecondOfAName(t *testing.T) {
	starts := 0
	for _, a := range scheduler.Schedule(absurdCIB(t, dummy("a", "")+dummy("a", ""), ""), schedtest.RandomTime).Actions {
		if a.Task == "start" {
			starts++
		}
	}
	if starts != 1 {
		t.Errorf("a is started %d times", starts)
	}
}

// TestOperationsOfTheClusterItself: an operation that has the name of what only
// the cluster decides on does nothing.
func TestOperationsOfTheClusterItself(t *testing.T) {
	for _, name := range []string{"stonith", "do_shutdown", "lrm_delete", "delete", "clear_failcount"} {
		root := absurdCIB(t, dummy("a", `<operations><op id="o" name="`+name+`" interval="10s"/></operations>`), "")
		for _, a := range scheduler.Schedule(root, schedtest.RandomTime).Actions {
			if a.Task == name {
				t.Errorf("%s on %s", name, a.Node)
			}
		}
	}
}

// TestCircle: actions that wait for each other are not started, nor is what comes
// after them; mere wishes give way.
func TestCircle(t *testing.T) {
	three := dummy("a", "") + dummy("b", "") + dummy("c", "")
	circle := func(kind string) string {
		return `<rsc_order id="o1" first="a" then="b" kind="` + kind + `"/><rsc_order id="o2" first="b" then="a" kind="` + kind + `"/><rsc_order id="o3" first="b" then="c"/>`
	}
	stuck := func(kind string) (list []string) {
		for _, a := range scheduler.Schedule(absurdCIB(t, three, circle(kind)), schedtest.RandomTime).Actions {
			if a.Task == "start" && a.Stuck != "" {
				list = append(list, a.Resource)
			}
		}
		return list
	}
	if got := stuck("Mandatory"); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("of a mandatory circle, %v are not started", got)
	}
	if got := stuck("Optional"); len(got) > 0 {
		t.Errorf("of a circle of wishes, %v are not started", got)
	}
}

// TestHealthIsOneSum: sums of scores saturate, and are the same whatever order
// the attributes of a node come in.
func TestHealthIsOneSum(t *testing.T) {
	root := absurdCIB(t, dummy("a", ""), "")
	attrs := `<instance_attributes id="h">`
	for i, v := range []string{"900000", "900000", "-950000"} {
		attrs += fmt.Sprintf(`<nvpair id="h%d" name="#health-%d" value="%s"/>`, i, i, v)
	}
	text := strings.Replace(root.String(), `uname="n1"/>`, `uname="n1">`+attrs+`</instance_attributes></node>`, 1)
	text = strings.Replace(text, `<nvpair id="o1"`, `<nvpair id="o2" name="node-health-strategy" value="custom"/><nvpair id="o1"`, 1)
	root, err := cib.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	first := ""
	for range 50 {
		got := transitionBytes(t, scheduler.ScheduleWith(root, schedtest.RandomTime, scheduler.Options{Scores: true}))
		if first == "" {
			first = got
		}
		if got != first {
			t.Fatal(firstDifference(first, got))
		}
	}
	if !strings.Contains(first, "#health") && !strings.Contains(first, "health") {
		t.Error("health does not count")
	}
}
