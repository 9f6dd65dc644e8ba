package native

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
	"github.com/takt-ha/takt/internal/errs"

	"github.com/takt-ha/takt/director/daemon"
)

// directorAgent is a load balancer: the process of `takt director`. Its health, how many of its virtual servers have their quorum, is
// a node attribute, so that a director whose checks all fail can lose its place.
func (s *Set) directorAgent() kind {
	d := &directorKind{set: s, meta: directorMetadata()}
	return kind{meta: d.meta, validate: d.validate, run: d.run}
}

type directorKind struct {
	set  *Set
	meta *agent.Metadata
}

func directorMetadata() *agent.Metadata {
	return &agent.Metadata{
		Name: "director", Version: "1.0", API: "1.1", ShortDesc: "a load balancer (VRRP, health checks, forwarding)",
		LongDesc: "Runs a director by a configuration in keepalived's language. Its health is the transient node attribute health_attribute: how many of 100 of its virtual servers have their quorum. A rule on that attribute moves it away from a node that reaches no server; the attribute stays after that, until the node boots or somebody deletes it.",
		Parameters: []agent.Parameter{
			{Name: "config", Type: "string", Default: "/etc/takt/director.conf", ShortDesc: "its configuration"},
			{Name: "name", Type: "string", Default: "default", Unique: true, ShortDesc: "its name on the machine", LongDesc: "Letters, digits and dashes; where several directors run on a machine each needs one of its own."},
			{Name: "dir", Type: "string", Default: "/run/takt", ShortDesc: "where its socket is"},
			{Name: "log", Type: "string", ShortDesc: "where its words go", LongDesc: "Default: /var/log/takt/director-NAME.log."},
			{Name: "health_attribute", Type: "string", ShortDesc: "node attribute for its health", LongDesc: "Default: director-NAME."},
		},
		Actions: actions("reload"),
	}
}

func (d *directorKind) client(inv agent.Invocation) *daemon.Client {
	return daemon.NewClient(param(d.meta, inv, "dir"), param(d.meta, inv, "name"))
}

func (d *directorKind) validate(inv agent.Invocation) error {
	for _, name := range []string{"config", "dir", "log"} {
		if v := param(d.meta, inv, name); v != "" && !strings.HasPrefix(v, "/") {
			return fail(agent.ErrConfigured, "parameter %s=%q: want an absolute path", name, v)
		}
	}
	return nil
}

func (d *directorKind) run(ctx context.Context, inv agent.Invocation) error {
	client := d.client(inv)
	switch inv.Action {
	case agent.Start:
		if _, err := client.Status(ctx); err == nil {
			return nil
		}
		return d.start(ctx, inv)
	case agent.Stop:
		return client.Stop(ctx) // its health stays: else a director that has left would come back at once
	case "reload":
		return client.Reload(ctx)
	}
	st, err := client.Status(ctx)
	switch {
	case errs.KindOf(err) == errs.Unavailable:
		return errNotRunning
	case err != nil:
		return err
	}
	d.tell(inv, health(st))
	if st.Forwarding != "" {
		return fail(agent.ErrGeneric, "the kernel does not forward: %s", st.Forwarding)
	}
	return nil
}

// health is how many of 100 virtual servers have their quorum.
func health(st daemon.Status) string {
	up := 0
	for _, v := range st.Servers {
		if v.Up {
			up++
		}
	}
	if len(st.Servers) == 0 {
		return "100"
	}
	return fmt.Sprint(up * 100 / len(st.Servers))
}

// tell keeps the health as an attribute.
func (d *directorKind) tell(inv agent.Invocation, value string) {
	if d.set.opts.Attribute != nil {
		d.set.opts.Attribute(cmp.Or(param(d.meta, inv, "health_attribute"), "director-"+param(d.meta, inv, "name")), value)
	}
}

func (d *directorKind) start(ctx context.Context, inv agent.Invocation) error {
	args := []string{"director", "start", param(d.meta, inv, "config"), "--name", param(d.meta, inv, "name"), "--dir", param(d.meta, inv, "dir")}
	if log := param(d.meta, inv, "log"); log != "" {
		args = append(args, "--log", log)
	}
	out := command.Run(ctx, command.Spec{
		Path: cmp.Or(d.set.opts.Executable, "/proc/self/exe"), Name: "takt", Args: args, Env: []string{"PATH=" + agent.SearchPath, "LC_ALL=C.UTF-8"},
		Timeout: max(inv.Timeout, time.Second), Limit: agent.MaxOutput, Started: agent.OnStart(ctx),
	})
	res := outcome.Result(out)
	words := strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(out.Stderr), "takt: ")), " ")
	switch {
	case res.Status == agent.Done && out.Exit == 0:
		return nil
	case res.Status != agent.Done:
		return fail(agent.ErrGeneric, "takt director start: %s", res.Reason)
	case out.Exit == errs.NotFound.ExitCode(), out.Exit == errs.Invalid.ExitCode():
		return fail(agent.ErrInstalled, "%s", words) // this node's file is missing or wrong; another's may be right
	}
	return fail(agent.ErrGeneric, "%s", words)
}
