package main

import (
	"fmt"
	"io"
	"strings"
)

func printTable(w io.Writer, all results) {
	fmt.Fprintf(w, "\n%-22s %-40s %-14s %8s %8s %8s   %s\n", "system", "what a client sees: longest gap", "profile", "median", "max", "bar", "what the median went into")
	for _, r := range all.Rows {
		bar := "-"
		if r.System == "takt" {
			bar = fmt.Sprintf("%.0f ms", r.Bar)
		}
		fmt.Fprintf(w, "%-22s %-40s %-14s %5.0f ms %5.0f ms %8s   %s\n", r.System, r.Step, r.Profile, r.Median, r.Max, bar, splitWords(r.Split))
	}
	for _, i := range all.Idle {
		fmt.Fprintf(w, "%-22s %-40s %-14s %.2f %% of a core, %.1f MB resident (%.1f proportional); bar 0.5 %%, 40 MB\n", "takt", fmt.Sprintf("idle, a node with %d monitored resources", i.Resources), i.Profile, i.CPU, i.RSS, i.PSS)
	}
	for _, l := range all.Load {
		fmt.Fprintf(w, "%-22s %-40s %-14s %d failovers in %d runs; bar 0\n", "takt", l.Load, l.Profile, l.Failovers, l.Runs)
	}
}

func splitWords(split map[string]int64) string {
	var parts []string
	for _, name := range phases {
		if us, ok := split[name]; ok {
			parts = append(parts, fmt.Sprintf("%s %.1f", name, float64(us)/1000))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, " + ") + " ms"
}
