package fence

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence/hostmap"
)

// HostPlug is one entry of a host map.
type HostPlug = hostmap.Entry

// parseDelays reads pcmk_delay_base: one time, or a map from nodes to times.
func parseDelays(s string) (base time.Duration, per map[string]time.Duration, err error) {
	if !strings.ContainsAny(s, ":=") {
		base, err = agent.ParseDuration(s)
		return base, nil, err
	}
	pairs, err := hostmap.Parse(s)
	if err != nil {
		return 0, nil, err
	}
	per = map[string]time.Duration{}
	for _, p := range pairs {
		if per[strings.ToLower(p.Node)], err = agent.ParseDuration(p.Plug); err != nil {
			return 0, nil, fmt.Errorf("node %s: %w", p.Node, err)
		}
	}
	return 0, per, nil
}

// outlet is one line of a list: a plug, and the device's own name of what hangs on it.
type outlet struct{ plug, alias string }

// parseList reads what the list action prints: a line for each plug, the plug
// and a name with a comma between, the name may be empty or missing. Some
// agents print notices in the place of a list; those are no plugs.
func parseList(s string) []outlet {
	var outlets []outlet
	for _, line := range strings.Split(s, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line == "N/A" || strings.HasPrefix(line, "NOTICE:") {
			continue
		}
		plug, rest, _ := strings.Cut(line, ",")
		alias, _, _ := strings.Cut(rest, ",")
		if plug = strings.TrimSpace(plug); plug != "" {
			outlets = append(outlets, outlet{plug, strings.TrimSpace(alias)})
		}
	}
	return outlets
}
