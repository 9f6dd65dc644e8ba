package main

import (
	"fmt"
	"io"
)

func printTable(w io.Writer, all results) {
	const format = "%-30s %-22s %10s %10s %12s %12s %8s %8s %6s\n"
	fmt.Fprintf(w, "\n"+format, "load", "target", "ops/s", "MB/s", "latency µs", "server µs/op", "ratio", "bar", "kept")
	for _, r := range all.Rows {
		ratio, bar := "", ""
		if r.Against != "" {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Bar != 0 {
			bar = fmt.Sprintf("≥ %.2f", r.Bar)
		}
		fmt.Fprintf(w, format, r.Load, r.Target, fmt.Sprintf("%.0f", r.Median.PerSecond), fmt.Sprintf("%.0f", r.Median.Bytes/1e6),
			fmt.Sprintf("%.1f", r.Median.Latency), fmt.Sprintf("%.1f", r.Median.Server), ratio, bar, r.Kept())
	}
	fmt.Fprintf(w, "loopback TCP round trip: %.1f µs\n", all.RoundTrip)
}
