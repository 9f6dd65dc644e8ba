package chaos

import (
	"fmt"
	"strings"
	"testing"
)

// script turns lines into a log:
//
//	TIME NODE begin|end ACTION[/INTERVAL] CALL [rc=N] [status=N] [daemon=N] [of=RESOURCE] [class=CLASS]
//	TIME NODE crash
func script(t *testing.T, text string) (calls []Call, crashes []Crash) {
	t.Helper()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		c := Call{Node: f[1], Resource: "r", Daemon: 10}
		mustScan(t, f[0], "%d", &c.Time)
		if f[2] == "crash" {
			crashes = append(crashes, Crash{c.Node, c.Time})
			continue
		}
		c.Event = f[2]
		var interval string
		c.Action, interval, _ = strings.Cut(f[3], "/")
		if interval != "" {
			mustScan(t, interval, "%d", &c.Interval)
		}
		mustScan(t, f[4], "%d", &c.Number)
		if c.Event == "end" {
			c.Code, c.Status = new(int), new(int)
		}
		for _, word := range f[5:] {
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "rc":
				mustScan(t, value, "%d", c.Code)
			case "status":
				mustScan(t, value, "%d", c.Status)
			case "daemon":
				mustScan(t, value, "%d", &c.Daemon)
			case "of":
				c.Resource = value
			case "class":
				c.Class = value
			default:
				t.Fatalf("unknown word %q", word)
			}
		}
		calls = append(calls, c)
	}
	return calls, crashes
}

func mustScan(t *testing.T, text, format string, into any) {
	t.Helper()
	if _, err := fmt.Sscanf(text, format, into); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, log string
		twice     int
	}{
		{"a move", `
			1 n1 begin start 1
			2 n1 end start 1
			5 n1 begin stop 2
			6 n1 end stop 2
			7 n2 begin start 1
			8 n2 end start 1`, 0},
		{"started before it was stopped", `
			1 n1 begin start 1
			2 n1 end start 1
			5 n1 begin stop 2
			6 n2 begin start 1
			7 n1 end stop 2`, 1},
		{"a fence device is watched from two nodes", `
			1 n1 begin start 1 class=stonith
			6 n2 begin start 1 class=stonith`, 0},
		{"a crash ends everything", `
			1 n1 begin start 1
			2 n1 end start 1
			5 n1 crash
			6 n2 begin start 1`, 0},
		{"a crash a little too late", `
			1 n1 begin start 1
			6 n2 begin start 1
			7 n1 crash`, 1},
		{"another node's crash", `
			1 n1 begin start 1
			5 n3 crash
			6 n2 begin start 1`, 1},
		{"a stop that failed", `
			1 n1 begin start 1
			5 n1 begin stop 2
			6 n1 end stop 2 rc=1
			7 n2 begin start 1`, 1},
		{"a stop that timed out", `
			1 n1 begin start 1
			5 n1 begin stop 2
			6 n1 end stop 2 rc=0 status=2
			7 n2 begin start 1`, 1},
		{"a stop without an end", `
			1 n1 begin start 1
			5 n1 begin stop 2
			7 n2 begin start 1`, 1},
		{"a stop without an end, and a probe by the next daemon", `
			1 n1 begin start 1
			5 n1 begin stop 2
			6 n1 begin monitor 3 daemon=11
			7 n1 end monitor 3 rc=7 daemon=11
			8 n2 begin start 1`, 0},
		{"a recurring monitor that does not find it proves nothing", `
			1 n1 begin start 1
			6 n1 begin monitor/1000 3
			7 n1 end monitor/1000 3 rc=7
			8 n2 begin start 1`, 1},
		{"a start that failed", `
			1 n1 begin start 1
			2 n1 end start 1 rc=1
			7 n2 begin start 1`, 1},
		{"a start that failed and was stopped", `
			1 n1 begin start 1
			2 n1 end start 1 rc=1
			3 n1 begin stop 2
			4 n1 end stop 2
			7 n2 begin start 1`, 0},
		{"a start that nobody saw the end of, and a probe by the next daemon", `
			1 n1 begin start 1
			3 n1 begin monitor 2 daemon=11
			4 n1 end monitor 2 rc=7 daemon=11
			7 n2 begin start 1`, 0},
		{"a probe beside a start in flight", `
			1 n1 begin monitor 1
			2 n1 begin start 2
			3 n1 end monitor 1 rc=7
			7 n2 begin start 1`, 1},
		{"seen where nobody started it", `
			1 n1 begin start 1
			4 n2 begin monitor 1
			5 n2 end monitor 1 rc=0`, 1},
		{"seen promoted where nobody started it", `
			1 n1 begin start 1
			4 n2 begin monitor 1
			5 n2 end monitor 1 rc=8`, 1},
		{"a monitor that looked before the stop", `
			1 n1 begin start 1
			2 n1 end start 1
			3 n1 begin monitor/10 2
			4 n1 begin stop 3
			5 n1 end stop 3
			6 n1 end monitor/10 2 rc=0
			7 n2 begin start 1`, 0},
		{"a stop beside a start in flight", `
			1 n1 begin start 1
			2 n1 begin stop 2
			3 n1 end stop 2
			4 n2 begin start 1`, 1},
		{"a start that a crash cut off", `
			1 n1 begin start 1
			2 n1 crash
			3 n1 begin start 2
			4 n1 end start 2
			5 n1 begin stop 3
			6 n1 end stop 3
			7 n2 begin start 1`, 0},
		{"three nodes", `
			1 n1 begin start 1
			2 n2 begin start 1
			3 n3 begin start 1`, 3},
		{"two resources", `
			1 n1 begin start 1 of=a
			2 n2 begin start 1 of=b`, 0},
		{"lines out of order", `
			7 n2 begin start 1
			5 n1 begin stop 2
			6 n1 end stop 2
			2 n1 end start 1
			1 n1 begin start 1`, 0},
	} {
		calls, crashes := script(t, c.log)
		if got := Judge(calls, crashes); len(got) != c.twice {
			t.Errorf("%s: %d violations, want %d: %v", c.name, len(got), c.twice, got)
		}
	}
}

