package fencer

import (
	"fmt"
	"time"
)

// Stale is the age from which on a test of a device says little.
const Stale = 90 * 24 * time.Hour

// Findings says, in words, what of a setup will fail or has never been shown to
// work: nodes that nothing can fence, levels whose device does not fence their
// target, devices that no other node can run, and tests missing or older than
// Stale. nodes are all that should be fenceable, in the order of the answer.
func Findings(s *Setup, nodes []Member, now time.Time) []string {
	var out []string
	for _, n := range nodes {
		plans := s.plans(n, Off)
		if len(plans) == 0 && !n.Watchdog.Armed {
			out = append(out, fmt.Sprintf("%s: no fence device can fence it: nothing that runs there is recovered when it is lost", n.Node))
		}
		for _, p := range plans {
			for _, d := range p.devices {
				out = append(out, deviceFindings(p, d, n.Node)...)
			}
		}
	}
	for _, d := range s.order {
		if len(d.Actions) == 0 {
			continue // it cannot be used at all, which is another finding
		}
		if f := testFinding(d, now); f != "" {
			out = append(out, f)
		}
	}
	return out
}

func deviceFindings(p plan, d *Device, target Node) []string {
	if !d.fences(target) {
		return []string{fmt.Sprintf("%s: %s names %s, which does not fence it: correct its host list, or take it out of the level", target, p.name, d.ID)}
	}
	for _, r := range d.Members {
		if r.Node != target {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: no other node may run %s, so nobody could when %s is lost: look at its location constraints", target, d.ID, target)}
}

func testFinding(d *Device, now time.Time) string {
	var newest time.Time
	for _, r := range d.Members {
		if r.Tested.After(newest) {
			newest = r.Tested
		}
	}
	switch {
	case newest.IsZero():
		return fmt.Sprintf("%s was never tested: takt fence test shows whether it works", d.ID)
	case now.Sub(newest) > Stale:
		return fmt.Sprintf("%s was last tested %d days ago: takt fence test shows whether it still works", d.ID, int(now.Sub(newest).Hours()/24))
	}
	return ""
}
