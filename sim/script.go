package sim

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Script is everything that makes a run: the cluster, and what happens to it. The
// same script gives the same run, to the byte.
type Script struct {
	Seed    uint64 // of everybody's luck: delays, durations, torn writes
	Cluster Cluster
	Faults  []Fault // by At
	// Rest is how long after the last fault the cluster gets to put itself in
	// order; 0 means DefaultRest.
	Rest time.Duration
}

// DefaultRest is the bounded time after which all that can run has to run.
const DefaultRest = 120 * time.Second

// Cluster is what a run begins with.
type Cluster struct {
	Nodes     int    // 1 to 16
	Links     int    // 1 or 2 heartbeat links
	Resources int    // services, each at most once in the cluster
	Clones    int    // services that run on every node
	Promoted  int    // promotable services: at most one promoted instance each
	Fencing   string // "device", "watchdog", "both" or "none" (stonith-enabled=false)
	Policy    string // no-quorum-policy
	Profile   string // heartbeat-profile
	Witness   int    // the last so many nodes are witnesses
}

// Fault is one thing that happens to the cluster.
type Fault struct {
	At   time.Duration // since the cluster has settled for the first time
	Kind Kind
	Who  []int         // nodes, from 1
	With []int         // the other side of a cut
	By   string        // how much, or which
	For  time.Duration // until it ends by itself; 0: it has no end of its own
}

// String returns the script as ParseScript reads it.
func (s *Script) String() string {
	var b strings.Builder
	c := s.Cluster
	fmt.Fprintf(&b, "seed %d\n", s.Seed)
	fmt.Fprintf(&b, "cluster nodes=%d links=%d resources=%d clones=%d promoted=%d fencing=%s policy=%s profile=%s witness=%d\n",
		c.Nodes, c.Links, c.Resources, c.Clones, c.Promoted, c.Fencing, c.Policy, c.Profile, c.Witness)
	if s.Rest != 0 {
		fmt.Fprintf(&b, "rest %v\n", s.Rest)
	}
	for _, f := range s.Faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// String returns the fault as one line of a script.
func (f Fault) String() string {
	s := fmt.Sprintf("%.3fs %s", f.At.Seconds(), f.Kind)
	if len(f.Who) > 0 {
		s += " " + nodeList(f.Who)
	}
	if len(f.With) > 0 {
		s += " from " + nodeList(f.With)
	}
	if f.By != "" {
		s += " by " + f.By
	}
	if f.For > 0 {
		s += " for " + f.For.String()
	}
	return s
}

func nodeList(list []int) string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = nodeName(n)
	}
	return strings.Join(names, ",")
}

func nodeName(n int) string { return "n" + strconv.Itoa(n) }

// ParseScript reads a script: one fault a line, # begins a comment. Errors name
// the line.
func ParseScript(text string) (*Script, error) {
	s := &Script{Cluster: Cluster{Nodes: 3, Links: 1, Resources: 3, Fencing: "device", Policy: "stop", Profile: "default"}}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.parse(words); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	slices.SortStableFunc(s.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, lines.Err()
}

func (s *Script) parse(words []string) error {
	switch words[0] {
	case "seed":
		_, err := fmt.Sscan(strings.Join(words[1:], " "), &s.Seed)
		return err
	case "rest":
		var err error
		s.Rest, err = time.ParseDuration(strings.Join(words[1:], ""))
		return err
	case "cluster":
		for _, w := range words[1:] {
			if err := s.Cluster.set(w); err != nil {
				return err
			}
		}
		return nil
	}
	f, err := parseFault(words)
	s.Faults = append(s.Faults, f)
	return err
}

func (c *Cluster) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	numbers := map[string]*int{"nodes": &c.Nodes, "links": &c.Links, "resources": &c.Resources, "clones": &c.Clones, "promoted": &c.Promoted, "witness": &c.Witness}
	texts := map[string]*string{"fencing": &c.Fencing, "policy": &c.Policy, "profile": &c.Profile}
	if p := numbers[key]; p != nil {
		n, err := strconv.Atoi(value)
		*p = n
		return err
	}
	if p := texts[key]; p != nil {
		*p = value
		return nil
	}
	return fmt.Errorf("a cluster has no %q", key)
}

func parseFault(words []string) (f Fault, err error) {
	if f.At, err = time.ParseDuration(words[0]); err != nil {
		return f, err
	}
	if len(words) < 2 || !slices.Contains(Kinds, Kind(words[1])) {
		return f, fmt.Errorf("%q is no fault: %v are", words[min(1, len(words)-1)], Kinds)
	}
	f.Kind = Kind(words[1])
	rest := words[2:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "n") {
		if f.Who, err = parseNodes(rest[0]); err != nil {
			return f, err
		}
		rest = rest[1:]
	}
	for ; len(rest) >= 2; rest = rest[2:] {
		switch rest[0] {
		case "from":
			f.With, err = parseNodes(rest[1])
		case "by":
			f.By = rest[1]
		case "for":
			f.For, err = time.ParseDuration(rest[1])
		default:
			err = fmt.Errorf("%q is not from, by or for", rest[0])
		}
		if err != nil {
			return f, err
		}
	}
	if len(rest) > 0 {
		err = fmt.Errorf("%q stands alone", rest[0])
	}
	return f, err
}

func parseNodes(word string) ([]int, error) {
	var list []int
	for _, w := range strings.Split(word, ",") {
		n, err := strconv.Atoi(strings.TrimPrefix(w, "n"))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no node: n1 is the first", w)
		}
		list = append(list, n)
	}
	return list, nil
}

// check refuses what cannot be played.
func (s *Script) check() error {
	c := s.Cluster
	switch {
	case c.Nodes < 1 || c.Nodes > 16:
		return fmt.Errorf("a cluster has 1 to 16 nodes, not %d", c.Nodes)
	case c.Links < 1 || c.Links > 2:
		return fmt.Errorf("a cluster has 1 or 2 links, not %d", c.Links)
	case c.Witness < 0 || c.Witness >= c.Nodes:
		return fmt.Errorf("%d of %d nodes cannot be witnesses", c.Witness, c.Nodes)
	case !slices.Contains([]string{"device", "watchdog", "both", "none"}, c.Fencing):
		return fmt.Errorf("fencing is device, watchdog, both or none, not %q", c.Fencing)
	case !slices.Contains([]string{"default", "fast"}, c.Profile):
		return fmt.Errorf("a profile is default or fast, not %q", c.Profile)
	}
	for _, f := range s.Faults {
		for _, n := range slices.Concat(f.Who, f.With) {
			if n > c.Nodes {
				return fmt.Errorf("%s: there is no n%d", f, n)
			}
		}
	}
	return nil
}
