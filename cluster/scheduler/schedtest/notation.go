package schedtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// line is one line of the notation, with the lines that are indented below it.
type line struct {
	text  string
	words []string
	kids  []*line
}

// readLines turns indentation into a tree; blank lines and comments are left out.
func readLines(text string) ([]*line, error) {
	top := &line{}
	open, depth := []*line{top}, []int{-1}
	for _, raw := range strings.Split(text, "\n") {
		body := strings.TrimSpace(raw)
		if body == "" || strings.HasPrefix(body, "# ") || body == "#" {
			continue
		}
		in := len(raw) - len(strings.TrimLeft(raw, " "))
		for depth[len(depth)-1] >= in {
			open, depth = open[:len(open)-1], depth[:len(depth)-1]
		}
		words, err := splitWords(body)
		if err != nil {
			return nil, err
		}
		l := &line{text: body, words: words}
		above := open[len(open)-1]
		above.kids = append(above.kids, l)
		open, depth = append(open, l), append(depth, in)
	}
	return top.kids, nil
}

// splitWords cuts at spaces outside of quotes; braces are words, quotes go.
func splitWords(s string) ([]string, error) {
	if strings.HasPrefix(s, "<") {
		return []string{"<"}, nil
	}
	var words []string
	var word strings.Builder
	quoted, some := false, false
	end := func() {
		if some {
			words = append(words, word.String())
		}
		word.Reset()
		some = false
	}
	for _, c := range s {
		switch {
		case c == '"':
			quoted, some = !quoted, true
		case !quoted && c == ' ':
			end()
		case !quoted && (c == '{' || c == '}'):
			end()
			words = append(words, string(c))
		default:
			word.WriteRune(c)
			some = true
		}
	}
	end()
	if quoted {
		return nil, fmt.Errorf("%s: a quote has no end", s)
	}
	return words, nil
}

// builder makes a CIB from the notation.
type builder struct {
	now         time.Time
	quorum      bool
	panics      bool            // no-quorum-panic
	unprobed    map[string]bool // nodes where nothing was ever looked for; "" is all
	sets        map[string][]*cib.Node
	hosts       []*host
	agents      map[string]*agent
	order       []string // ids of agents, as they came
	tickets     []*cib.Node
	calls       int
	lastID      map[string]int
	fencing     bool
	scores      []string // resources whose scores are part of the rule
	allScores   bool
	environment bool // that of notifications is part of the rule
}

// mistake is what the builder panics with where the notation is wrong.
type mistake struct{ error }

func fail(format string, args ...any) { panic(mistake{fmt.Errorf(format, args...)}) }

func build(text string) (b *builder, err error) {
	lines, err := readLines(text)
	if err != nil {
		return nil, err
	}
	b = &builder{now: RandomTime, quorum: true, unprobed: map[string]bool{}, sets: map[string][]*cib.Node{}, agents: map[string]*agent{}, lastID: map[string]int{}}
	at := ""
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %v", at, p) // a mistake, or words that are missing
		}
	}()
	for _, l := range lines {
		at = l.text
		b.line(l)
	}
	return b, nil
}

// line reads one line that is not indented.
func (b *builder) line(l *line) {
	args := l.words[1:]
	switch l.words[0] {
	case "<":
		b.literal(l)
	case "now":
		t, err := time.Parse(time.DateTime, strings.Join(args, " "))
		if err != nil {
			fail("%v", err)
		}
		b.now = t
	case "cluster":
		b.cluster(args)
	case "fencing":
		b.device(args[0])
	case "noquorum":
		b.quorum = false
		b.panics = len(args) > 0 && args[0] == "panic"
	case "unprobed":
		if len(args) == 0 {
			args = []string{""}
		}
		for _, n := range args {
			b.unprobed[n] = true
		}
	case "environment":
		b.environment = true
	case "scores":
		b.allScores, b.scores = len(args) == 0, args
	case "node":
		b.node(args)
	case "primitive", "group", "clone", "promotable", "master", "template", "bundle":
		b.add("resources", b.resource(l, ""))
	case "run", "history", "fail":
		b.historyLine(l)
	case "granted", "revoked", "standby-ticket":
		b.ticketState(l.words[0], args[0])
	case "level":
		b.level(args)
	default:
		b.constraintLine(l)
	}
}

func (b *builder) add(section string, n *cib.Node) { b.sets[section] = append(b.sets[section], n) }

// id returns a new id.
func (b *builder) id(prefix string) string {
	b.lastID[prefix]++
	return prefix + "-" + strconv.Itoa(b.lastID[prefix])
}

