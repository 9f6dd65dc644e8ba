package main

import (
	"fmt"
	"io"
)

func printTable(w io.Writer, all results) {
	const format = "%-32s %-14s %9s %7s %11s %12s   %-28s %8s %8s %4s\n"
	fmt.Fprintf(w, "\n"+format, "load", "target", "ops/s", "MB/s", "latency µs", "server µs/op", "compared", "value", "bar", "kept")
	for _, r := range all.Rows {
		compared, value, bar := r.What, "", ""
		if r.Against != "" {
			compared += " to " + r.Against
		}
		if len(r.Values) > 0 {
			value = fmt.Sprintf("%.2f", r.Value)
		}
		if r.Bar != 0 {
			bar = map[bool]string{true: "≤ ", false: "≥ "}[r.AtMost] + fmt.Sprintf("%.2f", r.Bar)
		}
		fmt.Fprintf(w, format, r.Load, r.Target, number(r.Median.PerSecond, 0), number(r.Median.Bytes/1e6, 0),
			number(r.Median.Latency, 1), number(r.Median.Server, 1), compared, value, bar, r.kept())
	}
	fmt.Fprintf(w, "loopback TCP round trip: %.1f µs\n", all.RoundTrip)
}

// number shows a figure, or nothing for none.
func number(v float64, digits int) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.*f", digits, v)
}
