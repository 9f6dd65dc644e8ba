package executor

import (
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/osfs"
)

// callLine is one line of the log of agent calls. A checker that merges the
// logs of all nodes by Time sees whether a resource was ever active twice.
type callLine struct {
	Time     int64         `json:"time_ns"` // wall clock, ns since 1970
	Event    Phase         `json:"event"`
	Node     string        `json:"node"`
	PID      int           `json:"daemon"` // call numbers are unique per daemon folder only
	Call     int64         `json:"call"`
	Class    string        `json:"class"` // of its agent: a fence device (stonith) may be active anywhere
	Resource string        `json:"resource"`
	Action   string        `json:"action"`
	Interval int64         `json:"interval_ms"`
	Stamp    Stamp         `json:"stamp"`
	Code     *agent.Code   `json:"rc,omitempty"`     // at end
	Status   *agent.Status `json:"status,omitempty"` // at end
}

// callLog appends lines; a nil *callLog takes them and does nothing.
type callLog struct {
	node string
	mu   sync.Mutex
	file osfs.File // nil once closed
}

func openCallLog(fs osfs.FS, path, node string) (*callLog, error) {
	if path == "" {
		return nil, nil
	}
	f, err := fs.OpenFile("executor.calllog", path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &callLog{node: node, file: f}, nil
}

func (l *callLog) begin(rec Record, now time.Time) error { return l.write(rec, Begin, now) }
func (l *callLog) ended(rec Record, now time.Time) error { return l.write(rec, End, now) }

// write appends one line by one write, so that lines of two daemons never mix.
func (l *callLog) write(rec Record, event Phase, now time.Time) error {
	if l == nil {
		return nil
	}
	c := rec.Command
	line := callLine{Time: now.UnixNano(), Event: event, Node: l.node, PID: os.Getpid(), Call: rec.Call,
		Class: c.Agent.Class, Resource: c.Resource, Action: c.Action, Interval: c.Interval, Stamp: c.Stamp}
	if event == End {
		line.Code, line.Status = &rec.Result.Code, &rec.Result.Status
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return os.ErrClosed
	}
	_, err = l.file.Write(append(b, '\n'))
	return err
}

func (l *callLog) close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
