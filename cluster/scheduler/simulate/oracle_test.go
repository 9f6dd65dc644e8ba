package simulate

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// casesDir holds regression cases of another implementation, as data; it is no
// part of the repository.
const casesDir = "../../../../shared/scheduler"

// TestReplayAgainstOracle carries out the transitions of the real scheduler with
// Replay and lets the real one read the result: resources must be where it says
// that they are after a transition. It is independent of our own scheduler.
// TAKT_ORACLE=all runs every case, TAKT_ORACLE=NAME one, otherwise one in 24.
func TestReplayAgainstOracle(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(casesDir, "*.xml"))
	if len(files) == 0 {
		t.Skip("the regression cases are not here (" + casesDir + "): skipped")
	}
	if _, err := exec.LookPath("crm_simulate"); err != nil {
		t.Skip("crm_simulate is not installed: skipped")
	}
	which, same, total := os.Getenv("TAKT_ORACLE"), 0, 0
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".xml")
		if which == "" && i%24 != 0 || which != "" && which != "all" && which != name {
			continue
		}
		total++
		if diff := oracleDiff(t, file, name); len(diff) > 0 {
			t.Errorf("%s:\n  %s", name, strings.Join(diff, "\n  "))
			continue
		}
		same++
	}
	t.Logf("%d of %d cases end where the real scheduler says", same, total)
}

func oracleDiff(t *testing.T, file, name string) []string {
	t.Helper()
	var want struct {
		After struct{ Placement scheduler.Placement }
	}
	text, err := os.ReadFile(filepath.Join(casesDir, name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	xml, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(xml)
	if err != nil {
		return []string{err.Error()}
	}
	dir := t.TempDir()
	graph, mine := filepath.Join(dir, "graph"), filepath.Join(dir, "mine.xml")
	simulateReal(t, "-x", file, "-SQ", "-G", graph)
	after := Replay(root, readGraph(t, graph), time.Unix(1_790_000_000, 0))
	if err := os.WriteFile(mine, []byte(after.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readStatus(t, simulateReal(t, "-x", mine, "-Q", "--output-as=xml"))
	var diff []string
	names := maps.Clone(got)
	maps.Copy(names, want.After.Placement)
	for r := range names {
		if !maps.Equal(got[r], want.After.Placement[r]) {
			diff = append(diff, r+": want "+words(want.After.Placement[r])+", got "+words(got[r]))
		}
	}
	return diff
}

func words(m map[string]scheduler.Role) string {
	text, _ := json.Marshal(m)
	return string(text)
}

func simulateReal(t *testing.T, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("crm_simulate", args...)
	cmd.Stdout, cmd.Env = &out, append(os.Environ(), "LC_ALL=C")
	_ = cmd.Run() // it exits with an error where the transition cannot be finished
	return out.Bytes()
}

// readGraph turns a transition graph into a Transition.
func readGraph(t *testing.T, file string) *scheduler.Transition {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	tr, number := &scheduler.Transition{}, map[string]scheduler.ActionID{}
	for syn := range root.Elements {
		for x := range syn.Child("action_set").Elements {
			a := graphAction(x)
			a.ID = scheduler.ActionID(len(tr.Actions))
			number[x.ID()] = a.ID
			tr.Actions = append(tr.Actions, a)
			if r := x.Child("primitive"); r != nil {
				known := scheduler.Allocation{Resource: r.ID(), Recorded: r.Attr("long-id")}
				if number := a.Meta["clone"]; number != "" && known.Recorded != "" {
					known.Resource += ":" + number
				}
				tr.Allocations = append(tr.Allocations, known)
			}
		}
	}
	for syn := range root.Elements {
		for x := range syn.Child("action_set").Elements {
			for trigger := range syn.Child("inputs").Elements {
				for in := range trigger.Elements {
					if before, ok := number[in.ID()]; ok {
						tr.Order = append(tr.Order, scheduler.Ordering{Before: before, After: number[x.ID()]})
					}
				}
			}
		}
	}
	return tr
}

func graphAction(x *cib.Node) scheduler.Action {
	kind := map[string]scheduler.Kind{"rsc_op": scheduler.Resource, "pseudo_event": scheduler.Pseudo, "crm_event": scheduler.Cluster}[x.Name()]
	meta := x.Child("attributes")
	rsc := x.Child("primitive")
	a := scheduler.Action{Kind: kind, Task: x.Attr("operation"), Resource: rsc.ID(), Node: x.Attr("on_node"), Meta: map[string]string{}}
	a.Agent = rsc.Attr("class") + ":" + rsc.Attr("type")
	if p := rsc.Attr("provider"); p != "" {
		a.Agent = rsc.Attr("class") + ":" + p + ":" + rsc.Attr("type")
	}
	a.Interval, _ = strconv.ParseInt(meta.Attr("CRM_meta_interval"), 10, 64)
	a.TargetRC, _ = strconv.Atoi(meta.Attr("CRM_meta_op_target_rc"))
	a.Detail = meta.Attr("CRM_meta_stonith_action")
	for _, attr := range meta.Attrs() {
		if name, ok := strings.CutPrefix(attr.Name, "CRM_meta_"); ok {
			a.Meta[name] = attr.Value
		}
	}
	return a
}

// readStatus reads where resources are.
func readStatus(t *testing.T, text []byte) scheduler.Placement {
	t.Helper()
	if i := bytes.Index(text, []byte("<pacemaker-result")); i >= 0 {
		text = text[i:]
	}
	root, err := cib.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	place := scheduler.Placement{}
	var visit func(n *cib.Node)
	visit = func(n *cib.Node) {
		for c := range n.Elements {
			visit(c)
		}
		if n.Name() != "resource" {
			return
		}
		if place[n.ID()] == nil {
			place[n.ID()] = map[string]scheduler.Role{}
		}
		for at := range n.Elements {
			if at.Name() != "node" {
				continue
			}
			// What is pending is named only where the status stands alone.
			role, old := strings.NewReplacer("Starting", "Started", "Stopping", "Started").Replace(n.Attr("role")), string(place[n.ID()][at.Attr("name")])
			if old != "" && !strings.Contains("+"+old+"+", "+"+role+"+") {
				role = min(old, role) + "+" + max(old, role)
			}
			place[n.ID()][at.Attr("name")] = scheduler.Role(role)
		}
	}
	visit(root.Path("cluster_status", "resources"))
	return place
}
