package native

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// scoreTime bounds what is asked for a score beside an operation.
const scoreTime = 2 * time.Second

// parseScores reads four scores: for a node that could only reach good data through the network; whose own
// data may be old; whose data is good as far as it knows; whose data is good for certain.
func parseScores(text string) (scores [4]int, err error) {
	fields := strings.Fields(text)
	if len(fields) != len(scores) {
		return scores, fail(agent.ErrConfigured, "parameter adjust_master_score=%q: want four numbers", text)
	}
	for i, f := range fields {
		if scores[i], err = strconv.Atoi(f); err != nil || scores[i] < -1_000_000 || scores[i] > 1_000_000 {
			return scores, fail(agent.ErrConfigured, "parameter adjust_master_score=%q: %s is no score", text, f)
		}
	}
	return scores, nil
}

// promotion is the score after an operation; nil: nobody could be asked, so it stays.
func (v *volumeKind) promotion(ctx context.Context, inv agent.Invocation, code agent.Code) *string {
	var score string
	if inv.Action == agent.ValidateAll || inv.Action == agent.MetaData || code == agent.ErrUnimplement {
		return nil
	}
	if inv.Action == agent.Stop && code == agent.OK {
		return &score
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), scoreTime)
	defer done()
	c := v.call(inv)
	defer c.client.Close()
	switch st, err := c.client.Status(ctx); {
	case err == nil:
		score = c.score(st)
	case !absent(err):
		return nil
	}
	return &score
}

// score is how much a volume in this state wishes to be primary; "": not at all, it could not be.
func (c *volumeCall) score(st volume.Status) string {
	scores, err := parseScores(param(c.meta, c.inv, "adjust_master_score"))
	if err != nil || st.Role == volume.Primary && st.Failing {
		return ""
	}
	switch s := worth(st); {
	case s == nothing, scores[s-1] == 0:
		return ""
	default:
		return strconv.Itoa(scores[s-1])
	}
}

// What a replica is worth to a promotion; the scores in their order.
const (
	nothing = iota
	throughPeers
	perhaps
	good
	certain
)

func worth(st volume.Status) int {
	recorded := st.Set != nil && st.Set.Version > 0
	switch {
	case st.Set != nil && !st.Set.Known:
		return nothing // until the cluster has said who is up to date
	case recorded && !st.Set.Member:
		if besideMember(st) {
			return throughPeers
		}
		return nothing
	case st.Disk == volume.UpToDate && (recorded || st.Role == volume.Primary || allConnected(st)):
		return certain
	case st.Disk == volume.UpToDate:
		return good
	case st.Disk == volume.Consistent:
		return perhaps
	case goodPeer(st) && (st.Disk <= volume.Inconsistent || st.Disk == volume.Outdated):
		return throughPeers
	}
	return nothing
}

func allConnected(st volume.Status) bool {
	for _, p := range st.Peers {
		if p.State < volume.Connected {
			return false
		}
	}
	return true
}

func goodPeer(st volume.Status) bool {
	for _, p := range st.Peers {
		if p.State >= volume.Connected && p.Disk == volume.UpToDate {
			return true
		}
	}
	return false
}

// besideMember says whether up-to-date data can be reached at a replica that the cluster has recorded.
func besideMember(st volume.Status) bool {
	for _, p := range st.Peers {
		for _, name := range st.Set.Members {
			if p.Name == name && p.State >= volume.Connected && p.Disk == volume.UpToDate {
				return true
			}
		}
	}
	return false
}

// watch listens to the volume: its process's end is a failure at once, and each change may be one
// of the promotion score.
func (v *volumeKind) watch(ctx context.Context, inv agent.Invocation) string {
	c := v.call(inv)
	defer c.client.Close()
	last, first := "", true
	failed := ""
	look := func() error {
		st, err := c.client.Status(ctx)
		if err != nil {
			return err
		}
		if score := c.score(st); v.set.opts.Score != nil && (first || score != last) {
			first, last = false, score
			v.set.opts.Score(inv.Resource, score)
		}
		if st.Role == volume.Primary && st.Failing {
			failed = "requests are answered with errors: " + strings.Join(st.Frozen, "; ")
			return errs.E("watch volume", errs.Other, c.name, "", nil)
		}
		return nil
	}
	if look() == nil {
		_ = c.client.Events(ctx, func(volume.Event) error { return look() }) // however it ends, that is told below
	}
	switch {
	case ctx.Err() != nil:
		return ""
	case failed != "":
		return failed
	}
	return fmt.Sprintf("the process of volume %s has ended", c.name)
}

// pid finds the volume's process by its socket (unix(7), SO_PEERCRED); kind Unavailable if there is none.
func (c *volumeCall) pid(ctx context.Context) (process, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.paths.Control)
	if err != nil {
		_, err = control.NewClient(c.name, c.paths.Control).Status(ctx) // says in good words that it is not there
		return process{}, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return process{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return process{}, err
	}
	if credErr != nil {
		return process{}, credErr
	}
	st, ok := readStat(int(cred.Pid))
	if !ok {
		return process{}, errs.E("find the process of volume", errs.Unavailable, c.name, "", nil)
	}
	return process{PID: int(cred.Pid), Start: st.start, Mark: "volume " + c.name}, nil
}
