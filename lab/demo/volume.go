package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/lab"
)

// volumeName is the volume on which the service counts its visits.
const volumeName = "data"

// volumeResource is the volume on all nodes; promoted is the one on which the service runs.
const volumeResource = `  <clone id="data-clone">
    <meta_attributes id="data-meta"><nvpair id="data-promotable" name="promotable" value="true"/></meta_attributes>
    <primitive id="data" class="ocf" provider="takt" type="volume">
      <instance_attributes id="data-params"><nvpair id="data-volume" name="volume" value="` + volumeName + `"/></instance_attributes>
      <operations><op id="data-promoted" name="monitor" interval="10s" role="Promoted"/><op id="data-unpromoted" name="monitor" interval="11s" role="Unpromoted"/></operations>
    </primitive>
  </clone>
`

// volumeConstraints keep the group where the volume can be written.
const volumeConstraints = `<constraints>
  <rsc_colocation id="web-with-data" rsc="` + Group + `" with-rsc="data-clone" with-rsc-role="Promoted" score="INFINITY"/>
  <rsc_order id="data-then-web" first="data-clone" first-action="promote" then="` + Group + `" then-action="start"/>
</constraints>
`

// volumeFile is the volume's configuration, the same on all nodes. Identity and secret follow from the cluster's key. It
// uses link 1, as the service address does.
func (s *Session) volumeFile() string {
	var b strings.Builder
	fmt.Fprintf(&b, "name = %q\nsize = \"64M\"\nfront = \"nbd\"\n[sync]\nskip-initial-sync = true\nc-min-rate = \"100M\"\n", volumeName)
	for i, n := range s.lab.Nodes() {
		fmt.Fprintf(&b, "[[node]]\nid = %d\nname = %q\naddress = \"10.88.1.%d:7789\"\ndisk = \"/var/lib/takt/%s.img\"\n", i, n, i+1, volumeName)
	}
	return b.String()
}

// makeVolume prepares the volume on every node.
func (s *Session) makeVolume(ctx context.Context) error {
	script := "mkdir -p /etc/takt/volumes && cat > /etc/takt/volumes/" + volumeName + ".toml <<'END'\n" + s.volumeFile() + "END\nexec takt volume create " + volumeName + " --node "
	for _, n := range s.lab.Nodes() {
		if _, err := s.lab.Exec(ctx, n, "/bin/sh", "-c", script+n); err != nil {
			return err
		}
	}
	return nil
}

// awaitReplicas waits until all nodes are recorded as up to date, as the node on which the volume is promoted sees it.
func (s *Session) awaitReplicas(ctx context.Context, active string) error {
	for {
		out, err := s.lab.Exec(ctx, active, "takt", "volume", "status", volumeName, "--node", active, "-o", "json")
		var st struct {
			Set struct {
				Members []string `json:"members"`
			} `json:"cluster_set"`
		}
		if err == nil {
			err = json.Unmarshal(out, &st)
		}
		if err == nil && len(st.Set.Members) == len(s.lab.Nodes()) {
			return nil
		}
		if pause(ctx, statusEvery) != nil {
			return fmt.Errorf("not all replicas of the volume came up to date: only %v (%v)", st.Set.Members, err)
		}
	}
}

// countEvery is how often the client has a visit counted.
const countEvery = 10 * time.Millisecond

// counting has visits counted for as long as the script runs.
type counting struct {
	seen    lab.Visits
	told    int // of what was broken, that is in a result already
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu  sync.Mutex // guards these
	end int64      // Unix ns of the newest answer
	gap int64      // ns: the longest time between two of them since it was asked last
}

func (c *counting) add(a lab.Attempt) {
	c.seen.Add(a)
	if a.Error != "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != 0 {
		c.gap = max(c.gap, a.End-c.end)
	}
	c.end = max(c.end, a.End)
}

// longest is the longest time in ms between two visits since it was asked last.
func (c *counting) longest() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	ms := float64(c.gap) / 1e6
	c.gap = 0
	return ms
}

// count begins.
func (s *Session) count(ctx context.Context) *counting {
	c := &counting{}
	ctx, c.cancel = context.WithCancel(ctx)
	o := s.probe(countEvery)
	o.Path, o.Timeout = lab.CountPath, 2*time.Second
	c.running.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.lab.Probe(ctx, lab.Client, o, c.add); err != nil && pause(ctx, feedLine) == nil {
				s.say("the client cannot have its visits counted: %v", err)
			}
		}
	})
	return c
}

// stop ends it.
func (c *counting) stop() {
	c.cancel()
	c.running.Wait()
}

// await waits until a visit was counted that was asked for after a moment.
func (c *counting) await(ctx context.Context, since time.Time) error {
	return c.until(ctx, func(last lab.Attempt) bool { return last.Start > since.UnixNano() })
}

func (c *counting) until(ctx context.Context, suits func(last lab.Attempt) bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for {
		if last, _ := c.seen.Last(); suits(last) {
			return nil
		}
		if pause(ctx, watchStep) != nil {
			last, _ := c.seen.Last()
			return fmt.Errorf("no visit was counted after number %d", last.Visit)
		}
	}
}

// broken returns what was broken since it was last asked.
func (c *counting) broken() []string {
	all := c.seen.Broken()
	fresh := all[c.told:]
	c.told = len(all)
	return fresh
}

// words are the end of a line of the feed: how many visits the volume holds, and what was broken.
func (c *counting) words() string {
	text := ""
	if last, _ := c.seen.Last(); last.Visit > 0 {
		text = fmt.Sprintf("   visit %d", last.Visit)
	}
	for _, b := range c.broken() {
		text += "   " + b
	}
	return text
}
