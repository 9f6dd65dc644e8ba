package app

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/internal/errs"
)

// Force makes this node the cluster on a person's word, or says what that could
// cost (api.Backend).
func (a *App) Force(ctx context.Context, f api.Force) (*api.Forcing, error) {
	st, err := a.heart.status(ctx)
	if err != nil {
		return nil, err
	}
	out := a.forcing(st)
	if st.Place == quorum.Quorate {
		words := st.Quorum.Words
		if p, err := a.pulse.Status(ctx); err == nil && p.Reason != "" {
			words = "quorate: " + p.Reason // newer than the last change of the standing
		}
		return nil, errs.E("force the cluster", errs.Conflict, a.id.Name, "Nothing has to be forced. takt status says how it stands.", errors.New(a.id.Name+" is "+words))
	}
	if f.Seen == "" || f.Seen != out.Seen {
		return out, nil
	}
	a.ordered.Add(1)
	defer a.ordered.Add(-1)
	answer, err := a.heart.requests.ask(ctx, a.heart, func(id uint64) node.Input { return node.ForceRequest{ID: id, By: f.User} })
	switch {
	case err != nil:
		return nil, errs.E("force the cluster", errs.Timeout, a.id.Name, "It may have happened: see takt status.", err)
	case answer.Err != "":
		return nil, errs.E("force the cluster", errs.Conflict, a.id.Name, "takt status says what it waits for.", errors.New(answer.Err))
	}
	out.Text, out.Risks, out.Done = answer.Text, nil, true
	return out, nil
}

// forcing says what a forced cluster would cost now. What a person agrees to is
// named by Seen: it is another one as soon as anything of it changes.
func (a *App) forcing(st node.Status) *api.Forcing {
	v := a.store.View()
	state, pos := v.State, v.Position
	out := &api.Forcing{
		Text:  fmt.Sprintf("%s would be the cluster by itself, under generation %d; the others join it when they are back. %s", a.id.Name, state.Generation+1, st.Quorum.Waits),
		Risks: st.Quorum.Risks,
	}
	out.Text = strings.TrimSpace(out.Text)
	h := fnv.New64a()
	fmt.Fprint(h, pos.Generation, pos.Claimer, pos.Term, pos.Index, pos.Voter, st.Place, st.Quorum.WaitsFor, out.Risks)
	out.Seen = fmt.Sprintf("%016x", h.Sum64())
	return out
}
