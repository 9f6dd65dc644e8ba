package sim

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// document is the configuration that a cluster begins with.
func document(c Cluster) (*cib.Node, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0" crm_feature_set="3.19.0" have-quorum="0" dc-uuid="1"><configuration>`)
	b.WriteString(`<crm_config><cluster_property_set id="options">`)
	for _, nv := range options(c) {
		fmt.Fprintf(&b, `<nvpair id="options-%s" name="%s" value="%s"/>`, nv[0], nv[0], nv[1])
	}
	b.WriteString(`</cluster_property_set><cluster_property_set id="marks"/></crm_config><nodes>`)
	for n := 1; n <= c.Nodes; n++ {
		b.WriteString(nodeXML(c, n))
	}
	b.WriteString(`</nodes><resources>`)
	for n := 1; n <= c.Nodes && fences(c); n++ {
		b.WriteString(outletXML(n))
	}
	b.WriteString(services(c))
	b.WriteString(`</resources><constraints>` + constraints(c) + `</constraints>`)
	b.WriteString(`<rsc_defaults><meta_attributes id="defaults"><nvpair id="defaults-ft" name="failure-timeout" value="15s"/><nvpair id="defaults-st" name="resource-stickiness" value="1"/></meta_attributes></rsc_defaults>`)
	b.WriteString(`</configuration><status>`)
	for n := 1; n <= c.Nodes; n++ { // as a node is written down when it is admitted: it runs nothing
		b.WriteString(cib.NodeState(cib.NodeID(n), fmt.Sprintf("n%d", n), false).String())
	}
	b.WriteString(`</status></cib>`)
	return cib.Parse([]byte(b.String()))
}

// fences tells whether the cluster has fence devices.
func fences(c Cluster) bool { return c.Fencing == "device" || c.Fencing == "both" }

// watches tells whether its nodes have watchdogs.
func watches(c Cluster) bool { return c.Fencing == "watchdog" || c.Fencing == "both" }

// watchdogTimeout is that of all watchdogs, ms.
const watchdogTimeout = 5000

func options(c Cluster) [][2]string {
	list := [][2]string{
		{"cluster-name", "sim"}, {"heartbeat-profile", c.Profile},
		{"stonith-enabled", fmt.Sprint(c.Fencing != "none")}, {"no-quorum-policy", c.Policy},
	}
	if watches(c) {
		list = append(list, [2]string{"have-watchdog", "true"}, [2]string{"stonith-watchdog-timeout", fmt.Sprintf("%dms", 2*watchdogTimeout)})
	}
	return list
}

func nodeXML(c Cluster, n int) string {
	var links []string
	for k := range c.Links {
		links = append(links, addr(n, k).String())
	}
	attrs := fmt.Sprintf(`<nvpair id="nodes-%d-takt-links" name="takt-links" value="%s"/>`, n, strings.Join(links, " "))
	if n > c.Nodes-c.Witness {
		attrs += fmt.Sprintf(`<nvpair id="nodes-%d-standby" name="standby" value="on"/><nvpair id="nodes-%d-witness" name="takt-witness" value="true"/>`, n, n)
	}
	return fmt.Sprintf(`<node id="%d" uname="%s"><instance_attributes id="nodes-%d">%s</instance_attributes></node>`, n, nodeName(n), n, attrs)
}

// outletXML is the device that switches a node off.
func outletXML(n int) string {
	id := "power-" + nodeName(n)
	return fmt.Sprintf(`<primitive id="%s" class="stonith" type="fence_sim"><instance_attributes id="%s-p"><nvpair id="%s-hosts" name="pcmk_host_list" value="%s"/></instance_attributes>`+
		`<operations><op id="%s-monitor" name="monitor" interval="60s" timeout="20s"/></operations></primitive>`, id, id, id, nodeName(n), id)
}

// primitive is a service; names that begin with w are watched by their agents.
func primitive(id string) string {
	return fmt.Sprintf(`<primitive id="%s" class="ocf" provider="sim" type="Service"><operations>`+
		`<op id="%s-start" name="start" interval="0" timeout="5s"/><op id="%s-stop" name="stop" interval="0" timeout="5s"/>`+
		`<op id="%s-promote" name="promote" interval="0" timeout="5s"/><op id="%s-demote" name="demote" interval="0" timeout="5s"/>`+
		`<op id="%s-monitor" name="monitor" interval="5s" timeout="3s"/></operations></primitive>`, id, id, id, id, id, id)
}

// serviceNames are the services that are active at most once: every third is
// watched, and of four or more the last two are a group.
func serviceNames(c Cluster) []string {
	var names []string
	for i := 1; i <= c.Resources; i++ {
		kind := "r"
		if i%3 == 2 {
			kind = "w"
		}
		names = append(names, fmt.Sprintf("%s%d", kind, i))
	}
	return names
}

func services(c Cluster) string {
	var b strings.Builder
	names := serviceNames(c)
	grouped := len(names)
	if len(names) >= 4 {
		grouped = len(names) - 2
	}
	for _, id := range names[:grouped] {
		b.WriteString(primitive(id))
	}
	if grouped < len(names) {
		b.WriteString(`<group id="group">` + primitive(names[grouped]) + primitive(names[grouped+1]) + `</group>`)
	}
	for i := 1; i <= c.Clones; i++ {
		fmt.Fprintf(&b, `<clone id="clone-c%d">%s</clone>`, i, primitive(fmt.Sprintf("c%d", i)))
	}
	for i := 1; i <= c.Promoted; i++ {
		fmt.Fprintf(&b, `<clone id="clone-p%d"><meta_attributes id="clone-p%d-m"><nvpair id="clone-p%d-promotable" name="promotable" value="true"/></meta_attributes>%s</clone>`,
			i, i, i, primitive(fmt.Sprintf("p%d", i)))
	}
	return b.String()
}

// constraints: each fence device keeps away from its target, the first service
// prefers the first node, and the second stays with the first.
func constraints(c Cluster) string {
	var b strings.Builder
	for n := 1; n <= c.Nodes && fences(c); n++ {
		fmt.Fprintf(&b, `<rsc_location id="away-%s" rsc="power-%s" node="%s" score="-INFINITY"/>`, nodeName(n), nodeName(n), nodeName(n))
	}
	names := serviceNames(c)
	if len(names) > 0 {
		fmt.Fprintf(&b, `<rsc_location id="prefer" rsc="%s" node="n1" score="10"/>`, names[0])
	}
	if len(names) > 2 {
		fmt.Fprintf(&b, `<rsc_colocation id="with" rsc="%s" with-rsc="%s" score="INFINITY"/><rsc_order id="then" first="%s" then="%s"/>`, names[1], names[0], names[0], names[1])
	}
	return b.String()
}
