package schedtest

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// host is a node of the notation.
type host struct {
	member
	listed bool // it is in the configuration
}

// nodeStates are the words for the state of a member of the cluster; nil means
// that it was never seen.
var nodeStates = map[string][]string{
	"online":  {"in_ccm", "true", "crmd", "online", "join", "member", "expected", "member"},
	"offline": {"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "down"},
	// Gone without a word.
	"lost": {"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "member"},
	// Its controller died, the membership still sees it.
	"crashed": {"in_ccm", "true", "crmd", "offline", "join", "down", "expected", "member"},
	// In the membership, but has not joined yet.
	"pending": {"in_ccm", "true", "crmd", "online", "join", "down", "expected", "down"},
	// It was asked to go, and is gone.
	"left":   {"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "down"},
	"unseen": nil,
}

// node reads: node NAME [STATE] [remote] [standby|maintenance|shutdown|terminate]
// [ATTRIBUTE=VALUE] [util.NAME=VALUE] [status.NAME=VALUE] [state.NAME=VALUE].
func (b *builder) node(args []string) {
	h := b.host(args[0])
	h.listed = true
	for _, w := range args[1:] {
		k, v, isPair := strings.Cut(w, "=")
		kind, name, dotted := strings.Cut(k, ".")
		switch {
		case !isPair:
			b.nodeWord(h, w)
		case dotted && kind == "util":
			h.capacity = append(h.capacity, pair{name, v})
		case dotted && kind == "status":
			h.transient = append(h.transient, pair{name, v})
		case dotted && kind == "state":
			h.stateAttrs = replace(h.stateAttrs, name, v)
		default:
			h.attributes = append(h.attributes, pair{k, v})
		}
	}
}

func (b *builder) nodeWord(h *host, w string) {
	state, known := nodeStates[w]
	switch {
	case known:
		h.online = w == "online"
		h.gone = state == nil
		h.stateAttrs = append([]string{}, state...)
	case w == "remote":
		h.kind = "remote"
		h.id = h.name
		h.stateAttrs = remoteState
	case w == "standby", w == "maintenance":
		h.attributes = append(h.attributes, pair{w, "true"})
	case w == "shutdown":
		h.transient = append(h.transient, pair{w, b.ago("60")})
	case w == "terminate":
		h.transient = append(h.transient, pair{w, "true"})
	default:
		fail("%q is no state of a node", w)
	}
}

var remoteState = []string{"remote_node", "true", "crm-debug-origin", "takt"}

func replace(list []string, name, value string) []string {
	list = append([]string{}, list...)
	for i := 0; i < len(list); i += 2 {
		if list[i] == name {
			list[i+1] = value
			return list
		}
	}
	return append(list, name, value)
}

// host finds a node, or makes it: what is first named by its history is a
// remote or guest node.
func (b *builder) host(name string) *host {
	members := 0
	for _, h := range b.hosts {
		if h.name == name {
			return h
		}
		if h.kind == "member" {
			members++
		}
	}
	h := &host{member: member{id: strconv.Itoa(members + 1), name: name, kind: "member", online: true, stateAttrs: nodeStates["online"]}}
	b.hosts = append(b.hosts, h)
	return h
}

// ago is a time so many seconds before now.
func (b *builder) ago(seconds string) string {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		fail("%q are no seconds", seconds)
	}
	return strconv.FormatInt(b.now.Unix()-int64(n), 10)
}

func (h *host) config() *cib.Node {
	if !h.listed {
		return nil
	}
	return h.member.config(&generator{})
}

func (h *host) state() *cib.Node { return h.member.state(&generator{}) }
