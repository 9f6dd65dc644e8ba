package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// move asks for a move. The constraint says so until it has happened; the
// coordinator then takes it back (controller.MovePrefix).
func (a *App) move(root, res *cib.Node, v api.Verb) (edit, error) {
	if err := outermost(root, res, "move"); err != nil {
		return edit{}, err
	}
	now := scheduler.ScheduleWith(root, time.Now(), scheduler.Options{Scores: true})
	from := activeNodes(now, res)
	if v.Node != "" && len(from) == 1 && from[0] == v.Node {
		return edit{text: fmt.Sprintf("%s is on %s already", res.ID(), v.Node)}, nil
	}
	node, score, text := v.Node, "INFINITY", fmt.Sprintf("move %s to %s", res.ID(), v.Node)
	if node == "" {
		if len(from) != 1 {
			return edit{}, errs.E("move", errs.Conflict, "resource "+res.ID(), "Name the node that it should move to.",
				fmt.Errorf("it is active on %d nodes, not on one", len(from)))
		}
		node, score, text = from[0], "-INFINITY", fmt.Sprintf("move %s away from %s", res.ID(), from[0])
	}
	e := edit{text: text, ops: []cib.Op{location(controller.MovePrefix+res.ID(), res.ID(), node, score)}}
	after, err := cib.Apply(root, e.ops)
	if err != nil {
		return edit{}, err
	}
	t := scheduler.ScheduleWith(after, time.Now(), scheduler.Options{Scores: true})
	if where := futureNodes(t, res); len(where) == 0 || (v.Node != "" && where[0] != v.Node) {
		return edit{}, errs.E("move", errs.Conflict, "resource "+res.ID(),
			"takt status shows failures and bans; takt resource cleanup or clear takes them away.",
			fmt.Errorf("it would not run there: %s", whyNot(root, t, res, v.Node)))
	} else if len(from) == 1 && returns(now, res, from[0], where[0]) {
		e.warn = append(e.warn, fmt.Sprintf("%s prefers %s to %s and goes back as soon as the move is over; takt resource ban %s %s keeps it away until takt resource clear",
			res.ID(), from[0], where[0], res.ID(), from[0]))
	}
	return e, nil
}

// returns reports whether a resource that has been moved would go back by
// itself: the scores without the stickiness, which goes where it goes.
func returns(now *scheduler.Transition, res *cib.Node, from, to string) bool {
	back, asked := false, false
	eachAllocation(now, res, func(al *scheduler.Allocation) {
		if asked {
			return // the first member of a group decides for all
		}
		asked = true
		var sticks scheduler.Score
		for _, term := range al.Terms {
			if term.Node == from && term.Kind == scheduler.TermStickiness {
				sticks += term.Score
			}
		}
		back = al.Scores[from]-sticks > al.Scores[to]+sticks
	})
	return back
}

// whyNot says what keeps a resource away from a node; without a node, from all.
func whyNot(root *cib.Node, t *scheduler.Transition, res *cib.Node, node string) string {
	n := findNode(root, node)
	if n == nil {
		return allocationReason(t, res)
	}
	state := root.Child("status").ChildByID("node_state", n.ID())
	switch {
	case nodeAttr(n, "standby"):
		return node + " is in standby (takt node online " + node + " ends that)"
	case nodeAttr(n, "maintenance"):
		return node + " is in maintenance (takt node ready " + node + " ends that)"
	case state.Attr("crmd") != "online":
		return node + " is not online"
	}
	why, own := "", false
	eachAllocation(t, res, func(al *scheduler.Allocation) {
		for _, term := range al.Terms {
			// What keeps one member of a group away goes before that the others follow it.
			if follows := term.Kind == scheduler.TermColocation || term.Kind == scheduler.TermPreference; term.Node == node && term.Score <= -scheduler.Infinity && (why == "" || !own && !follows) {
				why, own = term.Why+" keeps "+al.Resource+" away from "+node, !follows
			}
		}
	})
	if why == "" {
		return allocationReason(t, res)
	}
	return why
}

func location(id, res, node, score string) cib.Op {
	return cib.Op{
		Kind: cib.Replace, Path: "/cib/configuration/constraints/rsc_location[@id='" + id + "']",
		Parent: "/cib/configuration/constraints",
		XML:    cib.NewNode("rsc_location", "id", id, "rsc", res, "node", node, "score", score).String(),
	}
}

func (a *App) ban(root, res *cib.Node, v api.Verb) (edit, error) {
	if err := outermost(root, res, "ban"); err != nil {
		return edit{}, err
	}
	node := v.Node
	if node == "" {
		from := activeNodes(scheduler.Schedule(root, time.Now()), res)
		if len(from) != 1 {
			return edit{}, errs.E("ban", errs.Conflict, "resource "+res.ID(), "Name the node.",
				fmt.Errorf("it is active on %d nodes, not on one", len(from)))
		}
		node = from[0]
	}
	return edit{
		text: fmt.Sprintf("ban %s from %s", res.ID(), node),
		ops:  []cib.Op{location("cli-ban-"+res.ID()+"-on-"+node, res.ID(), node, "-INFINITY")},
		warn: []string{fmt.Sprintf("%s will not run on %s until takt resource clear %s", res.ID(), node, res.ID())},
	}, nil
}

func clearConstraints(root *cib.Node, id string) edit {
	e := edit{text: "nothing to clear for " + id}
	for c := range root.Path("configuration", "constraints").Elements {
		ours := strings.HasPrefix(c.ID(), "cli-ban-") || strings.HasPrefix(c.ID(), "cli-prefer-") || strings.HasPrefix(c.ID(), controller.MovePrefix)
		if c.Attr("rsc") == id && ours {
			e.ops = append(e.ops, cib.Op{Kind: cib.Delete, ID: c.ID(), Optional: true})
			e.text = "clear what was asked for by hand about " + id
		}
	}
	return e
}
