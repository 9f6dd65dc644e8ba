package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// FenceVerbs returns what may be asked of the fencing of a node: off, reboot and
// on switch it; status asks its devices; test shows that they work; confirm is a
// person's word that it is off.
func FenceVerbs() []string { return []string{"off", "reboot", "on", "status", "confirm", "test"} }

// Fence is everything about fencing as the answering node knows it: GET /v1/fence.
type Fence struct {
	Enabled  bool           `json:"enabled"`          // stonith-enabled
	Serial   bool           `json:"serial,omitempty"` // concurrent-fencing=false: one node at a time
	Devices  []FenceDevice  `json:"devices"`
	Nodes    []FenceNode    `json:"nodes"`
	Open     []FenceWaiting `json:"open"`              // what is under way; only the node that decides knows
	History  []FenceEntry   `json:"history"`           // oldest first, of all nodes that told this one
	Findings []string       `json:"findings"`          // what is wrong, or was never shown to work
	Read     time.Time      `json:"read,omitzero"`     // when the devices were last asked whom they fence
	Reading  bool           `json:"reading,omitempty"` // they are being asked now
	Decider  string         `json:"decider,omitempty"` // who decides about fencing now; "": nobody
}

// FenceDevice is one configured fence device.
type FenceDevice struct {
	ID       string        `json:"id"`
	Agent    string        `json:"agent"`              // fence_ipmilan, …
	Usable   bool          `json:"usable"`             // by its configuration, and by what the answering node sees of it
	Watchdog bool          `json:"watchdog,omitempty"` // each node's own: it resets the node when it is cut off, and nobody can command it
	Targets  []string      `json:"targets"`            // whom it can switch
	Anybody  bool          `json:"anybody,omitempty"`  // every node
	Members  []FenceMember `json:"members"`            // who can run it
	Actions  []string      `json:"actions"`
	Priority int           `json:"priority,omitempty"`
	Delay    int64         `json:"delay_ms,omitempty"`     // pcmk_delay_base
	DelayMax int64         `json:"delay_max_ms,omitempty"` // pcmk_delay_max
	Tested   time.Time     `json:"tested,omitzero"`        // newest of the members'
	Findings []string      `json:"findings,omitempty"`
}

// FenceMember is a node that can run a device.
type FenceMember struct {
	Node    string    `json:"node"`
	Working bool      `json:"working"`          // the device's monitor succeeds there
	Tested  time.Time `json:"tested,omitzero"`  // when it last switched a node off from there
	Took    int64     `json:"took_ms,omitzero"` // how long that took
}

// FenceNode says how a node would be fenced.
type FenceNode struct {
	Name      string       `json:"name"`
	Fenceable bool         `json:"fenceable"` // by a device that another node can run now, or by its watchdog
	Words     string       `json:"words"`     // by what, or why not
	Levels    []FenceLevel `json:"levels"`    // in the order in which they are tried
	Watchdog  int64        `json:"watchdog_ms,omitempty"`
	Off       string       `json:"off,omitempty"` // proven off: the proof in words
}

// FenceLevel is one step of a node's fencing.
type FenceLevel struct {
	Index   int      `json:"index,omitempty"` // of the topology; 0: there is none, the devices' priority decides
	Devices []string `json:"devices"`         // all of them must succeed
}

// FenceWaiting is fencing under way.
type FenceWaiting struct {
	Target string    `json:"target"`
	Action string    `json:"action"`
	Asked  time.Time `json:"asked"`
	Words  string    `json:"words"` // what it does or waits for
}

// FenceEntry is one ended fencing.
type FenceEntry struct {
	Node     string      `json:"node"` // who decided
	Target   string      `json:"target"`
	Action   string      `json:"action"`
	By       string      `json:"by"` // "transition 3.14", "alice"
	Reason   string      `json:"reason"`
	Asked    time.Time   `json:"asked"`
	Ended    time.Time   `json:"ended"`
	Success  bool        `json:"success"`
	Means    string      `json:"means,omitempty"`    // what proves it: device, operator, watchdog
	Verified bool        `json:"verified,omitempty"` // the device's status says off, too
	Words    string      `json:"words"`
	Steps    []FenceStep `json:"steps,omitempty"`
}

// FenceStep is one command of a fencing.
type FenceStep struct {
	At      time.Time `json:"at"`
	Device  string    `json:"device"`
	Member  string    `json:"member"`
	Action  string    `json:"action"`
	Outcome string    `json:"outcome"` // done, failed, undelivered
	Words   string    `json:"words,omitempty"`
}

// FenceVerb asks something of the fencing of a node: POST /v1/fence/NODE/VERB.
// The answer comes when it has ended; events of kind "fencing" tell meanwhile
// what happens.
type FenceVerb struct {
	// Force of test: switch the node off and on again, once for each way that is
	// configured; without it only questions are asked.
	Force bool   `json:"force,omitempty"`
	User  string `json:"user,omitempty"` // who asks, for the history
}

// Force asks to make the answering node's half the cluster: POST /v1/cluster/force.
type Force struct {
	// Seen is Forcing.Seen of a look at what could be lost. Without it nothing is
	// done; with it, it is done if nothing has changed since.
	Seen string `json:"seen,omitempty"`
	User string `json:"user,omitempty"`
}

// Forcing is the answer to Force.
type Forcing struct {
	Text  string   `json:"text"`            // what would be done, or was done
	Risks []string `json:"risks,omitempty"` // what could be lost, or run twice
	Seen  string   `json:"seen"`            // what a confirmation has to name
	Done  bool     `json:"done"`
}

// Superseded is a history that gave way to another one's.
type Superseded struct {
	When    time.Time `json:"when"`
	File    string    `json:"file"` // what was superseded is kept there, on the answering node
	Changes int       `json:"changes"`
	Words   string    `json:"words"`
}

func (s *server) fence(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.backend.Fence(r.Context())
}

func (s *server) fenceVerb(w http.ResponseWriter, r *http.Request) (any, error) {
	node, verb := r.PathValue("name"), r.PathValue("verb")
	if !slices.Contains(FenceVerbs(), verb) {
		return nil, errs.E("fence", errs.Invalid, node, "", fmt.Errorf("verb %q: want one of %v", verb, FenceVerbs()))
	}
	var v FenceVerb
	if err := decode(w, r, maxBody, &v); err != nil {
		return nil, err
	}
	v.User = CallerOf(r.Context()).author(v.User)
	return s.backend.FenceNode(r.Context(), node, verb, v)
}

func (s *server) force(w http.ResponseWriter, r *http.Request) (any, error) {
	var f Force
	if err := decode(w, r, maxBody, &f); err != nil {
		return nil, err
	}
	f.User = CallerOf(r.Context()).author(f.User)
	return s.backend.Force(r.Context(), f)
}

func (s *server) acknowledge(w http.ResponseWriter, r *http.Request) (any, error) {
	v, err := decodeVerb(w, r)
	if err != nil {
		return nil, err
	}
	return s.backend.Acknowledge(r.Context(), v)
}
