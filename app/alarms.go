package app

import (
	"slices"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
)

// alarms are what makes the cluster unsafe or useless now.
func (a *App) alarms(st *api.Status, root *cib.Node) []api.Alarm {
	list := []api.Alarm{}
	switch voters := len(st.Quorum.Voters); {
	case voters > 1 && ignoresLoss(st, root):
		list = append(list, api.Alarm{
			Text: "A CUT MAKES EVERYTHING RUN TWICE: with no-quorum-policy=ignore each part goes on without proof that the other is off. One of these changes that:",
			Commands: []string{
				"takt option unset no-quorum-policy   # a part without quorum then stops what it runs",
				addDevice,
			},
		})
	case voters == 2 && a.unprotected(st, root):
		list = append(list, api.Alarm{
			Text: "NOTHING WILL FAIL OVER on the loss of a node: with two votes the node that is left cannot know whether the other one is off or only cut off. One of these changes that:",
			Commands: []string{
				addDevice,
				"takt fence add watchdog fence_takt_watchdog   # each node's own watchdog resets it when it is cut off",
				"takt join --witness TOKEN   # on a third machine, with a token from takt token: a vote that runs nothing",
			},
		})
	}
	for _, s := range st.Superseded {
		list = append(list, api.Alarm{Text: s.Words, Commands: []string{"takt cluster acknowledge   # on " + st.Node + ", when you have seen it"}})
	}
	return list
}

const addDevice = "takt fence add NAME AGENT PARAMETER=VALUE… --node NODE   # a device that switches a node off: takt agents list stonith shows which there are"

// ignoresLoss reports a cluster whose parts go on without quorum and without proof.
func ignoresLoss(st *api.Status, root *cib.Node) bool {
	return !st.Fencing.Enabled && optionOf(root, "no-quorum-policy") == "ignore"
}

// unprotected reports a cluster of two votes in which nothing would ever prove
// that a node is off.
func (a *App) unprotected(st *api.Status, root *cib.Node) bool {
	if !st.Fencing.Enabled {
		return true
	}
	plan := readFencePlan(root, st.Time)
	if slices.ContainsFunc(st.Fencing.Nodes, func(m api.FencingMeans) bool { return m.OK }) {
		return false
	}
	unusable := map[string]bool{} // known to fail here, such as a watchdog that is not there
	if a.fencing != nil {
		if a.fencing.asked() {
			return true
		}
		for _, f := range a.fencing.view().found {
			unusable[f.Device] = unusable[f.Device] || f.Severity == fence.Error
		}
	}
	for _, d := range plan.Primitives {
		if plan.Devices[d.ID].Disabled == "" && !unusable[d.ID] {
			return false // whether it works is a finding of its own
		}
	}
	return true
}
