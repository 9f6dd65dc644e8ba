package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/lab"
)

const service = "10.88.1.100"

// three is the cluster of most measurements: no fencing, and so no wait for it.
func three(profile string) lab.Options { return lab.Options{Nodes: 3, Links: 2, Profile: profile} }

// cluster is a laboratory with a group of address and web service.
type cluster struct {
	lab *lab.Lab
	dir string
}

func newCluster(ctx context.Context, o options, l lab.Options) (*cluster, error) {
	dir, err := os.MkdirTemp("", "takt-bench-")
	if err != nil {
		return nil, err
	}
	l.Dir, l.Exe, l.Attached, l.Purge = dir, o.takt, true, true
	running, err := lab.Up(ctx, l)
	if err != nil {
		return nil, err
	}
	c := &cluster{lab: running, dir: dir}
	if err := c.apply(ctx, resources(o.takt, running.State())); err != nil {
		c.close()
		return nil, err
	}
	return c, c.settled(ctx)
}

func (c *cluster) close() { c.lab.Down(context.Background(), true) }

// resources is the service, and the devices that the laboratory was made with:
// applying the section replaces those, too.
func resources(exe string, s lab.State) string {
	devices := ""
	if s.Fence {
		devices += lab.PowerDevice
	}
	if s.Watchdog > 0 {
		devices += lab.WatchdogDevice(s.Watchdog)
	}
	return fmt.Sprintf(`<resources>%s<group id="web">
<primitive id="vip" class="ocf" provider="takt" type="IPaddr2">
 <instance_attributes id="vip-p"><nvpair id="vip-ip" name="ip" value="%s"/><nvpair id="vip-m" name="cidr_netmask" value="24"/><nvpair id="vip-n" name="nic" value="eth1"/></instance_attributes>
 <operations><op id="vip-mon" name="monitor" interval="10s"/></operations></primitive>
<primitive id="server" class="ocf" provider="takt" type="anything">
 <instance_attributes id="srv-p"><nvpair id="srv-b" name="binfile" value="%s"/><nvpair id="srv-o" name="cmdline_options" value="lab serve --listen %s:80"/></instance_attributes>
 <operations><op id="srv-mon" name="monitor" interval="10s"/></operations></primitive>
</group></resources>`, devices, service, exe, service)
}

func (c *cluster) apply(ctx context.Context, xml string) error {
	file := filepath.Join(c.dir, "apply.xml")
	if err := os.WriteFile(file, []byte(xml), 0o600); err != nil {
		return err
	}
	_, err := c.lab.Exec(ctx, "n1", "takt", "cib", "apply", file)
	return err
}

// status asks any node that answers and sees a coordinator.
func (c *cluster) status(ctx context.Context) (*api.Status, error) {
	var last error
	for _, n := range c.lab.Nodes() {
		st, err := c.lab.ClusterStatus(ctx, n)
		if err == nil && st.Coordinator != "" && st.Quorum.Quorate {
			return st, nil
		}
		last = err
	}
	return nil, errors.Join(errors.New("no node sees a coordinator"), last)
}

// settled waits until every node is online and the service runs on one node.
func (c *cluster) settled(ctx context.Context) error {
	return poll(ctx, 60*time.Second, func() error {
		st, err := c.status(ctx)
		if err != nil {
			return err
		}
		for _, n := range st.Nodes {
			if n.State != "online" || !n.Voter {
				return fmt.Errorf("%s is %s, voter %v", n.Name, n.State, n.Voter)
			}
		}
		for _, r := range st.Resources {
			if strings.HasPrefix(r.Agent, "stonith:fence_takt_watchdog") {
				continue // it may be everywhere or nowhere
			}
			if r.Role != "Started" || len(r.Nodes) != 1 {
				return fmt.Errorf("%s is %s on %v", r.ID, r.Role, r.Nodes)
			}
		}
		return nil
	})
}

func (c *cluster) active(ctx context.Context) (node string, st *api.Status, err error) {
	st, err = c.status(ctx)
	if err != nil {
		return "", nil, err
	}
	for _, r := range st.Resources {
		if r.ID == "web" && len(r.Nodes) == 1 {
			return r.Nodes[0], st, nil
		}
	}
	return "", st, fmt.Errorf("web is not active on one node")
}

// placeOn moves the service to a node.
func (c *cluster) placeOn(ctx context.Context, target string) (string, error) {
	node, _, err := c.active(ctx)
	if err != nil || node == target {
		return target, err
	}
	if _, err := c.lab.Exec(ctx, target, "takt", "resource", "move", "web", target); err != nil {
		return "", err
	}
	return target, c.settled(ctx)
}

// place moves the service onto the coordinator, or off it.
func (c *cluster) place(ctx context.Context, onCoordinator bool) (string, error) {
	node, st, err := c.active(ctx)
	if err != nil || (node == st.Coordinator) == onCoordinator {
		return node, err
	}
	target := st.Coordinator
	if !onCoordinator {
		for _, n := range c.lab.Nodes() {
			if n != st.Coordinator {
				target = n
				break
			}
		}
	}
	return c.placeOn(ctx, target)
}

// events returns the story since a point in time, of every node.
func (c *cluster) events(ctx context.Context, at string, since time.Time) []api.Event {
	out, err := c.lab.Exec(ctx, at, "takt", "events", "-o", "json")
	if err != nil {
		return nil
	}
	var list, kept []api.Event
	if json.Unmarshal(out, &list) != nil {
		dec := json.NewDecoder(strings.NewReader(string(out)))
		for dec.More() {
			var e api.Event
			if dec.Decode(&e) != nil {
				break
			}
			list = append(list, e)
		}
	}
	for _, e := range list {
		if !e.Time.Before(since) {
			kept = append(kept, e)
		}
	}
	return kept
}

// poll repeats f until it succeeds.
func poll(ctx context.Context, limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %w", limit, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
