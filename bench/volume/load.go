package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// load is one kind of work for fio.
type load struct {
	name  string
	rw    string // as fio calls it
	block string
	depth int
	// alone is the least ratio of the unreplicated volume to nbdkit; mirror and mirrorTLS
	// are those of a mirrored one to the unreplicated; 0: no bar.
	alone, mirror, mirrorTLS float64
	// latency: the bars of mirror and mirrorTLS are round trips that may be added.
	latency bool
	drbd    float64 // the least ratio of a mirror to DRBD
}

var loads = []load{
	{name: "4k random write, depth 1", rw: "randwrite", block: "4k", depth: 1, alone: 1, mirror: 2.2, mirrorTLS: 3, latency: true},
	{name: "4k random write, depth 16", rw: "randwrite", block: "4k", depth: 16, alone: 0.9, mirror: 0.6, mirrorTLS: 0.5},
	{name: "4k random write, depth 64", rw: "randwrite", block: "4k", depth: 64, alone: 0.9, mirror: 0.6, mirrorTLS: 0.5},
	{name: "4k random read, depth 64", rw: "randread", block: "4k", depth: 64, alone: 0.9, mirror: 0.95, mirrorTLS: 0.95},
	{name: "1M sequential write, depth 8", rw: "write", block: "1m", depth: 8, alone: 0.9, mirror: 0.5, mirrorTLS: 0.4},
}

// figures are what one run of fio says.
type figures struct {
	PerSecond float64 `json:"iops"`
	Bytes     float64 `json:"bytes_per_second"`
	Latency   float64 `json:"latency_us"` // mean, from submission to completion
	Ops       float64 `json:"ops"`
	Server    float64 `json:"server_cpu_us"` // of all the servers' processes, an operation
}

// side is one direction in fio's JSON.
type side struct {
	IOPS    float64 `json:"iops"`
	Bytes   float64 `json:"bw_bytes"`
	Total   float64 `json:"total_ios"`
	Latency struct {
		Mean float64 `json:"mean"`
	} `json:"lat_ns"`
}

// fio runs one load for so long, or once over the whole size if long is 0. where are the
// arguments that name the target.
func fio(ctx context.Context, l load, size int64, long time.Duration, where ...string) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, long+5*time.Minute)
	defer cancel()
	args := append([]string{"--name=load", "--output-format=json", "--randrepeat=0", "--norandommap",
		"--rw=" + l.rw, "--bs=" + l.block, "--iodepth=" + strconv.Itoa(l.depth),
		"--size=" + strconv.FormatInt(size, 10)}, where...)
	if long > 0 {
		args = append(args, "--time_based", fmt.Sprintf("--runtime=%dms", long.Milliseconds()))
	}
	out, err := exec.CommandContext(ctx, "fio", args...).Output()
	if err != nil {
		return figures{}, fmt.Errorf("fio %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	var report struct {
		Jobs []struct {
			Read  side `json:"read"`
			Write side `json:"write"`
		} `json:"jobs"`
	}
	text := string(out)
	if err := json.Unmarshal([]byte(text[max(0, strings.Index(text, "{")):]), &report); err != nil || len(report.Jobs) == 0 {
		return figures{}, fmt.Errorf("what fio says is no report (%w):\n%s", err, text)
	}
	s := report.Jobs[0].Write
	if strings.Contains(l.rw, "read") {
		s = report.Jobs[0].Read
	}
	return figures{PerSecond: s.IOPS, Bytes: s.Bytes, Latency: s.Latency.Mean / 1000, Ops: s.Total}, nil
}
