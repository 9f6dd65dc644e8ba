package scheduler

import (
	"testing"
)

const withOps = `<resources><primitive id="a" class="ocf" provider="p" type="A"><operations>
	<op id="o1" name="monitor" interval="30s" timeout="40s"/>
	<op id="o2" name="monitor" interval="10s" role="Promoted" on-fail="block"/>
	<op id="o3" name="start" interval="0" timeout="2min" on-fail="ignore"><instance_attributes id="oi"><nvpair id="oi1" name="fast" value="yes"/></instance_attributes></op>
	<op id="o4" name="monitor" interval="30" role="Stopped"/>
	<op id="o5" name="stop" interval="0" on-fail="standby"/>
	</operations></primitive>
	<primitive id="f" class="stonith" type="fence"><instance_attributes id="fi"><nvpair id="fi1" name="pcmk_monitor_timeout" value="7s"/></instance_attributes></primitive>
	</resources>
	<op_defaults><meta_attributes id="od"><nvpair id="od1" name="timeout" value="50s"/></meta_attributes></op_defaults>`

func TestSettings(t *testing.T) {
	w := unpacked(t, noFencing, withOps)
	timeout := func(rsc, task string, interval int64) int64 {
		r := w.byID[rsc]
		return w.settingsOf(r, task, task, interval, r.configOf(task, interval), nil).timeout
	}
	for _, c := range []struct {
		rsc, task      string
		interval, want int64
	}{
		{"a", "start", 0, 120_000},
		{"a", "stop", 0, 50_000},
		{"a", "monitor", 30_000, 40_000},
		{"a", "monitor", 10_000, 50_000},
		{"a", "monitor", 0, 50_000}, // the most frequent monitor has none
		{"f", "monitor", 0, 7_000},
		{"f", "start", 0, 7_000},
		{"f", "stop", 0, 50_000},
	} {
		if got := timeout(c.rsc, c.task, c.interval); got != c.want {
			t.Errorf("%s of %s every %d ms may take %d ms, not %d", c.task, c.rsc, c.interval, got, c.want)
		}
	}
	a := w.byID["a"]
	if !a.ops[0].repeated || a.ops[1].repeated || !a.ops[3].repeated {
		t.Error("two monitors with the same interval are not found")
	}
}

func TestOnFail(t *testing.T) {
	w := unpacked(t, noFencing, withOps)
	a := w.byID["a"]
	for _, c := range []struct {
		task     string
		interval int64
		want     onFail
		role     Role
	}{
		{"start", 0, onFailIgnore, Started},
		{"stop", 0, onFailBlock, Started}, // standby is not possible, and nobody can fence
		{"monitor", 30_000, onFailRestart, Started},
		{"demote", 0, onFailBlock, Started}, // as the monitor of what is promoted
		{"promote", 0, onFailRestart, Unpromoted},
	} {
		if got, role := w.onFailOf(a, c.task, c.interval); got != c.want || role != c.role {
			t.Errorf("a failed %s means %v %s, not %v %s", c.task, got, role, c.want, c.role)
		}
	}
}

func TestActions(t *testing.T) {
	w := unpacked(t, noFencing, withOps)
	a, n1, n2 := w.byID["a"], w.nodeByName["n1"], w.nodeByName["n2"]
	n1.online = true
	start := w.action(a, taskStart, 0, n1, true)
	if again := w.action(a, taskStart, 0, n1, false); again != start || start.is(optional) || !start.is(runnable) {
		t.Error("an action that is asked for again is made necessary, not made again")
	}
	if s := w.action(a, taskStart, 0, n2, false); s == start || s.is(runnable) || s.blocked == "" {
		t.Error("an action on an offline node can happen")
	}
	if got := a.find(taskStart, 0, nil); got.node != n2 {
		t.Error("the newest action is not found first")
	}
	if list := a.findAll(taskStart, nil); len(list) != 2 || list[0] != start {
		t.Error("the actions of a task are not listed, the oldest first")
	}
	if p := w.agentParams(start); p["fast"] != "yes" {
		t.Error("the operation's own parameters are not passed")
	}
	w.options.quorate, a.managed = false, false
	stop := w.action(a, taskStop, 0, n1, false)
	promote := w.action(a, taskPromote, 0, n1, false)
	if !stop.is(optional) || !stop.is(runnable) || promote.is(runnable) {
		t.Error("what is unmanaged is not stopped, and nothing is promoted without quorum")
	}
	if g := w.gate("x"); g != w.gate("x") || !g.is(pseudo|runnable|optional) {
		t.Error("a gate is made once, and is open")
	}
}