func (b *builder) cluster(args []string) {
	for _, a := range args {
		k, v := keyValue(a)
		if k == "stonith-enabled" {
			b.fencing = v == "true"
			continue
		}
		b.add("crm_config", cib.NewNode("nvpair", "id", "opt-"+k, "name", k).WithAttr("value", v))
	}
}

func (b *builder) level(args []string) {
	key := "target"
	if strings.HasPrefix(args[0], "/") {
		key = "target-pattern"
	}
	b.add("fencing-topology", cib.NewNode("fencing-level", "id", b.id("level"), key, strings.Trim(args[0], "/"), "index", args[1], "devices", args[2]))
}

// device enables fencing: a device named fence runs on the node, and likes to stay.
func (b *builder) device(node string) {
	b.fencing = true
	l := &line{words: []string{"primitive", "fence", "stonith:fence_takt", "resource-stickiness=1000"}}
	b.add("resources", b.resource(l, ""))
	b.historyLine(&line{words: []string{"run", "fence", node}})
}

func keyValue(word string) (k, v string) {
	k, v, ok := strings.Cut(word, "=")
	if !ok {
		fail("%q is no NAME=VALUE", word)
	}
	return k, v
}

// score spells out what the notation may shorten.
func score(s string) string {
	switch s {
	case "INF", "+INF":
		return "INFINITY"
	case "-INF":
		return "-INFINITY"
	}
	return s
}

// literal adds XML to the section where it belongs, with ids where they are missing.
func (b *builder) literal(l *line) {
	n, err := cib.Parse([]byte(l.text))
	if err != nil {
		fail("%v", err)
	}
	n = b.withIDs(n)
	switch name := n.Name(); {
	case strings.HasPrefix(name, "rsc_"):
		b.add("constraints", n)
	case name == "tag":
		b.add("tags", n)
	case name == "meta_attributes":
		fail("say rsc-defaults or op-defaults above it")
	case name == "cluster_property_set":
		b.add("property sets", n)
	case name == "fencing-level":
		b.add("fencing-topology", n)
	case name == "alert":
		b.add("alerts", n)
	default:
		b.register(n, "")
		b.add("resources", n)
	}
}

// anonymous elements need no id.
var anonymous = map[string]bool{"operations": true, "docker": true, "podman": true, "rkt": true, "network": true, "storage": true, "date_spec": false, "resource_ref": true, "obj_ref": true, "alert": false}

func (b *builder) withIDs(n *cib.Node) *cib.Node {
	if _, ok := n.Lookup("id-ref"); !ok && n.ID() == "" && !anonymous[n.Name()] {
		n = n.WithAttr("id", b.id(n.Name()))
	}
	for c := range n.Elements {
		n = n.WithReplaced(c, b.withIDs(c))
	}
	return n
}

func (b *builder) document() *cib.Node {
	options := cib.NewNode("cluster_property_set", "id", "options").WithChild(
		cib.NewNode("nvpair", "id", "opt-stonith-enabled", "name", "stonith-enabled", "value", strconv.FormatBool(b.fencing))).WithChild(b.sets["crm_config"]...)
	nodes, status := cib.NewNode("nodes"), cib.NewNode("status")
	for _, h := range b.hosts {
		nodes = add(nodes, h.config())
		status = add(status, h.state())
	}
	if len(b.tickets) > 0 {
		status = status.WithChild(cib.NewNode("tickets").WithChild(b.tickets...))
	}
	config := cib.NewNode("configuration").WithChild(
		cib.NewNode("crm_config").WithChild(options).WithChild(b.sets["property sets"]...), nodes,
		cib.NewNode("resources").WithChild(b.sets["resources"]...),
		cib.NewNode("constraints").WithChild(b.sets["constraints"]...))
	for _, section := range []string{"fencing-topology", "tags", "alerts", "rsc_defaults", "op_defaults"} {
		if list := b.sets[section]; len(list) > 0 {
			config = config.WithChild(cib.NewNode(section).WithChild(list...))
		}
	}
	quorum := "0"
	if b.quorum {
		quorum = "1"
	}
	return cib.NewNode("cib", "validate-with", "pacemaker-3.9", "crm_feature_set", "3.16.1", "admin_epoch", "0", "epoch", "1",
		"num_updates", "0", "have-quorum", quorum, "no-quorum-panic", map[bool]string{true: "1"}[b.panics], "dc-uuid", "1").WithChild(config, status)
}
