package quorum

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// Explain says a verdict in words. name gives the name of a node.
func Explain(in *Input, v Verdict, name func(cib.NodeID) string) string {
	switch {
	case v.Quorate:
		return fmt.Sprintf("%d of %d voters in contact", v.Fresh, v.Voters)
	case v.Cause == NoVoters:
		return "the voters are not known yet"
	case v.Cause == Threatened:
		return in.explainThreat(name)
	}
	return in.explainLoss(v, name)
}

func (in *Input) explainThreat(name func(cib.NodeID) string) string {
	var by []string
	for _, c := range in.Contacts {
		if c.Peer != in.Leader && in.Now-c.Mutual < in.Bound && in.Now-c.HeardChief < in.Deadtime {
			by = append(by, name(c.Peer))
		}
	}
	if len(by) == 0 {
		return fmt.Sprintf("the coordinator %s is heard but does not hear this node: %s", name(in.Leader), in.countdown(in.contact(in.Leader).Mutual))
	}
	return fmt.Sprintf("the coordinator %s is alive for %s but not for this node: %s",
		name(in.Leader), list(by), in.countdown(in.contact(in.Leader).Mutual))
}

func (in *Input) explainLoss(v Verdict, name func(cib.NodeID) string) string {
	var cut, unseen []string
	newest := int64(-1 << 62)
	voters := in.Voters
	if v.Pending {
		voters = in.Pending
	}
	for _, id := range voters {
		c := in.contact(id)
		switch {
		case id == in.Self || in.fresh(id):
		case c == nil || c.Mutual < 0:
			unseen = append(unseen, name(id))
		default:
			cut = append(cut, name(id))
			newest = max(newest, c.Mutual)
		}
	}
	size := fmt.Sprintf("%d of %d voters in contact", v.Fresh, v.Voters)
	if v.Pending {
		size = fmt.Sprintf("%d of the %d voters in contact that a change under way would have", v.Fresh, v.Voters)
	}
	switch v.Cause {
	case Even:
		size += ", exactly half"
	case Listening:
		size += fmt.Sprintf(", exactly half, after %.2f s of listening", seconds(in.Now-in.Since))
	}
	var parts []string
	if len(cut) > 0 {
		who := "they"
		if len(cut) == 1 {
			who = "it"
		}
		parts = append(parts, fmt.Sprintf("cut off from %s for %.2f s: %s %s", list(cut), seconds(in.Now-newest), who, in.deadline(newest)))
	}
	if len(unseen) > 0 {
		parts = append(parts, "not yet in contact with "+list(unseen))
	}
	if len(parts) == 0 {
		return size + ", which is not more than half"
	}
	return size + "; " + strings.Join(parts, "; ")
}

// countdown says how long contact is missing and when it counts as lost.
func (in *Input) countdown(mutual int64) string {
	if mutual < 0 {
		return "no contact since this node started, it " + in.deadline(mutual)
	}
	return fmt.Sprintf("no contact for %.2f s, it %s", seconds(in.Now-mutual), in.deadline(mutual))
}

func (in *Input) deadline(mutual int64) string {
	if left := in.Deadtime - (in.Now - mutual); left > 0 {
		return fmt.Sprintf("may call this node lost in %.2f s", seconds(left))
	}
	return "may have called this node lost"
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }

// list joins names as a person would.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
