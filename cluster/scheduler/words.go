package scheduler

import (
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// readRole reads a role in its new and old spelling; "" if it is none.
func readRole(s string) Role {
	switch s {
	case "Stopped", "stopped":
		return Stopped
	case "Started", "started":
		return Started
	case "Promoted", "Master", "promoted", "master":
		return Promoted
	case "Unpromoted", "Slave", "unpromoted", "slave":
		return Unpromoted
	}
	return ""
}

// rank orders roles: Stopped < Started < Unpromoted < Promoted.
func (r Role) rank() int {
	switch r {
	case Stopped:
		return 1
	case Started:
		return 2
	case Unpromoted:
		return 3
	case Promoted:
		return 4
	}
	return 0
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func truth(s string) bool {
	v, _ := cib.ParseBool(s)
	return v
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// milliseconds reads a duration; def if it is absent or not understood.
func milliseconds(s string, def int64) int64 {
	if s == "" {
		return def
	}
	d, err := cib.Duration(s)
	if err != nil {
		return def
	}
	return int64(d / time.Millisecond)
}
