package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

// clusterName is what a laboratory's cluster is called.
const clusterName = "lab"

// formLimit bounds forming a cluster, from the first command to the last vote.
const formLimit = 60 * time.Second

// commands are the spellings of takt's own commands that form a cluster.
// {node}, {token} and {profile} are replaced; {links} becomes --link ADDRESS for
// each link of the node.
var commands = struct{ found, token, join, status, power, watchdog, delay []string }{
	found:    []string{"takt", "init", "--name", clusterName, "--node", "{node}", "{links}", "--profile", "{profile}"},
	token:    []string{"takt", "token", "-o", "json"},
	join:     []string{"takt", "join", "{token}", "--node", "{node}", "{links}"},
	power:    []string{"takt", "fence", "add", "power", "fence_takt_lab", "socket=" + PowerSocket},
	watchdog: []string{"takt", "fence", "add", "watchdog", "fence_takt_watchdog", "device=" + WatchdogSocket, "timeout={watchdog}"},
	delay:    []string{"takt", "option", "set", "claim-delay={delay}"},
	status:   []string{"takt", "status", "-o", "json"},
}

// form founds a cluster on the first node and joins the others, one after the
// other, by the commands that a person would use.
func (l *Lab) form(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, formLimit)
	defer cancel()
	for i, node := range l.state.Nodes {
		argv, token := commands.found, ""
		if i > 0 {
			var err error
			if token, err = l.token(ctx); err != nil {
				return l.formError(node, err)
			}
			argv = commands.join
			if l.state.Witness && i == len(l.state.Nodes)-1 {
				argv = append(slices.Clone(argv), "--witness")
			}
		}
		if _, err := l.Exec(ctx, node, l.fill(argv, node, token)...); err != nil {
			return l.formError(node, err)
		}
		if err := l.StartDaemon(node); err != nil {
			return l.formError(node, err)
		}
		if err := l.AwaitOnline(ctx, l.state.Nodes[0], l.state.Nodes[:i+1]); err != nil {
			return l.formError(node, err)
		}
	}
	if err := l.protect(ctx); err != nil {
		return l.formError(l.state.Nodes[0], err)
	}
	return nil
}

// PowerDevice is the power switch in a CIB's resources, as takt fence add makes it.
const PowerDevice = `<primitive id="power" class="stonith" type="fence_takt_lab">
  <instance_attributes id="power-params"><nvpair id="power-socket" name="socket" value="` + PowerSocket + `"/></instance_attributes>
  <operations><op id="power-monitor" name="monitor" interval="60s" timeout="30s"/></operations>
</primitive>`

// WatchdogDevice is every node's watchdog with a time-out in ms, as takt fence add
// makes it.
func WatchdogDevice(timeout int64) string {
	return fmt.Sprintf(`<primitive id="watchdog" class="stonith" type="fence_takt_watchdog">
  <instance_attributes id="watchdog-params"><nvpair id="watchdog-device" name="device" value="%s"/><nvpair id="watchdog-timeout" name="timeout" value="%dms"/></instance_attributes>
  <operations><op id="watchdog-monitor" name="monitor" interval="60s" timeout="30s"/></operations>
</primitive>`, WatchdogSocket, timeout)
}

// claimDelay is how much later the half of a tie without the lowest node shoots: more
// than the switch needs, since the halves may notice the cut a heartbeat apart.
func claimDelay(profile string) time.Duration {
	heartbeat := 100 * time.Millisecond
	if profile == "fast" {
		heartbeat = 20 * time.Millisecond
	}
	return PowerDelay + heartbeat + 10*time.Millisecond
}

// protect configures the power switch and the watchdogs, as a person would.
func (l *Lab) protect(ctx context.Context) error {
	var all [][]string
	if l.state.Fence {
		all = append(all, commands.power, commands.delay)
	}
	if l.state.Watchdog > 0 {
		all = append(all, commands.watchdog)
	}
	for _, argv := range all {
		if _, err := l.Exec(ctx, l.state.Nodes[0], l.fill(argv, l.state.Nodes[0], "")...); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) formError(node string, err error) error {
	hint := fmt.Sprintf("See %s/nodes/%s/%s.", l.dir, node, daemonLog)
	return errs.E("form cluster at node", errs.KindOf(err), node, hint, err)
}

func (l *Lab) fill(argv []string, node, token string) []string {
	replace := strings.NewReplacer("{node}", node, "{token}", token, "{profile}", l.state.Profile,
		"{delay}", claimDelay(l.state.Profile).String(), "{watchdog}", fmt.Sprintf("%dms", l.state.Watchdog))
	var out []string
	for _, a := range argv {
		if a != "{links}" {
			out = append(out, replace.Replace(a))
			continue
		}
		for k := 1; k <= l.state.Links; k++ {
			out = append(out, "--link", Address(node, k))
		}
	}
	return out
}

func (l *Lab) token(ctx context.Context) (string, error) {
	data, err := l.Exec(ctx, l.state.Nodes[0], commands.token...)
	if err != nil {
		return "", err
	}
	var t api.Token
	if err := json.Unmarshal(data, &t); err != nil || t.Text == "" {
		return "", fmt.Errorf("no token in the answer of takt token: %q", data)
	}
	return t.Text, nil
}

// ClusterStatus is what `takt status` says on a node.
func (l *Lab) ClusterStatus(ctx context.Context, node string) (*api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	data, err := l.Exec(ctx, node, commands.status...)
	if err != nil {
		return nil, err
	}
	var s api.Status
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read the status of %s: %w", node, err)
	}
	return &s, nil
}

// AwaitOnline waits until the node at sees a quorate cluster with a coordinator
// in which all the given nodes are online voters.
func (l *Lab) AwaitOnline(ctx context.Context, at string, nodes []string) error {
	return await(ctx, "wait for "+strings.Join(nodes, ", "), func() (bool, string) {
		s, err := l.ClusterStatus(ctx, at)
		if err != nil {
			return false, err.Error()
		}
		why := missing(s, nodes)
		return why == "", why
	})
}

// missing says what a status lacks for a complete cluster, "" if nothing.
func missing(s *api.Status, nodes []string) string {
	if !s.Quorum.Quorate || s.Coordinator == "" {
		return "no quorum or no coordinator yet: " + strconv.Quote(s.Quorum.Reason)
	}
	seen := make(map[string]api.NodeStatus)
	for _, n := range s.Nodes {
		seen[n.Name] = n
	}
	for _, name := range nodes {
		n, ok := seen[name]
		switch {
		case !ok:
			return name + " is not known yet"
		case n.State != "online":
			return name + " is " + n.State
		case !n.Voter:
			return name + " has no vote yet"
		}
	}
	return ""
}
