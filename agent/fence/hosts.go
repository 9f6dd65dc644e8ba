package fence

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
)

// HostPlug is one entry of a host map.
type HostPlug struct {
	Node string `json:"node"`
	Plug string `json:"plug"` // as the agent wants it; several plugs of one machine joined by commas
}

// pair is one entry name:value of a map.
type pair struct{ name, value string }

// ParseHostMap reads pcmk_host_map: node1:1;node2:2,3 with ; or white space
// between entries, : or = within one, and \ before a character that is to be
// taken as it is. Node names do not differ by case alone.
func ParseHostMap(s string) ([]HostPlug, error) {
	pairs, err := parseMap(s)
	if err != nil {
		return nil, err
	}
	var hosts []HostPlug
	for _, p := range pairs {
		hosts = append(hosts, HostPlug{p.name, p.value})
	}
	return hosts, nil
}

const mapForm = `want node1:plug1;node2:plug2, with \ before a space or ; that belongs to a name`

func parseMap(s string) ([]pair, error) {
	r := mapReader{seen: map[string]bool{}}
	for _, c := range []byte(s) {
		switch {
		case r.escaped:
			r.word = append(r.word, c)
			r.escaped = false
		case c == '\\':
			r.escaped = true
		case strings.IndexByte("; \t\n\r", c) >= 0:
			if err := r.finish(); err != nil {
				return nil, err
			}
		case !r.named && (c == ':' || c == '='):
			r.name, r.word, r.named = string(r.word), nil, true
		default:
			r.word = append(r.word, c)
		}
	}
	if r.escaped {
		return nil, fmt.Errorf(`the \ at the end has nothing after it; %s`, mapForm)
	}
	err := r.finish()
	return r.pairs, err
}

// mapReader is a map that is being read.
type mapReader struct {
	pairs   []pair
	seen    map[string]bool // names of pairs, in lower case
	name    string          // of the entry, once named
	word    []byte          // what has been read of the name, or of the value once named
	named   bool
	escaped bool // the next byte is taken as it is
}

// finish ends an entry.
func (r *mapReader) finish() error {
	name, word, named := r.name, string(r.word), r.named
	r.name, r.word, r.named = "", nil, false
	key := strings.ToLower(name)
	switch {
	case !named && word == "":
		return nil
	case !named:
		return fmt.Errorf("the entry %q has no plug; %s", word, mapForm)
	case name == "" || word == "":
		return fmt.Errorf("the entry %q lacks a side; %s", name+":"+word, mapForm)
	case r.seen[key]:
		return fmt.Errorf("the node %s stands there twice; several plugs of one node are joined by commas, as in node1:1,2", name)
	}
	r.seen[key] = true
	r.pairs = append(r.pairs, pair{name, word})
	return nil
}

// ParseHostList reads pcmk_host_list: names with commas, semicolons or white
// space between.
func ParseHostList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",; \t\n\r", r) })
}

// parseDelays reads pcmk_delay_base: one time, or a map from nodes to times.
func parseDelays(s string) (base time.Duration, per map[string]time.Duration, err error) {
	if !strings.ContainsAny(s, ":=") {
		base, err = agent.ParseDuration(s)
		return base, nil, err
	}
	pairs, err := parseMap(s)
	if err != nil {
		return 0, nil, err
	}
	per = map[string]time.Duration{}
	for _, p := range pairs {
		if per[strings.ToLower(p.name)], err = agent.ParseDuration(p.value); err != nil {
			return 0, nil, fmt.Errorf("node %s: %w", p.name, err)
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
