package rule

import (
	"cmp"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// Pair is a name with its value.
type Pair struct{ Name, Value string }

// Pairs are the attributes of something, each name once, sorted by name. They
// share the document's strings and may be read by many.
type Pairs []Pair

// Lookup returns a value and whether the name is there.
func (p Pairs) Lookup(name string) (string, bool) {
	if i, ok := p.find(name); ok {
		return p[i].Value, true
	}
	return "", false
}

// Get returns a value, "" if the name is not there.
func (p Pairs) Get(name string) string {
	value, _ := p.Lookup(name)
	return value
}

func (p Pairs) find(name string) (int, bool) {
	return slices.BinarySearchFunc(p, name, func(a Pair, name string) int { return strings.Compare(a.Name, name) })
}

// Set returns the pairs with one set to a value, in place where there is room.
func (p Pairs) Set(name, value string) Pairs {
	i, ok := p.find(name)
	if ok {
		p[i].Value = value
		return p
	}
	return slices.Insert(p, i, Pair{name, value})
}

// Without returns the pairs without a name, in place.
func (p Pairs) Without(name string) Pairs {
	if i, ok := p.find(name); ok {
		return slices.Delete(p, i, i+1)
	}
	return p
}

// Options say how sets are merged.
type Options struct {
	First     string // id of a set that comes before all others, such as cib-bootstrap-options; "" is none
	Overwrite bool   // a later value replaces an earlier one; else the first counts
}

// Merge adds to dst what the sets of owner that are elements named tag and that
// apply say, the set with the highest score first; of two with the same score,
// the one that comes later in the document. A value "#default" removes
// what is there. dst is changed in place where it has room; it is returned as it
// is where no set applies, so that nil stays nil and nothing is allocated.
func (c *Context) Merge(dst Pairs, owner *cib.Node, tag string, o Options) Pairs {
	var room [4]*cib.Node
	for _, set := range c.sets(room[:0], owner, tag, o.First) {
		if c.Applies(set) {
			dst = c.mergeSet(dst, set, o.Overwrite)
		}
	}
	return dst
}

// sets appends the sets of owner in the order in which they count.
func (c *Context) sets(list []*cib.Node, owner *cib.Node, tag, first string) []*cib.Node {
	for e := range owner.Elements {
		if e.Name() != tag {
			continue
		}
		list = append(list, c.deref(e))
	}
	if len(list) > 1 {
		slices.Reverse(list)
		slices.SortStableFunc(list, func(a, b *cib.Node) int {
			if fa, fb := first != "" && a.ID() == first, first != "" && b.ID() == first; fa != fb {
				if fa {
					return -1
				}
				return 1
			}
			return cmp.Compare(scoreOf(b), scoreOf(a))
		})
	}
	return list
}

func scoreOf(set *cib.Node) int {
	s, _ := cib.ParseScore(set.Attr("score"))
	return s
}

// unwrap returns the <attributes> that Heartbeat 2 puts around the nvpairs, if
// the set begins with it, else the set.
func unwrap(set *cib.Node) *cib.Node {
	for first := range set.Elements {
		if strings.EqualFold(first.Name(), "attributes") {
			return first
		}
		break
	}
	return set
}

// mergeSet adds the nvpairs of one set.
func (c *Context) mergeSet(dst Pairs, set *cib.Node, overwrite bool) Pairs {
	set = unwrap(set)
	for e := range set.Elements {
		if e.Name() != "nvpair" {
			continue
		}
		target := c.deref(e)
		name, named := e.Lookup("name")
		if !named {
			name, named = target.Lookup("name")
		}
		value, ok := target.Lookup("value")
		switch _, there := dst.Lookup(name); {
		case !named || !ok:
		case strings.EqualFold(value, "#default"):
			dst = dst.Without(name)
		case !there || overwrite:
			dst = dst.Set(name, value)
		}
	}
	return dst
}
