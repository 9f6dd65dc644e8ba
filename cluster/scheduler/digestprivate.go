package scheduler

import (
	"maps"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// onlyPrivateChanged reports parameters that differ from what the operation ran
// with in nothing but private ones, in a document where those may have been
// blanked ("****"). In a running cluster a changed password is a change as any other.
func (w *working) onlyPrivateChanged(op *cib.Node, r *resource, n *node, d *digests) bool {
	digest, there := op.Lookup("op-secure-digest")
	return w.sanitized && there && digest == ParamsDigest(w.publicParams(op, r, n, d))
}

// publicParams are an operation's parameters without those that its result
// calls private. Old clusters counted only the resource's own parameters that
// its agent knows.
func (w *working) publicParams(op *cib.Node, r *resource, n *node, d *digests) map[string]string {
	private := op.Attr("op-secure-params")
	old := olderFeatures(op.Attr("crm_feature_set"), "3.16.0")
	from := d.params
	if old {
		from = w.callParams(r, n)
	}
	params := maps.Clone(from)
	maps.DeleteFunc(params, func(name, _ string) bool {
		return strings.Contains(private, " "+name+" ") ||
			old && (leftOutOfDigest(name) || r.fenceDevice && isFencerParam(name))
	})
	return params
}

// isFencerParam reports the parameters of a fence device that are the fencer's,
// and that its agent does not know.
func isFencerParam(name string) bool {
	switch name {
	case "provides", "stonith-timeout", "pcmk_action_limit", "pcmk_delay_base", "pcmk_delay_max",
		"pcmk_host_argument", "pcmk_host_check", "pcmk_host_list", "pcmk_host_map":
		return true
	}
	rest, is := strings.CutPrefix(name, "pcmk_")
	if !is {
		return false
	}
	_, rest, _ = strings.Cut(rest, "_")
	return rest == "action" || rest == "timeout" || rest == "retries"
}
