package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
	"github.com/takt-ha/takt/internal/mesh"
)

// The protocols between daemons, besides the store's own.
const (
	nodeALPN = "takt-node/1" // the coordinator's commands, and what nodes report to it
	apiALPN  = "takt-api/1"  // the API, for a node that forwards a request
)

// Bounds of what somebody without a certificate can ask for: a join.
const (
	maxJoining  = 16
	joiningTime = time.Minute
)

// joinAsk is what a coordinator asks a node: tell what you know, and obey nothing
// older than this any more.
type joinAsk struct {
	Stamp agent.Stamp `json:"stamp"`
}

// joinSay is what the node knows.
type joinSay struct {
	Records []agent.Record `json:"records"`
}

// serveNodes serves the other daemons.
func (a *App) serveNodes() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /join", a.ofOneHistory(answer(a, a.answerJoin)))
	mux.HandleFunc("POST /run", a.ofOneHistory(answer(a, a.answerRun)))
	mux.HandleFunc("POST /notice", answer(a, a.answerNotice))
	mux.HandleFunc("POST /attributes", a.ofOneHistory(answer(a, a.answerAttributes)))
	mux.HandleFunc("POST /admit", answer(a, a.answerAdmit))
	mux.HandleFunc("POST /remove", answer(a, a.answerRemove))
	mux.HandleFunc("POST /rejoin", answer(a, a.answerRejoin))
	mux.HandleFunc("POST /support", answer(a, a.answerSupport))
	mux.HandleFunc("POST /fence", a.ofOneHistory(answer(a, a.answerFence)))
	mux.HandleFunc("POST /reset", a.ofOneHistory(answer(a, a.answerReset)))
	mux.HandleFunc("POST /fence/recall", answer(a, a.answerRecall))
	mux.HandleFunc("POST /fenced", answer(a, a.answerFenced))
	mux.HandleFunc("POST /fenced/all", answer(a, a.answerFencings))
	mesh.ServeHTTP(a.mesh, nodeALPN, mux)
	server := api.NewServer(a, a.log)
	mesh.ServeHTTP(a.mesh, apiALPN, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := mesh.PeerOf(r.Context())
		if !a.peers.member(cib.NodeID(from)) {
			http.Error(w, "this node is no member any more", http.StatusForbidden)
			return
		}
		caller := api.Caller{Node: from, Name: a.peerName(cib.NodeID(from))}
		server.ServeHTTP(w, r.WithContext(api.WithCaller(r.Context(), caller)))
	}))
	joining := make(chan struct{}, maxJoining)
	a.mesh.HandleAnonymous(identity.JoinALPN, func(ctx context.Context, _ uint64, conn net.Conn) {
		select {
		case joining <- struct{}{}:
			defer func() { <-joining }()
		default:
			return // strangers may not use up what the cluster needs
		}
		if conn.SetDeadline(time.Now().Add(joiningTime)) == nil {
			api.ServeConn(ctx, conn, identity.Handler(a))
		}
	})
}

// lineageHeader says of which history a request is: "GENERATION.CLAIMER".
const lineageHeader = "Takt-Lineage"

func (a *App) lineage() string {
	s := a.store.State()
	return fmt.Sprintf("%d.%d", s.Generation, s.Claimer)
}

// ofOneHistory refuses the commands of a coordinator of another history. Where two
// halves have forced the same generation, its numbers say nothing here.
func (a *App) ofOneHistory(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if theirs, ours := r.Header.Get(lineageHeader), a.lineage(); theirs != ours {
			w.WriteHeader(errs.Unavailable.HTTP())
			json.NewEncoder(w).Encode(api.Failed{Kind: errs.Unavailable.String(), Hint: "Wait until takt status on both shows the same generation.",
				Error: fmt.Sprintf("%s is in generation %s (number, and who forced it), the coordinator in %s: the two have yet to agree", a.id.Name, ours, theirs)})
			return
		}
		next(w, r)
	}
}

// answer makes a handler of a function from JSON to JSON.
func answer[In, Out any](a *App, f func(ctx context.Context, from cib.NodeID, in In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<20)).Decode(&in)
		if err != nil {
			err = errs.E("read a node's request", errs.Invalid, r.URL.Path, "", err)
		}
		var out any
		from := cib.NodeID(mesh.PeerOf(r.Context()))
		if err == nil && !a.peers.member(from) {
			err = errs.E("answer a node", errs.Permission, "node "+from.String(), "It is no member any more; it may join again with a token.", nil)
		}
		if err == nil {
			out, err = f(r.Context(), from, in)
		}
		if err != nil {
			w.WriteHeader(errs.KindOf(err).HTTP())
			out = api.Failed{Error: err.Error(), Kind: errs.KindOf(err).String(), Hint: errs.HintOf(err)}
		}
		json.NewEncoder(w).Encode(out)
	}
}

