package app

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/internal/errs"
)

// attributes are the transient attributes that this node says of itself, promotion scores
// above all. They are held here for as long as the daemon lives, and told to
// whoever coordinates until the CIB shows them: an agent need not wait for a quorum.
type attributes struct {
	mu   sync.Mutex
	own  map[string]string // by name; "": taken back, until the CIB shows that
	told chan struct{}     // closed when what is held has been told or is in the CIB; a new one with each change
	news chan struct{}
}

func newAttributes() *attributes {
	return &attributes{own: map[string]string{}, told: make(chan struct{}), news: make(chan struct{}, 1)}
}

// set holds a value, and returns what is closed when a coordinator has heard of it.
func (b *attributes) set(name, value string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.told:
		b.told = make(chan struct{})
	default:
	}
	b.own[name] = value
	select {
	case b.news <- struct{}{}:
	default:
	}
	return b.told
}

// get returns what is held.
func (b *attributes) get(name string) (value string, held bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, held = b.own[name]
	return value, held
}

// missing returns what is held and a node_state does not say, sorted, and what to
// close when it has been told.
func (b *attributes) missing(state *cib.Node) ([][2]string, chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var pairs [][2]string
	for name, value := range b.own {
		switch has := cib.NodeAttr(state, name); {
		case has != value:
			pairs = append(pairs, [2]string{name, value})
		case value == "":
			delete(b.own, name)
		}
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i][0] < pairs[j][0] })
	return pairs, b.told
}

// heard closes a channel of missing, unless that is done.
func (b *attributes) heard(told chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-told:
	default:
		close(told)
	}
}

// attributesAgain is how long the CIB has to show what was told before it is told again.
const attributesAgain = time.Second

