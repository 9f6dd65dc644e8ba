package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/simulate"
)

// comparableState is where resources are and what nodes are.
type comparableState struct {
	Nodes     map[string]string   `json:"nodes"`
	Placement scheduler.Placement `json:"placement"`
}

// simulateJSON schedules and prints the transition, the state before it, and the
// state after all of it has succeeded, as Pacemaker's simulator carries it out.
func simulateJSON(w io.Writer, root *cib.Node, now time.Time, o scheduler.Options) error {
	var before, after comparableState
	var t *scheduler.Transition
	t, before.Placement, before.Nodes = scheduler.ScheduleAndSituation(root, now, o)
	after.Placement, after.Nodes = scheduler.Situation(simulate.Replay(root, t, now), now, false)
	return writeTransitionJSON(w, t, before, after)
}

// writeTransitionJSON prints a transition as the comparison tools read it. A large
// cluster has some hundred thousand actions and more orderings: they are written
// one by one, without reflection.
func writeTransitionJSON(w io.Writer, t *scheduler.Transition, before, after comparableState) error {
	out := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	end := `{"actions":[`
	for i := range t.Actions {
		line = appendAction(append(line[:0], end...), &t.Actions[i])
		end = ","
		out.Write(line) // an error stays until the end
	}
	if len(t.Actions) == 0 {
		out.WriteString(end)
	}
	end = `],"order":[`
	for _, o := range t.Order {
		line = append(append(line[:0], end...), '[')
		line = append(strconv.AppendInt(line, int64(o.Before), 10), ',')
		line = append(strconv.AppendInt(line, int64(o.After), 10), ']')
		end = ","
		out.Write(line)
	}
	if len(t.Order) == 0 {
		out.WriteString(end)
	}
	states, err := json.Marshal(struct {
		Before comparableState `json:"before"`
		After  comparableState `json:"after"`
	}{before, after})
	if err != nil {
		return err
	}
	out.WriteString("],")
	out.Write(states[1:])
	out.WriteByte('\n')
	return out.Flush()
}

// appendAction appends one action as the comparison tools read it.
func appendAction(b []byte, a *scheduler.Action) []byte {
	b = append(b, `{"id":`...)
	id := strconv.Itoa(int(a.ID)) + ":" + a.Resource + "_" + a.Task + "_" + strconv.FormatInt(a.Interval, 10) + "@" + a.Node
	b = appendString(b, id)
	b = appendString(append(b, `,"kind":`...), string(a.Kind))
	b = appendString(append(b, `,"task":`...), a.Task)
	b = appendString(append(b, `,"resource":`...), a.Resource)
	b = appendString(append(b, `,"node":`...), a.Node)
	b = strconv.AppendInt(append(b, `,"interval_ms":`...), a.Interval, 10)
	if a.Detail != "" {
		b = appendString(append(b, `,"detail":`...), a.Detail)
	}
	return append(b, '}')
}

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // strings can always be marshalled
				panic(err)
			}
			return append(b, quoted...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
