package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
)

// secondCall is a line of go test's output: name, runs, ns/op, and what
// BenchmarkSecondCall adds to it.
var secondCall = regexp.MustCompile(`(?m)^BenchmarkSecondCall/(\S+?)(?:-\d+)?\s+\d+\s+.*?([\d.]+) %of-full`)

// measureSecondCall has the benchmark in package scheduler run: what a call
// costs after one operation's result changed, as a daemon makes it.
func measureSecondCall(ctx context.Context, _ options) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkSecondCall$", "./cluster/scheduler")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
	}
	fmt.Printf("\nIn the daemon, a call after the result of one operation changed (bar: at most 10 %% of a full call)\n")
	for _, m := range secondCall.FindAllSubmatch(out, -1) {
		fmt.Printf("  %-40s %s %% of a full call\n", m[1], m[2])
	}
	return nil
}
