package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What follows runs in the guest.

// Ram disks of the guest: DRBD's replicas, then the volume's, then one that is measured as it is.
const (
	guestDisks    = 5
	guestDiskSize = 96 << 20
)

// insideGuest measures, and says the results.
func insideGuest(args []string) error {
	all, err := guestMain(args)
	if err != nil {
		return err
	}
	b, err := json.Marshal(all)
	fmt.Println(resultMark + string(b))
	return err
}

func guestMain(args []string) (all results, err error) {
	if len(args) != 4 {
		return all, fmt.Errorf("want: TAKT ROOT RUNS LENGTH; have %q", args)
	}
	o := options{takt: args[0], dir: guestDir, size: 64 << 20}
	if o.runs, err = strconv.Atoi(args[2]); err != nil {
		return all, err
	}
	if o.each, err = time.ParseDuration(args[3]); err != nil {
		return all, err
	}
	ctx := context.Background()
	drbd, err := startDRBD(args[1])
	if err != nil {
		return all, err
	}
	m := &measurement{o: o, targets: []*target{{name: "ram", device: fmt.Sprintf("/dev/ram%d", guestDisks-1)}, drbd}, loads: guestLoads}
	ours, err := startVolume(ctx, o, mirror, 2, true, "auto", "/dev/ram2", "/dev/ram3")
	if err == nil {
		err = ours.awaitDevice(ctx)
	}
	if err != nil {
		return all, err
	}
	defer ours.stop()
	m.targets = append(m.targets, ours)
	for _, t := range m.targets {
		if err := fill(ctx, o, t); err != nil {
			return all, err
		}
	}
	err = m.rounds(ctx)
	return results{Command: strings.Join(args, " "), Time: time.Now(), RoundTrip: median(m.trips), Rows: m.rows()}, err
}

// guestLoads are those that are compared with DRBD; the bar is what part of its figures is wanted.
var guestLoads = []load{
	{name: "4k random write, depth 1", rw: "randwrite", block: "4k", depth: 1, drbd: 0.8},
	{name: "4k random write, depth 16", rw: "randwrite", block: "4k", depth: 16, drbd: 0.8},
	{name: "1M sequential write, depth 4", rw: "write", block: "1m", depth: 4, drbd: 0.8},
}

// kernelDRBD is the name of the target.
const kernelDRBD = "DRBD"

// startDRBD makes two devices that mirror one another over the loopback, tuned as for a
// store with a battery, both up to date. root is where its programs were unpacked.
func startDRBD(root string) (*target, error) {
	setup, meta := filepath.Join(root, "lib/drbd/drbdsetup-84"), filepath.Join(root, "sbin/drbdmeta")
	var said []byte
	var err error
	run := func(args ...string) {
		if err == nil {
			var out []byte
			out, err = exec.Command(args[0], args[1:]...).CombinedOutput()
			said = append(said, fmt.Sprintf("%s\n%s", strings.Join(args, " "), out)...)
		}
	}
	for _, d := range []string{"/var/run/drbd", "/var/lib/drbd", "/run/lock", "/run/drbd"} {
		_ = os.MkdirAll(d, 0o755) // it may be a link to what is there
	}
	for _, i := range []string{"0", "1"} {
		run(meta, i, "v08", "/dev/ram"+i, "internal", "create-md", "--force")
		run(setup, "new-resource", "r"+i)
		run(setup, "new-minor", "r"+i, i, "0")
		run(setup, "attach", i, "/dev/ram"+i, "/dev/ram"+i, "internal", "--disk-flushes=no", "--md-flushes=no", "--disk-barrier=no", "--al-extents=1237")
	}
	at := []string{"ipv4:127.0.0.1:7000", "ipv4:127.0.0.1:7001"}
	for i := range at {
		run(setup, "connect", fmt.Sprintf("r%d", i), at[i], at[1-i], "--protocol=C", "--max-buffers=8000", "--max-epoch-size=8000", "--sndbuf-size=1M", "--ping-timeout=100")
	}
	run(setup, "wait-connect", "0", "--wfc-timeout=20")
	run(setup, "new-current-uuid", "0", "--clear-bitmap") // nothing to sync between new disks
	run(setup, "primary", "0")
	if err != nil {
		return nil, fmt.Errorf("set up DRBD: %w\n%s", err, said)
	}
	return &target{name: kernelDRBD, device: "/dev/drbd0"}, nil
}
