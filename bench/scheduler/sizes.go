package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// size is a cluster to measure, with the bars that it has to keep.
type size struct {
	schedtest.Large
	bars
	slow bool // the peer needs many minutes: it is asked once, and only if that is wanted
}

var sizes = []size{
	{Large: primitives(32, 1000, schedtest.PastProbed), bars: bars{faster: 10, memory: 1. / 3}},
	{Large: groups(16, 500, schedtest.PastProbed), bars: bars{faster: 10, memory: 1. / 3}},
	{Large: primitives(100, 2000, schedtest.PastProbed), bars: bars{faster: 10, memory: 1. / 3}},
	{Large: primitives(32, 1000, schedtest.PastNone), bars: bars{faster: 50}},
	{Large: groups(16, 500, schedtest.PastNone), bars: bars{faster: 50}},
	{Large: primitives(100, 2000, schedtest.PastNone), bars: bars{within: 8 * time.Second}, slow: true},
}

func primitives(nodes, count int, past schedtest.Past) schedtest.Large {
	return schedtest.Large{Nodes: nodes, Primitives: count, Past: past}
}

func groups(nodes, count int, past schedtest.Past) schedtest.Large {
	return schedtest.Large{Nodes: nodes, Groups: count, GroupSize: 4, Past: past}
}

// measureSize runs both programs in turn on one cluster.
func measureSize(ctx context.Context, o options, s size) (result, error) {
	r := result{name: s.Large.String(), bars: s.bars, asked: o.peer != "" && (o.slow || !s.slow)}
	file, err := writeCIB(o, s.Large)
	if err != nil {
		return r, err
	}
	defer os.Remove(file)
	var ours, theirs []figures
	for i := range o.runs {
		f, n, err := o.once(ctx, o.us(), file)
		if err != nil {
			return r, err
		}
		ours, r.ourCount = append(ours, f), n
		if !r.asked || i > 0 && (s.slow || !r.ended) {
			continue
		}
		f, n, err = o.once(ctx, o.them(), file)
		if err != nil && !errors.Is(err, errPatience) {
			return r, err
		}
		theirs, r.theirCount, r.ended = append(theirs, f), n, err == nil
	}
	r.ours = median(ours)
	if r.asked {
		r.theirs = median(theirs)
	}
	return r, nil
}

// medianOf runs one program on one cluster.
func (o options) medianOf(ctx context.Context, p program, l schedtest.Large) (figures, error) {
	file, err := writeCIB(o, l)
	if err != nil {
		return figures{}, err
	}
	defer os.Remove(file)
	var list []figures
	for range o.runs {
		f, _, err := o.once(ctx, p, file)
		if err != nil {
			return f, err
		}
		list = append(list, f)
	}
	return median(list), nil
}

// once runs a program on a file and counts the actions that it wrote.
func (o options) once(ctx context.Context, p program, file string) (figures, int, error) {
	output, stdout := filepath.Join(o.dir, "graph"), filepath.Join(o.dir, "stdout")
	defer os.Remove(output)
	defer os.Remove(stdout)
	f, err := process(ctx, o.patience, stdout, p.command(file, output)...)
	if err != nil {
		return f, 0, err
	}
	if p.ours {
		n, err := countOurs(stdout)
		return f, n, err
	}
	n, err := countTheirs(output)
	return f, n, err
}

func writeCIB(o options, l schedtest.Large) (string, error) {
	name := filepath.Join(o.dir, "cib.xml")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	if err := l.Write(f); err != nil {
		f.Close()
		return "", fmt.Errorf("write the CIB of %s: %w", l, err)
	}
	return name, f.Close()
}
