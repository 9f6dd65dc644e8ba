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
	"github.com/takt-ha/takt/cluster/fencer"
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
			_, err := r.do(impatient, t.Context(), order(1, fence.Off, "n2"))
			first <- err
		}()
		synctest.Wait()
		give()
		if <-first == nil {
			t.Error("who went away got an answer")
		}
		for range 3 {
			got, err := r.do(t.Context(), t.Context(), order(1, fence.Off, "n2"))
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
			got, err := r.do(t.Context(), t.Context(), c.command)
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
			answer, err := r.do(t.Context(), t.Context(), order(1, fence.Off, "n2"))
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
