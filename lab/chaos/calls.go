package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The actions and codes that a judge looks at (OCF resource agent API 1.1).
const (
	classFence = "stonith"

	actionStart   = "start"
	actionStop    = "stop"
	actionMonitor = "monitor"

	codeOK              = 0
	codeNotRunning      = 7
	codeRunningPromoted = 8
)

// Call is one line of a node's log of agent calls: the begin or the end of one.
type Call struct {
	Time     int64  `json:"time_ns"` // wall clock, ns since 1970
	Event    string `json:"event"`   // begin or end
	Node     string `json:"node"`
	Daemon   int    `json:"daemon"` // its pid
	Number   int64  `json:"call"`   // unique per daemon and boot
	Class    string `json:"class"`  // of the agent
	Resource string `json:"resource"`
	Action   string `json:"action"`
	Interval int64  `json:"interval_ms"` // 0: a single operation
	Code     *int   `json:"rc"`          // at the end
	Status   *int   `json:"status"`      // at the end; 0: the agent answered
}

// answered reports whether the line is an agent's own answer with this code.
func (c Call) answered(code int) bool {
	return c.Event == "end" && c.Code != nil && c.Status != nil && *c.Status == 0 && *c.Code == code
}

// readCalls reads a node's log; a node that never called an agent has none.
func readCalls(path string) ([]Call, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	calls, err := parseCalls(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return calls, nil
}

// parseCalls reads one call a line. A line that is not whole is an error: it
// could hide a start.
func parseCalls(r io.Reader) ([]Call, error) {
	var calls []Call
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var c Call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if c.Event != "begin" && c.Event != "end" || c.Node == "" || c.Resource == "" || c.Time == 0 {
			return nil, fmt.Errorf("line %d: not a call of an agent: %s", n, lines.Bytes())
		}
		calls = append(calls, c)
	}
	return calls, lines.Err()
}
