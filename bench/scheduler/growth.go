package main

import (
	"context"
	"fmt"
	"math"

	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// growthBar is the exponent that time may grow with.
const growthBar = 1.3

// growthSizes are numbers of primitives, each twice the one before.
var growthSizes = []int{500, 1000, 2000, 4000}

// measureGrowth measures how time grows with the number of primitives: as N to
// the power of what, from the smallest to the largest.
func measureGrowth(ctx context.Context, o options) error {
	fmt.Printf("\nGrowth with the number of primitives on 32 nodes: time, and its exponent (bar: at most %.1f)\n", growthBar)
	for _, past := range []schedtest.Past{schedtest.PastProbed, schedtest.PastNone} {
		if err := o.growth(ctx, o.us(), past); err != nil {
			return err
		}
		if o.peer == "" || past == schedtest.PastNone && !o.slow {
			continue
		}
		once := o
		once.runs = 1
		if err := once.growth(ctx, o.them(), past); err != nil {
			return err
		}
	}
	return nil
}

func (o options) growth(ctx context.Context, p program, past schedtest.Past) error {
	fmt.Printf("  %-12s %-7s", p.name, past)
	var first, last float64
	for i, count := range growthSizes {
		f, err := o.medianOf(ctx, p, primitives(32, count, past))
		if err != nil {
			fmt.Println()
			return err
		}
		last = f.wall.Seconds()
		if i == 0 {
			first = last
		}
		fmt.Printf("  %d: %s", count, seconds(f.wall))
	}
	ratio := float64(growthSizes[len(growthSizes)-1]) / float64(growthSizes[0])
	fmt.Printf("  N^%.2f\n", math.Log(last/first)/math.Log(ratio))
	return nil
}
