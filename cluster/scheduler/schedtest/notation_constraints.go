package schedtest

import (
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// constraintLine reads what ties resources to nodes and to one another.
func (b *builder) constraintLine(l *line) {
	args := l.words[1:]
	switch l.words[0] {
	case "location":
		b.add("constraints", b.location(l, args))
	case "colocate":
		b.add("constraints", b.colocation(args))
	case "order":
		b.add("constraints", b.ordering(args))
	case "ticket":
		n := cib.NewNode("rsc_ticket", "id", b.id("ticket"), "ticket", args[0])
		n, rest := b.ends(n, args[1:], "rsc", "", "role")
		b.add("constraints", options(n, rest))
	case "tag":
		n := cib.NewNode("tag", "id", args[0])
		for _, id := range args[1:] {
			n = n.WithChild(cib.NewNode("obj_ref", "id", id))
		}
		b.add("tags", n)
	case "rsc-defaults":
		b.add("rsc_defaults", b.defaults(l, "rsc-defaults"))
	case "op-defaults":
		b.add("op_defaults", b.defaults(l, "op-defaults"))
	default:
		fail("nothing is called %q", l.words[0])
	}
}

func (b *builder) defaults(l *line, prefix string) *cib.Node {
	n := cib.NewNode("meta_attributes", "id", b.id(prefix))
	n = b.rules(n, l)
	for _, w := range l.words[1:] {
		k, v := keyValue(w)
		if strings.HasPrefix(k, "set.") { // an attribute of the set itself
			n = n.WithAttr(k[4:], v)
			continue
		}
		n = n.WithChild(cib.NewNode("nvpair", "id", b.id(prefix+"-"+k), "name", k).WithAttr("value", v))
	}
	return n
}

func (b *builder) location(l *line, args []string) *cib.Node {
	n := cib.NewNode("rsc_location", "id", b.id("location"))
	if p := args[0]; strings.HasPrefix(p, "/") {
		n = n.WithAttr("rsc-pattern", strings.Trim(p, "/"))
		args = args[1:]
	} else {
		n, args = b.ends(n, args, "rsc", "", "")
	}
	if len(args) > 1 && !strings.Contains(args[0], "=") {
		n = n.WithAttr("node", args[0]).WithAttr("score", score(args[1]))
		args = args[2:]
	}
	return b.rules(options(n, args), l)
}

func (b *builder) colocation(args []string) *cib.Node {
	n := cib.NewNode("rsc_colocation", "id", b.id("colocation"))
	n, args = b.ends(n, args, "rsc", "with-rsc", "role")
	if len(args) > 0 && !strings.Contains(args[0], "=") {
		n = n.WithAttr("score", score(args[0]))
		args = args[1:]
	}
	return options(n, args)
}

func (b *builder) ordering(args []string) *cib.Node {
	n := cib.NewNode("rsc_order", "id", b.id("order"))
	n, args = b.ends(n, args, "first", "then", "action")
	return options(n, args)
}

// ends reads the resources that a constraint is about: names in the attributes
// left and right (NAME.WORD says a role or an action), or sets in braces.
func (b *builder) ends(n *cib.Node, args []string, left, right, suffix string) (*cib.Node, []string) {
	if args[0] == "{" {
		for len(args) > 0 && args[0] == "{" {
			end := slices.Index(args, "}")
			n = n.WithChild(b.set(args[1:end]))
			args = args[end+1:]
		}
		return n, args
	}
	for _, attr := range []string{left, right} {
		if attr == "" {
			continue
		}
		name, word, said := strings.Cut(args[0], ".")
		n = n.WithAttr(attr, name)
		if said {
			n = n.WithAttr(attr+"-"+suffix, word)
		}
		args = args[1:]
	}
	return n, args
}

func (b *builder) set(words []string) *cib.Node {
	n := cib.NewNode("resource_set", "id", b.id("set"))
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			n = n.WithAttr(k, v)
		} else {
			n = n.WithChild(cib.NewNode("resource_ref", "id", w))
		}
	}
	return n
}

func options(n *cib.Node, words []string) *cib.Node {
	for _, w := range words {
		k, v := keyValue(w)
		n = n.WithAttr(k, score(v))
	}
	return n
}

// rules adds the rules that are indented below a line.
func (b *builder) rules(n *cib.Node, l *line) *cib.Node {
	for _, k := range l.kids {
		switch k.words[0] {
		case "<":
			n = n.WithChild(b.element(k))
		case "rule":
			n = n.WithChild(b.rule(k.words[1:]))
		default:
			fail("%s: neither a rule nor XML", k.text)
		}
	}
	return n
}

// rule reads: rule [SCORE] [ATTRIBUTE=VALUE…] EXPRESSION [and|or EXPRESSION]…
func (b *builder) rule(words []string) *cib.Node {
	n := cib.NewNode("rule", "id", b.id("rule"))
	if s := score(words[0]); strings.HasSuffix(s, "INFINITY") || strings.Trim(s, "+-0123456789") == "" {
		n = n.WithAttr("score", s)
		words = words[1:]
	}
	for len(words) > 0 && strings.Contains(words[0], "=") {
		n = options(n, words[:1])
		words = words[1:]
	}
	for len(words) > 0 {
		end := slices.IndexFunc(words, func(w string) bool { return w == "and" || w == "or" })
		if end < 0 {
			end = len(words)
		} else {
			n = n.WithAttr("boolean-op", words[end])
		}
		n = n.WithChild(b.expression(words[:end]))
		words = words[min(end+1, len(words)):]
	}
	return n
}

// expression reads: ATTRIBUTE OPERATION [VALUE] [type=TYPE] [value-source=SOURCE],
// or date gt|lt TIME, date in_range START END.
func (b *builder) expression(words []string) *cib.Node {
	if words[0] == "date" {
		n := cib.NewNode("date_expression", "id", b.id("date"), "operation", words[1])
		switch words[1] {
		case "gt":
			return n.WithAttr("start", words[2])
		case "lt":
			return n.WithAttr("end", words[2])
		case "date_spec":
			return n.WithChild(options(cib.NewNode("date_spec", "id", b.id("spec")), words[2:]))
		}
		return n.WithAttr("start", words[2]).WithAttr("end", words[3])
	}
	n := cib.NewNode("expression", "id", b.id("expression"), "attribute", words[0], "operation", words[1])
	words = words[2:]
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		n = n.WithAttr("value", words[0])
		words = words[1:]
	}
	return options(n, words)
}

// ticketState says what is known of a ticket.
func (b *builder) ticketState(word, id string) {
	n := cib.NewNode("ticket_state", "id", id, "granted", "false", "standby", "false", "last-granted", b.ago("1000"))
	switch word {
	case "granted":
		n = n.WithAttr("granted", "true")
	case "standby-ticket":
		n = n.WithAttr("granted", "true").WithAttr("standby", "true")
	}
	b.tickets = append(b.tickets, n)
}
