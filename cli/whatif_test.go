package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/cluster/scheduler/explain"
	"github.com/takt-ha/takt/cluster/scheduler/whatif"
)

const twoNodes = `<cib have-quorum="1"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="f" name="stonith-enabled" value="false"/><nvpair id="q" name="no-quorum-policy" value="ignore"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>
<resources><primitive id="db" class="ocf" provider="takt" type="Dummy"/><primitive id="web" class="ocf" provider="takt" type="Dummy"/></resources>
<constraints><rsc_location id="db-never-n2" rsc="db" node="n2" score="-INFINITY"/><rsc_location id="web-likes-n1" rsc="web" node="n1" score="50"/></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member"/></status></cib>`

func runOn(t *testing.T, xml string, cmd *cobra.Command, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(file, []byte(xml), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(append(args, "--xml-file", file, "--now", "1000"))
	err := cmd.Execute()
	return out.String(), err
}

func TestWhatifText(t *testing.T) {
	out, err := runOn(t, twoNodes, newWhatifCommand(&globals{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fencing is disabled", "node n1  loses db", "lost   db", "moves  web  n1 → n2", "If one resource fails", "notice a failure of db, web"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "two nodes") {
		t.Errorf("of two nodes no pair can fail and leave one:\n%s", out)
	}
}

func TestWhatifJSON(t *testing.T) {
	out, err := runOn(t, twoNodes, newWhatifCommand(&globals{output: "json"}))
	if err != nil {
		t.Fatal(err)
	}
	var r whatif.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Nodes) != 2 || len(r.Points) != 1 || r.Points[0].Loses[0].Resource != "db" || r.Active != 2 {
		t.Errorf("got %s", out)
	}
}

func TestExplainText(t *testing.T) {
	out, err := runOn(t, twoNodes, newExplainCommand(&globals{}), "db", "--node", "n2", "--scores")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"db starts on n1, not n2: ", "db-never-n2", "What will happen", "start db on n1", "-INFINITY", "to change that: change the location constraint db-never-n2"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestExplainJSON(t *testing.T) {
	out, err := runOn(t, twoNodes, newExplainCommand(&globals{output: "json"}), "web")
	if err != nil {
		t.Fatal(err)
	}
	var a explain.Answer
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Instances) != 1 || a.Instances[0].Node != "n1" || a.Instances[0].Against != "n2" || len(a.Actions) == 0 {
		t.Errorf("got %s", out)
	}
	if _, err := runOn(t, twoNodes, newExplainCommand(&globals{}), "nothing"); err == nil {
		t.Error("a resource that is not there was explained")
	}
}
