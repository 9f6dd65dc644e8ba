package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/program"
	"github.com/takt-ha/takt/internal/command"
)

// newMisc makes a check that runs a program: 0 is up, 1 down; where the program may change the weight, 2 to 255 is up with a weight of two less.
func newMisc(c *director.Config, k *director.Check, weight int) (probe, error) {
	if k.Misc == nil || k.Misc.Run.None() {
		return nil, errors.New("there is no program to run")
	}
	conf := *k.Misc
	timeout := conf.Timeout
	if timeout == 0 {
		timeout = max(k.Timing.Loop, time.Second)
	}
	spec, err := program.Spec(&c.Global, conf.Run, timeout)
	if err != nil {
		return nil, err
	}
	spec.Sweep = true // or each run would leave something, for ever
	return func(ctx context.Context) (int, error) {
		out := command.Run(ctx, spec)
		switch {
		case out.Err != nil:
			return 0, out.Err
		case out.TimedOut:
			return 0, fmt.Errorf("%s does not end within %v", spec.Path, timeout)
		case out.Exit == 0:
			return 0, nil
		case conf.Dynamic && out.Exit >= 2:
			return out.Exit - 2 - weight, nil
		}
		return 0, fmt.Errorf("%s ends with %d%s", spec.Path, out.Exit, lastLine(out.Output))
	}, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return fmt.Sprintf(": %.120s", last)
	}
	return ""
}

// down is the number in a file that means that the server is down.
const down = math.MinInt32 + 1

// newFile makes a check that adds the number in a file, times a weight, to the server's weight. A file that is not there is 0.
func newFile(c *director.Config, k *director.Check) (probe, error) {
	if k.File == nil {
		return nil, errors.New("there is no file to look at")
	}
	for _, f := range c.Files {
		if f.Name == k.File.Name {
			return func(context.Context) (int, error) { return readWeight(f.Path, k.File.Weight) }, nil
		}
	}
	return nil, fmt.Errorf("there is no track_file %s", k.File.Name)
}

func readWeight(path string, weight int) (int, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data[:min(len(data), 64)])))
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s does not hold a number", path)
	case n <= down:
		return 0, fmt.Errorf("%s says so", path)
	case weight == 0:
		weight = 1
	}
	return n * weight, nil
}
