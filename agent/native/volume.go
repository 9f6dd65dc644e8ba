package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// volumeAgent is a replicated disk as a promotable clone: an instance is the volume's process on a
// node, promoted is who reads and writes. The parameters of ocf:linbit:drbd are understood.
func (s *Set) volumeAgent() kind {
	meta := volumeMetadata()
	v := &volumeKind{set: s, meta: meta}
	return kind{meta: meta, validate: v.validate, run: v.run, watch: v.watch, promotion: v.promotion}
}

type volumeKind struct {
	set  *Set
	meta *agent.Metadata
}

// volumeCall is one operation on a volume.
type volumeCall struct {
	*volumeKind
	inv    agent.Invocation
	name   string
	paths  control.Paths
	client *control.Client
}

func (v *volumeKind) call(inv agent.Invocation) *volumeCall {
	c := &volumeCall{volumeKind: v, inv: inv, name: cmp.Or(param(v.meta, inv, "volume"), param(v.meta, inv, "drbd_resource"))}
	c.paths = control.In(param(v.meta, inv, "dir"), c.name)
	c.client = control.NewClient(c.name, c.paths.Control)
	return c
}

func (v *volumeKind) validate(inv agent.Invocation) error {
	name, alias := inv.Params["volume"], inv.Params["drbd_resource"]
	switch {
	case name == "" && alias == "":
		return fail(agent.ErrConfigured, "parameter volume is required: the volume's name")
	case name != "" && alias != "" && name != alias:
		return fail(agent.ErrConfigured, "volume=%s and drbd_resource=%s mean the same and differ", name, alias)
	case strings.ContainsAny(name+alias, "/\x00 ") || strings.HasPrefix(name+alias, "."):
		return fail(agent.ErrConfigured, "parameter volume=%q: that is no name of a volume", name+alias)
	}
	if conf := inv.Params["drbdconf"]; conf != "" && filepath.Clean(conf) != "/etc/drbd.conf" {
		return fail(agent.ErrConfigured, "parameter drbdconf=%q: Takt reads /etc/drbd.conf, or what is in the folder dir; move the file there as drbd.conf", conf)
	}
	if dir := inv.Params["dir"]; dir != "" && !filepath.IsAbs(dir) {
		return fail(agent.ErrConfigured, "parameter dir=%q: want an absolute path", dir)
	}
	_, err := parseScores(param(v.meta, inv, "adjust_master_score"))
	return err
}

func (v *volumeKind) run(ctx context.Context, inv agent.Invocation) error {
	c := v.call(inv)
	defer c.client.Close()
	if c.name == "" {
		return fail(agent.ErrConfigured, "parameter volume is required: the volume's name")
	}
	switch inv.Action {
	case agent.Start:
		return c.start(ctx)
	case agent.Stop:
		return c.stop(ctx)
	case agent.Promote:
		return c.promote(ctx)
	case agent.Demote:
		return c.demote(ctx)
	case agent.Notify:
		return nil // the score follows below
	}
	return c.monitor(ctx)
}

// absent says that the volume's process does not run.
func absent(err error) bool { return errs.KindOf(err) == errs.Unavailable }

// start brings the volume up, and waits until its disk is attached. Peers are not waited for.
func (c *volumeCall) start(ctx context.Context) error {
	st, err := c.client.Status(ctx)
	if absent(err) {
		if err := c.up(ctx); err != nil {
			return err
		}
		st, err = c.client.Status(ctx)
	}
	for err == nil && (st.Disk == volume.Attaching || st.Disk == volume.Negotiating && c.inv.Timeout == 0) {
		if err = pauseFor(ctx, 20*time.Millisecond); err == nil {
			st, err = c.client.Status(ctx)
		}
	}
	switch {
	case err != nil:
		return err
	case st.Set == nil && c.set.opts.Socket != "":
		return fail(agent.ErrGeneric, "volume %s is up here without the cluster: somebody has brought it up by hand. Take it down: takt volume down %s", c.name, c.name)
	case st.Disk == volume.Diskless && !st.Client || st.Disk == volume.Failed:
		return fail(agent.ErrGeneric, "the disk of volume %s could not be attached: %s. Its log: %s", c.name, cmp.Or(strings.Join(st.Advice, " "), "no reason is known"), c.paths.Log)
	}
	return nil
}

