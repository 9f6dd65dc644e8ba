package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// historyTime is when the histories of these tests are read.
var historyTime = time.Unix(1_700_000_000, 0)

// recorded makes a result: "start 0", "monitor/10000 7", "stop 1 status=2",
// "monitor 0 target=7", with further attributes as name=value.
func recorded(rsc string, call int, what string) string {
	words := strings.Fields(what)
	task, every, _ := strings.Cut(words[0], "/")
	every = firstOf(every, "0")
	attrs := map[string]string{"target": "0", "status": "0", "id": fmt.Sprintf("%s_%s_%s", rsc, task, every), "call": fmt.Sprint(call)}
	extra := ""
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		if _, known := attrs[name]; known {
			attrs[name] = value
		} else {
			extra += fmt.Sprintf(" %s=%q", name, value)
		}
	}
	return fmt.Sprintf(`<lrm_rsc_op id="%s" operation="%s" operation_key="%s_%s_%s" interval="%s" rc-code="%s" op-status="%s" call-id="%s" transition-key="1:%d:%s:u" transition-magic="0:0;1:%d:%s:u"%s/>`,
		attrs["id"], task, rsc, task, every, every, words[1], attrs["status"], attrs["call"], call, attrs["target"], call, attrs["target"], extra)
}

// entry is a resource's history on a node, the oldest result first.
func entry(rsc string, ops ...string) string {
	text := fmt.Sprintf(`<lrm_resource id="%s" class="ocf" provider="takt" type="Dummy">`, rsc)
	for i, op := range ops {
		text += recorded(rsc, i+1, op)
	}
	return text + `</lrm_resource>`
}

// historyWorld unpacks resources with a history: entries by node (n1, n2, n3).
func historyWorld(t *testing.T, options, resources string, entries map[string]string) *working {
	t.Helper()
	w := newWorking(historyRoot(t, options, resources, entries), historyTime)
	w.unpack()
	return w
}

