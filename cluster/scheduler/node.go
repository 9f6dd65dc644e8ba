package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// nodeKind tells members from machines that a connection resource brings in.
type nodeKind uint8

const (
	member     nodeKind = iota // runs the cluster's own daemon
	remoteNode                 // reached through a connection resource; a guest if that lives in a container
)

// node is a machine that resources may run on.
type node struct {
	index       int // of the tables that are kept per node
	id, name    string
	folded      string    // name in lower case, for sorting
	weight      Score     // what a table's entry starts with that a constraint makes: the node element's score
	discover    discovery // what a table's entry starts with likewise; discoverNever: nothing is allowed there by default
	kind        nodeKind
	attrs       map[string]string // permanent, overlaid by transient
	utilization map[string]int    // capacity that is left
	state       *cib.Node         // node_state, nil if there is none
	priority    int               // sum of the priorities of what runs there

	online          bool
	unclean         bool // has to be fenced before anything of it may run elsewhere
	uncleanWhy      string
	unseen          bool // the status section never had it
	expectedUp      bool
	pending         bool // is joining
	standby         bool
	standbyOnFail   bool // because of on-fail=standby
	maintenance     bool
	shutdown        bool // asked to leave
	dc              bool
	failures        failureState // whether any failure is recorded in its attributes
	noDiscovery     bool         // resource discovery is switched off for a remote node
	unpackedHistory bool

	// Of remote and guest nodes.
	connection   *resource // the resource that is the connection
	remoteReset  bool      // has to be fenced although its connection could be stopped cleanly
	remoteFenced bool      // was fenced, and did not come back yet

	running   []*resource // active there, primitives
	allocated []*resource // placed there in this computation
	load      int         // how many resources run or were placed there: the last of the criteria between equals
	digests   map[digestKey]*digests

	recordedFailures *failures // of its attributes, read when first asked for
}

// isRemote reports a remote node that is no guest.
func (n *node) isRemote() bool {
	return n.kind == remoteNode && (n.connection == nil || n.connection.container == nil)
}

// isGuest reports a node inside a container or virtual machine that is a resource.
func (n *node) isGuest() bool {
	return n.kind == remoteNode && n.connection != nil && n.connection.container != nil
}

func (n *node) isRemoteOrGuest() bool { return n.kind == remoteNode }

// discovery is what a location constraint says about probes (resource-discovery).
type discovery uint8

const (
	discoverAlways discovery = iota
	discoverNever
	discoverExclusive
)

// allowance is what one node is for one resource.
type allowance struct {
	present  bool // the node is considered at all (opt-in clusters: after a location only)
	score    Score
	discover discovery
	count    int32 // instances of this clone placed there so far (in the table of the outermost resource)
}

// table is kept per resource, by node.index. It grows when nodes come late
// (guests of bundles), so entries are reached through at and get.
type table []allowance

// at returns the entry of a node for change.
func (t *table) at(n *node) *allowance {
	for len(*t) <= n.index {
		*t = append(*t, allowance{})
	}
	return &(*t)[n.index]
}

// get returns the entry of a node; absent ones are not present.
func (t table) get(n *node) allowance {
	if n == nil || n.index >= len(t) {
		return allowance{}
	}
	return t[n.index]
}

func (t table) clone() table { return append(table(nil), t...) }

type failureState uint8

const (
	unknownFailures failureState = iota
	noFailures
	someFailures
)
