package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// recorded is one case as cases.json lists it.
type recorded struct {
	Name string
	Args []string // further arguments of crm_simulate
	Now  *int64
}

// measureCases runs all recorded cases, a process each, and compares the sums.
func measureCases(ctx context.Context, o options) error {
	data, err := os.ReadFile(filepath.Join(o.cases, "cases.json"))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("%s holds no cases: not measured\n", o.cases)
		return nil
	}
	if err != nil {
		return err
	}
	var list []recorded
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("cases.json: %w", err)
	}
	r := result{name: fmt.Sprintf("%d recorded cases, a process each", len(list)), bars: bars{faster: 3}, asked: o.peer != "", ended: true}
	var ours, theirs []figures
	for range o.runs {
		f, err := o.sumCases(ctx, o.us(), list)
		if err != nil {
			return err
		}
		ours = append(ours, f)
		if !r.asked {
			continue
		}
		if f, err = o.sumCases(ctx, o.them(), list); err != nil {
			return err
		}
		theirs = append(theirs, f)
	}
	r.ours = median(ours)
	if r.asked {
		r.theirs = median(theirs)
	}
	printRow(os.Stdout, r)
	return nil
}

// sumCases runs all cases once: the time of all and the largest of the peaks.
func (o options) sumCases(ctx context.Context, p program, list []recorded) (figures, error) {
	var sum figures
	output, stdout := filepath.Join(o.dir, "case.graph"), filepath.Join(o.dir, "case.out")
	for _, c := range list {
		command := p.command(filepath.Join(o.cases, c.Name+".xml"), output)
		f, err := process(ctx, o.patience, stdout, append(command, p.time(c)...)...)
		// Some are broken on purpose: to refuse one is an answer, too.
		if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.Exited()) {
			return sum, fmt.Errorf("case %s: %w", c.Name, err)
		}
		sum.wall += f.wall
		sum.peak = max(sum.peak, f.peak)
	}
	return sum, nil
}

// time is the argument that sets the time of a case: the peer reads dates only.
func (p program) time(c recorded) []string {
	switch {
	case p.ours && c.Now != nil:
		return []string{"--now", strconv.FormatInt(*c.Now, 10)}
	case p.ours:
		return nil
	case len(c.Args) == 0 && c.Now != nil:
		return []string{"-t", time.Unix(*c.Now, 0).UTC().Format("2006-01-02 15:04:05Z")}
	}
	return c.Args
}
