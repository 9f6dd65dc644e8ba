package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/internal/errs"
)

func order(command uint64, action, target string) fenceCommand {
	return fenceCommand{Session: "s", Command: command, Device: "ilo", Action: action, Target: target, Left: time.Minute.Milliseconds()}
}

// TestFenceCommandRunsOnce: over a broken way it is asked for again and again.
func TestFenceCommandRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fake()
		r := newFenceRuns("n1", watched(t, fenceCIB(t), a))
		a.asked = nil
		impatient, give := context.WithCancel(t.Context())
		a.call = func(ctx context.Context, r fence.Request) fence.Answer {
			if r.Action == fence.Status {
				return exit(2)
			}
			<-impatient.Done() // the first who asks goes away while it runs
			return exit(0)
		}
		first := make(chan error)
		go func() {
			_, err := r.do(impatient, t.Context(), 0, order(1, fence.Off, "n2"))
			first <- err
		}()
		synctest.Wait()
		give()
		if <-first == nil {
			t.Error("who went away got an answer")
		}
		for range 3 {
			got, err := r.do(t.Context(), t.Context(), 0, order(1, fence.Off, "n2"))
			if err != nil || got.Outcome != fencer.Done || got.Power != fencer.PowerOff || !got.Verified {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if got := a.calls(); !slices.Equal(got, []string{"off n2", "status n2"}) {
			t.Errorf("the device was asked %q", got)
		}
	})
}

// TestFenceCommandsThatDoNotBegin: the target itself, an unknown device, what was
// recalled before it came, what came too late.
func TestFenceCommandsThatDoNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fake()
		r := newFenceRuns("n2", watched(t, fenceCIB(t), a))
		a.asked = nil
		r.recall(fenceRecall{"s", 3})
		late := order(4, fence.Off, "n3")
		late.Left = 0
		unknown := order(2, fence.Off, "n3")
		unknown.Device = "nothing"
		for _, c := range []struct {
			command fenceCommand
			words   string
		}{{order(1, fence.Off, "n2"), "does not fence itself"}, {unknown, "no fence device nothing"}, {order(3, fence.Off, "n3"), "recalled"}, {late, "time was over"}} {
			got, err := r.do(t.Context(), t.Context(), 0, c.command)
			if err != nil || got.Outcome != fencer.Undelivered || !strings.Contains(got.Words, c.words) {
				t.Errorf("command %d: %+v, %v; want %q", c.command.Command, got, err, c.words)
			}
		}
		if got := a.calls(); len(got) > 0 {
			t.Errorf("the device was asked %q", got)
		}
	})
}

// TestRecalledFenceCommandEnds: its agent is ended with it.
func TestRecalledFenceCommandEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fake()
		a.call = func(ctx context.Context, r fence.Request) fence.Answer {
			<-ctx.Done()
			return fence.Answer{Result: agent.Result{Status: agent.Cancelled, Reason: "ended\nbefore its time"}}
		}
		r := newFenceRuns("n1", watched(t, fenceCIB(t), a))
		a.asked = nil
		got := make(chan fenceAnswer)
		go func() {
			answer, err := r.do(t.Context(), t.Context(), 0, order(1, fence.Off, "n2"))
			if err != nil {
				t.Error(err)
			}
			got <- answer
		}()
		synctest.Wait()
		r.recall(fenceRecall{"s", 1})
		if answer := <-got; answer.Outcome != fencer.Failed || strings.Contains(answer.Words, "\n") {
			t.Errorf("%+v", answer)
		}
	})
}

// TestCommandOfAPredecessorEnds: another node coordinates now, and what runs for the one
// before is ended, so that its next try does not hit a node that is back. What runs for
// the coordinator itself, or for this node, goes on.
func TestCommandOfAPredecessorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fake()
		a.call = func(ctx context.Context, r fence.Request) fence.Answer {
			<-ctx.Done()
			return fence.Answer{Result: agent.Result{Status: agent.Cancelled}}
		}
		r := newFenceRuns("n1", watched(t, fenceCIB(t), a))
		life, end := context.WithCancel(t.Context())
		ended := make(chan cib.NodeID, 3)
		for i, from := range []cib.NodeID{0, 2, 3} {
			c := order(uint64(i+1), fence.Status, "n2")
			c.Session = from.String()
			go func() {
				if _, err := r.do(t.Context(), life, from, c); err != nil {
					t.Error(err)
				}
				ended <- from
			}()
		}
		synctest.Wait()
		r.endStale(func(from cib.NodeID) error {
			switch from {
			case 0:
				t.Error("this node is asked whether it may decide for itself")
			case 2:
				return errs.E("fence", errs.Stale, "n1", "", nil)
			}
			return nil
		})
		synctest.Wait()
		if len(ended) != 1 || <-ended != 2 {
			t.Error("what runs for node 2 was to end, and nothing else")
		}
		end()
		synctest.Wait()
		if len(ended) != 2 {
			t.Errorf("%d more have ended with the daemon, want 2", len(ended))
		}
	})
}
