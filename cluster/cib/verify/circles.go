package verify

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// infinity is the score that makes a constraint mandatory.
const infinity = 1_000_000

// edge is one dependency that a constraint makes: from needs to.
type edge struct {
	from, to         string
	fromRole, toRole string
	score            int
	by               *cib.Node // the constraint
}

// maxCircles bounds the circles that are reported of a kind.
const maxCircles = 10

// maxEdges bounds what sets that are not sequential multiply to.
const maxEdges = 50_000

// circles warns of constraints that lead back to where they started.
func (c *checker) circles() {
	var with, after []edge
	for n := range c.root.Path("configuration", "constraints").Elements {
		switch n.Name() {
		case "rsc_colocation":
			for _, e := range c.colocationEdges(n) {
				if e.score > 0 && e.from != e.to {
					with = append(with, e)
				}
			}
		case "rsc_order":
			if mandatory(n) {
				after = append(after, c.orderEdges(n)...)
			}
		}
		if len(with)+len(after) > maxEdges {
			break
		}
	}
	c.reportCircles(with, "Remove one of the constraints, or give one the other direction.", "colocations in a circle: %s; one of them is ignored", " with ")
	c.reportCircles(after, "Remove one of the constraints, or make it optional.", "orders in a circle: %s; none of them can be first", " after ")
}

// mandatory reports whether an order is more than a wish.
func mandatory(n *cib.Node) bool {
	if kind, there := n.Lookup("kind"); there {
		return kind == "Mandatory"
	}
	if text, there := n.Lookup("score"); there {
		score, _ := cib.ParseScore(text)
		return score > 0
	}
	return true
}

// colocationEdges are the pairs that a colocation makes: the last with the
// first in a set, the first with the last between sets.
func (c *checker) colocationEdges(n *cib.Node) []edge {
	score, _ := cib.ParseScore(n.Attr("score"))
	base := edge{score: score, by: n}
	if n.Attr("rsc") != "" {
		base.fromRole, base.toRole = role(n.Attr("rsc-role")), role(n.Attr("with-rsc-role"))
		return c.product(nil, base, c.idsOf(n.Attr("rsc")), c.idsOf(n.Attr("with-rsc")))
	}
	var edges []edge
	var before *cib.Node
	for set := range n.Elements {
		if set.Name() != "resource_set" {
			continue
		}
		set = c.view.Deref(set)
		in := base
		if text, there := set.Lookup("score"); there {
			in.score, _ = cib.ParseScore(text)
		}
		in.fromRole, in.toRole = role(set.Attr("role")), role(set.Attr("role"))
		ids := c.setMembers(set)
		for i := 1; i < len(ids) && sequential(set); i++ {
			one := in
			one.from, one.to = ids[i], ids[i-1]
			edges = append(edges, one)
		}
		if before != nil {
			in.fromRole = role(before.Attr("role"))
			edges = c.product(edges, in, c.setMembers(before), ids)
		}
		before = set
	}
	return edges
}

// orderEdges are the pairs that an order makes: what comes after needs what
// comes before. Actions other than start are told apart.
func (c *checker) orderEdges(n *cib.Node) []edge {
	base := edge{by: n}
	if n.Attr("first") != "" {
		first := n.Attr("first-action")
		then := n.Attr("then-action")
		if then == "" {
			then = first
		}
		return c.product(nil, base, withAction(c.idsOf(n.Attr("then")), then), withAction(c.idsOf(n.Attr("first")), first))
	}
	var edges []edge
	var before []string
	for set := range n.Elements {
		if set.Name() != "resource_set" {
			continue
		}
		set = c.view.Deref(set)
		ids := withAction(c.setMembers(set), set.Attr("action"))
		for i := 1; i < len(ids) && sequential(set); i++ {
			edges = append(edges, edge{from: ids[i], to: ids[i-1], by: n})
		}
		edges = c.product(edges, base, ids, before)
		before = ids
	}
	return edges
}

func (c *checker) product(edges []edge, base edge, from, to []string) []edge {
	for _, f := range from {
		for _, t := range to {
			if len(edges) > maxEdges {
				return edges
			}
			base.from, base.to = f, t
			edges = append(edges, base)
		}
	}
	return edges
}

func withAction(ids []string, action string) []string {
	if action == "" || action == "start" {
		return ids
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = action + " of " + id
	}
	return out
}

func role(name string) string {
	switch name {
	case "Master":
		return "Promoted"
	case "Slave":
		return "Unpromoted"
	case "Started":
		return ""
	}
	return name
}

func sequential(set *cib.Node) bool {
	yes, ok := cib.ParseBool(set.Attr("sequential"))
	return yes || !ok
}

func (c *checker) idsOf(id string) []string {
	var ids []string
	for _, rsc := range c.members(id) {
		ids = append(ids, rsc.ID())
	}
	return ids
}

func (c *checker) setMembers(set *cib.Node) []string {
	var ids []string
	for ref := range set.Elements {
		if ref.Name() == "resource_ref" {
			ids = append(ids, c.idsOf(ref.ID())...)
		}
	}
	return ids
}

// reportCircles finds circles among the edges and warns of each at the
// constraint that closes it.
func (c *checker) reportCircles(edges []edge, remedy, format, word string) {
	for range maxCircles {
		circle, rest := findCircle(edges)
		if circle == nil {
			return
		}
		names := []string{circle[0].from}
		closing := circle[0].by
		for _, e := range circle {
			names = append(names, e.to)
			if e.by.Line() > closing.Line() {
				closing = e.by
			}
		}
		if len(names) > 9 {
			names = append(append(names[:6:6], "…"), names[len(names)-2:]...)
		}
		if len(circle) > 1 { // one of one is reported with the constraint itself
			c.warn(closing, "", remedy, format, strings.Join(names, word))
		}
		var kept []edge
		for _, e := range rest {
			if e.by != closing {
				kept = append(kept, e)
			}
		}
		edges = kept
	}
}

// findCircle returns the edges of one circle, nil if there is none, and all
// edges that may be in one. What leads nowhere is in no circle; from what
// remains, any way on comes back.
func findCircle(edges []edge) (circle, rest []edge) {
	outgoing, missing := map[string][]edge{}, map[string]int{}
	into := map[string][]string{}
	for _, e := range edges {
		outgoing[e.from] = append(outgoing[e.from], e)
		into[e.to] = append(into[e.to], e.from)
		missing[e.from]++
		missing[e.to] += 0
	}
	var done []string
	for _, id := range keys(missing) {
		if missing[id] == 0 {
			done = append(done, id)
		}
	}
	for i := 0; i < len(done); i++ {
		for _, from := range into[done[i]] {
			if missing[from]--; missing[from] == 0 {
				done = append(done, from)
			}
		}
	}
	for _, e := range edges {
		if missing[e.from] > 0 && missing[e.to] > 0 {
			rest = append(rest, e)
		}
	}
	if rest == nil {
		return nil, nil
	}
	return walkCircle(rest[0].from, outgoing, missing), rest
}

// walkCircle follows edges among what remains until it is where it was before.
func walkCircle(id string, outgoing map[string][]edge, missing map[string]int) []edge {
	var way []edge
	at := map[string]int{}
	for {
		if start, seen := at[id]; seen {
			return way[start:]
		}
		at[id] = len(way)
		for _, e := range outgoing[id] {
			if missing[e.to] > 0 {
				way = append(way, e)
				id = e.to
				break
			}
		}
	}
}