// answerJoin tells a new coordinator what runs here. From then on commands of
// earlier terms are refused.
func (a *App) answerJoin(ctx context.Context, from cib.NodeID, ask joinAsk) (joinSay, error) {
	seals := a.exec.Seals() // before the look at the standing: a cut after it must not be undone
	if obeys, why := a.heart.obeys(); !obeys {
		return joinSay{}, errs.E("join", errs.Unavailable, a.id.Name, "", errors.New(why))
	}
	if have := a.store.State().Generation; ask.Stamp.Generation != have {
		kind := errs.Unavailable // it has yet to hear of it
		if ask.Stamp.Generation < have {
			kind = errs.Stale // before the coordinator of its own has fenced it, the executor could not tell
		}
		return joinSay{}, errs.E("join", kind, a.id.Name, "", fmt.Errorf("its log has generation %d, the coordinator says %d", have, ask.Stamp.Generation))
	}
	if err := a.peers.soil(ctx); err != nil {
		return joinSay{}, errs.E("join", errs.Unavailable, a.id.Name, "", fmt.Errorf("the heartbeats have yet to hear that something may run here: %w", err))
	}
	if err := a.exec.FenceSince(ask.Stamp, seals); err != nil {
		return joinSay{}, err
	}
	a.board.leave("")
	return joinSay{Records: a.exec.Snapshot()}, nil
}

// answerRun runs a coordinator's command. A coordinator that goes away meanwhile
// does not end the operation: its successor hears the result as a notice.
func (a *App) answerRun(ctx context.Context, _ cib.NodeID, c agent.Command) (agent.Record, error) {
	if obeys, why := a.heart.obeys(); !obeys {
		return agent.Record{}, errs.E("obey "+c.Action, errs.Unavailable, c.Resource, "", errors.New(why))
	}
	if c.Stamp.Action < 0 && c.Action == agent.Forget {
		return a.ownDoing(ctx, c)
	}
	if c.Stamp.Action < 0 {
		return agent.Record{}, errs.E("obey "+c.Action, errs.Permission, c.Resource, "", errors.New("only the node itself may act without a transition"))
	}
	return a.exec.Do(ctx, c)
}

func (a *App) answerNotice(_ context.Context, from cib.NodeID, r agent.Record) (struct{}, error) {
	if l := a.store.Leadership(); l.Leader != a.self || !l.Ready {
		return struct{}{}, errs.E("take a result", errs.Unavailable, a.id.Name, "", errors.New("this node does not coordinate"))
	}
	a.heart.tell(noticed(from, r))
	return struct{}{}, nil
}

func noticed(id cib.NodeID, r agent.Record) node.Input {
	return control(controller.Noticed{Node: id, Record: r})
}

// nodeClient speaks to other daemons.
type nodeClient struct {
	app  *App
	http *http.Client

	mu      sync.Mutex
	unsent  map[string]agent.Record // results to report, the newest of each operation
	sending bool
}

func newNodeClient(a *App) *nodeClient {
	return &nodeClient{app: a, http: &http.Client{Transport: a.mesh.RoundTripper(nodeALPN)}, unsent: map[string]agent.Record{}}
}

func (n *nodeClient) name(node cib.NodeID) string {
	if n.app == nil {
		return "node " + node.String()
	}
	return n.app.peerName(node)
}

// call sends one request to a node.
func (n *nodeClient) call(ctx context.Context, node cib.NodeID, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+mesh.Host(uint64(node))+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if n.app != nil { // else there is no log: it asks to become a member again
		req.Header.Set(lineageHeader, n.app.lineage())
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return &unreached{err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var f api.Failed
		if json.NewDecoder(resp.Body).Decode(&f) != nil {
			f = api.Failed{Error: resp.Status}
		}
		return errs.E("ask "+n.name(node), errs.ParseKind(f.Kind), "", f.Hint, errors.New(f.Error))
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &unreached{err}
	}
	io.Copy(io.Discard, resp.Body)
	return nil
}

// unreached is a failure of the way to a node: it may have heard or not.
type unreached struct{ error }

// insist repeats a request over a broken way for as long as the node is there.
func (n *nodeClient) insist(ctx context.Context, node cib.NodeID, path string, in, out any) error {
	for {
		err := n.call(ctx, node, path, in, out)
		var way *unreached
		if !errors.As(err, &way) || ctx.Err() != nil {
			return err
		}
		if p := n.app.peers.get(node); !p.Alive || !p.Working {
			return fmt.Errorf("%s is gone: %w", n.app.peerName(node), err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// notify reports a result to the coordinator, whoever that is by then. It does
// not wait.
func (n *nodeClient) notify(r agent.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unsent[fmt.Sprintf("%s/%s/%d", r.Command.Resource, r.Command.Action, r.Command.Interval)] = r
	if !n.sending {
		n.sending = true
		n.app.background("notices", n.sendNotices)
	}
}

func (n *nodeClient) take() (string, agent.Record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	first, found := "", false
	for key, r := range n.unsent { // in the order in which it happened
		if !found || r.Call < n.unsent[first].Call {
			first, found = key, true
		}
	}
	n.sending = found
	return first, n.unsent[first], found
}

// sent forgets a result, unless a newer one has taken its place.
func (n *nodeClient) sent(key string, r agent.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unsent[key].Call == r.Call && n.unsent[key].Result.Code == r.Result.Code {
		delete(n.unsent, key)
	}
}

func (n *nodeClient) sendNotices(ctx context.Context) error {
	for {
		key, r, any := n.take()
		if !any {
			return nil
		}
		if n.report(ctx, r) == nil {
			n.sent(key, r)
			continue
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *nodeClient) report(ctx context.Context, r agent.Record) error {
	l := n.app.store.Leadership()
	if l.Leader == 0 {
		return errors.New("nobody coordinates")
	}
	if l.Leader == n.app.self {
		n.app.heart.tell(noticed(n.app.self, r))
		return nil
	}
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	return n.call(ctx, l.Leader, "/notice", r, &struct{}{})
}
