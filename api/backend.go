package api

import (
	"context"
)

// Backend is what the server serves; the daemon's wiring (app) implements it.
// Errors are *errs.Error.
type Backend interface {
	// Status describes the cluster as this node sees it. It never blocks on a
	// peer and works without quorum.
	Status(ctx context.Context) (*Status, error)
	// CIB returns the CIB as XML, or what an XPath selects of it. The server lets
	// nobody but local root ask for Secrets.
	CIB(ctx context.Context, q CIBQuery) (string, error)
	// Apply validates and applies a configuration, or says what it would do.
	Apply(ctx context.Context, a Apply) (*Outcome, error)
	// Resource does one of move, ban, clear, cleanup, start, stop, restart,
	// refresh, manage, unmanage to a resource.
	Resource(ctx context.Context, id, verb string, v Verb) (*Outcome, error)
	// Node does one of standby, online, maintenance, ready to a node.
	Node(ctx context.Context, name, verb string, v Verb) (*Outcome, error)
	// Events calls yield for each remembered event after seq of this node (all
	// nodes if every is set), oldest first, then, if follow is set, for each
	// new one until ctx ends.
	Events(ctx context.Context, q EventQuery, yield func(Event) error) error
	// Fence says what this node knows about fencing. It never blocks on a device.
	Fence(ctx context.Context) (*Fence, error)
	// FenceNode does one of FenceVerbs to a node, and answers when it has ended.
	FenceNode(ctx context.Context, name, verb string, v FenceVerb) (*Outcome, error)
	// Force makes this node's half the cluster on a person's word, or says what
	// that could cost.
	Force(ctx context.Context, f Force) (*Forcing, error)
	// Acknowledge says that a person has seen what this node's history lost to
	// another one's: status warns no more.
	Acknowledge(ctx context.Context, v Verb) (*Outcome, error)
	// Attribute returns an attribute with its value; errs.NotFound if it has none.
	Attribute(ctx context.Context, a Attribute) (*Attribute, error)
	// SetAttribute sets or deletes one. A transient one of this node is taken without quorum,
	// too, and reaches the CIB as soon as somebody coordinates.
	SetAttribute(ctx context.Context, a Attribute) (*Outcome, error)
	// VolumeSet calls yield with what is recorded about a volume's replicas, and again when
	// that or who is there changes, until ctx ends or yield fails.
	VolumeSet(ctx context.Context, name string, yield func(VolumeSet) error) error
	// ChangeVolumeSet records another set if nobody has since VolumeChange.Version. It returns when that is committed.
	ChangeVolumeSet(ctx context.Context, name string, c VolumeChange) (*VolumeSet, error)
	// VolumeKey derives the identity and the secret of a volume from the cluster's key.
	VolumeKey(ctx context.Context, name string) (*VolumeKey, error)
	// Token makes a one-time join token, valid for a limited time.
	Token(ctx context.Context) (*Token, error)
	// Leave takes this node out of the cluster for good: its resources move
	// away, its vote is removed, its state is set aside.
	Leave(ctx context.Context, v Verb) (*Outcome, error)
	// Shutdown stops the daemon: with its resources, or (keep) leaving them running.
	Shutdown(ctx context.Context, keep bool) error
}

// CIBQuery says what is wanted of the CIB.
type CIBQuery struct {
	XPath   string // selects elements; "": all of it
	Secrets bool   // passwords, too: where they stood six asterisks stand else
}

// EventQuery selects events.
type EventQuery struct {
	After    uint64 // of the answering node: only events with a greater Seq
	Follow   bool
	AllNodes bool // ask every reachable node and merge by time
	Resource string
	Limit    int // the newest so many; 0: all remembered
}

// Token lets one node join once.
type Token struct {
	Text    string `json:"token"`   // hand it to takt join; a secret
	Command string `json:"command"` // the command to run on the new node
	Expires int64  `json:"expires"` // Unix seconds
}
