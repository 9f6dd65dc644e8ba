package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
	"github.com/takt-ha/takt/internal/mesh"
	"github.com/takt-ha/takt/internal/osfs"
)

// What a node does whose log is broken: it stops what it runs, says goodbye so
// that the others take over, and gives up. A log that does not check out is set
// aside at the next start, and the node asks the others for a new beginning.

// leaveBroken ends this node's part in the cluster because of its disk.
func (a *App) leaveBroken(cause error) error {
	if cause == nil {
		cause = errors.New("the store ended")
	}
	why := "this node's log is broken: " + cause.Error()
	a.journal.add(api.Event{Kind: "failure", On: a.id.Name, Text: why})
	a.log.Error("leaving the cluster", "reason", cause)
	if errs.KindOf(cause) == errs.Corrupt {
		a.markBroken(cause)
	}
	a.heart.tell(node.Broken{Why: why})
	ctx, done := context.WithTimeout(a.ctx, time.Minute)
	defer done()
	if !a.untilInactive(ctx) {
		return fmt.Errorf("%w (and not everything could be stopped here: %v)", cause, a.exec.Active())
	}
	a.sayGoodbye(ctx)
	return cause
}

// untilInactive waits until nothing runs here, or ctx ends.
func (a *App) untilInactive(ctx context.Context) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for len(a.exec.Active()) > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (o Options) brokenFile() string { return filepath.Join(o.State, "broken") }
func (o Options) peersFile() string  { return filepath.Join(o.State, "peers.json") }

// markBroken makes the next start ask for a new beginning.
func (a *App) markBroken(cause error) {
	if err := osfs.WriteFile(osfs.OS{}, "broken.write", a.opts.brokenFile(), []byte(cause.Error()+"\n"), 0o600); err != nil {
		a.log.Error("the broken log could not be marked; it is looked at again at the next start", "error", err)
	}
}

// remembered is how to reach the others, as of a log entry.
type remembered struct {
	Self  cib.NodeID  `json:"self"` // who had that log
	Index uint64      `json:"index"`
	Peers []link.Peer `json:"peers"`
}

// savePeers remembers how to reach the others, for a start without a log or
// with one that is behind.
func (a *App) savePeers() {
	data, err := json.Marshal(remembered{Self: a.self, Index: max(a.remembered.Index, a.store.State().Index), Peers: a.knownPeers()})
	if err == nil {
		err = osfs.WriteFile(osfs.OS{}, "peers.write", a.opts.peersFile(), data, 0o600)
	}
	if err != nil {
		a.log.Warn("the peers' addresses could not be remembered", "error", err)
	}
}

func (o Options) loadPeers() remembered {
	var r remembered
	data, err := os.ReadFile(o.peersFile())
	if err != nil || json.Unmarshal(data, &r) != nil {
		return remembered{}
	}
	return r
}

// errBroken means that a node has an identity and no log that it may use.
var errBroken = errors.New("the log cannot be used")

// brokenLog says why the log must not be opened, "" if it may.
func (o Options) brokenLog() string {
	data, err := os.ReadFile(o.brokenFile())
	if err != nil {
		return ""
	}
	return string(data)
}

// readmit sets a broken log aside and becomes a member anew, under a new id. It
// asks until somebody answers or ctx ends.
func readmit(ctx context.Context, opts Options, cause error) error {
	opts, err := opts.WithDefaults()
	if err != nil {
		return err
	}
	id, err := identity.Load(opts.Dir)
	if err != nil {
		return err
	}
	peers := opts.loadPeers().Peers
	if len(meshPeers(peers, 0)) < 2 {
		return errs.E("start", errs.Corrupt, opts.storeDir(),
			"No other node is known to hold the configuration. Restore "+opts.State+" from a backup, or begin anew with takt init --force.", cause)
	}
	opts.Log.Error("the log is broken; asking the other nodes for a new beginning", "error", cause)
	if err := ask(ctx, opts, id, peers); err != nil {
		return err
	}
	aside := opts.storeDir() + ".broken-" + time.Now().UTC().Format("20060102T150405")
	if err := os.Rename(opts.storeDir(), aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	opts.Log.Warn("became a member anew; the broken log was set aside", "folder", aside)
	if err := os.Remove(opts.brokenFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// ask goes round the peers until one of them lets this node in again.
func ask(ctx context.Context, opts Options, id *identity.Identity, peers []link.Peer) error {
	cert, err := id.TLS()
	if err != nil {
		return err
	}
	self := id.ID
	m, err := mesh.New(mesh.Config{Self: self, Name: id.Name, Cert: cert, CA: id.Pool(), Listen: id.Links, Log: opts.Log})
	if err != nil {
		return err
	}
	defer m.Close()
	var others []mesh.Peer
	for _, p := range meshPeers(peers, 0) {
		if p.ID != self {
			others = append(others, p)
		}
	}
	m.SetPeers(others)
	n := &nodeClient{http: &http.Client{Transport: m.RoundTripper(nodeALPN)}}
	for {
		for _, p := range others {
			_, err = id.Rejoin(ctx, func(ctx context.Context, req identity.JoinRequest) (*identity.JoinAnswer, error) {
				ctx, done := context.WithTimeout(ctx, 10*time.Second)
				defer done()
				var answer identity.JoinAnswer
				return &answer, n.call(ctx, cib.NodeID(p.ID), "/rejoin", req, &answer)
			}, time.Now())
			if err == nil {
				return nil
			}
			opts.Log.Warn("not admitted again yet", "asked", p.Name, "error", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}
