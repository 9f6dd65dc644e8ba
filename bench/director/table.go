package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// row is one figure: the median of the runs where there are several.
type row struct {
	What     string    `json:"what"`
	System   string    `json:"system"`
	Value    float64   `json:"value"`
	Unit     string    `json:"unit"`
	Worst    float64   `json:"worst,omitempty"`
	Runs     []float64 `json:"runs,omitempty"`
	Compared string    `json:"compared,omitempty"` // what Ratio is of
	Ratio    float64   `json:"ratio,omitempty"`
	Bar      string    `json:"bar,omitempty"`
	Kept     *bool     `json:"kept,omitempty"` // nil: nothing was promised, or it cannot be judged
	Note     string    `json:"note,omitempty"`
}

// judge says what was promised, and whether it is kept.
func (r row) judge(kept bool, format string, args ...any) row {
	r.Bar, r.Kept = fmt.Sprintf(format, args...), &kept
	return r
}

// figure is a row of several runs.
func figure(what, system, unit string, runs []float64) row {
	return row{What: what, System: system, Unit: unit, Value: median(runs), Worst: slices.Max(runs), Runs: runs}
}

func printTable(w io.Writer, rows []row, left []string) {
	fmt.Fprintf(w, "\n%-34s %-22s %14s %10s %5s   %-26s %7s   %-22s %-4s %s\n", "what", "system", "median", "largest", "runs", "compared", "ratio", "bar", "kept", "")
	for _, r := range rows {
		worst, runs, ratio, kept := "", "", "", ""
		if len(r.Runs) > 0 {
			worst, runs = number(r.Worst), fmt.Sprint(len(r.Runs))
		}
		if r.Compared != "" {
			ratio = fmt.Sprintf("%.3f", r.Ratio)
		}
		if r.Kept != nil {
			kept = map[bool]string{true: "yes", false: "NO"}[*r.Kept]
		}
		fmt.Fprintf(w, "%-34s %-22s %14s %10s %5s   %-26s %7s   %-22s %-4s %s\n", r.What, r.System, number(r.Value)+" "+r.Unit, worst, runs, r.Compared, ratio, r.Bar, kept, r.Note)
	}
	for _, l := range left {
		fmt.Fprintln(w, "left out:", l)
	}
}

// number is a figure with as many digits as mean something.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprint(int64(v))
	case v < 100:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func median[T cmp.Ordered](list []T) (m T) {
	if len(list) == 0 {
		return m
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}