func TestParseCalls(t *testing.T) {
	good := `{"time_ns":5,"event":"end","node":"n1","daemon":4,"call":2,"resource":"a","action":"stop","interval_ms":0,"stamp":{},"rc":0,"status":0}` + "\n"
	calls, err := parseCalls(strings.NewReader(good))
	if err != nil || len(calls) != 1 || !calls[0].answered(codeOK) || calls[0].answered(1) {
		t.Errorf("got %+v, %v", calls, err)
	}
	for _, bad := range []string{good[:40] + "\n", "{}\n", good + good[:30]} {
		if _, err := parseCalls(strings.NewReader(bad)); err == nil {
			t.Errorf("taken: %q", bad)
		}
	}
}

// TestPromotions: a promotable clone may be started everywhere and promoted once.
func TestPromotions(t *testing.T) {
	call := func(at int64, event, node, action string, number, interval int64, code int) Call {
		c := Call{Time: at, Event: event, Node: node, Daemon: 1, Number: number, Resource: "r", Action: action, Interval: interval}
		if event == "end" {
			zero := 0
			c.Code, c.Status = &code, &zero
		}
		return c
	}
	both := []Call{
		call(1, "begin", "n1", "start", 1, 0, 0), call(2, "end", "n1", "start", 1, 0, 0),
		call(1, "begin", "n2", "start", 1, 0, 0), call(2, "end", "n2", "start", 1, 0, 0),
		call(3, "begin", "n1", "promote", 2, 0, 0), call(4, "end", "n1", "promote", 2, 0, 0),
		call(5, "begin", "n2", "monitor", 2, 500, 0), call(6, "end", "n2", "monitor", 2, 500, 0),
		call(7, "begin", "n1", "monitor", 3, 500, 8), call(8, "end", "n1", "monitor", 3, 500, 8),
	}
	if v := Judge(promotions(both, "r"), nil); len(v) > 0 {
		t.Errorf("promoted on n1 alone: %v", v)
	}
	if v := Judge(both, nil); len(v) == 0 {
		t.Error("a clone is no unique resource, and the judge does not see it")
	}
	second := []Call{call(20, "begin", "n2", "promote", 3, 0, 0)}
	if v := Judge(promotions(append(both, second...), "r"), nil); len(v) == 0 {
		t.Error("promoted on two nodes, and nobody says so")
	}
	for _, end := range [][]Call{
		{call(9, "begin", "n1", "demote", 4, 0, 0), call(10, "end", "n1", "demote", 4, 0, 0)},
		{call(9, "begin", "n1", "stop", 4, 0, 0), call(10, "end", "n1", "stop", 4, 0, 0)},
		{call(9, "begin", "n1", "monitor", 4, 0, 0), call(10, "end", "n1", "monitor", 4, 0, 0)},
	} {
		if v := Judge(promotions(append(append(both, end...), second...), "r"), nil); len(v) > 0 {
			t.Errorf("%s ended it: %v", end[0].Action, v)
		}
	}
}