func historyRoot(t *testing.T, options, resources string, entries map[string]string) *cib.Node {
	t.Helper()
	text := `<cib have-quorum="1" crm_feature_set="3.16.1"><configuration><crm_config><cluster_property_set id="o">` +
		`<nvpair id="o0" name="stonith-enabled" value="false"/>` + options + `</cluster_property_set></crm_config><nodes>`
	states := ""
	for i, name := range []string{"n1", "n2", "n3"} {
		text += fmt.Sprintf(`<node id="%d" uname="%s"/>`, i+1, name)
		states += fmt.Sprintf(`<node_state id="%d" uname="%s" in_ccm="true" crmd="online" join="member" expected="member">%s<lrm id="%d"><lrm_resources>%s</lrm_resources></lrm></node_state>`,
			i+1, name, entries["attrs "+name], i+1, entries[name])
	}
	text += `</nodes><resources>` + resources + `</resources><constraints/></configuration><status>` + states + `</status></cib>`
	root, err := cib.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

const dummy = `<primitive id="web" class="ocf" provider="takt" type="Dummy"><operations>` +
	`<op id="web-m" name="monitor" interval="10s"/><op id="web-s" name="start" interval="0" timeout="20s"/>%s</operations>%s</primitive>`

func web(ops, meta string) string { return fmt.Sprintf(dummy, ops, meta) }

func metaSet(pairs ...string) string {
	text := `<meta_attributes id="web-meta">`
	for i := 0; i < len(pairs); i += 2 {
		text += fmt.Sprintf(`<nvpair id="web-meta-%d" name="%s" value="%s"/>`, i, pairs[i], pairs[i+1])
	}
	return text + `</meta_attributes>`
}

// state says in words what is known of a resource.
func (r *resource) stateWords() string {
	text := firstOf(string(r.role), "unknown")
	for _, n := range r.running {
		text += " " + n.name
	}
	for _, flag := range []struct {
		is   bool
		word string
	}{{r.next == Stopped, "next-stopped"}, {r.failed, "failed"}, {r.stopWanted, "stop"}, {r.blocked, "blocked"}, {r.startPending, "starting"},
		{r.failureIgnored, "ignored"}, {r.orphan, "orphan"}, {len(r.dangling) > 0, "dangling"}, {r.migrationTarget != nil, "migrating"}} {
		if flag.is {
			text += " " + flag.word
		}
	}
	return text
}

// TestRoleFromHistory: what a history of one node makes of a resource.
func TestRoleFromHistory(t *testing.T) {
	for name, c := range map[string]struct {
		ops, meta, want string
		history         []string
	}{
		"started":                         {want: "Started n1", history: []string{"start 0", "monitor/10000 0"}},
		"stopped":                         {want: "Stopped", history: []string{"start 0", "stop 0"}},
		"found stopped":                   {want: "Stopped", history: []string{"monitor 7 target=7"}},
		"found active":                    {want: "Started n1", history: []string{"monitor 0 target=7"}},
		"found degraded":                  {want: "Started n1", history: []string{"monitor 190 target=7"}},
		"nothing degraded starts":         {want: "Started n1 failed stop", history: []string{"start 190"}},
		"monitor failed":                  {want: "Started n1 failed stop", history: []string{"start 0", "monitor/10000 7"}},
		"failure forgiven by a stop":      {want: "Stopped", history: []string{"start 0", "monitor/10000 1 id=web_last_failure_0", "stop 0"}},
		"failure ignored":                 {ops: `<op id="web-x" name="monitor" interval="11s" on-fail="ignore"/>`, want: "Started n1 ignored", history: []string{"start 0", "monitor/11000 1"}},
		"failure blocks":                  {ops: `<op id="web-x" name="monitor" interval="11s" on-fail="block"/>`, want: "Started n1 failed blocked", history: []string{"start 0", "monitor/11000 1"}},
		"failure stops":                   {ops: `<op id="web-x" name="monitor" interval="11s" on-fail="stop"/>`, want: "Started n1 next-stopped failed stop", history: []string{"start 0", "monitor/11000 1"}},
		"stop failed":                     {want: "Started n1 failed blocked", history: []string{"start 0", "stop 1"}},
		"pending start":                   {want: "Started n1 starting", history: []string{"start 193 status=-1 call=-1"}},
		"probe of what is not installed":  {want: "Stopped", history: []string{"monitor 5 target=7"}},
		"cancelled says nothing":          {want: "unknown", history: []string{"monitor 0 status=1"}},
		"notify says nothing":             {want: "unknown", history: []string{"notify 0"}},
		"failed promoted":                 {want: "Promoted n1 failed stop", history: []string{"monitor/10000 9"}},
		"target-role survives a recovery": {meta: metaSet("target-role", "Stopped"), want: "Stopped next-stopped", history: []string{"start 0", "stop 0"}},
		"expired failure of a start":      {meta: metaSet("failure-timeout", "60s"), want: "unknown", history: []string{"start 1 last-rc-change=1600000000"}},
		"recent failure of a start":       {meta: metaSet("failure-timeout", "60s"), want: "Started n1 failed stop", history: []string{"start 1 last-rc-change=1699999999"}},
		"timed out":                       {want: "Started n1 failed stop", history: []string{"start 0", "monitor/10000 1 status=2"}},
	} {
		w := historyWorld(t, "", web(c.ops, c.meta), map[string]string{"n1": entry("web", c.history...)})
		r := w.byID["web"]
		if r.role == Stopped && !r.isKnown(w.nodeByName["n1"]) {
			r.role = "" // what the configuration begins with
		}
		if got := r.stateWords(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestBansFromHistory: where failures forbid a resource.
func TestBansFromHistory(t *testing.T) {
	for name, c := range map[string]struct{ result, want string }{
		"a soft error of a monitor": {"monitor/10000 1", ""},
		"a hard error":              {"start 5", "n1"},
		"invalid parameters":        {"start 2", "n1"},
		"a fatal error":             {"start 6", "n1 n2 n3"},
		"no agent":                  {"start 5 status=7", "n1"},
		"a masked probe":            {"monitor 5 target=7", "n1"},
		"a failed stop":             {"stop 1", "n1"},
	} {
		w := historyWorld(t, "", web("", ""), map[string]string{"n1": entry("web", c.result)})
		banned := ""
		for _, n := range w.nodes {
			if w.byID["web"].allowed.get(n).score <= -Infinity {
				banned += " " + n.name
			}
		}
		if strings.TrimSpace(banned) != c.want {
			t.Errorf("%s: banned from %q, want %q", name, banned, c.want)
		}
	}
}

// TestNoStartBesideFailedStop: what could not be stopped is left alone, and no other
// instance of its clone starts in its place, neither at once nor, should it have been
// started by hand, instead of it.
func TestNoStartBesideFailedStop(t *testing.T) {
	clone := `<clone id="webs">` + web("", "") + `</clone>`
	for name, history := range map[string][]string{
		"it may still be active":   {"start 0", "stop 1"},
		"it stopped after all":     {"start 0", "stop 1 id=web_last_failure_0", "stop 0"},
		"it was started meanwhile": {"start 0", "stop 1 id=web_last_failure_0", "start 0"},
	} {
		for _, elsewhere := range []string{"start 0", "monitor 7 target=7"} {
			root := historyRoot(t, "", clone, map[string]string{
				"n1": entry("web", history...), "n2": entry("web", elsewhere), "n3": entry("web", "monitor 7 target=7")})
			starts := map[string]int{}
			for _, a := range Schedule(root, historyTime).Actions {
				if a.Task == taskStart {
					starts[a.Node]++
				}
			}
			if starts["n1"] > 0 || starts["n3"] != 1 {
				t.Errorf("%s (%s on n2): starts %v, want one on n3 and none on n1", name, elsewhere, starts)
			}
		}
	}
}

// TestMigrationFromHistory: what is left of a migration from n1 to n2.
func TestMigrationFromHistory(t *testing.T) {
	const ends = " migrate_source=n1 migrate_target=n2"
	for name, c := range map[string]struct {
		source, target []string
		want           string
	}{
		"done":                   {[]string{"start 0", "migrate_to 0" + ends, "stop 0"}, []string{"migrate_from 0" + ends}, "Started n2"},
		"without the last stop":  {[]string{"start 0", "migrate_to 0" + ends}, []string{"migrate_from 0" + ends}, "Started n2 dangling"},
		"half done":              {[]string{"start 0", "migrate_to 0" + ends}, []string{"monitor 7 target=7 on_node=n2"}, "Started n2 n1 migrating"},
		"of a cleaned target":    {[]string{"start 0", "migrate_to 0" + ends}, nil, "Started n1"},
		"migrate_to failed":      {[]string{"start 0", "migrate_to 1" + ends}, []string{"stop 0"}, "Started n2 n1 failed stop"},
		"stopped on both":        {[]string{"start 0", "migrate_to 0" + ends, "stop 0"}, []string{"migrate_from 0" + ends, "stop 0"}, "Stopped"},
		"migrate_from is failed": {[]string{"start 0", "migrate_to 0" + ends}, []string{"migrate_from 1" + ends}, "Started n2 n1 failed stop"},
	} {
		entries := map[string]string{"n1": entry("web", c.source...)}
		if c.target != nil {
			entries["n2"] = entry("web", c.target...)
		}
		w := historyWorld(t, "", web("", metaSet("allow-migrate", "true")), entries)
		if got := w.byID["web"].stateWords(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestOwnersInHistory: which resource an entry belongs to.
func TestOwnersInHistory(t *testing.T) {
	clone := `<clone id="c">` + web("", "") + `</clone>`
	w := historyWorld(t, "", clone, map[string]string{
		"n1": entry("web", "stop 0"), "n2": entry("web:7", "start 0"), "n3": entry("web", "start 0") + entry("gone", "start 0")})
	for id, want := range map[string]string{"web:0": "Started n2", "web:1": "Started n3", "web:2": "Stopped", "gone": "Started n3 orphan"} {
		if got := w.byID[id].stateWords(); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if !w.byID["gone"].managed {
		t.Error("an orphan is left alone although stop-orphan-resources is true")
	}
	w = historyWorld(t, `<nvpair id="o1" name="stop-orphan-resources" value="false"/>`, clone, map[string]string{"n3": entry("gone", "start 0")})
	if w.byID["gone"].managed {
		t.Error("an orphan is stopped although stop-orphan-resources is false")
	}
}

// TestActiveTwice: what multiple-active says.
func TestActiveTwice(t *testing.T) {
	for policy, want := range map[string]string{"stop_start": "Started n1 n2", "block": "Started n1 n2 blocked", "stop_only": "Started n1 n2"} {
		w := historyWorld(t, "", web("", metaSet("multiple-active", policy)), map[string]string{"n1": entry("web", "start 0"), "n2": entry("web", "start 0")})
		r := w.byID["web"]
		if got := r.stateWords(); got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
		if banned := r.allowed.get(w.nodeByName["n3"]).score <= -Infinity; banned != (policy == "stop_only") {
			t.Errorf("%s: banned is %v", policy, banned)
		}
		if _, all, clean := w.activeNode(r); all != 2 || clean != 2 {
			t.Errorf("%s: active on %d nodes, %d of them clean", policy, all, clean)
		}
	}
}

// TestShutdownLockInHistory: a lock keeps the resource for its node, until it expires.
func TestShutdownLockInHistory(t *testing.T) {
	options := `<nvpair id="o1" name="shutdown-lock" value="true"/><nvpair id="o2" name="shutdown-lock-limit" value="1h"/>`
	for since, locked := range map[int64]bool{historyTime.Unix() - 60: true, historyTime.Unix() - 3601: false} {
		text := strings.Replace(entry("web", "stop 0"), "<lrm_resource ", fmt.Sprintf(`<lrm_resource shutdown-lock="%d" `, since), 1)
		w := historyWorld(t, options, web("", ""), map[string]string{"n1": text})
		r := w.byID["web"]
		if got := r.shutdownLocked != nil; got != locked {
			t.Errorf("a lock since %d: locked is %v", since, got)
		}
		if forgotten := r.find(taskForget, 0, w.nodeByName["n1"]) != nil; forgotten == locked {
			t.Errorf("a lock since %d: its history is forgotten: %v", since, forgotten)
		}
	}
}
