package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// idle is what a quiet cluster costs a node.
type idle struct {
	Profile   string  `json:"profile"`
	Resources int     `json:"resources"`
	CPU       float64 `json:"cpu_percent_of_a_core"` // of all of takt's processes on one node
	RSS       float64 `json:"rss_mb"`
	PSS       float64 `json:"pss_mb"`
}

// measureIdle gives every node of the cluster ten monitored resources in all and
// looks at what one node's processes use.
func measureIdle(ctx context.Context, o options, c *cluster, profile string) (idle, error) {
	node, _, err := c.active(ctx)
	if err != nil {
		return idle{}, err
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(resources(o.takt, c.lab.State()), "</resources>"))
	for i := range 8 {
		fmt.Fprintf(&b, `<primitive id="d%d" class="ocf" provider="takt" type="Dummy"><operations><op id="d%d-mon" name="monitor" interval="10s"/></operations></primitive>`, i, i)
	}
	b.WriteString("</resources>")
	if err := c.apply(ctx, b.String()); err != nil {
		return idle{}, err
	}
	if err := c.settled(ctx); err != nil {
		return idle{}, err
	}
	for i := range 8 {
		if _, err := c.lab.Exec(ctx, node, "takt", "resource", "move", "d"+strconv.Itoa(i), node); err != nil && !strings.Contains(err.Error(), "already") {
			return idle{}, err
		}
	}
	before, _, _, err := usage(ctx, c, node)
	if err != nil {
		return idle{}, err
	}
	time.Sleep(o.idleFor)
	after, rss, pss, err := usage(ctx, c, node)
	if err != nil {
		return idle{}, err
	}
	r := idle{Profile: profile, Resources: 10, CPU: 100 * (after - before) / o.idleFor.Seconds(), RSS: rss / 1024, PSS: pss / 1024}
	fmt.Fprintf(os.Stderr, "%-8s idle, 10 monitored resources: %.2f %% of a core, %.1f MB resident, %.1f MB proportional\n", profile, r.CPU, r.RSS, r.PSS)
	return r, c.apply(ctx, resources(o.takt, c.lab.State()))
}

// usage adds up CPU seconds and memory (KiB) of takt's daemon and pulse on a node.
func usage(ctx context.Context, c *cluster, node string) (cpu, rss, pss float64, err error) {
	out, err := c.lab.Exec(ctx, node, "sh", "-c", `for p in /proc/[0-9]*; do
 a=$(tr '\0' ' ' <$p/cmdline 2>/dev/null) || continue
 case "$a" in *" daemon"*|*" pulse"*) cat $p/stat; grep -h -E '^(Rss|Pss):' $p/smaps_rollup;; esac
done`)
	if err != nil {
		return 0, 0, 0, err
	}
	found := 0
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) >= 2 && f[0] == "Rss:":
			v, _ := strconv.ParseFloat(f[1], 64)
			rss += v
		case len(f) >= 2 && f[0] == "Pss:":
			v, _ := strconv.ParseFloat(f[1], 64)
			pss += v
		case len(f) > 20:
			found++
			rest := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
			u, _ := strconv.ParseFloat(rest[11], 64)
			s, _ := strconv.ParseFloat(rest[12], 64)
			cpu += (u + s) / 100
		}
	}
	if found < 2 {
		return 0, 0, 0, fmt.Errorf("found %d of takt's processes on %s, want daemon and pulse", found, node)
	}
	return cpu, rss, pss, nil
}
