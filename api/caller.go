package api

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// Caller is who sends a request: a local user, or another node.
type Caller struct {
	UID  uint32 // of a local process
	Name string // of the user, or of the node
	Node uint64 // id of the node that forwards the request; 0: a local process
}

type callerKey struct{}

// WithCaller puts the caller into a request's context.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller, zero if nobody put one there.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// mayRead reports whether the caller may see secrets: local root, or the user whose
// the daemon is, who can read them where they lie.
func (c Caller) mayRead() bool {
	return c.Node == 0 && c.Name != "" && (c.UID == 0 || int(c.UID) == os.Geteuid())
}

// String names the caller for logs.
func (c Caller) String() string {
	switch {
	case c.Node != 0:
		return fmt.Sprintf("node %d (%s)", c.Node, c.Name)
	case c.Name != "":
		return c.Name
	}
	return fmt.Sprintf("uid %d", c.UID)
}

// author is what the history shows: the local user whom the kernel names, with
// what the client calls itself. A node has done that already for its own users.
func (c Caller) author(claimed string) string {
	switch {
	case c.Node != 0 && claimed != "":
		return claimed
	case claimed == "":
		return c.String()
	}
	return c.String() + " (" + claimed + ")"
}

// localCaller names a local user.
func localCaller(uid uint32) Caller {
	c := Caller{UID: uid}
	if uid == 0 {
		c.Name = "root"
	} else if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		c.Name = u.Username
	}
	return c
}
