package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/scheduler"
)

const testCIB = `<cib have-quorum="1"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="f" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/></nodes>
<resources><primitive id="web" class="ocf" provider="takt" type="Dummy"/></resources><constraints/></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status></cib>`

func runSimulate(t *testing.T, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(file, []byte(testCIB), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := newSimulateCommand(&globals{})
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(append(args, "--xml-file", file))
	err := cmd.Execute()
	return out.String(), err
}

func TestSimulateText(t *testing.T) {
	out, err := runSimulate(t, "--now", "1000", "--scores")
	if err != nil {
		t.Fatal(err)
	}
	probe, start := strings.Index(out, "probe web on n1"), strings.Index(out, "start web on n1")
	if probe < 0 || start < probe || !strings.Contains(out, "web starts on n1") {
		t.Errorf("want the probe, then the start, then the placement:\n%s", out)
	}
}

func TestSimulateJSON(t *testing.T) {
	out, err := runSimulate(t, "--now", "1000", "--output-as", "takt-json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Actions []struct{ Task, Node string }
		Order   [][2]int
		After   struct{ Placement map[string]map[string]string }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Actions) != 2 || len(doc.Order) != 1 || doc.After.Placement["web"]["n1"] != "Started" {
		t.Errorf("got %s", out)
	}
}

func TestSimulateRefuses(t *testing.T) {
	for _, args := range [][]string{{"--now", "never"}, {"--output-as", "xml"}} {
		if _, err := runSimulate(t, args...); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

// TestActionJSON compares what is written without reflection with encoding/json.
func TestActionJSON(t *testing.T) {
	for _, a := range []scheduler.Action{
		{},
		{ID: 7, Kind: scheduler.Resource, Task: "monitor", Resource: "web", Node: "n1", Interval: 10000},
		{Kind: scheduler.Cluster, Task: "stonith", Node: "a\"b\\c\nd\x01é\xff<&>", Detail: "reboot"},
	} {
		var got, want map[string]any
		if err := json.Unmarshal(appendAction(nil, &a), &got); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(struct {
			ID       string `json:"id"`
			Kind     string `json:"kind"`
			Task     string `json:"task"`
			Resource string `json:"resource"`
			Node     string `json:"node"`
			Interval int64  `json:"interval_ms"`
			Detail   string `json:"detail,omitempty"`
		}{fmt.Sprintf("%d:%s_%s_%d@%s", a.ID, a.Resource, a.Task, a.Interval, a.Node), string(a.Kind), a.Task, a.Resource, a.Node, a.Interval, a.Detail})
		if err == nil {
			err = json.Unmarshal(text, &want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
