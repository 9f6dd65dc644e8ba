package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// leftBehind are the beginnings of ids of constraints that commands make.
var leftBehind = []string{"cli-ban-", "cli-prefer-", "takt-ban-", "takt-move-"}

// change says what would bring the resource to the other node.
func (v *verdict) change(resource, chosen, other string) []string {
	var list []string
	add := func(text string) {
		if text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	if v.deciding == nil {
		return []string{fmt.Sprintf("to have it there: takt resource move %s %s, or a location constraint", resource, other)}
	}
	for _, t := range append([]*scheduler.Term{v.deciding}, v.besides...) {
		add(remedy(t, resource, other))
	}
	return list
}

// remedy is what takes a term away, as a command where there is one.
func remedy(t *scheduler.Term, resource, node string) string {
	switch t.Kind {
	case scheduler.TermLocation:
		for _, prefix := range leftBehind {
			if strings.HasPrefix(t.Object, prefix) {
				return fmt.Sprintf("a command left constraint %s behind: takt resource clear %s", t.Object, resource)
			}
		}
		if t.Object == "" {
			return "change the location constraint"
		}
		return "change the location constraint " + t.Object
	case scheduler.TermColocation, scheduler.TermPreference:
		if !strings.Contains(t.Why, "colocation "+t.Object) {
			return "move what it goes with"
		}
		return "change the colocation " + t.Object + ", or move what it ties together"
	case scheduler.TermFailure:
		return fmt.Sprintf("mend the cause, then: takt resource cleanup %s %s", resource, node)
	case scheduler.TermStickiness:
		return fmt.Sprintf("to move it nevertheless: takt resource move %s %s", resource, node)
	case scheduler.TermState:
		return stateRemedy(t, node)
	case scheduler.TermTicket:
		return "grant ticket " + t.Object + " to this site"
	case scheduler.TermUtilization:
		return "free capacity on " + node + ", or correct the utilization attributes"
	case scheduler.TermHealth:
		return "mend what makes " + node + " unhealthy, or change node-health-strategy"
	case scheduler.TermSymmetry:
		return fmt.Sprintf("symmetric-cluster is off: allow %s with a location constraint", node)
	case scheduler.TermDiscovery:
		return "change resource-discovery of the location constraint " + t.Object
	case scheduler.TermLimit:
		return "raise the limit that is named"
	case scheduler.TermRole:
		return "takt resource start " + resource
	case scheduler.TermQuorum:
		return "bring back as many nodes as quorum needs: takt status names them"
	}
	return ""
}

// leftAlone is how the cluster takes charge again of what it leaves alone.
func leftAlone(a *scheduler.Allocation) []string {
	switch {
	case strings.Contains(a.Reason, "no fence device"):
		return []string{"configure a fence device: takt fence --help"}
	case strings.Contains(a.Reason, "maintenance"):
		return []string{"end the maintenance: takt node ready NODE, or the option maintenance-mode"}
	}
	return []string{"let the cluster act on it: takt resource manage " + base(a.Resource)}
}

// stateRemedy is how a node becomes fit to run resources.
func stateRemedy(t *scheduler.Term, node string) string {
	switch {
	case strings.Contains(t.Why, "standby"):
		return "takt node online " + node
	case strings.Contains(t.Why, "maintenance"):
		return "takt node ready " + node
	case strings.Contains(t.Why, "unclean"), strings.Contains(t.Why, "fenced"):
		return fmt.Sprintf("fence %s, or bring it back", node)
	}
	return fmt.Sprintf("bring %s back into the cluster", node)
}
