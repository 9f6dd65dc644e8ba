package realserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Item is one thing that a real server needs.
type Item struct {
	Kind  string `json:"kind"` // interface, setting or address
	Name  string `json:"name"`
	Want  string `json:"want"`
	Now   string `json:"now"`
	OK    bool   `json:"in_force"`
	Ours  bool   `json:"made_by_apply"` // so that remove takes it away
	Words string `json:"remark,omitempty"`
	steps []Step // that bring it about
}

// Plan compares what is wanted with what is there. Items are in the order in which they must be brought about: a machine is
// silent about an address before it has it.
func Plan(wants []Want, f Facts, s State) (items []Item) {
	for _, n := range needs(wants) {
		items = append(items, n.judge(&f, &s))
	}
	return items
}

// Keys returns the settings that Plan looks at.
func Keys(wants []Want) (keys []string) {
	for _, n := range needs(wants) {
		if n, is := n.(setting); is {
			keys = append(keys, n.key)
			if n.all != "" {
				keys = append(keys, n.all)
			}
		}
	}
	return keys
}

// need is something that must be so.
type need interface {
	judge(*Facts, *State) Item
	steps() []Step // all that it may take
}

// needs lists links, settings and addresses, each once.
func needs(wants []Want) []need {
	var links, settings, addresses []need
	add := func(list *[]need, n need) {
		if !slices.Contains(*list, n) {
			*list = append(*list, n)
		}
	}
	for _, w := range wants {
		if w.Link != "lo" {
			add(&links, link{w.Link, w.Kind})
		}
		for _, n := range silence(w) {
			add(&settings, n)
		}
		add(&addresses, address{w.Addr, w.Link})
	}
	return slices.Concat(links, settings, addresses)
}

// silence lists the settings that an address needs. Neighbour discovery answers only for addresses of the interface that was asked
// (RFC 4861, section 7.2.4, as Linux does it), so IPv6 needs none.
func silence(w Want) (list []need) {
	if w.Addr.Is6() {
		return nil
	}
	links := []string{"all"}
	if w.Facing != "" {
		links = append(links, w.Facing)
	}
	for _, l := range links {
		list = append(list, setting{key: "net/ipv4/conf/" + l + "/arp_ignore", want: 1}, setting{key: "net/ipv4/conf/" + l + "/arp_announce", want: 2})
	}
	if w.Method == "TUN" {
		list = append(list, setting{key: "net/ipv4/conf/" + w.Link + "/rp_filter", all: "net/ipv4/conf/all/rp_filter", want: 2})
	}
	return list
}

// link must be there, and up.
type link struct{ name, kind string }

func (n link) steps() []Step {
	return []Step{{Do: Make, Link: n.name, Kind: n.kind}, {Do: Up, Link: n.name}}
}

func (n link) judge(f *Facts, s *State) Item {
	l, there := f.link(n.name)
	i := Item{Kind: "interface", Name: n.name, Want: "up", Now: "up", OK: there && l.Up}
	steps := n.steps()
	i.Ours = s.has(steps[0]) || s.has(steps[1])
	switch {
	case there && !l.Quiet:
		i.OK, i.Words = false, loud
	case !there:
		i.Now, i.Want, i.steps = "none", "up, "+n.kind, steps
	case !l.Up:
		i.Now, i.steps = "down", steps[1:]
	}
	return i
}

// loud is why an address must not be on a link: nothing silences a machine about the addresses of the interface that was asked.
const loud = "neighbours are answered here: take lo or a dummy, and name with --interface where they ask"

// setting is a number of the kernel's configuration. The kernel takes the greater one of "all" and of the interface.
type setting struct {
	key, all string
	want     int
}

func (n setting) steps() []Step { return []Step{{Do: Set, Key: n.key, Value: n.want}} }

func (n setting) judge(f *Facts, s *State) Item {
	now, there := f.Settings[n.key]
	i := Item{Kind: "setting", Name: sysctlName(n.key), Want: fmt.Sprint(n.want), Now: fmt.Sprint(now), Ours: s.has(n.steps()[0])}
	switch {
	case !there:
		i.Now = "none"
	case n.all != "": // strict reverse path filtering drops what comes out of a tunnel: 1 must not be in force
		i.OK = max(now, f.Settings[n.all]) != 1
	case strings.HasSuffix(n.key, "/arp_ignore"):
		i.OK = now >= n.want && (now <= 3 || now == 8)
	default:
		i.OK = now >= n.want
	}
	if !i.OK {
		i.steps = n.steps()
		i.steps[0].Before = now
	}
	return i
}

// sysctlName is how sysctl(8) writes a key.
func sysctlName(key string) string {
	return strings.NewReplacer("/", ".", ".", "/").Replace(key)
}

// address is one on a link, alone in its network.
type address struct {
	ip   netip.Addr
	link string
}

func (n address) steps() []Step {
	s := Step{Do: Add, Link: n.link, Prefix: netip.PrefixFrom(n.ip, n.ip.BitLen())}
	if label := n.link + ":takt"; n.ip.Is4() && len(label) <= maxLabel {
		s.Label = label
	}
	return []Step{s}
}

// maxLabel is how long a label may be, in bytes (IFNAMSIZ less one).
const maxLabel = 15

func (n address) judge(f *Facts, s *State) Item {
	step := n.steps()[0]
	i := Item{Kind: "address", Name: step.Prefix.String(), Want: "on " + n.link, Now: "none"}
	var elsewhere, words []string
	for _, h := range f.Addresses {
		l, _ := f.link(h.Link)
		switch {
		case h.Prefix.Addr() != n.ip:
		case h.Link == n.link:
			i.OK, i.Now = true, "on "+h.Link
			i.Ours = s.has(step) && h.Prefix == step.Prefix && (step.Label == "" || h.Label == step.Label)
			if !h.Prefix.IsSingleIP() {
				words = append(words, fmt.Sprintf("as %s: this machine takes all of that network for its own", h.Prefix))
			}
		case !l.Quiet:
			elsewhere = append(elsewhere, h.Link)
		}
	}
	if i.OK && !i.Ours {
		words = append([]string{"not made by Takt, so remove leaves it"}, words...)
	}
	for _, e := range elsewhere {
		words = append(words, fmt.Sprintf("also on %s, where neighbours get an answer: right for the director that holds it, wrong for anybody else", e))
	}
	if i.Words = strings.Join(words, "; "); !i.OK {
		i.steps = n.steps()
	}
	return i
}
