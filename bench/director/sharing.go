package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/takt-ha/takt/lab"
)

// Addresses of the laboratory's first link: one that all nodes share, and one that is on the node that is lost.
const (
	sharedAt = "10.88.1.100:7000"
	plainAt  = "10.88.1.101:7000"
	lostNode = "n3"
)

// sharingCIB has both, and on every node a program that answers.
const sharingCIB = `<cib><configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config><nodes/>
<resources>
  <clone id="shared"><meta_attributes id="s"><nvpair id="s0" name="globally-unique" value="true"/><nvpair id="s1" name="clone-max" value="3"/><nvpair id="s2" name="clone-node-max" value="3"/><nvpair id="s3" name="resource-stickiness" value="0"/></meta_attributes>
    <primitive id="ip" class="ocf" provider="takt" type="IPaddr2"><instance_attributes id="ip-params">
      <nvpair id="i1" name="ip" value="10.88.1.100"/><nvpair id="i2" name="nic" value="eth1"/><nvpair id="i3" name="cidr_netmask" value="24"/><nvpair id="i4" name="clusterip_hash" value="sourceip-sourceport"/></instance_attributes></primitive></clone>
  <primitive id="plain" class="ocf" provider="takt" type="IPaddr2"><instance_attributes id="plain-params">
      <nvpair id="p1" name="ip" value="10.88.1.101"/><nvpair id="p2" name="nic" value="eth1"/><nvpair id="p3" name="cidr_netmask" value="24"/></instance_attributes></primitive>
  <clone id="servers"><primitive id="server" class="ocf" provider="takt" type="anything"><instance_attributes id="server-params">
      <nvpair id="w1" name="binfile" value="%s"/><nvpair id="w2" name="cmdline_options" value="echo %s %s"/></instance_attributes></primitive></clone>
</resources><constraints><rsc_location id="there" rsc="plain" node="%s" score="100"/></constraints></configuration><status/></cib>`

// sharing measures how evenly flows fall on three nodes of a real cluster, and what the loss of one of them costs whom. What it costs is
// compared with an ordinary address on the node that is lost, in the same moment.
func (b *bench) sharing() error {
	ctx := context.Background()
	if err := lab.Supported(); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "sharing") // its nodes see nothing else of /tmp
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 3, Links: 2, Exe: b.o.takt, Attached: true, Purge: true})
	if err != nil {
		return err
	}
	defer l.Down(ctx, true)
	exe, err := copySelf(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "apply.xml")
	if err := os.WriteFile(file, fmt.Appendf(nil, sharingCIB, exe, sharedAt, plainAt, lostNode), 0o600); err != nil {
		return err
	}
	if _, err := l.Exec(ctx, "n1", "takt", "cib", "apply", file); err != nil {
		return err
	}
	s := &sharers{l, exe}
	if err := s.settled(ctx); err != nil {
		return err
	}
	even, err := s.even(ctx)
	if err != nil {
		return err
	}
	b.rows = append(b.rows, even)
	return b.losses(ctx, s)
}

// copySelf puts this program where a laboratory's nodes see it.
func copySelf(dir string) (string, error) {
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bench-director")
	return path, os.WriteFile(path, text, 0o755) //nolint:gosec // it is to be run
}

// sharers is the laboratory in which an address is shared.
type sharers struct {
	lab *lab.Lab
	exe string
}

func (s *sharers) ask(ctx context.Context, into any, args ...string) error {
	out, err := s.lab.Exec(ctx, lab.Client, append([]string{s.exe, "flows"}, args...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// settled waits until all three share, and the plain address is where it will be lost.
func (s *sharers) settled(ctx context.Context) error {
	var last []flow
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if err := s.ask(ctx, &last, "follow", "300ms", "60", sharedAt, plainAt); err != nil {
			return err
		}
		who := map[string]int{}
		for _, f := range last[:60] {
			who[f.Last]++
		}
		if len(who) == 3 && who[""] == 0 && last[60].Last == lostNode {
			return nil
		}
	}
	return fmt.Errorf("three nodes do not come to share an address: %v", last)
}

// even counts flows.
func (s *sharers) even(ctx context.Context) (row, error) {
	const n = 10_000
	counts := map[string]int{}
	if err := s.ask(ctx, &counts, "spread", fmt.Sprint(n), sharedAt); err != nil {
		return row{}, err
	}
	if counts[""] > 0 {
		return row{}, fmt.Errorf("%d of %d flows get no answer", counts[""], n)
	}
	worst, note := 0.0, ""
	for _, node := range s.lab.Nodes() {
		off := 100 * (float64(counts[node])*3/n - 1)
		worst = max(worst, off, -off)
		note += fmt.Sprintf("%s %d  ", node, counts[node])
	}
	r := row{What: "10 000 flows, furthest from even", System: "takt, 3 nodes", Value: worst, Unit: "%", Note: note}
	return r.judge(worst <= 5, "≤ 5 %%"), nil
}

// losses crashes a node several times.
func (b *bench) losses(ctx context.Context, s *sharers) error {
	var share, plain, others, ratios []float64
	for range b.o.share {
		all, err := s.lose(ctx)
		if err != nil {
			return err
		}
		lost, other := 0.0, 0.0
		for _, f := range all[:len(all)-1] {
			switch {
			case f.Last == "" || f.Last == lostNode:
				return errors.New("a flow of the lost node is answered by nobody")
			case f.First == lostNode:
				lost = max(lost, f.Gap)
			case f.Last != f.First:
				return errors.New("a flow of a node that was not lost has moved")
			default:
				other = max(other, f.Gap)
			}
		}
		share, plain, others = append(share, lost), append(plain, all[len(all)-1].Gap), append(others, other)
		ratios = append(ratios, lost/plain[len(plain)-1])
	}
	r := figure("a node is lost: its share", "takt, 3 nodes", "ms", share)
	r.Compared, r.Ratio = "an address that was there", median(ratios)
	rest := figure("a node is lost: other flows", "takt, 3 nodes", "ms", others)
	b.rows = append(b.rows, r.judge(r.Ratio <= 1.1, "≤ 1.1 of the address's"), figure("a node is lost: an address there", "takt, 3 nodes", "ms", plain),
		rest.judge(slices.Max(others) <= 100, "≤ 100 ms, none moved"))
	return nil
}

// lose crashes the node, returns what became of 90 flows of the shared address and one of the plain address, and brings it back.
func (s *sharers) lose(ctx context.Context) (all []flow, err error) {
	crashed := make(chan error, 1)
	go func() {
		time.Sleep(time.Second)
		crashed <- s.lab.Crash(lostNode)
	}()
	err = s.ask(ctx, &all, "follow", "6s", "90", sharedAt, plainAt)
	if err = errors.Join(err, <-crashed); err != nil {
		return nil, err
	}
	if err := s.lab.Start(lostNode); err != nil {
		return nil, err
	}
	return all, s.settled(ctx)
}