// tellAttributes keeps telling the coordinator what the CIB does not show.
func (a *App) tellAttributes(ctx context.Context) error {
	changed, cancel := a.store.Subscribe()
	defer cancel()
	led, cancelLed := a.store.LeadershipChanged()
	defer cancelLed()
	var last [][2]string // told, to whom and when
	var term uint64
	var at time.Time
	for {
		pairs, told := a.attrs.missing(a.root().Child("status").ChildByID("node_state", a.self.String()))
		l := a.store.Leadership()
		var again <-chan time.Time
		switch {
		case len(pairs) == 0:
			last = nil
			a.attrs.heard(told)
		case slices.Equal(pairs, last) && l.Term == term && time.Since(at) < attributesAgain:
			again = time.After(attributesAgain - time.Since(at))
		case a.reportAttributes(ctx, l.Leader, pairs) == nil:
			last, term, at = pairs, l.Term, time.Now()
			a.attrs.heard(told)
			again = time.After(attributesAgain)
		default:
			again = time.After(50 * time.Millisecond)
		}
		select {
		case <-changed:
		case <-led:
		case <-a.attrs.news:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

// reportAttributes tells the coordinator.
func (a *App) reportAttributes(ctx context.Context, leader cib.NodeID, pairs [][2]string) error {
	switch leader {
	case 0:
		return errs.E("tell attributes", errs.Unavailable, "", "", nil)
	case a.self:
		a.heart.tell(control(controller.Attributes{Node: a.self, Pairs: pairs}))
		return nil
	}
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	return a.nodes.call(ctx, leader, "/attributes", pairs, &struct{}{})
}

func (a *App) answerAttributes(_ context.Context, from cib.NodeID, pairs [][2]string) (struct{}, error) {
	if l := a.store.Leadership(); l.Leader != a.self || !l.Ready {
		return struct{}{}, errs.E("take attributes", errs.Unavailable, a.id.Name, "", fmt.Errorf("this node does not coordinate"))
	}
	a.heart.tell(control(controller.Attributes{Node: from, Pairs: pairs}))
	return struct{}{}, nil
}

// Attribute returns an attribute (api.Backend). What this node said last of itself counts before it is in the CIB.
func (a *App) Attribute(_ context.Context, q api.Attribute) (*api.Attribute, error) {
	root := a.root()
	value := ""
	if q.Kind == api.AttrCluster {
		for set := range root.Path("configuration", "crm_config").Elements {
			for nv := range set.Elements {
				if nv.Attr("name") == q.Name && (q.Set == "" || set.ID() == q.Set) && value == "" {
					value = nv.Attr("value")
				}
			}
		}
	} else {
		if q.Node == "" {
			q.Node = a.id.Name
		}
		node := findNode(root, q.Node)
		if node == nil {
			return nil, errs.E("read an attribute", errs.NotFound, "node "+q.Node, "takt status lists the nodes.", nil)
		}
		value = a.nodeAttribute(root, node, q)
	}
	if value == "" {
		return nil, errs.E("read an attribute", errs.NotFound, q.Name, "", fmt.Errorf("it has no value"))
	}
	q.Value = value
	return &q, nil
}

func (a *App) nodeAttribute(root, node *cib.Node, q api.Attribute) string {
	if q.Kind == api.AttrForever {
		return configuredAttr(node, q.Name)
	}
	if value, held := a.attrs.get(q.Name); held && q.Node == a.id.Name {
		return value
	}
	return cib.NodeAttr(root.Child("status").ChildByID("node_state", node.ID()), q.Name)
}

// toldWithin is how long an agent that sets an attribute waits for the coordinator to hear of it, so that
// it is known when the operation's result is judged.
const toldWithin = 500 * time.Millisecond

// SetAttribute sets or deletes an attribute (api.Backend).
func (a *App) SetAttribute(ctx context.Context, q api.Attribute) (*api.Outcome, error) {
	if q.Delete {
		q.Value = ""
	}
	if q.Node == "" {
		q.Node = a.id.Name
	}
	node := findNode(a.root(), q.Node)
	if q.Kind != api.AttrCluster && node == nil {
		return nil, errs.E("set an attribute", errs.NotFound, "node "+q.Node, "takt status lists the nodes.", nil)
	}
	switch {
	case q.Kind != api.AttrReboot:
		return a.onLeader(ctx,
			func() (*api.Outcome, error) {
				return a.change(ctx, api.Verb{User: q.User}, func(root *cib.Node) (edit, error) { return attributeEdit(root, q) })
			},
			func(c *api.Client) (*api.Outcome, error) { return c.SetAttribute(ctx, q) })
	case q.Node == a.id.Name:
		a.say(ctx, q.Name, q.Value)
		return &api.Outcome{Text: attributeWords(q)}, nil
	}
	id, _ := cib.ParseNodeID(node.ID())
	if !a.peers.alive(id) {
		return nil, errs.E("set an attribute", errs.Unavailable, "node "+q.Node, "What is said of a node until its restart is said by itself: wait until it is back.", fmt.Errorf("it is not there"))
	}
	c := api.NewClientDial(q.Node, func(ctx context.Context) (net.Conn, error) { return a.mesh.Dial(ctx, uint64(id), apiALPN) })
	defer c.Close()
	return c.SetAttribute(ctx, q)
}

// say sets a transient attribute of this node, and waits a moment until the coordinator has heard of it.
func (a *App) say(ctx context.Context, name, value string) {
	told := a.attrs.set(name, value)
	ctx, done := context.WithTimeout(ctx, toldWithin)
	defer done()
	select {
	case <-told:
	case <-ctx.Done():
	}
}

func attributeWords(q api.Attribute) string {
	if q.Value == "" {
		return "delete " + q.Name
	}
	return q.Name + "=" + q.Value
}

// attributeEdit changes an attribute in the configuration.
func attributeEdit(root *cib.Node, q api.Attribute) (edit, error) {
	path, setName, setID := "/cib/configuration/crm_config", "cluster_property_set", q.Set
	parent := root.Path("configuration", "crm_config")
	if q.Kind == api.AttrForever {
		node := findNode(root, q.Node)
		if node == nil {
			return edit{}, errs.E("set an attribute", errs.NotFound, "node "+q.Node, "takt status lists the nodes.", nil)
		}
		path, setName, setID = "/cib/configuration/nodes/node[@id='"+node.ID()+"']", "instance_attributes", "nodes-"+node.ID()
		parent = node
	} else if setID == "" {
		setID = "cib-bootstrap-options"
	}
	if strings.HasPrefix(setID, cib.VolumesID) || strings.HasPrefix(q.Name, "takt-volume") {
		return edit{}, errs.E("set an attribute", errs.Conflict, q.Name, "", fmt.Errorf("only the processes of the volumes change what is recorded about them"))
	}
	set := parent.ChildByID(setName, setID)
	if set == nil {
		set = cib.NewNode(setName, "id", setID)
	}
	changed := cib.NewNode("x").WithChild(set)
	if q.Value != "" {
		changed = setPair(changed, setName, setID, q.Name, q.Value)
	}
	next := changed.Child(setName)
	for nv := range next.Elements {
		if q.Value == "" && nv.Attr("name") == q.Name {
			next = next.WithReplaced(nv, nil)
		}
	}
	return edit{text: attributeWords(q), ops: []cib.Op{{Kind: cib.Replace, Path: path + "/" + setName + "[@id='" + setID + "']", Parent: path, XML: next.String()}}}, nil
}

// scored is a registry whose agents' promotion scores become attributes of this node, before
// their results are known.
type scored struct {
	agent.Registry
	say func(ctx context.Context, name, value string)
}

// Lookup implements agent.Registry.
func (s scored) Lookup(id agent.ID) (agent.Agent, error) {
	found, err := s.Registry.Lookup(id)
	if err != nil {
		return nil, err
	}
	one := scoredAgent{found, s.say}
	if w, is := found.(agent.Watcher); is {
		return scoredWatcher{one, w}, nil
	}
	return one, nil
}

type scoredAgent struct {
	agent.Agent
	say func(ctx context.Context, name, value string)
}

// Run implements agent.Agent.
func (s scoredAgent) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	r := s.Agent.Run(ctx, inv)
	if r.Promotion != nil {
		s.say(ctx, agent.PromotionAttribute(inv.Resource), *r.Promotion)
		r.Promotion = nil
	}
	return r
}

type scoredWatcher struct {
	scoredAgent
	agent.Watcher
}