// up starts the process.
func (c *volumeCall) up(ctx context.Context) error {
	args := []string{"volume", "up", c.name}
	if dir := param(c.meta, c.inv, "dir"); dir != "" {
		args = append(args, "--dir", dir)
	}
	if node := cmp.Or(param(c.meta, c.inv, "node"), c.set.opts.Node); node != "" {
		args = append(args, "--node", node)
	}
	if c.set.opts.Socket != "" {
		args = append(args, "--cluster", c.set.opts.Socket)
	}
	out := command.Run(ctx, command.Spec{
		Path: cmp.Or(c.set.opts.Executable, "/proc/self/exe"), Name: "takt", Args: args, Env: []string{"PATH=" + agent.SearchPath, "LC_ALL=C.UTF-8"},
		Timeout: c.inv.Timeout, Limit: agent.MaxOutput, Started: agent.OnStart(ctx),
	})
	res := outcome.Result(out)
	words := strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(out.Stderr), "takt: ")), " ")
	switch {
	case res.Status == agent.Done && out.Exit == 0, out.Exit == errs.Exists.ExitCode():
		return nil
	case res.Status != agent.Done:
		return fail(agent.ErrGeneric, "takt volume up %s: %s", c.name, res.Reason)
	case out.Exit == errs.NotFound.ExitCode(), out.Exit == errs.Invalid.ExitCode():
		return fail(agent.ErrInstalled, "%s", words) // this node's file is missing or wrong; another's may be right
	}
	return fail(agent.ErrGeneric, "%s", words)
}

// monitor says what role the volume has.
func (c *volumeCall) monitor(ctx context.Context) error {
	st, err := c.client.Status(ctx)
	switch {
	case absent(err):
		return errNotRunning
	case err != nil:
		return err
	}
	lacksDisk := (st.Disk == volume.Diskless || st.Disk == volume.Failed) && !st.Client
	switch {
	case st.Role == volume.Primary && st.Failing:
		return fail(agent.FailedPromoted, "requests are answered with errors: %s", strings.Join(st.Frozen, "; "))
	case st.Role == volume.Primary && lacksDisk:
		return fail(agent.DegradedPromoted, "the disk of volume %s has failed; it goes on through its peers", c.name)
	case st.Role == volume.Primary:
		return fail(agent.RunningPromoted, "")
	case lacksDisk:
		return fail(agent.Degraded, "the disk of volume %s has failed", c.name)
	}
	return nil
}

// promote makes the volume primary here. A refusal that may end by itself, such as a peer that is primary until its
// loss is noticed, is waited out.
func (c *volumeCall) promote(ctx context.Context) error {
	early, _ := agent.ParseBool(param(c.meta, c.inv, "fail_promote_early_if_peer_primary"))
	for {
		_, err := c.client.Ask(ctx, control.Ask{Verb: "primary"})
		if err == nil || errs.KindOf(err) != errs.Conflict && errs.KindOf(err) != errs.Timeout {
			return err
		}
		st, status := c.client.Status(ctx)
		if status != nil {
			return errors.Join(err, status)
		}
		if c.score(st) == "" || early && peerPrimary(st) {
			return fail(agent.ErrGeneric, "%s %s", err, errs.HintOf(err))
		}
		if pauseFor(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

func peerPrimary(st volume.Status) bool {
	for _, p := range st.Peers {
		if p.State >= volume.Connected && p.Role == volume.Primary {
			return true
		}
	}
	return false
}

// inUseTime is how long users of the volume are waited for that are on their way out.
const inUseTime = 5 * time.Second

// demote makes it secondary. What uses it is an error in its words; requests that are frozen
// without quorum end with errors, since nobody would wait them out.
func (c *volumeCall) demote(ctx context.Context) error {
	err := c.insist(ctx, "secondary")
	if absent(err) {
		return errNotRunning
	}
	return inWords(err)
}

// insist asks for a verb that users of the volume stand in the way of, until they have gone or were given enough time.
func (c *volumeCall) insist(ctx context.Context, verb string) error {
	for end := time.Now().Add(inUseTime); ; {
		st, err := c.client.Status(ctx)
		if err != nil {
			return err
		}
		stuck := st.Role == volume.Primary && (st.Failing || len(st.Frozen) > 0)
		_, err = c.client.Ask(ctx, control.Ask{Verb: verb, Force: stuck})
		if errs.KindOf(err) != errs.Conflict || time.Now().After(end) {
			return err
		}
		if pauseFor(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

// inWords is an error of the volume with its hint.
func inWords(err error) error {
	if err == nil || errs.HintOf(err) == "" {
		return err
	}
	return fail(agent.ErrGeneric, "%s %s", err, errs.HintOf(err))
}

// stop takes the volume down and waits for the end of its process. One that does not answer is killed: it holds
// nothing that a crash would not leave, and the disk's metadata is made for that.
func (c *volumeCall) stop(ctx context.Context) error {
	pid, err := c.pid(ctx)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	patience := 2 * time.Minute
	if c.inv.Timeout > 0 {
		patience = c.inv.Timeout * 2 / 3
	}
	soft, done := context.WithTimeout(ctx, patience)
	defer done()
	err = c.insist(soft, "down")
	if errs.KindOf(err) == errs.Conflict {
		return inWords(err) // it refuses
	}
	if pid.wait(soft) == nil { // an error too, such as an answer that the end of the process has cut off, says nothing against that
		return nil
	}
	return pid.end(ctx, time.Second)
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("not in time: %w", ctx.Err())
	}
}
