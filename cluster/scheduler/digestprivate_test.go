package scheduler

import (
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
)

// In a document for somebody to look at, where passwords may be blanked, another
// password is no change of the device. In a running cluster it is one, and a
// public parameter always is.
func TestPrivateParameters(t *testing.T) {
	secure := ParamsDigest(map[string]string{"login": "root"})
	for _, c := range []struct {
		sanitized bool
		login     string
		same      bool
	}{{true, "root", true}, {false, "root", false}, {true, "admin", false}} {
		w := unpacked(t, noFencing, `<resources><primitive id="f" class="stonith" type="x"><instance_attributes id="i">
			<nvpair id="p" name="passwd" value="****"/><nvpair id="l" name="login" value="`+c.login+`"/>
			<nvpair id="h" name="pcmk_host_list" value="n1"/></instance_attributes></primitive></resources>`)
		w.sanitized = c.sanitized
		op := cib.NewNode("lrm_rsc_op", "id", "f_last_0", "operation", "start", "interval", "0", "crm_feature_set", "3.0.14",
			"op-digest", "0123", "op-secure-params", " passwd ", "op-secure-digest", secure)
		d := w.compareDigests(op, w.resources[0], w.nodes[0])
		if d.verdict != digestAll {
			t.Fatalf("the digest is %v, which is no change", d.verdict)
		}
		if got := w.onlyPrivateChanged(op, w.resources[0], w.nodes[0], d); got != c.same {
			t.Errorf("sanitized %v, login %s: only private ones changed: %v", c.sanitized, c.login, got)
		}
	}
}
