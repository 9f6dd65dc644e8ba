package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// unpacked reads the options, nodes and resources of a configuration with three
// nodes.
func unpacked(t *testing.T, options, rest string) *working {
	t.Helper()
	var nodes strings.Builder
	for i := 1; i <= 3; i++ {
		fmt.Fprintf(&nodes, `<node id="%d" uname="n%d"/>`, i, i)
	}
	root, err := cib.Parse([]byte(`<cib have-quorum="1"><configuration><crm_config><cluster_property_set id="o">` + options +
		`</cluster_property_set></crm_config><nodes>` + nodes.String() + `</nodes>` + rest + `</configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorking(root, time.Unix(1_800_000_000, 0))
	w.unpackOptions()
	w.unpackNodes()
	w.findRemoteNodes()
	w.unpackResources()
	w.linkRemoteNodes()
	w.unpackTags()
	return w
}

// outline is the tree in a line: id(children).
func outline(list []*resource) string {
	var parts []string
	for _, r := range list {
		s := r.id
		if len(r.children) > 0 {
			s += "(" + outline(r.children) + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

const noFencing = `<nvpair id="o1" name="stonith-enabled" value="false"/>`

func TestTree(t *testing.T) {
	w := unpacked(t, noFencing, `<resources>
		<template id="t" class="ocf" provider="p" type="T"/>
		<primitive id="a" class="ocf" provider="p" type="A"/>
		<primitive id="missing" template="u"/>
		<group id="g"><meta_attributes id="gm"><nvpair id="gp" name="priority" value="5"/></meta_attributes>
			<primitive id="b" class="ocf" provider="p" type="B"/><primitive id="c" template="t"/></group>
		<clone id="k"><meta_attributes id="km"><nvpair id="kx" name="clone-max" value="2"/></meta_attributes>
			<group id="h"><primitive id="d" class="ocf" provider="p" type="D"/></group></clone>
		<master id="m"><primitive id="e" class="ocf" provider="p" type="E"/></master>
		</resources>`)
	want := "g(b c) a k(h:0(d:0) h:1(d:1)) m(e:0 e:1 e:2)"
	if got := outline(w.resources); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if m := w.byID["m"]; !m.promotable || m.clone.promotedMax != 1 || !w.byID["e:2"].promotable {
		t.Error("an old master element is no promotable clone")
	}
	if got := fmt.Sprint(w.tags["t"]); got != "[c]" {
		t.Errorf("the template is used by %s", got)
	}
	if w.byID["d:1"].executorName() != "d" || w.byID["d:0"].stickiness != 1 || w.byID["k"].stickiness != 0 {
		t.Error("an anonymous instance has no name of its own, and is a little sticky")
	}
}

func TestBundle(t *testing.T) {
	w := unpacked(t, noFencing, `<resources>
		<primitive id="a" class="ocf" provider="p" type="A"/>
		<bundle id="w"><docker image="i:1" replicas="2" network="host" options="-x"/>
			<network ip-range-start="10.0.0.254"><port-mapping id="p1" port="80"/></network>
			<storage><storage-mapping id="s1" source-dir-root="/srv" target-dir="/data" options="rw"/></storage>
			<primitive id="web" class="ocf" provider="p" type="W"><utilization id="u"><nvpair id="u1" name="ram" value="5"/></utilization></primitive>
		</bundle><primitive id="z" class="ocf" provider="p" type="Z"/></resources>`)
	want := "a w(w-docker-0 w-ip-10.0.0.254 w-0 w-docker-1 w-ip-10.0.1.1 w-1 w-clone(web:0 web:1)) z"
	if got := outline(w.resources); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	opts := " --restart=no -h w-1 -e PCMK_stderr=1 --net=host -e PCMK_remote_port=3121 -v /srv/w-1:/data:rw" +
		" -v /etc/pacemaker/authkey:/etc/pacemaker/authkey -v /var/log/pacemaker/bundles/w-1:/var/log" +
		" -p 10.0.1.1:80:80 -p 10.0.1.1:3121:3121 -x  --add-host=w-0:10.0.0.254 --add-host=w-1:10.0.1.1"
	p := w.paramsOf(w.byID["w-docker-1"], nil)
	if p["run_opts"] != opts || p["mount_points"] != "/srv/w-1,/var/log/pacemaker/bundles/w-1" {
		t.Errorf("the container is run with\n%s\nnot\n%s", p["run_opts"], opts)
	}
	guest := w.nodeByName["w-1"]
	if guest == nil || !guest.isGuest() || guest.connection != w.byID["w-1"] {
		t.Fatal("the container is no guest node")
	}
	for id, score := range map[string]Score{"web:1": 500, "a": -Infinity, "w-clone": -Infinity} {
		if a := w.byID[id].allowed.get(guest); a.present != (id != "a") || a.present && a.score != score {
			t.Errorf("%s on the guest: %+v", id, a)
		}
	}
	if w.byID["z"].allowed.get(guest).present || w.byID["web:1"].allowed.get(w.nodeByName["n1"]).present {
		t.Error("nothing but what belongs there may run in a container, and that nowhere else")
	}
	if w.byID["w-docker-0"].utilization["ram"] != 5 || len(w.byID["web:0"].utilization) != 0 {
		t.Error("the container does not take what its primitive needs")
	}
}

func TestInvalidResources(t *testing.T) {
	w := unpacked(t, noFencing, `<resources>
		<master id="m"><primitive id="a" class="lsb" type="a"/></master>
		<clone id="empty"/>
		<bundle id="b"><network ip-range-start="10.0.0.1"/></bundle>
		<bundle id="c"><podman image="i"/><primitive id="p" class="ocf" provider="p" type="P"/></bundle>
		<clone id="u"><meta_attributes id="um"><nvpair id="u1" name="globally-unique" value="true"/><nvpair id="u2" name="clone-max" value="9"/>
			<nvpair id="u3" name="clone-node-max" value="3"/></meta_attributes><primitive id="l" class="lsb" type="l"/></clone>
		</resources>`)
	if got, want := outline(w.resources), "u(l:0 l:1 l:2)"; got != want {
		t.Errorf("got  %s\nwant %s: what makes no sense is left out, and lsb scripts run once a node", got, want)
	}
	if len(w.byID) != 4 {
		t.Errorf("of what is left out something is still known: %d resources", len(w.byID))
	}
}
