package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
)

// The volumes of bin/takt by name; the nodes of a volume are processes on this machine.
const (
	alone     = "volume"
	device    = "volume, device" // through the block device of its front end
	mirror    = "mirror, plain"
	mirrorTLS = "mirror, TLS"
)

// replicaNames are the nodes of a mirror; the first is primary.
var replicaNames = []string{"alpha", "beta"}

// startVolume makes and starts a volume with so many replicas, on files, or on the disks given.
func startVolume(ctx context.Context, o options, name string, replicas int, plain bool, front string, disks ...string) (*target, error) {
	t := &target{name: name}
	dir := func(node string) string { return filepath.Join(o.dir, strings.ReplaceAll(name, ", ", "-")+"-"+node) }
	disk := func(i int) string {
		if i < len(disks) {
			return disks[i]
		}
		return dir(replicaNames[i]) + ".img"
	}
	addresses, err := freeAddresses(replicas)
	if err != nil {
		return nil, err
	}
	var config []byte
	for i, node := range replicaNames[:replicas] {
		if err := os.Mkdir(dir(node), 0o700); err != nil {
			return nil, err
		}
		file, args := filepath.Join(dir(node), "r0.toml"), []string{"create", "r0"}
		if i == 0 {
			args = append(args, "--size", strconv.FormatInt(o.size, 10), "--disk", disk(0))
			if replicas > 1 {
				args = append(args, "--address", addresses[0], "--peer", replicaNames[1]+"="+addresses[1])
			}
			if plain && replicas > 1 {
				args = append(args, "--plain")
			}
		} else if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(config), disk(0), disk(i))), 0o600); err != nil {
			return nil, err
		}
		if err := o.volume(ctx, dir(node), node, args...); err != nil {
			return nil, err
		}
		if i == 0 {
			if config, err = setFront(file, front); err != nil {
				return nil, err
			}
		}
		if err := t.start([]string{o.takt, "volume", "run", "r0", "--dir", dir(node), "--node", node}); err != nil {
			return nil, err
		}
		t.controls = append(t.controls, control.NewClient("r0", filepath.Join(dir(node), "r0.sock")))
		if err := t.await(ctx, filepath.Join(dir(node), "r0.nbd")); err != nil {
			t.stop()
			return nil, err
		}
	}
	t.uri = "nbd+unix:///r0?socket=" + filepath.Join(dir(replicaNames[0]), "r0.nbd")
	if _, err := t.controls[0].Ask(ctx, control.Ask{Verb: "primary", Force: true}); err != nil {
		t.stop()
		return nil, err
	}
	return t, t.awaitInStep(ctx)
}

// setFront adds the front end to a volume's file, which it returns, and that two new disks need no
// first resync.
func setFront(file, front string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b = append([]byte("front = \""+front+"\"\n"), b...)
	b = append(b, "\n[sync]\nskip-initial-sync = true\n"...)
	return b, os.WriteFile(file, b, 0o600)
}

// awaitDevice waits until the volume's block device is there.
func (t *target) awaitDevice(ctx context.Context) error {
	for end := time.Now().Add(2 * time.Minute); ; {
		s, err := t.controls[0].Status(ctx)
		if err != nil {
			return err
		}
		if s.Device != "" {
			t.device = s.Device
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: no block device: %s", t.name, s.FrontWhy)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// volume runs `takt volume` for one node.
func (o options) volume(ctx context.Context, dir, node string, args ...string) error {
	args = append([]string{"volume"}, append(args, "--dir", dir, "--node", node)...)
	out, err := exec.CommandContext(ctx, o.takt, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("takt %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// freeAddresses finds n addresses on the loopback that nobody listens on.
func freeAddresses(n int) (all []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		all = append(all, ln.Addr().String())
	}
	return all, nil
}

// awaitInStep waits until all replicas have the same data.
func (t *target) awaitInStep(ctx context.Context) error {
	for end := time.Now().Add(4 * time.Minute); ; {
		s, err := t.controls[0].Status(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", t.name, err, t.words.String())
		}
		if inStep(s, len(t.controls)-1) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: the replicas do not get in step: %+v\n%s", t.name, s, t.words.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func inStep(s volume.Status, peers int) bool {
	for _, p := range s.Peers {
		if p.State != volume.Connected || p.Disk != volume.UpToDate {
			return false
		}
	}
	return s.Role == volume.Primary && len(s.Peers) == peers
}

// resync has all of the second replica's data fetched anew and returns the rate in bytes a
// second. meanwhile, if given, runs while it lasts.
func (t *target) resync(ctx context.Context, size int64, meanwhile func() error) (rate float64, err error) {
	before := time.Now()
	if _, err := t.controls[1].Ask(ctx, control.Ask{Verb: "invalidate"}); err != nil {
		return 0, err
	}
	for {
		s, err := t.controls[0].Status(ctx)
		if err != nil {
			return 0, err
		}
		if len(s.Peers) > 0 && s.Peers[0].State == volume.SyncSource {
			break
		}
		if time.Since(before) > 20*time.Second || inStep(s, 1) && time.Since(before) > time.Second {
			return 0, fmt.Errorf("%s: no resync begins: %+v", t.name, s)
		}
		time.Sleep(time.Millisecond)
	}
	before = time.Now()
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return 0, err
		}
	}
	if err := t.awaitInStep(ctx); err != nil {
		return 0, err
	}
	return float64(size) / time.Since(before).Seconds(), nil
}
