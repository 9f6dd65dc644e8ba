package schedtest

import (
	"fmt"
	"slices"
	"strings"
)

// Features is a set of what a random CIB may use.
type Features uint64

// What a random CIB may use beside plain primitives, nodes and their history.
const (
	Groups Features = 1 << iota
	Clones
	UniqueClones
	Promotable
	Bundles
	Guests
	Remotes
	Locations
	Rules
	Colocations
	Orders
	Sets
	Tickets
	Utilization
	Stickiness
	Templates
	Tags
	Defaults
	Migration
	Failures
	OnFail
	Requires
	MultipleActive
	Unmanaged
	Standby
	Orphans
	Probes
	Recurring
	Digests
	Fencing
	Quorum
	Shutdown
	Health
	TargetRole
	Pending
	Notify
	Asymmetric
	Options
	Unfencing
	Discovery
	NodeAttributes
	Priority
	All = 1<<iota - 1
)

var featureNames = []string{"groups", "clones", "unique-clones", "promotable", "bundles", "guests", "remotes", "locations",
	"rules", "colocations", "orders", "sets", "tickets", "utilization", "stickiness", "templates", "tags", "defaults",
	"migration", "failures", "on-fail", "requires", "multiple-active", "unmanaged", "standby", "orphans", "probes",
	"recurring", "digests", "fencing", "quorum", "shutdown", "health", "target-role", "pending", "notify", "asymmetric",
	"options", "unfencing", "discovery", "node-attributes", "priority"}

// Has reports whether all of some features are in the set.
func (f Features) Has(some Features) bool { return f&some == some }

// String lists the names with commas.
func (f Features) String() string {
	var list []string
	for i, name := range featureNames {
		if f.Has(1 << i) {
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}

// ParseFeatures reads names with commas; "all" and "" are all of them, and a
// name with a minus before it takes that one out again: "all,-bundles".
func ParseFeatures(text string) (Features, error) {
	var f Features
	if text == "" {
		return All, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		name, minus := strings.CutPrefix(strings.TrimSpace(name), "-")
		set := Features(All)
		switch i := slices.Index(featureNames, name); {
		case i >= 0:
			set = 1 << i
		case name == "none":
			set = 0
		case name != "all":
			return 0, fmt.Errorf("no feature %q; there are: all, none, %s", name, strings.Join(featureNames, ", "))
		}
		if minus {
			f &^= set
		} else {
			f |= set
		}
	}
	return f, nil
}
