package schedtest

import (
	"bufio"
	"fmt"
	"io"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// Past is what the status section of a Large cluster knows of its resources.
type Past string

// The pasts of a cluster.
const (
	PastNone    Past = "none"    // nothing: everything has to be probed everywhere
	PastProbed  Past = "probed"  // everything was probed everywhere, and nothing runs
	PastOff     Past = "off"     // nothing, and start-up probes are switched off
	PastRunning Past = "running" // everything runs, evenly spread
)

// Large is a big, regular cluster for measuring time and memory: Primitives,
// Groups of GroupSize and Clones on Nodes. A fifth of the resources has a
// location constraint, a fifth a colocation, a fifth an order. The document
// depends on these figures alone.
type Large struct {
	Nodes, Primitives         int
	Groups, GroupSize, Clones int
	Past                      Past
}

// String is the size in short words: "32 nodes × 1000 primitives, probed".
func (l Large) String() string {
	text := fmt.Sprintf("%d nodes", l.Nodes)
	if l.Primitives > 0 {
		text += fmt.Sprintf(" × %d primitives", l.Primitives)
	}
	if l.Groups > 0 {
		text += fmt.Sprintf(" × %d groups of %d", l.Groups, l.GroupSize)
	}
	if l.Clones > 0 {
		text += fmt.Sprintf(" × %d clones", l.Clones)
	}
	return text + ", " + string(l.Past)
}

// Write writes the cluster's CIB.
func (l Large) Write(to io.Writer) error {
	w := &largeWriter{Large: l, out: bufio.NewWriterSize(to, 1<<16)}
	w.printf("<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.7\" epoch=\"1\" num_updates=\"0\" admin_epoch=\"0\" have-quorum=\"1\" dc-uuid=\"1\" execution-date=\"1700000000\">\n<configuration>\n")
	w.options()
	w.members()
	w.resources()
	w.constraints()
	w.printf("</configuration>\n<status>\n")
	for i := range l.Nodes {
		w.state(i)
	}
	w.printf("</status>\n</cib>\n")
	return w.out.Flush()
}

// largeWriter is one Write. Its errors are kept by the buffered writer until
// the end.
type largeWriter struct {
	Large
	out   *bufio.Writer
	tops  []string // what constraints name
	items []largeItem
}

// largeItem is a primitive and where it runs, if it does.
type largeItem struct {
	id   string
	home int
}

func (w *largeWriter) printf(format string, args ...any) { fmt.Fprintf(w.out, format, args...) }

func largeNode(i int) string { return fmt.Sprintf("n%03d", i+1) }

func (w *largeWriter) options() {
	w.printf("<crm_config><cluster_property_set id=\"options\">\n")
	pairs := []string{"batch-limit", "0", "no-quorum-policy", "stop", "stonith-enabled", "false", "symmetric-cluster", "true"}
	if w.Past == PastOff {
		pairs = append(pairs, "enable-startup-probes", "false")
	}
	for i := 0; i < len(pairs); i += 2 {
		w.printf(" <nvpair id=\"options-%s\" name=\"%s\" value=\"%s\"/>\n", pairs[i], pairs[i], pairs[i+1])
	}
	w.printf("</cluster_property_set></crm_config>\n")
}

func (w *largeWriter) members() {
	w.printf("<nodes>\n")
	for i := range w.Nodes {
		w.printf(" <node id=\"%d\" uname=\"%s\"/>\n", i+1, largeNode(i))
	}
	w.printf("</nodes>\n")
}

func (w *largeWriter) resources() {
	w.printf("<resources>\n")
	for i := range w.Primitives {
		id := fmt.Sprintf("p%05d", i)
		w.primitive(id, i)
		w.tops = append(w.tops, id)
	}
	for i := range w.Groups {
		id := fmt.Sprintf("g%05d", i)
		w.printf("<group id=\"%s\">\n", id)
		for m := range w.GroupSize {
			w.primitive(fmt.Sprintf("%s-%d", id, m), i)
		}
		w.printf("</group>\n")
		w.tops = append(w.tops, id)
	}
	for i := range w.Clones {
		id := fmt.Sprintf("c%05d", i)
		w.printf("<clone id=\"%s\"><meta_attributes id=\"%s-meta\"><nvpair id=\"%s-interleave\" name=\"interleave\" value=\"true\"/></meta_attributes>\n", id, id, id)
		w.primitive(id+"-p", i)
		w.printf("</clone>\n")
		w.tops = append(w.tops, id)
	}
	w.printf("</resources>\n")
}

func (w *largeWriter) primitive(id string, number int) {
	w.printf("<primitive id=\"%s\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"><operations><op id=\"%s-monitor\" name=\"monitor\" interval=\"10s\" timeout=\"20s\"/></operations></primitive>\n", id, id)
	w.items = append(w.items, largeItem{id, number % w.Nodes})
}

// constraints ties neighbours in pairs, so that no chain grows with the size.
func (w *largeWriter) constraints() {
	w.printf("<constraints>\n")
	share := len(w.tops) / 5
	for i := range share {
		w.printf(" <rsc_location id=\"location%05d\" rsc=\"%s\" node=\"%s\" score=\"%d\"/>\n", i, w.tops[i], largeNode(i*3%w.Nodes), 100+i%7)
	}
	for i := range min(share, len(w.tops)/2) {
		score, kind := 500, "Mandatory"
		if i%2 == 1 {
			score, kind = -100, "Optional"
		}
		first, second := w.tops[2*i], w.tops[2*i+1]
		w.printf(" <rsc_colocation id=\"colocation%05d\" rsc=\"%s\" with-rsc=\"%s\" score=\"%d\"/>\n", i, second, first, score)
		w.printf(" <rsc_order id=\"order%05d\" first=\"%s\" then=\"%s\" kind=\"%s\"/>\n", i, first, second, kind)
	}
	w.printf("</constraints>\n")
}

// state writes what is known of one node.
func (w *largeWriter) state(node int) {
	name := largeNode(node)
	w.printf("<node_state id=\"%d\" uname=\"%s\" in_ccm=\"true\" crmd=\"online\" join=\"member\" expected=\"member\">\n", node+1, name)
	if w.Past == PastProbed || w.Past == PastRunning {
		w.printf("<lrm id=\"%d\"><lrm_resources>\n", node+1)
		for i, item := range w.items {
			w.history(item, i+1, node)
		}
		w.printf("</lrm_resources></lrm>\n")
	}
	w.printf("</node_state>\n")
}

// writerID ends the transition keys of the history.
const writerID = "00000000-0000-0000-0000-000000000000"

var (
	plainDigest     = scheduler.ParamsDigest(nil)
	recurringDigest = scheduler.ParamsDigest(map[string]string{"CRM_meta_timeout": "20000"})
)

// history writes what one node knows of one resource.
func (w *largeWriter) history(item largeItem, call, node int) {
	w.printf("<lrm_resource id=\"%s\" type=\"Dummy\" class=\"ocf\" provider=\"heartbeat\">\n", item.id)
	if w.Past == PastRunning && item.home == node {
		w.result(item.id, "start", 0, 0, call, node, plainDigest)
		w.result(item.id, "monitor", 10000, 0, call+100_000, node, recurringDigest)
	} else {
		w.result(item.id, "monitor", 0, 7, call, node, plainDigest)
	}
	w.printf("</lrm_resource>\n")
}

func (w *largeWriter) result(id, task string, interval, rc, call, node int, digest string) {
	record := id + "_last_0"
	if interval > 0 {
		record = fmt.Sprintf("%s_%s_%d", id, task, interval)
	}
	key := fmt.Sprintf("%d:0:%d:%s", call, rc, writerID)
	w.printf(" <lrm_rsc_op id=\"%s\" operation_key=\"%s_%s_%d\" operation=\"%s\" crm_feature_set=\"3.16.1\" transition-key=\"%s\" transition-magic=\"0:%d;%s\" on_node=\"%s\" call-id=\"%d\" rc-code=\"%d\" op-status=\"0\" interval=\"%d\" op-digest=\"%s\"/>\n",
		record, id, task, interval, task, key, rc, key, largeNode(node), call, rc, interval, digest)
}
