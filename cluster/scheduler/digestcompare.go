package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// digests are of the parameters of an operation on a node, as it would run now.
type digests struct {
	all     string
	restart string // of those parameters whose change needs a restart, "" if the history does not know of any
	params  map[string]string
	own     bool // the operation has parameters of its own
	verdict digestVerdict
}

type digestVerdict uint8

const (
	digestUnknown digestVerdict = iota // the history has none
	digestMatches
	digestAll     // something changed: restart, or reload where the agent can
	digestRestart // a parameter changed that needs a restart
)

// compareDigests compares what a result (lrm_rsc_op) ran with with what is
// configured now.
func (w *working) compareDigests(op *cib.Node, r *resource, n *node) *digests {
	d := w.digestsOf(op, r, n)
	all, known := op.Lookup("op-digest")
	restart, reloads := op.Lookup("op-restart-digest")
	if w.expiredOps[op] {
		restart, reloads = "expired", true
	}
	switch {
	case reloads && d.restart != "" && d.restart != restart:
		d.verdict = digestRestart
	case !known:
		d.verdict = digestUnknown
	case all == d.all:
		d.verdict = digestMatches
	case d.own && historyInterval(op) == 0 && d.verdict == digestRestart:
		// A reload would not bring the operation's own parameters to the agent.
	default:
		d.verdict = digestAll
	}
	return d
}

// digestsOf computes the digests of an operation on a node, once.
func (w *working) digestsOf(op *cib.Node, r *resource, n *node) *digests {
	task, every := op.Attr("operation"), historyInterval(op)
	key := digestKey{r, task, every}
	if d := n.digests[key]; d != nil {
		return d
	}
	d := &digests{verdict: digestMatches}
	d.params = w.digestParams(d, r, task, every, n)
	d.all = ParamsDigest(d.params)
	if _, reloads := op.Lookup("op-restart-digest"); reloads || w.expiredOps[op] {
		d.restart = ParamsDigest(restartParams(d.params, op))
	}
	if n.digests == nil {
		n.digests = map[digestKey]*digests{}
	}
	n.digests[key] = d
	return d
}

// digestKey names an operation of a resource.
type digestKey struct {
	rsc      *resource
	task     string
	interval int64
}

// digestParams are the parameters that are part of an operation's digest: the
// resource's, the operation's own, and of recurring ones the time-out.
func (w *working) digestParams(d *digests, r *resource, task string, every int64, n *node) map[string]string {
	params := map[string]string{}
	add := func(name, value string) {
		if _, there := params[name]; !there && !leftOutOfDigest(name) {
			params[name] = value
		}
	}
	for name, value := range w.callParams(r, n) {
		add(name, value)
	}
	def := r.configOf(task, every)
	if def != nil {
		c := w.ruleContext(n)
		own := c.Merge(nil, def.xml, "instance_attributes", rule.Options{})
		w.recheckAt(c.Change)
		for _, p := range own {
			add(p.Name, p.Value)
		}
		if len(own) > 0 && every == 0 {
			d.own, d.verdict = true, digestRestart
		}
	}
	if every > 0 {
		params["CRM_meta_timeout"] = w.opMeta(r, task, every, def, n)["timeout"]
	}
	return params
}

// leftOutOfDigest: these are no parameters, or change without any meaning.
func leftOutOfDigest(name string) bool {
	switch name {
	case "id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip":
		return true
	}
	return len(name) >= 9 && strings.EqualFold(name[:9], "CRM_meta_")
}

// restartParams are the parameters whose change needs a restart: op-force-restart
// of the result names them, between blanks.
func restartParams(params map[string]string, op *cib.Node) map[string]string {
	names, listed := op.Lookup("op-force-restart")
	if !listed {
		return params
	}
	some := map[string]string{}
	for name, value := range params {
		if strings.Contains(names, " "+name+" ") {
			some[name] = value
		}
	}
	return some
}
