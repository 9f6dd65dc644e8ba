package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Transfer hands the leadership to another voter and returns when that one
// leads. On a node that does not lead it does nothing if to leads already, else
// it is errs.Conflict. At the end of ctx it is errs.Timeout; changes that were
// proposed meanwhile go to whoever leads then.
func (s *Store) Transfer(ctx context.Context, to cib.NodeID) error {
	news, unsubscribe := s.leadNews.subscribe()
	defer unsubscribe()
	again := time.NewTicker(s.cfg.Stagger)
	defer again.Stop()
	for {
		if done, err := s.handOver(ctx, to); done || err != nil {
			return err
		}
		select {
		case <-news:
		case <-again.C: // the request may have been lost, or have come too early
		case <-ctx.Done():
			return errs.E("hand the leadership over to", errs.Timeout, nodeObject(to), "Check that the node answers.", ctx.Err())
		}
	}
}

// handOver asks the successor to stand for election, if this node leads.
func (s *Store) handOver(ctx context.Context, to cib.NodeID) (done bool, err error) {
	fail := func(kind errs.Kind, hint string, err error) (bool, error) {
		return false, errs.E("hand the leadership over to", kind, nodeObject(to), hint, err)
	}
	var lead uint64
	var voter bool
	err = s.ask(ctx, func() {
		l := s.loop
		lead, voter = l.leaderID(), l.machine.voter(uint64(to))
		if voter && to != s.cfg.Self && l.leading() {
			l.rn.TransferLeader(uint64(s.cfg.Self)) // gives up an attempt under way
			l.rn.TransferLeader(uint64(to))
		}
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return fail(errs.Timeout, "Check that the node answers.", err)
	case err != nil:
		return false, err
	case !voter:
		return fail(errs.Invalid, "Choose a voter.", errors.New("it has no vote"))
	case lead == uint64(to):
		return true, nil
	case lead != 0 && lead != uint64(s.cfg.Self):
		return fail(errs.Conflict, "Ask the leader.", fmt.Errorf("node %d leads", lead))
	}
	return false, nil // under way, or the successor is being elected
}
