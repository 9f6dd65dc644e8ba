package scheduler

// location is a preference for nodes.
type location struct {
	id         string
	rsc        *resource
	role       Role // "" for every role
	discover   discovery
	on         []nodeScore
	constraint string // of a rule: the constraint's id
	kind       TermKind
	why        string // what made it, in words, for the reasons
}

type nodeScore struct {
	node  *node
	score Score
}

// colocation says that dependent goes where primary is (or is not).
type colocation struct {
	id            string
	attribute     string // the node attribute that has to be equal; "#uname" is the node itself
	dependent     *resource
	primary       *resource
	dependentRole Role // "" for every role
	primaryRole   Role
	score         Score
	influence     bool // the dependent's wishes count for the primary
}

// The ids of colocations that are nobody's constraint.
const (
	withinGroup     = "group:internal_colocation"
	withinContainer = "resource-with-container"
)

// words names a colocation.
func (k *colocation) words() string {
	switch k.id {
	case withinGroup:
		return "members of group " + k.dependent.parent.id + " stay together"
	case withinContainer:
		return "it belongs to that container"
	}
	return "colocation " + k.id
}

// ticketConstraint says that a resource may run only while a ticket is held.
type ticketConstraint struct {
	id     string
	ticket *ticket
	rsc    *resource
	role   Role // the role that needs the ticket; "" for every
	loss   lossPolicy
}

type lossPolicy uint8

const (
	lossStop lossPolicy = iota
	lossDemote
	lossFence
	lossFreeze
)
