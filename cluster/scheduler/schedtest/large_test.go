package schedtest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/verify"
)

func TestLargeIsAValidCIB(t *testing.T) {
	for _, past := range []Past{PastNone, PastProbed, PastOff, PastRunning} {
		l := Large{Nodes: 3, Primitives: 10, Groups: 5, GroupSize: 2, Clones: 5, Past: past}
		var text bytes.Buffer
		if err := l.Write(&text); err != nil {
			t.Fatal(err)
		}
		root, err := cib.Parse(text.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		for _, f := range verify.Document(root).Findings {
			t.Errorf("%s: %v", l, f)
		}
		if got := strings.Count(text.String(), "<primitive "); got != 10+5*2+5 {
			t.Errorf("%s: %d primitives", l, got)
		}
		results := map[Past]int{PastProbed: 3 * 25, PastRunning: 3*25 + 25}[past]
		if got := strings.Count(text.String(), "<lrm_rsc_op "); got != results {
			t.Errorf("%s: %d results in the history, want %d", l, got, results)
		}
		for _, element := range []string{"<rsc_location ", "<rsc_colocation ", "<rsc_order "} {
			if got := strings.Count(text.String(), element); got != 20/5 {
				t.Errorf("%s: %d of %s>, want %d", l, got, element, 20/5)
			}
		}
	}
}
